#!/bin/bash
# flow_spool.t - Kafka goes away: collect answers from its spool, and brings all of it when Kafka is back
#
# A real broker: away at the start, killed under load, and collect itself killed while it spools.
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

broker=$T/broker
mkdir -p "$broker"
tests/kafka start "$broker" "$broker/port" > "$T/broker.log" 2>&1
ok $? "a real broker runs"
bus=kafka://127.0.0.1:$(cat "$broker/port")
tests/kafka stop "$broker" > /dev/null 2>&1

cat > "$T/millrace.yaml" << END
bus: $bus
partitions: 3
sources:
  - {name: load, write_key: K}
END
up() {
  rm -f "$T/port"
  start collect "$BIN/collect" --config "$T/millrace.yaml" --listen "${1:-127.0.0.1:0}" \
    --port-file "$T/port" --spool "$T/spool" --spool-after 500ms
  wait_for 20 test -s "$T/port"
}
position() { cat "$T/spool/collected.position" 2> /dev/null || echo 0; }
acked() { wc -l < "$T/acks"; }
acked_over() { [ "$(acked)" -gt "$1" ]; }
said() { grep -q "$1" "$T/collect.log"; }
topic() {
  rm -rf "$T/read"
  "$BIN/sink" --in "$bus/$1" --until-end --to "file:$T/read?format=jsonl" 2>> "$T/sink.log"
  cat "$T"/read/*.jsonl 2> /dev/null
}
# What a busy machine makes late waits in the spool when collect ends; the next start brings it.
spool_is_empty() { grep event=end "$T/collect.log" | tail -1 | grep -q 'spooled=0'; }
started_and_drained() { sed -n '/event=end/h;//!H;${x;p}' "$T/collect.log" | grep -q "$drained_mark"; }
bring_all() {
  local try
  for try in 1 2 3 4 5; do
    spool_is_empty && return
    up
    wait_for 40 started_and_drained
    stop collect
  done
  spool_is_empty
}
load() { # NAME EVENTS..
  "$TESTBIN/tool_load" --url "http://$(cat "$T/port")" --key K --connections 8 --batch 5 --rate 400 \
    --seconds 300 --client "$1" --acks "$T/acks" --retry > "$T/load-$1.out" 2>&1 &
  load_pid=$!
}

# --- the broker is away when collect begins ---
up
[ -s "$T/port" ]
ok $? "collect begins without Kafka"
load a
wait_for 20 acked_over 500
ok $? "and acknowledges"
curl -sS -o /dev/null -u K: -d '{"userId":7}' "http://$(cat "$T/port")/v1/t"
is "$(ls "$T/spool" | tr '\n' ' ' | sed 's/ \.[a-z]*//')" "bad collected " "good and bad are in the spool"
tests/kafka restart "$broker" > /dev/null 2>&1
ok $? "the broker comes"
drained_mark='event=direct.*/collected: the spool is drained'
drained() { said "$drained_mark"; }
wait_for 40 drained
ok $? "the spool is drained"

# --- the broker dies under load ---
now=$(acked)
tests/kafka kill "$broker"
spooling() { grep -E 'event=(spooling|direct).*/collected' "$T/collect.log" | tail -1 | grep -q spooling; }
wait_for 30 spooling
ok $? "the broker is killed: spooling"
wait_for 30 acked_over $((now + 1000))
ok $? "and acknowledging"
kill -9 "${tap_pid[collect]}"
wait "${tap_pid[collect]}" 2> /dev/null
up "$(cat "$T/port")"
now=$(acked)
wait_for 30 acked_over $((now + 500))
ok $? "collect killed as well, and back: it acknowledges"
lines=$(grep -c "$drained_mark" "$T/collect.log")
tests/kafka restart "$broker" > /dev/null 2>&1
ok $? "the broker is back"
again() { [ "$(grep -c "$drained_mark" "$T/collect.log")" -gt "$lines" ]; }
wait_for 60 again
ok $? "the spool is drained again"
now=$(acked)
wait_for 20 acked_over $((now + 200))
ok $? "and events go to Kafka itself"
kill -TERM $load_pid
wait $load_pid
is $? 0 "every request was acknowledged in the end"
stop collect
is $? 0 "collect ends with 0"
bring_all
ok $? "what a slow broker left in the spool is brought by the next start"

topic collected > "$T/collected"
sort -u "$T/acks" > "$T/acked"
jq -r .message_id < "$T/collected" | sort > "$T/ids"
is "$(comm -23 "$T/acked" <(sort -u "$T/ids") | wc -l)" 0 "all of $(wc -l < "$T/acked") acknowledged are in Kafka"
is "$(topic bad | jq -r .reason | sort -u)" missing_field "and so is the bad one"
echo "# $(uniq -d "$T/ids" | wc -l) of them came twice, by retries and the two crashes"
twice=$(uniq -d "$T/ids" | wc -l)
[ "$twice" -lt 3000 ]
ok $? "few came twice: $twice"
is "$(find "$T/spool" -name '*.avro' | wc -l | awk '{print ($1 <= 4)}')" 1 "delivered segments are gone"

# --- the broker stays away: all that is spooled at the end is delivered by the next start ---
tests/kafka kill "$broker"
up
load b
now=$(acked)
wait_for 20 acked_over $((now + 500))
ok $? "spooled"
kill -TERM $load_pid
wait $load_pid
stop collect
is $? 0 "SIGTERM with a full spool: exit 0"
like "$(grep event=end "$T/collect.log" | tail -1)" 'spooled=[1-9]' "the ledger tells of it"
tests/kafka restart "$broker" > /dev/null 2>&1
up
wait_for 40 started_and_drained
ok $? "the next start drains it"
stop collect
bring_all
ok $? "all of it"
sort -u "$T/acks" > "$T/acked"
topic collected | jq -r .message_id | sort -u > "$T/ids"
is "$(comm -23 "$T/acked" "$T/ids" | wc -l)" 0 "all of $(wc -l < "$T/acked") acknowledged are in Kafka"
tests/kafka stop "$broker" > /dev/null 2>&1
done_testing
