"""check.py - did every call of every SDK arrive once, with its fields? check.py FILE.jsonl..

Reads the file sink's lines (or with `collected`, nothing else) and prints TAP."""
# SPDX-License-Identifier: Apache-2.0
import collections
import json
import sys

SDKS = ['node', 'python', 'go', 'rudder', 'browser', 'snippet']
TYPES = {'identify': 1, 'track': 2, 'page': 1, 'screen': 1, 'group': 1, 'alias': 1}
count = failed = 0


def ok(passed, words):
    global count, failed
    count += 1
    failed += not passed
    print(f'{"" if passed else "not "}ok {count} - {words}')


def same(got, wanted, words):
    ok(got == wanted, words)
    if got != wanted:
        print(f'# got:    {got!r}\n# wanted: {wanted!r}')


def check_sdk(sdk, events):
    in_browser = sdk in ('browser', 'snippet')
    by = collections.defaultdict(list)
    for event in events:
        by[event['type']].append(event)
    same({t: len(es) for t, es in by.items()}, TYPES, f'{sdk}: every call once')
    if any(len(by[t]) != n for t, n in TYPES.items()):
        return
    e = by['identify'][0]
    same((e['user_id'], e['traits']['email'], e['traits']['name'], e['traits']['age'], e['event']),
         (f'u-{sdk}', f'a@{sdk}', 'é😀', 42, 'Identify'), f'{sdk}: identify')
    marks = {e['properties']['mark']: e for e in by['track']}
    same(sorted(marks), sorted([f'{sdk}-track', f'{sdk}-anonymous']), f'{sdk}: both tracks')
    e = marks.get(f'{sdk}-track')
    same((e['event'], e['user_id'], e['properties']['revenue'], e['properties']['nested']),
         ('Order Completed', f'u-{sdk}', 1.5, {'a': [1, None, True]}), f'{sdk}: track')
    same(e['original_timestamp'], '2026-11-01T10:00:00.250Z', f'{sdk}: the time it gave')
    ok(e['timestamp'].startswith('2026-11-01T10:0'), f'{sdk}: event time {e["timestamp"]}')
    if sdk not in ('go', 'rudder'):
        same(e['integrations'].get('Mixpanel'), True, f'{sdk}: integrations')
    if sdk == 'node':
        same((e['ip'], e['properties']['big']), ('8.8.8.8', 9007199254740991), 'node: context.ip, digits')
    e = marks.get(f'{sdk}-anonymous')
    if in_browser:
        ok(e['user_id'] == f'u-{sdk}' and e['anonymous_id'], f'{sdk}: the second track has both ids')
    else:
        same((e.get('user_id'), e['anonymous_id']), (None, f'anon-{sdk}'), f'{sdk}: anonymous')
    e = by['page'][0]
    same((e['event'], e['name'], e['properties']['mark'], e['campaign']['source'],
          e['campaign']['medium']), ('Page', 'Home', f'{sdk}-page', 'news', 'email'), f'{sdk}: page')
    if in_browser:
        same((e['category'], e['page']['title'], e['page']['host'], e['page']['referring_domain'],
              e['library']['name']), ('Main', 'Shop', '127.0.0.1', 'search.example', 'analytics.js'),
             f'{sdk}: what the page tells')
        ok('Chrome/' in e['user_agent'], f'{sdk}: the browser is the user agent')
    else:
        same((e['page']['host'], e['page']['path']), ('shop.example', '/a'), f'{sdk}: page url')
        same(e.get('user_agent'), None, f'{sdk}: an SDK is no user agent of a person')
    e = by['screen'][0]
    same((e['event'], e['name'], e['properties']['mark']), ('Screen', 'Cart', f'{sdk}-screen'),
         f'{sdk}: screen')
    e = by['group'][0]
    same((e['event'], e['group_id'], e['traits']['plan']), ('Group', f'g-{sdk}', 'pro'), f'{sdk}: group')
    e = by['alias'][0]
    if in_browser:
        ok(e['previous_id'], f'{sdk}: alias {e["user_id"]} {e["previous_id"]}')
    else:
        same((e['event'], e['user_id'], e['previous_id']), ('Alias', f'u2-{sdk}', f'u-{sdk}'),
             f'{sdk}: alias')


events = collections.defaultdict(list)
ids = collections.Counter()
for name in sys.argv[1:]:
    with open(name, encoding='utf-8') as lines:
        for line in lines:
            event = json.loads(line)
            events[event['source']].append(event)
            ids[event['source'], event['message_id']] += 1
for sdk in SDKS:
    check_sdk(sdk, events[sdk])
same([i for i, n in ids.items() if n > 1], [], 'no message twice')
same(sorted(events), sorted(SDKS), 'from these sources only')
print(f'1..{count}')
sys.exit(1 if failed else 0)
