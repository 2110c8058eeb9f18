# bench_query.py FILE.csv - DuckDB on what `bench_query DIR export` wrote, the same questions
# SPDX-License-Identifier: Apache-2.0
import resource
import sys
import time

import duckdb

db = duckdb.connect()
db.execute(f"""create table e as select actor, make_timestamp(t) as ts, event, browser, path, plan, price
  from read_csv('{sys.argv[1]}', header = false, columns = {{actor: 'uinteger', t: 'bigint', event: 'varchar',
  browser: 'varchar', path: 'varchar', plan: 'varchar', price: 'double'}}) order by actor, t""")
DAY = "date_trunc('day', ts)"
QUESTIONS = [
    ("total per day", f"select {DAY}, count(*) from e group by 1"),
    ("unique per day", f"select {DAY}, count(distinct actor) from e group by 1"),
    ("unique of one event", f"select {DAY}, count(distinct actor) from e where event = 'Event 3' group by 1"),
    ("total by $browser", f"select {DAY}, browser, count(*) from e group by 1, 2"),
    ("total where plan is", f"select {DAY}, count(*) from e where plan = 'plan 2' group by 1"),
    ("unique where price > 100", f"select {DAY}, count(distinct actor) from e where price > 100 group by 1"),
    ("sum of price", f"select {DAY}, sum(price) from e group by 1"),
    ("median of price", f"select {DAY}, quantile_cont(price, 0.5) from e group by 1"),
]


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


print("DuckDB", duckdb.__version__, db.execute("select count(*) from e").fetchone()[0], "events")
for name, sql in QUESTIONS:
    best = None
    for _ in range(3):
        wall, used = time.monotonic(), cpu()
        db.execute(sql).fetchall()
        took = (time.monotonic() - wall, cpu() - used)
        best = took if best is None or took < best else best
    print(f"{name:26} {best[0] * 1e3:8.1f} ms {best[1] * 1e3:8.1f} CPU ms", flush=True)
