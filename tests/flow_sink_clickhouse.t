#!/bin/bash
# flow_sink_clickhouse.t - rows in a real ClickHouse: none lost, none twice, through kill -9, outages and replays
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

in=log:$T/data/enriched
mkdir -p "$T/destinations"
touch "$T/millrace.yaml"
"$TESTBIN/tool_enriched" "$in" 3000 0 2 > "$T/made"
tests/clickhouse start "$T/ch" "$T/port" > "$T/ch.log" 2>&1
ok $? 'ClickHouse starts'
trap 'for p in "${tap_pid[@]}" "$(cat "$T/ch/pid" 2> /dev/null)"; do kill -9 "$p" 2> /dev/null; done' EXIT
sql() { tests/clickhouse sql "$T/ch" "$1"; }
table() {
  printf '%s\n' 'type: clickhouse' "url: http://127.0.0.1:$(cat "$T/port")" 'user: millrace' 'password: env:CHPASS' "table: $1" \
    'start: first' 'retry_min: 20ms' 'retry_max: 200ms' "${@:2}" > "$T/destinations/$1.yaml"
}
export CHPASS=secret
run() { start "$1" "$BIN/sink" --in "$in" --bad "log:$T/data/bad?partition=2+" --config "$T/millrace.yaml" --allow-host 127.0.0.1 --to "$@"; }
sink() {
  timeout 60 "$BIN/sink" --in "$in" --bad "log:$T/data/bad?partition=2+" --config "$T/millrace.yaml" \
    --allow-host 127.0.0.1 "$@" 2>> "$T/sink.log"
}
counts() { sql "select count(), uniqExact(message_id) from $1" | xargs; }

# What arrives
table events
sink --to events --until-end
is "$?:$(counts events)" '0:3000 3000' 'all arrive, once each'
"$BIN/sink" --in "$in" --to "file:$T/files" --no-nulls --until-end 2> /dev/null
cat "$T"/files/*.jsonl | jq -c '[.message_id, .event, (.user_id // ""), .page.url, .page.title, .properties, .geo.lat, (.src.offset | tostring)]' |
  LC_ALL=C sort > "$T/wanted"
sql "select message_id, event, user_id, page_url, page_title, properties, geo_lat, src_offset from events format JSONCompactEachRow" > "$T/rows"
[ -s "$T/rows" ] && ! grep -q '^Code' "$T/rows" ||
  sql "select message_id, event, user_id, page_url, page_title, properties, geo_lat, src_offset from events format JSONCompact" |
    jq -c '.data[]' > "$T/rows"
jq -c '.[5] |= fromjson' "$T/rows" | LC_ALL=C sort > "$T/got"
is "$(cmp "$T/got" "$T/wanted" 2>&1)" '' 'texts, numbers and JSON are those of the file sink'
is "$(sql "select countIf(intDiv(timestamp_us, 1000000) = toUInt32(timestamp)), countIf(timestamp_us % 1000000 > 0) > 2900 from events" | xargs)" \
  '3000 1' 'times are times, and whole in _us'
sink --to events --until-end --state "$T/other"
is "$?:$(counts events)" '0:3000 3000' 'again from the start: nothing twice'

# kill -9
table killed 'batch_size: 100' 'batch_wait: 10ms' 'rate: 1500'
for n in 1 2 3 4 5 6; do
  run killed
  wait_for 10 eval "[ \"\$(sql 'select intDiv(count(), 300) from killed')\" -ge $n ]"
  stop killed KILL
done
sink --to killed --until-end
is "$?:$(counts killed)" '0:3000 3000' '6 kills: none lost, none twice'

# An outage in the middle
table outage 'batch_size: 50'
run outage --until-end
wait_for 10 eval '[ "$(sql "select count() from outage")" -ge 200 ]'
tests/clickhouse restart "$T/ch" >> "$T/ch.log" 2>&1
wait "${tap_pid[outage]}"
is "$?:$(counts outage)" '0:3000 3000' 'the server is killed and comes back: none lost, none twice'
unset 'tap_pid[outage]'

# Tables of others
sql 'create table narrow (message_id String, event String) engine = ReplacingMergeTree order by message_id'
table narrow
sink --to narrow --until-end
is "$?:$(counts narrow)" '0:3000 3000' 'columns that are missing are added'
sql 'create table fixed (message_id String, event String, geo_lat UInt8) engine = ReplacingMergeTree order by message_id'
table fixed 'create: no' 'columns: [event, user_id]'
sink --to fixed --until-end
is "$?:$(counts fixed)" '0:3000 3000' 'create: no: what has no column is left out'
table typed 'create: no' 'map: if .message_id == "m-0-7" then .geo.lat = 5.5 else .geo.lat = null end' 'columns: [geo_lat]'
sql 'create table typed (message_id String, geo_lat Int32) engine = ReplacingMergeTree order by message_id'
sink --to typed --until-end
is "$?:$(counts typed)" '0:2999 2999' 'a row that does not fit is alone in not arriving'
rm -rf "$T/badout"
"$BIN/sink" --in "log:$T/data/bad" --to "file:$T/badout" --until-end 2> /dev/null
like "$(cat "$T"/badout/*.jsonl | jq -r 'select(.destination == "typed") | .reason + " " + .words' 2> /dev/null)" \
  '^refused .*code [0-9]+' 'it is a dead letter that says why'
table letters
timeout 20 "$BIN/sink" --in "log:$T/data/bad" --config "$T/millrace.yaml" --allow-host 127.0.0.1 --to letters --until-end 2>> "$T/sink.log"
is "$?:$(sql "select count(), min(length(original)) > 100, min(message_id) from letters" | xargs)" '0:1 1 bad-2-0' 'dead letters are rows, too'
table none 'create: no'
sink --to none --until-end
is $? 78 'no table: a setup error'
like "$(tail -5 "$T/sink.log")" "code 60: Table default.none doesn't exist" 'it says so'

# Setup
CHPASS=wrong sink --to events --until-end --state "$T/wrong"
is "$?" 78 'a wrong password ends it'
like "$(tail -5 "$T/sink.log")" 'Wrong password' 'and is said'
timeout 20 "$BIN/sink" --in "$in" --config "$T/millrace.yaml" --to events --state "$T/private" --until-end 2> "$T/private.log"
is $? 78 'an address that is not allowed'
like "$(sink test events)" 'ok' 'sink test'
tests/clickhouse stop "$T/ch" >> "$T/ch.log" 2>&1
done_testing
