#!/bin/bash
# flow_spool_limits.t - a spool at its limits: --ack spool, full, damaged, and with a record that
# the broker refuses for good. A real broker.
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

broker=$T/broker
mkdir -p "$broker"
KAFKA_PROPS="message.max.bytes=20000" tests/kafka start "$broker" "$broker/port" > "$T/broker.log" 2>&1
ok $? "a broker that takes batches of up to 20,000 bytes runs"
bus=kafka://127.0.0.1:$(cat "$broker/port")
cat > "$T/millrace.yaml" << END
bus: $bus
sources:
  - {name: web, write_key: K}
END
up() { # NAME OPTION..
  local name=$1
  shift
  rm -f "$T/port"
  start "$name" "$BIN/collect" --config "$T/millrace.yaml" --listen 127.0.0.1:0 --port-file "$T/port" \
    --metrics 127.0.0.1:0 --spool "$T/$name" --spool-after 300ms "$@"
  wait_for 20 test -s "$T/port"
}
send() { # ID [FILE-WITH-A-LONG-TEXT]
  { printf '{"userId":"u","event":"e","messageId":"%s","properties":{"text":"' "$1"
    [ -z "${2:-}" ] || cat "$2"
    printf '"}}'; } > "$T/body"
  curl -sS -m 10 -o "$T/answer" -w '%{http_code}' -u K: --data-binary @"$T/body" "http://$(cat "$T/port")/v1/t"
}
drained() { grep -E 'event=(spooling|direct|open).*/collected' "$T/$1.log" | tail -1 | grep -q event=direct; }
bad_drained() { grep -q 'event=direct.*/bad' "$T/$1.log"; }
topic() {
  rm -rf "$T/read"
  "$BIN/sink" --in "$bus/collected" --until-end --to "file:$T/read?format=jsonl" 2>> "$T/sink.log"
  cat "$T"/read/*.jsonl | jq -r .message_id
}
has() { topic | grep -qx "$1"; }
metric() {
  local at
  at=$(grep event=metrics "$T/$1.log" | tail -1 | grep -o 'address=.*' | cut -d= -f2)
  curl -sS "http://$at/metrics" | awk -v name="$2" '$1 == name { print $2 }'
}
noise() { head -c "$1" /dev/urandom | base64 -w 0; }

# --- a record over the broker's limit, in the middle of others ---
up refused
wait_for 30 drained refused
ok $? "the spool is empty: events go to Kafka itself"
noise 20000 > "$T/long"
for n in 1 2 3 4 5; do send "a$n"; done > "$T/codes"
send large "$T/long" >> "$T/codes"
for n in 6 7 8 9; do send "a$n"; done >> "$T/codes"
is "$(cat "$T/codes")" 200200200200200200200200200200 "all are acknowledged"
refused() { grep -q 'event=refused' "$T/refused.log"; }
wait_for 40 refused
ok $? "the one that the broker does not take is put aside, in words"
wait_for 40 drained refused
ok $? "and the spool is drained"
is "$(topic | sort -u | tr '\n' ' ')" "a1 a2 a3 a4 a5 a6 a7 a8 a9 " "the others are in Kafka"
is "$(metric refused millrace_collect_spool_refused_total)" 1 "it is counted"
stop refused
is "$?:$(grep event=end "$T/refused.log" | grep -o 'spooled=.*')" 0:spooled=0 "nothing waits"
"$BIN/sink" --in "log:$T/refused/collected-refused" --schema collected --until-end \
  --to "file:$T/aside?format=jsonl" 2>> "$T/sink.log"
is "$(cat "$T"/aside/*.jsonl | jq -r '[.message_id, (.body.properties.text | length)] | join(" ")')" \
  "large $(stat -c %s "$T/long")" "whole, in a log beside the spool"

# Many of them at once, and small ones between, from a spool that was filled while Kafka was away.
tests/kafka kill "$broker"
up many
for n in 1 2 3; do send "b$n"; send "large$n" "$T/long"; done > "$T/codes"
is "$(cat "$T/codes")" 200200200200200200 "six are in the spool"
tests/kafka restart "$broker" > /dev/null 2>&1
put_aside() { [ "$(metric many millrace_collect_spool_refused_total)" = "$1" ]; }
wait_for 60 put_aside 3
ok $? "three are put aside"
have() { [ "$(topic | grep -cE "$1")" = "$2" ]; }
wait_for 30 have '^b[123]$' 3
ok $? "three are in Kafka"
stop many

# --- a full spool: 1 MiB, and a buffer that is 16 times as large ---
tests/kafka kill "$broker"
up full --spool-bytes 1m
noise 8000 > "$T/text"
fill() {
  local n
  for n in $(seq 400); do
    code=$(send "d$n" "$T/text")
    [ "$code" = 200 ] || return 0
    echo "d$n" >> "$T/acked"
  done
  return 1
}
fill
is "$?:$code" 0:503 "a full spool answers 503, after $(wc -l < "$T/acked")"
like "$(cat "$T/answer")" 'the spool is full' "in words"
like "$(curl -sS -D - -o /dev/null -u K: -d '{"userId":"u","event":"e"}' "http://$(cat "$T/port")/v1/t")" \
  'Retry-After: [0-9]' "and says when to try again"
tests/kafka restart "$broker" > /dev/null 2>&1
takes() { [ "$(send after)" = 200 ]; }
wait_for 60 takes
ok $? "Kafka is back: it takes events again"
wait_for 60 drained full
wait_for 30 has after
ok $? "and they come to Kafka"
is "$(topic | sort -u | comm -13 - <(sort "$T/acked") | wc -l)" 0 "and Kafka has all that were acknowledged"
stop full

# --- --ack spool, where nothing but its own end can make room ---
up always --ack spool --spool-bytes 1m
is "$(send c1)" 200 "--ack spool acknowledges"
wait_for 30 has c1
ok $? "and brings it to Kafka"
tests/kafka kill "$broker"
is "$(send c2)" 200 "it does not care where Kafka is"
is "$(grep -c event=spooling "$T/always.log")" 0 "nor needs to change over"
rm "$T/acked"
fill
is "$?:$code" 0:503 "it is full, too"
tests/kafka restart "$broker" > /dev/null 2>&1
wait_for 60 takes
ok $? "Kafka is back: it takes events again"
wait_for 60 has c2
ok $? "and brings what waited"
stop always
is $? 0 "ends in order"

# --- a damaged segment ---
tests/kafka kill "$broker"
up damaged
for n in $(seq 1 60); do send "e$n" "$T/text"; done > "$T/codes"
is "$(grep -o 200 "$T/codes" | wc -l)" 60 "60 are in the spool"
stop damaged
file=$(ls "$T"/damaged/collected/0/*.avro | head -1)
printf '\xff\xff\xff\xff' | dd of="$file" bs=1 seek=$(($(stat -c %s "$file") / 2)) conv=notrunc 2> /dev/null
tests/kafka restart "$broker" > /dev/null 2>&1
up damaged
wait_for 60 drained damaged
ok $? "a spool with a damaged block is drained"
like "$(grep event=spool_damaged "$T/damaged.log")" 'records from offset [0-9]* on' "what is lost is told"
lost=$(grep -o 'collected: [0-9]* records from offset [0-9]*' "$T/damaged.log" | sort -u |
  awk '{ n += $2 } END { print n + 0 }')
wait_for 30 have '^e' $((60 - lost))
ok $? "all others are in Kafka: $((60 - lost)), $lost lost"
[ "$lost" -ge 1 ] && [ "$lost" -lt 30 ]
ok $? "a block of many"
like "$(grep event=batches_refused "$T/damaged.log")" 'batch.size' \
  "that a batch of them all is over the broker's limit is told with the mend"
stop damaged
up damaged --kafka batch.size=15000
for n in $(seq 61 80); do send "e$n" "$T/text"; done > "$T/codes"
wait_for 30 have '^e' $((80 - lost))
ok $? "and with it"
stop damaged
is "$(tac "$T/damaged.log" | sed '/event=open/q' | grep -c kafka_failed)" 0 "nothing is refused"
tests/kafka stop "$broker" > /dev/null 2>&1
done_testing
