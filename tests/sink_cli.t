#!/bin/bash
# sink_cli.t - the file sink as people run it: formats, rotation, restart, verify, full disks
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

sink() { timeout 60 "$BIN/sink" "$@" 2>> "$T/sink.log"; }
verify() { "$BIN/sink" verify "$1" > "$T/verify" 2>> "$T/sink.log"; }
lines() { cat "$1"/*.jsonl 2> /dev/null | wc -l; }
enriched() { "$TESTBIN/tool_enriched" "$@"; }
finals() { (cd "$1" && ls | grep -v '\.part$'); }
ids() { cat "$1"/*.jsonl | jq -r .message_id | sort; }

in=log:$T/data/enriched
enriched "$in" 3000 0 2 > "$T/made"

# Formats
for format in jsonl jsonl.gz avro; do
  sink --in "$in" --to "file:$T/$format?format=$format" --until-end --rotate-records 500
  is $? 0 "$format: reads to the end"
  verify "$T/$format"
  is $? 0 "$format: verify agrees"
  is "$(tail -1 "$T/verify")" "8 files, 3000 records, 0 problems" "$format: all records"
  like "$(head -1 "$T/verify")" "offsets 0..1544, 1500 records, 30 markers, 15 duplicates, 0 gaps" \
    "$format: markers and repeats have offsets and no lines"
  is "$(ls "$T/$format" | head -1)" "enriched-0-00000000000000000000-00000000000000000499.$format" \
    "$format: the name says the offsets"
done
is "$(sink --in "$in" --to "file:$T/zstd?format=avro" --codec zstandard --until-end; verify "$T/zstd"; echo $?)" 0 \
  "avro with zstandard"
is "$(zcat "$T"/jsonl.gz/*.gz | md5sum)" "$(cat "$T"/jsonl/*.jsonl | md5sum)" "jsonl.gz holds the same lines"
is "$(cat "$T"/jsonl/*.jsonl | jq -c . | wc -l)" 3000 "every line is JSON"
is "$(ids "$T/jsonl" | uniq -d | wc -l)" 0 "no message twice"
is "$(cat "$T"/jsonl/enriched-0-*.jsonl | jq -s 'map(.src.offset) | . == sort')" true "in order"
is "$(head -1 "$T"/jsonl/enriched-0-*0499.jsonl | jq -c '[.properties.tags[0], .geo.country, .geo.city, .received_at]')" \
  '["a","DE",null,"2026-11-04T00:00:00.000Z"]' "objects and times"
is "$(cat "$T"/jsonl/*.jsonl | grep -c '"big":12345678901234567890')" 3000 "numbers keep their digits"
sink --in "$in" --to "file:$T/nonulls" --until-end --no-nulls
is "$(cat "$T"/nonulls/*.jsonl | grep -c ':null[,}]')" "$(cat "$T"/nonulls/*.jsonl | grep -c '"b":null')" "--no-nulls"

# Running again adds nothing; more records go on behind
before=$(ls -l --full-time "$T/jsonl")
sink --in "$in" --to "file:$T/jsonl?format=jsonl" --until-end --rotate-records 500
is "$(ls -l --full-time "$T/jsonl")" "$before" "a second run has nothing to do"
enriched "$in" 1000 10000 2 7 > /dev/null
sink --in "$in" --to "file:$T/jsonl?format=jsonl" --until-end --rotate-records 500
verify "$T/jsonl"
is "$?$(tail -1 "$T/verify")" "012 files, 4000 records, 0 problems" "more records go on behind"
sink --in "$in" --to "file:$T/again?format=jsonl" --until-end --rotate-records 500
diff <(cat "$T"/jsonl/enriched-1-*) <(cat "$T"/again/enriched-1-*) > /dev/null
ok $? "two runs or one: the same lines"
sink --in "$in" --to "file:$T/gz2?format=avro" --until-end --rotate-records 500
sink --in "$in" --to "file:$T/gz3?format=avro" --until-end --rotate-records 500
diff -r "$T/gz2" "$T/gz3" > /dev/null
ok $? "the same run gives the same bytes"

# A stamped repeat that comes first thing after a restart is one still
last=$(cat "$T"/again/enriched-0-* | jq -r .src.offset | tail -1)
enriched "$in" 2 "$((last - 1))" 2 7 > /dev/null
sink --in "$in" --to "file:$T/again?format=jsonl" --until-end --rotate-records 500
is "$(lines "$T/again")" 4000 "a zombie's repeats after a restart are dropped"
like "$(grep event=end "$T/sink.log" | tail -1)" "in=2 out=0 bad=0 duplicate=2" "and counted"

# verify finds what was done by hand
spoil() { rm -rf "$T/bad"; cp -r "$T/$1" "$T/bad"; }
first=enriched-0-00000000000000000500-00000000000000000999
spoil jsonl; rm "$T/bad/$first.jsonl"; verify "$T/bad"
is $? 65 "a missing file"; like "$(cat "$T/verify")" "gap: offsets 500..999" "is a gap"
spoil jsonl; cp "$T/bad/$first.jsonl" "$T/bad/enriched-0-00000000000000000700-00000000000000000999.jsonl"; verify "$T/bad"
is $? 65 "a file too many"; like "$(cat "$T/verify")" "overlap: offsets 700..999.*repeat: " "overlaps and repeats"
for format in jsonl jsonl.gz avro zstd; do
  spoil $format
  file=$(ls "$T"/bad/enriched-0-* | head -1)
  python3 - "$file" << 'END'
import sys
with open(sys.argv[1], 'r+b') as f:
    data = bytearray(f.read())
    # In JSON: a letter of a name, so that it stays valid; elsewhere the middle.
    at = data.find(b'shop.example') if data[:1] == b'{' else len(data) // 2
    data[at] ^= 1
    f.seek(0)
    f.write(data)
END
  verify "$T/bad"
  is $? 65 "$format: a flipped bit"; like "$(cat "$T/verify")" "damaged: enriched-0-" "$format: is named"
  spoil $format
  file=$(ls "$T"/bad/enriched-0-* | head -1)
  truncate -s -1 "$file"; verify "$T/bad"
  is $? 65 "$format: a byte too few"
  rm "$T"/bad/.*.sums; verify "$T/bad"
  is $? 65 "$format: and without sums too"
done
spoil jsonl; rm "$T"/bad/.*.sums; verify "$T/bad"
is $? 0 "files without sums may be"; like "$(cat "$T/verify")" "6 without a line in the sums" "and are said to be"
spoil jsonl; file=$(ls "$T"/bad/enriched-0-* | head -1); sed -i 5d "$file"; verify "$T/bad"
is $? 65 "a line taken out"
spoil jsonl; file=$(ls "$T"/bad/enriched-0-* | tail -1); echo '{"a":' >> "$file"
sink --in "$in" --to "file:$T/bad" --until-end
is $? 65 "a start on a damaged newest file stops"
like "$(tail -2 "$T/sink.log")" "move it away and start again" "and says what to do"
rm "$file"; sink --in "$in" --to "file:$T/bad" --until-end
verify "$T/bad"; is "$?$(lines "$T/bad")" 04000 "and then writes it anew"
verify "$T/nowhere"; is $? 66 "verify of what is not there"

# Rotation
sink --in "$in" --to "file:$T/bytes" --until-end --rotate-bytes 200k --rotate-records 0
verify "$T/bytes"; is $? 0 "by bytes"
is "$(($(finals "$T/bytes" | wc -l) > 10))" 1 "by bytes: many files"
sink --in "$in" --to "file:$T/time" --until-end --rotate-time 10m --rotate-records 0
is "$(for f in "$T"/time/enriched-0-*; do jq -r '.received_at[0:15]' "$f" | sort -u | wc -l; done | sort -u)" 1 \
  "by time: no file crosses it"
verify "$T/time"; is $? 0 "by time"

# While it runs: early files, SIGTERM, .part of a killed one
start live "$BIN/sink" --in "$in" --to "file:$T/live" --flush-after 200ms
live() { [ "$(lines "$T/live")" -ge "$1" ]; }
wait_for 20 live 4000
ok $? "a live sink shows its files"
enriched "$in" 10 20000 2 > /dev/null
wait_for 20 live 4010
ok $? "and soon the next ones"
"$BIN/sink" --in "$in" --to "file:$T/live" --until-end 2>> "$T/second.log"
is $? 75 "a second sink is refused"
like "$(cat "$T/second.log")" "another sink's in this directory" "and told why"
kill -KILL "${tap_pid[live]}"; wait "${tap_pid[live]}" 2> /dev/null; unset "tap_pid[live]"
echo '{"half' > "$T/live/enriched-0-00000000000000009999.jsonl.part"
start live "$BIN/sink" --in "$in" --to "file:$T/live" --flush-after 0
no_part() { ! ls "$T"/live/*9999.jsonl.part; }
wait_for 20 no_part; ok $? "a .part of before is deleted"
enriched "$in" 10 30000 2 > /dev/null
has_part() { ls "$T"/live/*.part; }
wait_for 20 has_part; ok $? "--flush-after 0 keeps the file open"
stop live; is $? 0 "SIGTERM ends with 0"
verify "$T/live"; is "$?$(lines "$T/live")" 04020 "and with all in files"
like "$(tail -3 "$T/live.log")" "pending=0" "and nothing pending"

# A pipe
enriched - 100 0 1 2> /dev/null | sink --to "file:$T/pipe"; is $? 0 "from a pipe"
enriched - 100 0 1 2> /dev/null | sink --to "file:$T/pipe"; is $? 0 "and another"
verify "$T/pipe"; is "$?$(lines "$T/pipe")" 0200 "numbers go on"
is "$(finals "$T/pipe" | tail -1)" "stdin-0-00000000000000000103-00000000000000000205.jsonl" "after the highest"

# Disks
touch "$T/full"
start full env FAULT='write:ENOSPC:enriched-:3:-' FAULT_IF="$T/full" LD_PRELOAD="$TESTBIN/preload_fault.so" \
  "$BIN/sink" --in "$in" --to "file:$T/full-out" --rotate-records 1000 --flush-after 1s
full() { grep -q event=full "$T/full.log"; }
wait_for 20 full; ok $? "a full disk is said"
verify "$T/full-out"; is $? 0 "and leaves no corrupt file"
rm "$T/full"
whole() { [ "$(lines "$T/full-out")" = 4020 ]; }
wait_for 20 whole; ok $? "with room again all is written"
stop full; is $? 0 "ends with 0"
verify "$T/full-out"; is "$?$(ids "$T/full-out" | uniq -d | wc -l)" 00 "nothing twice"
touch "$T/full"
start full2 env FAULT='write:ENOSPC:enriched-:1:-' FAULT_IF="$T/full" LD_PRELOAD="$TESTBIN/preload_fault.so" \
  "$BIN/sink" --in "$in" --to "file:$T/full2-out" --flush-after 100ms
full2() { grep -q event=full "$T/full2.log"; }
wait_for 20 full2; stop full2; is $? 74 "SIGTERM on a full disk ends with 74"
like "$(tail -1 "$T/full2.log")" "stays in the topic" "and says where the records are"
is "$(ls "$T/full2-out")" "" "and leaves nothing"
FAULT='fdatasync:EIO:.part:2' LD_PRELOAD=$TESTBIN/preload_fault.so \
  sink --in "$in" --to "file:$T/eio" --until-end --rotate-records 500
is $? 74 "a failing fdatasync ends it"
sink --in "$in" --to "file:$T/eio" --until-end --rotate-records 500
verify "$T/eio"; is "$?$(lines "$T/eio")" 04020 "and the next start goes on"
for fault in 'rename:EINVAL::1:-' 'write:short::1:-' 'write:EINTR::1:20'; do
  rm -rf "$T/odd"
  FAULT=$fault LD_PRELOAD=$TESTBIN/preload_fault.so sink --in "$in" --to "file:$T/odd" --until-end --rotate-records 500
  is $? 0 "$fault"
  verify "$T/odd"; is "$?$(lines "$T/odd")" 04020 "$fault: all in files"
done
mkdir "$T/ro"; chmod 555 "$T/ro"; chmod 755 "$T"
as_nobody() { if [ "$(id -u)" = 0 ]; then setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; else "$@"; fi; }
as_nobody "$BIN/sink" --in - --to "file:$T/ro" < /dev/null 2> "$T/ro.log"
is $? 74 "a directory that is read-only"; like "$(cat "$T/ro.log")" "cannot be written: Permission denied" "is said"
touch "$T/file"; sink --in "$in" --to "file:$T/file/x" --until-end
ok $((! $?)) "a directory that cannot be"; like "$(tail -1 "$T/sink.log")" "cannot be made: Not a directory" "is said"

# Wrong use
wrong() { "$BIN/sink" "${@:3}" < /dev/null > "$T/out" 2>&1; is $? "$1" "${*:3}"; like "$(cat "$T/out")" "$2" "says $2"; }
wrong 64 "say --to" --in "$in"
wrong 64 "say --to" verify
wrong 78 "is not file:DIR" --in "$in" --to "$T/x"
wrong 78 "is not \?format" --in "$in" --to "file:$T/x?format=xml"
wrong 78 "no topic" --in "log:" --to "file:$T/x"
wrong 64 "codec" --in "$in" --to "file:$T/x" --codec lzma
wrong 78 "schema" --in "$in" --to "file:$T/x" --schema nonsense
done_testing
