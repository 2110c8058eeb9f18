# aggregate_oracle.py DIR - random users: aggregate's trends against DuckDB over the sink's lines
# SPDX-License-Identifier: Apache-2.0
import random
import sys

import duckdb
from aggregate_world import Tap, World

SEED, USERS, EVENTS = 20261124, 20000, 60000
tap = Tap()
root = sys.argv[1]
rng = random.Random(SEED)
print(f"# seed {SEED}: {USERS} users, {EVENTS} events")


def event(i):
    user = i if i < USERS else rng.randrange(USERS)
    at = 1772000000 + rng.randrange(250 * 86400)        # February to November 2026: clocks change
    message = {"event": rng.choice(["View", "View", "View", "Buy", "Sign up"]), "properties": {},
               "timestamp": int(at * 1000 + rng.randrange(1000))}
    who = rng.random()
    if who < 0.7:
        message["anonymousId"] = f"a{user}-{rng.randrange(2)}"
    if who > 0.5:
        message["userId"] = f"u{user}"
    if rng.random() < 0.8:
        message["properties"]["plan"] = rng.choice(["free", "pro", "team", "Ünïcode", ""])
    if rng.random() < 0.6:
        message["properties"]["price"] = rng.randrange(100000) / 100
    return message


def iso(ms):
    import datetime
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc).isoformat(
        timespec="milliseconds").replace("+00:00", "Z")


events = [event(i) for i in range(EVENTS)]
for one in events:
    one["timestamp"] = iso(one["timestamp"])
world = World(root)
world.send(events)
world.run("sink", "--bus", f"log:{root}/data", "--to", f"file:{root}/lines", "--until-end")

db = duckdb.connect()
db.execute(f"""
  create table e as select event, message_id, user_id, anonymous_id,
      cast(timestamp as timestamptz) as ts, json_extract_string(properties, '$.plan') as plan,
      cast(json_extract(properties, '$.price') as double) as price
    from read_json('{root}/lines/*.jsonl', format = 'newline_delimited', columns = {{event: 'varchar',
      message_id: 'varchar', user_id: 'varchar', anonymous_id: 'varchar', timestamp: 'varchar',
      properties: 'json'}});
  create table link as select anonymous_id, arg_min(user_id, (ts, message_id)) as user_id from e
    where anonymous_id is not null and user_id is not null group by 1;
  create view p as select e.*, coalesce('u' || e.user_id, 'u' || link.user_id, 'a' || e.anonymous_id) as person
    from e left join link on e.anonymous_id = link.anonymous_id;
""")
tap.same(db.execute("select count(*) from e").fetchone()[0], EVENTS, "DuckDB has the same events")

SQL = {"total": "count(*)", "unique": "count(distinct person)", "sum": "sum(price)", "avg": "avg(price)",
       "max": "max(price)", "median": "quantile_cont(price, 0.5)", "p90": "quantile_cont(price, 0.9)",
       "distinct": "count(distinct price)"}
FILTERS = [(None, "true"),
           ({"prop": "plan", "op": "is", "values": ["pro", "Ünïcode"]}, "plan in ('pro', 'Ünïcode')"),
           ({"prop": "plan", "op": "is_not", "values": ["pro"]}, "plan is distinct from 'pro'"),
           ({"prop": "plan", "op": "contains", "values": ["üNÏ"]}, "plan = 'Ünïcode'"),
           ({"or": [{"prop": "price", "op": ">", "values": [500]}, {"not": {"prop": "plan", "op": "is_set"}}]},
            "(price > 500 or plan is null)")]
SEGMENT = "case when plan is null then '(not set)' when plan = '' then '(empty string)' else plan end"


def near(a, b):
    return a == b or (a is not None and b is not None and abs(a - b) <= 1e-9 * max(abs(a), abs(b)))


# what DuckDB's weeks, from Monday, have to be moved by
AHEAD = {None: 0, "sunday": 1, "saturday": 2, "wednesday": 5}


def compare(words, event, measure, unit, zone, filter, by, week_start=None):
    where, sql_where = filter
    first = {"event": event, "measure": measure}
    if measure not in ("total", "unique"):
        first["prop"] = "price"
    question = {"from": "2026-03-15", "to": "2026-11-10", "zone": zone, "unit": unit, "measures": [first]}
    if where:
        question["where"] = where
    if by:
        question["breakdown"] = {"prop": "plan"}
    if week_start:
        question["week_start"] = week_start
    answer = world.trend(**question)
    got = {}
    for line in answer["series"]:
        segment = "/".join(line["segment"])
        got[("overall", segment)] = line["overall"]
        got.update({(b, segment): v for b, v in zip(answer["buckets"], line["values"])})
    local, ahead = f"timezone('{zone}', ts)", f"interval {AHEAD[week_start]} day"
    source = f"""from (select *, {SEGMENT if by else "''"} as segment from p) where {sql_where}
        and {local} >= timestamp '2026-03-15' and {local} < timestamp '2026-11-11'
        and ('{event}' = '*' or event = '{event}')"""
    wanted = {(str(b)[:10], s): v for b, s, v in db.execute(
        f"select date_trunc('{unit}', {local} + {ahead}) - {ahead} as b, segment, {SQL[measure]} {source} group by all").fetchall()}
    wanted.update({("overall", s): v for s, v in db.execute(
        f"select segment, {SQL[measure]} {source} group by all").fetchall()})
    differ = [(key, got.get(key), wanted.get(key)) for key in sorted(set(got) | set(wanted))
              if not near(got.get(key) or 0, wanted.get(key) or 0)]
    tap.same(differ[:5], [], f"{words}: {len(wanted)} numbers")


