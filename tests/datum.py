"""datum.py - our datums next to fastavro's: both directions, resolution, fingerprints.

    datum.py TOOL         speaks TAP
    datum.py TOOL golden  writes tests/data/schemas-v0/*.datums and *.jsonl anew

TOOL is tests/tool_datum.c. A record is a dict of leaves by dotted name, for fastavro a nested one.
"""
# SPDX-License-Identifier: Apache-2.0
import glob
import io
import json
import os
import random
import struct
import subprocess
import sys
import tempfile

import fastavro
from fastavro import schema as avro

TOOL = sys.argv[1]
SEED = 20261124
TOPICS = ["collected", "enriched", "bad", "counted"]
count = failed = 0


def ok(passed, words):
    global count, failed
    count += 1
    failed += not passed
    print(("ok" if passed else "not ok"), count, "-", words, flush=True)


def tool(*args, data=b""):
    run = subprocess.run([TOOL, *args], input=data, capture_output=True)
    return run.stdout if run.returncode == 0 else run.stderr + b"exit %d" % run.returncode


def load(path):
    with open(path) as file:
        return json.load(file)


def leaves(record, prefix=""):
    """(dotted name, type without null, nullable, symbols) of each leaf, in order."""
    for field in record["fields"]:
        kind, name = field["type"], prefix + field["name"]
        nullable = isinstance(kind, list)
        if nullable:
            kind = [k for k in kind if k != "null"][0]
        if isinstance(kind, dict) and kind["type"] == "record":
            yield from leaves(kind, name + ".")
            continue
        symbols = kind.get("symbols") if isinstance(kind, dict) else None
        yield name, kind["type"] if isinstance(kind, dict) else kind, nullable, symbols


def random_text(rnd):
    length = rnd.choice([0, 1, 5, 20, 63, 64, 200])
    alphabet = 'abc XYZ09"\\\n\t\x00\x1f\x7fäß€日😀'
    return "".join(rnd.choice(alphabet) for _ in range(length))


def random_leaf(rnd, kind, nullable, symbols):
    if nullable and rnd.random() < 0.5:
        return None
    if kind == "boolean":
        return rnd.random() < 0.5
    if kind == "int":
        return rnd.choice([0, -1, 2**31 - 1, -2**31, rnd.randrange(-1000, 1000), rnd.randrange(-2**31, 2**31)])
    if kind == "long":
        return rnd.choice([0, 63, 64, -64, -65, 2**63 - 1, -2**63, rnd.randrange(-2**63, 2**63)])
    if kind == "float":
        return rnd.choice([0.0, -0.0, 1.5, float("inf"),
                           struct.unpack("<f", struct.pack("<f", rnd.uniform(-1e30, 1e30)))[0]])
    if kind == "double":
        return rnd.choice([0.0, -0.0, 1e308, 5e-324, float("-inf"), rnd.uniform(-180, 180)])
    if kind == "enum":
        return rnd.choice(symbols)
    if kind == "bytes":
        return rnd.randbytes(rnd.choice([0, 1, 30, 300]))
    return random_text(rnd)


def nest(flat):
    nested = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        at = nested
        for part in path:
            at = at.setdefault(part, {})
        at[last] = value
    return nested


def flatten(nested, prefix=""):
    flat = {}
    for name, value in nested.items():
        if isinstance(value, dict):
            flat.update(flatten(value, prefix + name + "."))
        else:
            flat[prefix + name] = value
    return flat


def to_tool(flat, kinds):
    """The values as tool_datum has them in its lines."""
    line = {}
    for name, value in flat.items():
        kind, symbols = kinds[name]
        if value is not None and kind in ("float", "double"):
            value = struct.pack(">d", value).hex()
        elif value is not None and kind == "enum":
            value = symbols.index(value)
        elif isinstance(value, bytes):
            value = value.hex()
        elif isinstance(value, bool):
            value = int(value)
        line[name] = value
    return line


def without_logical(node):
    """fastavro turns times into datetimes, which hold less than a long; the bytes are what counts."""
    if isinstance(node, dict):
        return {k: without_logical(v) for k, v in node.items() if k != "logicalType"}
    return [without_logical(v) for v in node] if isinstance(node, list) else node


def write(parsed, flats):
    out = io.BytesIO()
    for flat in flats:
        fastavro.schemaless_writer(out, parsed, nest(flat))
    return out.getvalue()


def lines_of(text):
    return [json.loads(line) for line in text.decode().splitlines()]


def records(rnd, record, number):
    kinds = list(leaves(record))
    return [{n: random_leaf(rnd, k, nullable, s) for n, k, nullable, s in kinds} for _ in range(number)]


