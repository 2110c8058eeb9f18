#!/bin/bash
# sink_stub.t - an HTTP destination that misbehaves: nothing lost, same keys, order, kill -9, the switch
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

in=log:$T/data/enriched
mkdir -p "$T/destinations"
touch "$T/millrace.yaml"
"$TESTBIN/tool_enriched" "$in" 400 0 2 > "$T/made"
start stub python3 tests/stub.py "$T/port" "$T/requests" "$T/mode"
echo 200 > "$T/mode"
touch "$T/requests"
wait_for 10 test -s "$T/port"
url=http://127.0.0.1:$(cat "$T/port")

# hook NAME LINES..: a webhook with short times
hook() {
  printf '%s\n' 'type: webhook' "url: $url/$1" 'start: first' 'retry_min: 20ms' 'retry_max: 100ms' \
    'timeout: 500ms' "${@:2}" > "$T/destinations/$1.yaml"
}
sink() {
  timeout 60 "$BIN/sink" --in "$in" --bad "log:$T/data/bad?partition=2+" --config "$T/millrace.yaml" \
    --allow-host 127.0.0.1 "$@" 2>> "$T/sink.log"
}
taken() { jq -r "select(.taken and .path == \"/$1\") | .headers[\"idempotency-key\"]" "$T/requests"; }
bad() { rm -rf "$T/badout"; timeout 20 "$BIN/sink" --in "log:$T/data/bad" --to "file:$T/badout" --until-end 2> /dev/null; cat "$T"/badout/*.jsonl 2> /dev/null; }

# Each way to fail, once in a few requests
for mode in 429 503 500 timeout reset cut slow; do
  every=5
  case $mode in timeout) every=97 ;; 429 | 503) every=151 ;; esac
  echo "$every:$mode" > "$T/mode"
  hook "m$mode" 'retry_for: 1h'
  sink --to "m$mode" --until-end
  is $? 0 "$mode: ends in order"
  is "$(taken "m$mode" | sort -u | wc -l)" 400 "$mode: every event was taken"
  [ "$mode" = cut ] || is "$(taken "m$mode" | sort | uniq -d | wc -l)" 0 "$mode: none twice"
  is "$(jq -r "select(.path == \"/m$mode\") | .headers[\"idempotency-key\"]" "$T/requests" | sort -u | wc -l)" 400 \
    "$mode: the same key on each retry"
done

# Order per person, while every third request fails
echo "3:500" > "$T/mode"
hook ordered 'order: person' 'retry_for: 1h'
sink --to ordered --until-end
is "$(jq -c 'select(.taken and .path == "/ordered") | .body | fromjson | [.user_id // .anonymous_id, .src.partition, .src.offset]' \
  "$T/requests" | jq -s 'group_by(.[0:2]) | map(map(.[2]) | . == sort) | all')" true "each person's events in order"
is "$(taken ordered | sort -u | wc -l)" 400 "ordered: all of them"

# A batch refused for one event in it: that one is dead, the others arrive
echo "poison 200" > "$T/mode"
hook batch 'batch_size: 50' 'map: if .message_id == "m-0-7" then .event = "POISON" else . end'
sink --to batch --until-end
is "$(jq -c 'select(.taken and .path == "/batch") | .body | fromjson[] | .message_id' "$T/requests" | sort -u | wc -l)" 399 \
  "the rest of a refused batch arrives"
is "$(bad | jq -c 'select(.destination == "batch") | [.reason, .attempts > 0, .first_at != null, .src.offset >= 0]')" \
  '["refused",true,true,true]' "the one is a dead letter"
echo 200 > "$T/mode"
sink --from bad --in "log:$T/data/bad" --to batch
is "$(jq -c 'select(.taken and .path == "/batch") | .body | fromjson[] | .message_id' "$T/requests" | sort -u | wc -l)" 400 \
  "and replayed it arrives"

# Setup errors stop it; nothing is lost
echo 401 > "$T/mode"
hook setup
sink --to setup --until-end
is $? 78 "401: ends with the status of settings"
is "$(bad | jq -c 'select(.destination == "setup")' | wc -l)" 0 "401: no dead letters"
echo 200 > "$T/mode"
sink --to setup --until-end
is "$(taken setup | sort -u | wc -l)" 400 "mended: all of them"

# A redirect is not followed, a private address is refused unless allowed
echo redirect > "$T/mode"
hook redirect
sink --to redirect --until-end
is $? 78 "302 is a setup error"
hook private
timeout 20 "$BIN/sink" --in "$in" --config "$T/millrace.yaml" --to private --until-end 2> "$T/private.log"
is $? 78 "an address that is not allowed"
like "$(cat "$T/private.log")" "refused" "is refused in words"

# kill -9 in between: repeats are only what was in flight
echo slow > "$T/mode"
hook kill 'concurrency: 4'
for _ in 1 2 3 4; do
  before=$(taken kill | wc -l)
  start killed "$BIN/sink" --in "$in" --bad "log:$T/data/bad?partition=2+" --config "$T/millrace.yaml" \
    --allow-host 127.0.0.1 --to kill
  wait_for 10 eval '[ $(taken kill | wc -l) -gt $((before + 20)) ]'
  stop killed KILL
done
sink --to kill --until-end
is "$(taken kill | sort -u | wc -l)" 400 "4 kills: none lost"
repeats=$(($(taken kill | wc -l) - 400))
[ $repeats -le 16 ]
ok $? "repeats ($repeats) are at most what was in flight"

# Filters
echo 200 > "$T/mode"
hook some 'where: .event == "Order Completed"' 'drop: [context]'
sink --to some --until-end
is "$(jq -r 'select(.path == "/some") | .body | fromjson | [.event, .context == null] | @csv' "$T/requests" | sort -u)" \
  '"Order Completed",true' "where and drop"
hook off 'enabled: no'
sink --to off --until-end
is "$?$(taken off | wc -l)" 00 "enabled: no sends nothing"
timeout 60 "$BIN/sink" --in "$in" --config "$T/millrace.yaml" --to nosuch --until-end 2> /dev/null
is $? 66 "no such destination"
done_testing
