#!/bin/bash
# flow_sink_kafka.t - records in another cluster, a real broker: none lost, none twice, through kill -9 and outages
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

in=log:$T/data/enriched
mkdir -p "$T/destinations"
touch "$T/millrace.yaml"
"$TESTBIN/tool_enriched" "$in" 3000 0 2 > "$T/made"
broker() { tests/kafka "$@" >> "$T/broker.log" 2>&1; }
KAFKA_SASL=millrace:secret broker start "$T/kafka" "$T/port"
ok $? 'a broker starts'
[ -s "$T/port" ] || { sed 's/^/# /' "$T/broker.log"; done_testing; }
at=127.0.0.1:$(cat "$T/port")
topic() {
  printf '%s\n' 'type: kafka' "brokers: $at" 'security: plaintext' "topic: $1" 'start: first' 'retry_min: 20ms' 'retry_max: 200ms' \
    "${@:2}" > "$T/destinations/$1.yaml"
}
sink() {
  timeout 90 "$BIN/sink" --in "$in" --bad "log:$T/data/bad?partition=2+" --config "$T/millrace.yaml" \
    --allow-host 127.0.0.1 "$@" 2>> "$T/sink.log"
}
records() { kcat -b "$at" -C -t "$1" -e -q -o beginning -X isolation.level=read_committed -f "$2\n" 2> "$T/kcat.log"; }
counts() { records "$1" '%h' > "$T/ids"; echo "$(wc -l < "$T/ids") $(sort -u "$T/ids" | wc -l)"; }

# What arrives
topic events
sink --to events --until-end
is "$?:$(counts events)" '0:3000 3000' 'all arrive, once each'
"$BIN/sink" --in "$in" --to "file:$T/files" --no-nulls --until-end 2> /dev/null
is "$(records events '%s' | sort | cmp - <(cat "$T"/files/*.jsonl | sort) 2>&1)" '' 'values are the lines of the file sink'
is "$(records events '%k %s' | sed 's/ .*"user_id":"\([^"]*\)".*/ \1/; s/ .*"anonymous_id":"\([^"]*\)".*/ \1/' | awk '$1 != $2' | wc -l)" 0 \
  'keys are people'
is "$(records events '%h %s' | sed 's/message_id=\([^ ]*\) .*"message_id":"\([^"]*\)".*/\1 \2/' | awk '$1 != $2' | wc -l)" 0 \
  'the header has the message id'
sink --to events --until-end --state "$T/other"
is "$?:$(counts events)" '0:3000 3000' 'again from the start: nothing twice'
topic avro 'value: avro'
sink --to avro --until-end
"$BIN/sink" --in "kafka://$at/avro" --schema enriched --to "file:$T/avro" --no-nulls --until-end 2> "$T/avro.log"
is "$(cat "$T"/avro/*.jsonl | jq -r .message_id | sort -u | wc -l)" 3000 'Avro values: our own reader has them all'

# kill -9
topic killed 'batch_size: 50' 'batch_wait: 10ms' 'rate: 1500'
for n in 1 2 3 4 5; do
  start killed "$BIN/sink" --in "$in" --bad "log:$T/data/bad?partition=2+" --config "$T/millrace.yaml" \
    --allow-host 127.0.0.1 --to killed
  wait_for 20 eval "[ \$(records killed x | wc -l) -ge $((n * 400)) ]"
  stop killed KILL
done
sink --to killed --until-end
is "$?:$(counts killed)" '0:3000 3000' '5 kills: none lost, none twice'

# An outage in the middle
topic outage 'batch_size: 50' 'timeout: 5s' 'rate: 1500'
start outage "$BIN/sink" --in "$in" --bad "log:$T/data/bad?partition=2+" --config "$T/millrace.yaml" \
  --allow-host 127.0.0.1 --to outage --until-end
wait_for 20 eval '[ $(records outage x | wc -l) -ge 400 ]'
broker kill "$T/kafka"
broker restart "$T/kafka"
wait "${tap_pid[outage]}"
is "$?:$(counts outage)" '0:3000 3000' 'the broker is killed and comes back: none lost, none twice'
unset 'tap_pid[outage]'

# TLS, log-in, addresses
topic secure "brokers: 127.0.0.1:$(cat "$T/kafka/port.tls")" 'security: tls' 'mechanism: SCRAM-SHA-256' 'user: millrace' \
  'password: env:KAFKA_PASSWORD' "ca_file: $T/kafka/ca.pem" 'timeout: 10s'
sed -i 2d "$T/destinations/secure.yaml"; sed -i 2d "$T/destinations/secure.yaml"
KAFKA_PASSWORD=secret sink --to secure --until-end
is "$?:$(counts secure)" '0:3000 3000' 'TLS and SCRAM'
KAFKA_PASSWORD=wrong sink --to secure --until-end --state "$T/wrong"
is "$?" 78 'a wrong password ends it'
like "$(tail -5 "$T/sink.log")" '[Aa]uthentication' 'and is said'
timeout 60 "$BIN/sink" --in "$in" --config "$T/millrace.yaml" --to events --state "$T/private" --until-end 2> "$T/private.log"
is $? 78 'an address that is not allowed'
like "$(cat "$T/private.log")" 'address is private: to allow it' 'is refused in words'
like "$(sink test events)" 'ok' 'sink test'
broker stop "$T/kafka"
done_testing