db.execute("set timezone = 'UTC'")
for zone in ("UTC", "Europe/Stockholm", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"):
    for unit in ("day", "week", "month"):
        for measure in ("total", "unique"):
            compare(f"{measure} per {unit}, {zone}", "*", measure, unit, zone, FILTERS[0], False)
    for start in ("sunday", "saturday", "wednesday"):
        compare(f"unique per week from {start}, {zone}", "*", "unique", "week", zone, FILTERS[0], False, start)
for filter in FILTERS:
    for by in (False, True):
        compare(f"unique Buy where {filter[1]}{' by plan' if by else ''}", "Buy", "unique", "day",
                "Europe/Stockholm", filter, by)
for measure in ("sum", "avg", "max", "median", "p90", "distinct"):
    compare(f"{measure} of price by plan", "View", measure, "week", "America/New_York", FILTERS[0], True)


# Funnels: a person reached step k where events of the steps follow each other (or are of the same
# instant) within the window from the first.
def funnel(words, steps, days, filter=FILTERS[0], first=False):
    where, sql_where = filter
    question = {"from": "2026-03-15", "to": "2026-11-10", "zone": "Europe/Stockholm",
                "window": {"n": days, "unit": "day"}, "steps": [{"event": step} for step in steps]}
    if where:
        question["where"] = where
    if first:
        question["count"] = "first"
    got = [step["count"] for step in world.ask("funnel", question)[1]["steps"]]
    db.execute(f"""create or replace temp table s as select person, event, ts, message_id from p
                   where person is not null and {sql_where}""")
    pick = "arg_min(message_id, (ts, message_id)) as m0, min(ts) as t" if first else "message_id as m0, ts as t"
    db.execute(f"""create or replace temp table c as select person, {pick}, {"min(ts)" if first else "ts"} as last_ts
        from s where event = '{steps[0]}' and timezone('Europe/Stockholm', ts) >= timestamp '2026-03-15'
        and timezone('Europe/Stockholm', ts) < timestamp '2026-11-11' {"group by person" if first else ""}""")
    wanted = [db.execute("select count(distinct person) from c").fetchone()[0]]
    ids = ["m0"]
    for k, step in enumerate(steps[1:], 1):
        kept = ", ".join(f"c.{i}" for i in ids)
        other = " and ".join(f"s.message_id <> c.{i}" for i in ids)
        db.execute(f"""create or replace temp table d as select c.person, {kept}, s.message_id as m{k}, c.t,
            s.ts as last_ts from c join s on s.person = c.person and s.event = '{step}' and s.ts >= c.last_ts
            and s.ts <= c.t + interval '{days * 24} hours' and {other}""")
        db.execute("create or replace temp table c as select * from d")
        wanted.append(db.execute("select count(distinct person) from c").fetchone()[0])
        ids.append(f"m{k}")
    tap.same(got, wanted, f"funnel {words}")
    tap.ok(wanted[-1] > 0, f"... which {wanted[-1]} persons end")


funnel("View, Buy, Sign up in 60 days", ["View", "Buy", "Sign up"], 60)
funnel("View, View, Buy in 30 days", ["View", "View", "Buy"], 30)
funnel("View, Buy in 7 days where plan is not pro", ["View", "Buy"], 7, FILTERS[2])
funnel("the first View, Buy, View in 90 days", ["View", "Buy", "View"], 90, first=True)


# Retention by local weeks: who viewed in a week, and bought in the k-th after it.
def retention():
    answer = world.ask("retention", {"from": "2026-03-16", "to": "2026-06-14", "zone": "Europe/Stockholm",
                                     "unit": "week", "periods": 6, "start": {"event": "View"},
                                     "return": {"event": "Buy"}, "kind": "recurring", "mode": "on",
                                     "clock": "calendar"})[1]
    db.execute("""create or replace temp table w as select distinct person, event,
        date_trunc('week', timezone('Europe/Stockholm', ts)) as week from p where person is not null""")
    sizes = db.execute("""select week, count(*) from w where event = 'View' and week >= date '2026-03-16'
        and week < date '2026-06-15' group by 1 order by 1""").fetchall()
    back = dict(((str(week)[:10], k), n) for week, k, n in db.execute("""select a.week,
        date_diff('week', a.week, b.week) as k, count(*) from w a join w b on a.person = b.person and
        a.event = 'View' and b.event = 'Buy' and b.week > a.week group by 1, 2""").fetchall())
    got = {c["bucket"]: c["size"] for c in answer["cohorts"]}
    tap.same(got, {str(week)[:10]: n for week, n in sizes}, f"retention: {len(sizes)} cohorts")
    differ = [(c["bucket"], k, v, back.get((c["bucket"], k), 0)) for c in answer["cohorts"]
              for k, v in enumerate(c["values"]) if k and v != back.get((c["bucket"], k), 0)]
    tap.same(differ[:5], [], "and who came back, by week")


retention()
world.close()
sys.exit(tap.end())
