"""interop.py - what others make of our files, for tests/sink_interop.t

interop.py avro FILE..          records by fastavro, as ReadAvro.java prints them
interop.py same DIR -- DIR      are the JSON lines of the first the records of the second's Avro files?
interop.py duckdb GLOB          some numbers of JSON lines, by DuckDB
"""
# SPDX-License-Identifier: Apache-2.0
import datetime
import glob
import json
import sys

JSON_TEXT = ('properties', 'traits', 'context', 'integrations', 'violations', 'body')


def plain(value):
    """Logical types as they are stored, microseconds since 1970; bytes as Latin-1."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, datetime.datetime):
        return round((value - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc))
                     / datetime.timedelta(microseconds=1))
    return value.decode('latin-1') if isinstance(value, bytes) else value


def avro(names):
    import fastavro
    for name in names:
        with open(name, 'rb') as file:
            for record in fastavro.reader(file):
                yield plain(record)


def as_line(record):
    """An Avro record as sink writes it."""
    line = {}
    for key, value in record.items():
        if isinstance(value, dict):
            line[key] = as_line(value)
        elif key in JSON_TEXT and value is not None:
            line[key] = json.loads(value)
        elif key in ('timestamp', 'received_at', 'sent_at', 'original_timestamp') and value is not None:
            line[key] = datetime.datetime.fromtimestamp(
                value // 1000000, datetime.timezone.utc).strftime('%Y-%m-%dT%H:%M:%S') \
                + f'.{value % 1000000 // 1000:03d}Z'
        else:
            line[key] = value
    return line


def same(lines_dir, avro_dir):
    lines = [json.loads(line) for name in sorted(glob.glob(lines_dir + '/*.jsonl'))
             for line in open(name, encoding='utf-8')]
    records = [as_line(record) for record in avro(sorted(glob.glob(avro_dir + '/*.avro')))]
    for line, record in zip(lines, records):
        if line != record:
            print('# line:  ', line, '\n# record:', record)
            return 1
    print(f'# {len(lines)} lines, {len(records)} records')
    return 0 if len(lines) == len(records) and lines else 1


def duckdb(pattern):
    import duckdb as db
    row = db.sql(f"""select count(*), count(distinct event),
        round(sum(properties.price) * 10)::bigint, max(src."offset"),
        strftime(max(timestamp::timestamp), '%Y-%m-%dT%H:%M:%S.%gZ'),
        count(*) filter (geo.country = 'DE') from read_json('{pattern}', format = 'newline_delimited')""")
    print(*row.fetchone())
    return 0


if __name__ == '__main__':
    command, args = sys.argv[1], sys.argv[2:]
    if command == 'same':
        sys.exit(same(args[0], args[2]))
    if command == 'duckdb':
        sys.exit(duckdb(args[0]))
    for item in avro(args):
        print(json.dumps(item, separators=(',', ':')))
