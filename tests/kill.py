"""kill.py - kill -9 of each program in turn, at random, under load; then nothing may be lost or twice

kill.py BUILD BUS DIR KILLS SEED: starts collect, enrich, aggregate and sink on BUS in DIR, restarts
whatever dies, loads collect with tool_load (which retries until acknowledged), kills KILLS
times, lets it drain, and compares. Prints TAP.

  acknowledged  subset of  collected topic (distinct)  =  enriched  =  files  =  counts
"""
# SPDX-License-Identifier: Apache-2.0
import collections
import glob
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request

build, bus, where, kills, seed = sys.argv[1:6]
kills = int(kills)
rng = random.Random(int(seed))
bins = os.path.abspath(build + '/bin')
PARTITIONS = 3
count = failed = 0


def ok(passed, words):
    global count, failed
    count += 1
    failed += not passed
    print(f'{"" if passed else "not "}ok {count} - {words}', flush=True)
    return passed


class Program:
    """One program that is started again whenever it dies, until stop()."""

    def __init__(self, name, *args):
        self.name, self.args = name, [f'{bins}/{name}', '--config', f'{where}/millrace.yaml', *args]
        self.wanted, self.process, self.deaths = True, None, []
        self.log = open(f'{where}/{name}.log', 'ab')
        self.thread = threading.Thread(target=self.keep)
        self.thread.start()

    def keep(self):
        while self.wanted:
            self.process = subprocess.Popen(self.args, stdin=subprocess.DEVNULL, stderr=self.log)
            status = self.process.wait()
            self.deaths.append(status)
            if status != -signal.SIGKILL:
                time.sleep(0.2)

    def kill(self):
        """kill -9 once it has been up for a moment; True when it was alive to be killed."""
        process = self.process
        if process is None or process.poll() is not None:
            return False
        process.kill()
        return True

    def stop(self):
        self.wanted = False
        self.process.terminate()
        self.thread.join(60)
        return self.deaths[-1] if self.deaths else None


def port(name):
    with open(f'{where}/{name}.port') as f:
        return f.read().strip()


def wait_for(seconds, condition, words):
    end = time.time() + seconds
    while time.time() < end:
        try:
            if condition():
                return True
        except Exception:
            pass
        time.sleep(0.1)
    print(f'# {words}: not within {seconds} s')
    return False


def topic(name, format_='jsonl'):
    """All records of a topic, read to its end by a sink of its own."""
    out = f'{where}/read-{name}'
    result = subprocess.run([f'{bins}/sink', '--in', f'{bus}/{name}', '--until-end', '--to',
                             f'file:{out}?format={format_}'], stdin=subprocess.DEVNULL,
                            stderr=subprocess.PIPE)
    if result.returncode:
        print('#', result.stderr.decode()[-2000:].replace('\n', '\n# '))
    return [json.loads(line) for name in sorted(glob.glob(f'{out}/*.jsonl')) for line in open(name)]


def ask(kind, question):
    request = urllib.request.Request(f'http://{port("aggregate")}/v1/query/{kind}',
                                     json.dumps(question).encode())
    return json.load(urllib.request.urlopen(request, timeout=20))


def counted():
    answer = ask('trend', {'measures': [{'event': '*', 'measure': 'total'}], 'unit': 'week',
                           'last': {'n': 52, 'unit': 'week'}})
    return answer['series'][0]['overall']


def lines_in_files():
    return [json.loads(line) for name in sorted(glob.glob(f'{where}/files/*.jsonl'))
            for line in open(name)]


os.makedirs(where, exist_ok=True)
with open(f'{where}/millrace.yaml', 'w') as f:
    f.write(f'''bus: {bus}
partitions: {PARTITIONS}
sources:
  - {{name: load, write_key: wk-load}}
''')
collect = Program('collect', '--listen', '127.0.0.1:0', '--port-file', f'{where}/collect.port')
wait_for(30, lambda: port('collect'), 'collect listens')
listen = port('collect')
collect.args[collect.args.index('127.0.0.1:0')] = listen
enrich = Program('enrich')
aggregate = Program('aggregate', '--state', f'{where}/state', '--http', '127.0.0.1:0',
                    '--port-file', f'{where}/aggregate.port')
sink = Program('sink', '--to', f'file:{where}/files?format=jsonl', '--flush-after', '300ms',
               '--rotate-records', '2000')
programs = [collect, enrich, aggregate, sink]

load = subprocess.Popen([f'{build}/test/tool_load', '--url', f'http://{listen}', '--key', 'wk-load',
                         '--connections', '8', '--batch', '5', '--rate', '400', '--seconds', '3600',
                         '--client', 'k', '--acks', f'{where}/acks', '--retry'],
                        stdout=open(f'{where}/load.out', 'w'), stderr=subprocess.STDOUT)
print(f'# seed {seed}, {kills} kills on {bus.split(":")[0]}', flush=True)
killed = collections.Counter()
for i in range(kills):
    time.sleep(rng.uniform(0.05, 0.9))
    program = programs[i % len(programs)]
    wait_for(30, program.kill, f'{program.name} is up')
    killed[program.name] += 1
time.sleep(1)
load.send_signal(signal.SIGTERM)
ok(load.wait(60) == 0, 'the load ended in order')
with open(f'{where}/acks') as f:
    acked = [line.strip() for line in f if line.endswith('\n')]
ok(len(acked) > 20 * kills, f'{len(acked)} events were acknowledged')

collected = topic('collected')
distinct = {r['message_id'] for r in collected}
lost = set(acked) - distinct
ok(not lost, f'nothing acknowledged is lost: {len(lost)} {sorted(lost)[:5]}')
wait_for(60, lambda: counted() == len(distinct), 'the counts catch up')
ok(counted() == len(distinct), f'counts: {counted()} of {len(distinct)}')
wait_for(60, lambda: len(lines_in_files()) >= len(distinct), 'the files catch up')
for program in programs:
    status = program.stop()
    ok(status == 0, f'{program.name} ends with 0 ({status})')
    wrong = [s for s in program.deaths[:-1] if s != -signal.SIGKILL]
    ok(not wrong, f'{program.name} never ended by itself: {wrong}')
files = collections.Counter(r['message_id'] for r in lines_in_files())
ok(set(files) == distinct, f'files: {len(files)} of {len(distinct)}')
twice = [i for i, n in files.items() if n > 1]
ok(not twice, f'nothing is twice in the files: {len(twice)} {twice[:5]}')
enriched = topic('enriched')
twice = [i for i, n in collections.Counter(r['message_id'] for r in enriched).items() if n > 1]
ok({r['message_id'] for r in enriched} == distinct, f'enriched: {len(enriched)} of {len(distinct)}')
ok(not twice, f'nothing is twice in enriched, read by the stamps: {len(twice)} {twice[:5]}')
verify = subprocess.run([f'{bins}/sink', 'verify', f'{where}/files'], stdout=subprocess.PIPE)
ok(verify.returncode == 0, 'sink verify agrees')
print(f'# {sum(killed.values())} kills {dict(killed)}, {len(acked)} acknowledged, {len(collected)} collected '
      f'with {len(collected) - len(distinct)} repeats by retries, {len(lost)} lost, {len(twice)} duplicated')
print(f'1..{count}')
sys.stdout.flush()
os._exit(1 if failed else 0)
