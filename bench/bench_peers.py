# bench_peers.py duckdb|clickhouse FILE.csv - the questions of bench_query on what `bench_query DIR export` wrote
# Each is asked three times; the best wall time and the CPU time of that one are printed. DuckDB runs in this process,
# its table in memory; ClickHouse (Debian's) as a server of our own on loopback in a temporary directory. Both tables are
# sorted by user and time. DuckDB has no funnel: the one here takes the first entry only, which is less work than ours.
# SPDX-License-Identifier: Apache-2.0
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

QUESTIONS = [
    ("total per day", "select {day}, count(*) from e group by 1"),
    ("unique per day", "select {day}, {distinct} from e group by 1"),
    ("unique of one event", "select {day}, {distinct} from e where event = 'Event 3' group by 1"),
    ("total by $browser", "select {day}, browser, count(*) from e group by 1, 2"),
    ("unique by $path, top 12", "select {day}, p, {distinct} from (select actor, ts, case when path in (select path from"
     " (select path, {distinct} as n from e group by path order by n desc limit 12)) then path else '$other' end as p from e)"
     " group by 1, 2"),
    ("total where plan is", "select {day}, count(*) from e where plan = 'plan 2' group by 1"),
    ("unique where price > 100", "select {day}, {distinct} from e where price > 100 group by 1"),
    ("sum of price", "select {day}, sum(price) from e group by 1"),
    ("median of price", "select {day}, {median} from e group by 1"),
    ("top events", "select {day}, event, count(*) from e group by 1, 2"),
    ("funnel of 5 steps", "{funnel}"),
    ("people who did 5 times", "select count(*) from (select actor from e where event = 'Event 3' group by actor having count(*) >= 5)"),
]
STEPS = "".join(f""", s{i} as (select s.actor, s.began, min(e.ts) as ts from s{i - 1} s join e on e.actor = s.actor and e.event = 'Event {i}'
  and e.ts > s.ts and e.ts <= s.began + interval 7 day group by 1, 2)""" for i in range(1, 5))
DUCKDB = {
    "day": "date_trunc('day', ts)", "distinct": "count(distinct actor)", "median": "quantile_cont(price, 0.5)",
    "funnel": "with s0 as (select actor, min(ts) as began, min(ts) as ts from e where event = 'Event 0' group by 1)" + STEPS +
              " select " + ", ".join(f"(select count(*) from s{i})" for i in range(5)),
}
CLICKHOUSE = {
    "day": "toDate(ts) as d", "distinct": "uniqExact(actor)", "median": "quantileExact(0.5)(price)",
    "funnel": "select level, count(*) from (select actor, windowFunnel(604800)(ts, " +
              ", ".join(f"event = 'Event {i}'" for i in range(5)) + ") as level from e group by actor) group by level",
}


def best_of(name, ask, cpu):
    best = None
    for _ in range(3):
        wall, used = time.monotonic(), cpu()
        try:
            ask()
        except Exception as failed:
            print(f"{name:26} failed: {str(failed)[:120]}", flush=True)
            return
        took = (time.monotonic() - wall, cpu() - used)
        best = took if best is None or took < best else best
    print(f"{name:26} {best[0] * 1e3:8.1f} ms {best[1] * 1e3:8.1f} CPU ms", flush=True)


def duckdb_peer(path):
    import duckdb

    def cpu():
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    db = duckdb.connect()
    used = cpu()
    db.execute(f"""create table e as select actor, make_timestamp(t) as ts, event, browser, path, plan, price
      from read_csv('{path}', header = false, columns = {{actor: 'uinteger', t: 'bigint', event: 'varchar',
      browser: 'varchar', path: 'varchar', plan: 'varchar', price: 'double'}}) order by actor, t""")
    count = db.execute("select count(*) from e").fetchone()[0]
    print(f"DuckDB {duckdb.__version__}: {count} events of 7 columns, loaded with {cpu() - used:.1f} CPU s "
          f"({count / (cpu() - used):.0f} events/s)", flush=True)
    for name, sql in QUESTIONS:
        best_of(name, lambda: db.execute(sql.format(**DUCKDB)).fetchall(), cpu)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


CONFIG = """<yandex><logger><level>error</level><log>{at}/log</log><errorlog>{at}/log</errorlog></logger>
<http_port>{http}</http_port><tcp_port>{tcp}</tcp_port><interserver_http_port>{inter}</interserver_http_port>
<listen_host>127.0.0.1</listen_host><path>{at}/data/</path><tmp_path>{at}/tmp/</tmp_path>
<mark_cache_size>5368709120</mark_cache_size><users_config>{at}/users.xml</users_config>
<default_profile>default</default_profile><default_database>default</default_database><timezone>UTC</timezone></yandex>"""
USERS = """<yandex><profiles><default><max_memory_usage>12000000000</max_memory_usage></default></profiles>
<users><default><password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile>
<quota>default</quota></default></users><quotas><default></default></quotas></yandex>"""


def clickhouse_peer(path):
    at = tempfile.mkdtemp(prefix="millrace-clickhouse-")
    http, tcp, inter = free_port(), free_port(), free_port()
    with open(f"{at}/config.xml", "w") as out:
        out.write(CONFIG.format(at=at, http=http, tcp=tcp, inter=inter))
    with open(f"{at}/users.xml", "w") as out:
        out.write(USERS)
    server = subprocess.Popen(["clickhouse-server", f"--config-file={at}/config.xml"], cwd=at,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ask(sql):
        request = urllib.request.Request(f"http://127.0.0.1:{http}/", data=sql.encode())
        try:
            return urllib.request.urlopen(request).read().decode()
        except urllib.error.HTTPError as failed:
            raise RuntimeError(failed.read().decode()) from None

    def cpu():
        with open(f"/proc/{server.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    try:
        for _ in range(300):
            try:
                ask("select 1")
                break
            except (OSError, RuntimeError):
                time.sleep(0.1)
        used = cpu()
        ask("create table raw (actor UInt32, t Int64, event String, browser String, path String, plan String,"
            " price Nullable(Float64)) engine = Log")
        ask("create table e (actor UInt32, ts DateTime, event String, browser String, path String, plan String,"
            " price Nullable(Float64)) engine = MergeTree partition by tuple() order by (actor, ts)")
        with open(path) as rows:
            subprocess.run(["clickhouse-client", f"--port={tcp}", "--host=127.0.0.1", "--query=insert into raw format CSV"],
                           stdin=rows, check=True)
        ask("insert into e select actor, toDateTime(intDiv(t, 1000000)), event, browser, path, plan, price from raw")
        ask("drop table raw")
        count = int(ask("select count(*) from e"))
        print(f"ClickHouse {ask('select version()').strip()}: {count} events of 7 columns, loaded with {cpu() - used:.1f} CPU s",
              flush=True)
        ask("optimize table e final")
        for name, sql in QUESTIONS:
            text = sql.format(**CLICKHOUSE).replace("group by 1, 2", "group by d, " + (
                "browser" if "browser" in sql else "event" if "event" in sql else "p")).replace("group by 1", "group by d")
            best_of(name, lambda: ask(text), cpu)
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()
        shutil.rmtree(at)


{"duckdb": duckdb_peer, "clickhouse": clickhouse_peer}[sys.argv[1]](sys.argv[2])