def both_directions(name, path, rounds):
    rnd = random.Random(SEED)
    record = without_logical(load(path))
    parsed = avro.parse_schema(record)
    kinds = {n: (k, s) for n, k, _, s in leaves(record)}
    flats = records(rnd, record, rounds)
    datums = write(parsed, flats)
    wanted = [to_tool(flat, kinds) for flat in flats]

    got = tool("decode", path, path, data=datums)
    ok(lines_of(got) == wanted if got.startswith(b"{") else False,
       f"{name}: {rounds} random records of fastavro's are read, seed {SEED}")
    encoded = tool("encode", path, data="".join(json.dumps(w) + "\n" for w in wanted).encode())
    ok(encoded == datums, f"{name}: our bytes are fastavro's")
    stream, back = io.BytesIO(encoded), []
    try:
        while stream.tell() < len(encoded):
            back.append(to_tool(flatten(fastavro.schemaless_reader(stream, parsed, None)), kinds))
    except Exception as error:
        print("#", error)
    ok(back == wanted, f"{name}: fastavro reads our records")
    canonical = avro.to_parsing_canonical_form(avro.parse_schema(load(path)))
    digits = bytes.fromhex(avro.fingerprint(canonical, "CRC-64-AVRO"))[::-1].hex()
    ok(tool("fingerprint", path).split()[1:] == [digits.encode()], f"{name}: fingerprint {digits}")


def resolution(old, topic, rounds):
    """Yesterday's data, today's schema; fastavro resolves, too."""
    rnd = random.Random(SEED)
    new = f"schemas/{topic}.avsc"
    writer, reader = without_logical(load(old)), without_logical(load(new))
    flats = records(rnd, writer, rounds)
    stream = io.BytesIO(write(avro.parse_schema(writer), flats))
    datums, wanted = stream.getvalue(), []
    kinds = {n: (k, s) for n, k, _, s in leaves(reader)}
    writer, reader = avro.parse_schema(writer), avro.parse_schema(reader)
    while stream.tell() < len(datums):
        wanted.append(to_tool(flatten(fastavro.schemaless_reader(stream, writer, reader)), kinds))
    got = tool("decode", old, new, data=datums)
    ok(lines_of(got) == wanted if got.startswith(b"{") else False,
       f"{old}: {rounds} records are read by {new} as fastavro does it")


def golden(topic, make):
    base = f"tests/data/schemas-v0/{topic}"
    if make:
        record = without_logical(load(base + ".avsc"))
        datums = write(avro.parse_schema(record), records(random.Random(SEED), record, 5))
        with open(base + ".datums", "wb") as file:
            file.write(datums)
        with open(base + ".jsonl", "wb") as file:
            file.write(tool("decode", base + ".avsc", f"schemas/{topic}.avsc", data=datums))
        return
    with open(base + ".datums", "rb") as file:
        datums = file.read()
    with open(base + ".jsonl", "rb") as file:
        wanted = lines_of(file.read())
    got = lines_of(tool("decode", base + ".avsc", f"schemas/{topic}.avsc", data=datums))
    # A later schema may have more leaves than the golden lines.
    ok(len(got) == 5 and all(g[k] == w[k] for g, w in zip(got, wanted) for k in w),
       f"{base}.datums: what was written once reads as it did once")


EVERY = {"type": "record", "name": "Every", "namespace": "t", "doc": "all kinds", "fields": [
    {"name": "b", "type": "boolean"}, {"name": "i", "type": "int", "default": 3},
    {"name": "f", "type": "float"}, {"name": "y", "type": "bytes"},
    {"name": "e", "type": {"type": "enum", "name": "other.E", "symbols": ["A", "B", "C"]}},
    {"name": "in", "type": {"type": "record", "name": "In", "fields": [
        {"name": "nb", "type": ["null", "boolean"]}, {"name": "nd", "type": ["double", "null"]},
        {"name": "e", "type": ["null", {"type": "enum", "name": "E", "symbols": ["X"], "doc": "d"}]},
        {"name": "deep", "type": {"type": "record", "name": "x.Deep", "fields": [
            {"name": "ni", "type": ["null", {"type": "int"}]}, {"name": "ny", "type": ["bytes", "null"]},
            {"name": "z", "type": {"type": "record", "name": "Z", "fields": [
                {"name": "nf", "type": ["null", "float"]}]}}]}}]}}]}


def main():
    if sys.argv[2:] == ["golden"]:
        for topic in TOPICS:
            golden(topic, True)
        return
    for topic in TOPICS:
        both_directions(topic, f"schemas/{topic}.avsc", 500)
    with tempfile.NamedTemporaryFile("w", suffix=".avsc") as file:
        json.dump(EVERY, file)
        file.flush()
        both_directions("every kind", file.name, 2000)
    for old in sorted(glob.glob("tests/data/schemas-v*/*.avsc")):
        resolution(old, os.path.basename(old)[:-5], 500)
    for topic in TOPICS:
        golden(topic, False)
    print(f"1..{count}")
    sys.exit(failed != 0)


main()
