#!/bin/bash
# sink_replay.t - a range of time once more, with the same keys: --from-time, --to-time, start: TIME
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

in=log:$T/data/enriched
mkdir -p "$T/destinations"
touch "$T/millrace.yaml" "$T/requests"
"$TESTBIN/tool_enriched" "$in" 800 0 2 > "$T/made"
start stub python3 tests/stub.py "$T/port" "$T/requests" "$T/mode"
echo 200 > "$T/mode"
wait_for 10 test -s "$T/port"
hook() {
  printf '%s\n' 'type: webhook' "url: http://127.0.0.1:$(cat "$T/port")/$1" 'retry_min: 20ms' 'retry_max: 100ms' "${@:2}" \
    > "$T/destinations/$1.yaml"
}
sink() {
  timeout 60 "$BIN/sink" --in "$in" --bad "log:$T/data/bad?partition=2+" --config "$T/millrace.yaml" \
    --allow-host 127.0.0.1 "$@" 2>> "$T/sink.log"
}
keys() { jq -r "select(.taken and .path == \"/$1\") | .headers[\"idempotency-key\"]" "$T/requests" | sort; }
forget() { : > "$T/requests"; }

# received_at is 2026-11-04 and a second for each offset of a partition
"$BIN/sink" --in "$in" --to "file:$T/files" --no-nulls --until-end 2> /dev/null
within() {
  cat "$T"/files/*.jsonl | jq -r "select(.received_at >= \"$1\" and .received_at < \"$2\") | .message_id" | sort
}
from=2026-11-04T00:01:40.000Z to=2026-11-04T00:03:20.000Z
within $from $to > "$T/wanted"
[ "$(wc -l < "$T/wanted")" -gt 150 ]
ok $? "the range has $(wc -l < "$T/wanted") events"

hook all 'start: first'
sink --to all --until-end
is "$?:$(keys all | sort -u | wc -l)" 0:800 'all are delivered'
forget
sink --to all --from-time $from --to-time $to
is "$?:$(keys all | cmp - "$T/wanted" 2>&1)" 0: 'a range comes again, each once, with its keys'
forget
sink --to all --from-time $from --to-time $to
is "$?:$(keys all | wc -l)" 0:0 'the same range called again: it is done'
sink --to all --until-end
is "$?:$(keys all | wc -l)" 0:0 'and the position of the stream stands where it was'
sink --to all --from-time $to
within $to 2027-01-01 > "$T/rest"
is "$?:$(keys all | cmp - "$T/rest" 2>&1)" 0: 'without an end: up to the end of the topic'

# One that is killed goes on
forget
echo slow > "$T/mode"
hook killed 'start: first' 'concurrency: 2'
for n in 30 60; do
  start killed "$BIN/sink" --in "$in" --config "$T/millrace.yaml" --allow-host 127.0.0.1 --to killed --from-time $from --to-time $to
  wait_for 20 eval "[ \$(keys killed | wc -l) -ge $n ]"
  stop killed KILL
done
sink --to killed --from-time $from --to-time $to
is "$?:$(keys killed | sort -u | cmp - "$T/wanted" 2>&1)" 0: '2 kills: none lost'
repeats=$(($(keys killed | wc -l) - $(wc -l < "$T/wanted")))
[ $repeats -le 4 ]
ok $? "repeats ($repeats) are at most what was under way"
echo 200 > "$T/mode"

# A new destination from a past time
hook past "start: $to"
sink --to past --until-end
is "$?:$(keys past | cmp - "$T/rest" 2>&1 | head -c 9)" 0: 'start: TIME begins there'
hook now
sink --to now --until-end
is "$?:$(keys now | wc -l)" 0:0 'start: now has nothing of the past'
sink --to all --from-time yesterday
is $? 78 'what is no instant is refused'
done_testing
