#!/bin/bash
# sink_postgres.t - rows in a real PostgreSQL: each event once, through kill -9, outages and replays
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

in=log:$T/data/enriched
mkdir -p "$T/destinations"
touch "$T/millrace.yaml"
"$TESTBIN/tool_enriched" "$in" 3000 0 2 > "$T/made"
chmod o+x "$T"
tests/pg start "$T/pg" "$T/port" > "$T/pg.log" 2>&1
ok $? 'PostgreSQL starts'
port=$(cat "$T/port")
sql() { tests/pg sql "$T/pg" "$1"; }
table() {
  printf '%s\n' 'type: postgres' 'host: 127.0.0.1' "port: $port" 'database: postgres' 'user: millrace' 'password: env:PGPASS' \
    'tls: disable' "table: $1" 'start: first' 'retry_min: 20ms' 'retry_max: 200ms' "${@:2}" > "$T/destinations/$1.yaml"
}
export PGPASS=secret
sink() {
  timeout 60 "$BIN/sink" --in "$in" --bad "log:$T/data/bad?partition=2+" --config "$T/millrace.yaml" \
    --allow-host 127.0.0.1 "$@" 2>> "$T/sink.log"
}
counts() { sql "select count(*) || ' ' || count(distinct message_id) from $1"; }

# What arrives
table events
sink --to events --until-end
is "$?:$(counts events)" '0:3000 3000' 'all arrive, once each'
"$BIN/sink" --in "$in" --to "file:$T/files" --no-nulls --until-end 2> /dev/null
same=".message_id, .event, .user_id, .page.url, .page.title, .properties.sku, .geo.lat, .src.offset"
cat "$T"/files/*.jsonl | jq -c "[$same]" | LC_ALL=C sort > "$T/wanted"
sql "select jsonb_build_array(message_id, event, user_id, page_url, page_title, properties->>'sku', geo_lat, src_offset) from events" |
  jq -c . | LC_ALL=C sort > "$T/got"
is "$(cmp "$T/got" "$T/wanted" 2>&1)" '' 'texts, numbers and JSON are those of the file sink'
is "$(sql "select properties->>'big' from events limit 1")" 12345678901234567890 'no digit is lost'
is "$(sql "select count(*) from events where timestamp < '2026-11-01' or timestamp > '2026-11-05'")" 0 'times are times'
sink --to events --until-end --state "$T/other"
is "$?:$(counts events)" '0:3000 3000' 'again from the start: nothing twice'
table some 'columns: [event, timestamp]'
sink --to some --until-end
is "$(sql "select string_agg(attname, ',' order by attnum) from pg_attribute where attrelid = 'some'::regclass and attnum > 0")" \
  'message_id,event,timestamp' 'only the columns that are wanted'

# kill -9
table killed 'batch_size: 100' 'batch_wait: 10ms' 'rate: 1500'
for n in 1 2 3 4 5 6; do
  start killed "$BIN/sink" --in "$in" --bad "log:$T/data/bad?partition=2+" --config "$T/millrace.yaml" \
    --allow-host 127.0.0.1 --to killed
  wait_for 10 eval "[ \"\$(sql 'select count(*) / 300 from killed')\" -ge $n ]"
  stop killed KILL
done
sink --to killed --until-end
is "$?:$(counts killed)" '0:3000 3000' '6 kills: none lost, none twice'

# An outage in the middle
table outage 'batch_size: 50'
start outage "$BIN/sink" --in "$in" --bad "log:$T/data/bad?partition=2+" --config "$T/millrace.yaml" \
  --allow-host 127.0.0.1 --to outage --until-end
wait_for 10 eval '[ "$(sql "select count(*) from outage")" -ge 200 ]'
tests/pg restart "$T/pg" >> "$T/pg.log" 2>&1
wait "${tap_pid[outage]}"
is "$?:$(counts outage)" '0:3000 3000' 'the server is killed and comes back: none lost, none twice'
unset 'tap_pid[outage]'

# A row that can never be taken
table poison 'map: if .message_id == "m-0-7" then .timestamp = "0000-01-01T00:00:00Z" elif .message_id == "m-0-8" then .properties.nul = "a\u0000b\\u0000" else . end'
sink --to poison --until-end
is "$?:$(counts poison)" '0:2999 2999' 'the rest of its batch arrives'
rm -rf "$T/badout"
"$BIN/sink" --in "log:$T/data/bad" --to "file:$T/badout" --until-end 2> /dev/null
like "$(cat "$T"/badout/*.jsonl | jq -r 'select(.destination == "poison") | .reason + " " + .words' 2> /dev/null)" \
  '^refused .*22008' 'it is a dead letter that says why'
is "$(sql "select properties->>'nul' from poison where message_id = 'm-0-8'")" $'a\xef\xbf\xbdb\\u0000' 'NUL becomes U+FFFD'

# Another topic
table letters
timeout 20 "$BIN/sink" --in "log:$T/data/bad" --config "$T/millrace.yaml" --allow-host 127.0.0.1 --to letters --until-end 2>> "$T/sink.log"
is "$?:$(sql "select count(*), bool_and(length(original) > 0), min(message_id) from letters where destination = 'poison'")" \
  '0:1|t|bad-2-0' 'dead letters are rows, too, with their bytes'

# Tables of others
sql 'create table narrow (message_id text primary key, event text)'
table narrow
sink --to narrow --until-end
is "$?:$(counts narrow)" '0:3000 3000' 'columns that are missing are added'
sql 'create table fixed (message_id text primary key, event text)'
table fixed 'create: no'
sink --to fixed --until-end
is "$?" 78 'create: no, and a column is missing: a setup error'
like "$(tail -20 "$T/sink.log")" 'of relation .{1,3}fixed.{1,3} does not exist' 'it names the column'
table fixed 'create: no' 'columns: [event]'
sink --to fixed --until-end
is "$?:$(counts fixed)" '0:3000 3000' 'with columns: it fits'

# Setup
PGPASS=wrong sink --to events --until-end --state "$T/wrong"
is "$?" 78 'a wrong password ends it'
like "$(tail -5 "$T/sink.log")" '28P01: password authentication failed' 'and is said'
timeout 20 "$BIN/sink" --in "$in" --config "$T/millrace.yaml" --to events --state "$T/private" --until-end 2> "$T/private.log"
is $? 78 'an address that is not allowed'
like "$(cat "$T/private.log")" 'loopback.*refused' 'is refused in words'
is "$(grep -c 'secret' "$T/sink.log")" 0 'the password is in no log'
like "$(sink test events)" 'ok' 'sink test'
is "$(sink --to events --dry-run | head -1 | cut -f2)" 'track' 'a dry run shows rows'
tests/pg stop "$T/pg" >> "$T/pg.log" 2>&1
done_testing
