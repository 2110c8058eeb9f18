#!/bin/bash
# sink_interop.t - others read our files: fastavro, Apache Avro's Java library, DuckDB
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

.ci/install pyvenv build/venv >&2 && .ci/install avro >&2 || { echo "Bail out! no readers"; exit 1; }
python=build/venv/bin/python
java() { command java -Xmx256m -XX:+UseSerialGC -cp "build/avro:build/avro/lib/*" ReadAvro "$@"; }

in=log:$T/data/enriched
"$TESTBIN/tool_enriched" "$in" 3000 0 2 > /dev/null
for format in jsonl jsonl.gz; do
  "$BIN/sink" --in "$in" --to "file:$T/$format?format=$format" --until-end --rotate-records 1000 2>> "$T/log"
done
for codec in deflate zstandard null; do
  "$BIN/sink" --in "$in" --to "file:$T/$codec?format=avro" --until-end --codec $codec --rotate-records 1000 \
    2>> "$T/log"
done

# The same records for fastavro, Java and ourselves
for codec in deflate zstandard null; do
  $python tests/interop.py avro "$T/$codec"/*.avro > "$T/fastavro"
  java "$T/$codec"/*.avro > "$T/java" 2>> "$T/log"
  is "$(wc -l < "$T/fastavro")" 3000 "$codec: fastavro reads all"
  cmp "$T/fastavro" "$T/java"
  ok $? "$codec: Java reads the same"
done
$python tests/interop.py same "$T"/jsonl -- "$T"/deflate
ok $? "the JSON lines are these records"

# The log itself: markers and repeats are there, too
segments=$(find "$T/data/enriched" -type f -name '*.avro' | sort)
$python tests/interop.py avro $segments > "$T/fastavro"
java $segments > "$T/java" 2>> "$T/log"
is "$(wc -l < "$T/fastavro")" 3090 "the log's segments: fastavro reads all"
cmp "$T/fastavro" "$T/java"
ok $? "the log's segments: Java reads the same"
is "$(jq -r 'select(.type != "$marker") | .message_id' "$T/fastavro" | sort -u | md5sum)" \
  "$(cat "$T"/jsonl/*.jsonl | jq -r .message_id | sort | md5sum)" "and they are the lines' events"

# DuckDB
for format in jsonl jsonl.gz; do
  is "$($python tests/interop.py duckdb "$T/$format/*.$format")" \
    "$(cat "$T"/jsonl/*.jsonl | jq -rs '[length, (map(.event) | unique | length),
      (map(.properties.price) | add * 10 | round), (map(.src.offset) | max), (map(.timestamp) | max),
      (map(select(.geo.country == "DE")) | length)] | map(tostring) | join(" ")')" "$format: DuckDB agrees"
done
# What has been made by the other topics' schemas is readable, too.
"$BIN/sink" --in "$in" --schema collected --to "file:$T/wrong" --until-end --bad "log:$T/bad" 2>> "$T/log"
ok $((! $?)) "a topic read by another topic's schema is refused"
done_testing
