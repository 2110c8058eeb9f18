#!/bin/bash
# aggregate_state.t - what aggregate keeps: restarts go on, check, damage, --rebuild, persons
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

bus=log:$T/data
up() {
  rm -f "$T/port"
  start aggregate "$BIN/aggregate" --in "$bus/enriched" --bad "$bus/bad?partition=3" --state "$T/state" \
    --http 127.0.0.1:0 --port-file "$T/port" "$@"
  wait_for 30 test -s "$T/port"
  ok $? "aggregate listens"
}
status() { curl -sS "http://$(cat "$T/port")/v1/status"; }
total() {
  curl -sS -d '{"measures":[{"event":"*","measure":"'"$1"'"}],"unit":"day","from":"2026-11-01","to":"2026-11-05"}' \
    "http://$(cat "$T/port")/v1/query/trend" | jq -c '[.series[0].values, .series[0].overall]'
}
caught_up() { [ "$(status | jq '[.offsets[].next] | add')" = "$1" ]; }
batch() { "$BIN/aggregate" --in "$bus/enriched" --bad "$bus/bad?partition=3" --state "$T/state" --http 127.0.0.1:0 "$@" --until-end; }

"$TESTBIN/tool_enriched" "$bus/enriched" 4000 0 2 > /dev/null
up; wait_for 30 caught_up 4120; ok $? "all is read"
events=$(total total) users=$(total unique)
stop aggregate; is $? 0 "SIGTERM ends with 0"
ls "$T/state" | grep -q '^column-'; ok $? "and leaves a file"
"$BIN/aggregate" check "$T/state" > "$T/check" 2>&1; is $? 0 "check: good"
like "$(cat "$T/check")" "column-1: 4000 events" "says what is there"
up; wait_for 30 caught_up 4120
is "$(status | jq .ledger.in)" 0 "a restart reads nothing again"
is "$(total total) $(total unique)" "$events $users" "and answers the same"
"$TESTBIN/tool_enriched" "$bus/enriched" 500 50000 2 3 > /dev/null
wait_for 30 caught_up "$((4120 + 515 - 0))" || true
kill -KILL "${tap_pid[aggregate]}"; wait "${tap_pid[aggregate]}" 2> /dev/null; unset "tap_pid[aggregate]"
batch 2> "$T/log"; is $? 0 "after kill -9"
up; events=$(total total) users=$(total unique); stop aggregate
rm -rf "$T/copy"; cp -r "$T/state" "$T/copy"

# Damage is found, named, and mended
file=$(ls -S "$T"/state/column-* | head -1)
printf '\377' | dd of="$file" bs=1 seek=3000 conv=notrunc status=none
"$BIN/aggregate" check "$T/state" > "$T/check" 2>&1; is $? 65 "check: a byte is wrong"
like "$(cat "$T/check")" "${file##*/}.*--rebuild" "it names the file and the mend"
batch 2> "$T/log"; is $? 65 "it does not start"
like "$(cat "$T/log")" "${file##*/}.*--rebuild" "and says why"
"$BIN/aggregate" --rebuild --in "$bus/enriched" --bad "$bus/bad?partition=3" --state "$T/state" 2> "$T/log"; is $? 0 "--rebuild"
[ ! -e "$T/state.rebuild" ]; ok $? "leaves nothing aside"
"$BIN/aggregate" check "$T/state" > "$T/check" 2>&1; is $? 0 "check: good again"
up; is "$(total total) $(total unique)" "$events $users" "the same answers"; stop aggregate

truncate -s 5000 "$(ls -S "$T"/state/column-* | head -1)"
"$BIN/aggregate" check "$T/state" > "$T/check" 2>&1; is $? 65 "check: cut"
rm -rf "$T/state"; mv "$T/copy" "$T/state"
"$BIN/aggregate" check "$T/nothing" > "$T/check" 2>&1; is $? 66 "check of nothing"
like "$(cat "$T/check")" "no manifest" "says so"
"$BIN/aggregate" chekc "$T/state" > "$T/check" 2>&1; is $? 64 "no such command"

# A question that comes right after a start waits for what is in the topic
"$TESTBIN/tool_enriched" "log:$T/large/enriched" 150000 0 2 > /dev/null
bus=log:$T/large
mv "$T/state" "$T/other-state"
up
early=$(curl -sS -d '{"measures":[{"event":"*","measure":"total"}],"unit":"day","from":"2026-11-01","to":"2026-11-05"}' \
  "http://$(cat "$T/port")/v1/query/trend")
is "$(jq -c '[.series[0].values, .series[0].overall]' <<< "$early")" "$(total total)" "a question right after the start gets all"
[ "$(jq '.series[0].overall' <<< "$early")" -gt 0 ]; ok $? "which is something"
is "$(jq .catching_up <<< "$early")" null "and says nothing of catching up"
stop aggregate
bus=log:$T/data
rm -rf "$T/state"; mv "$T/other-state" "$T/state"

# Another number of partitions
"$TESTBIN/tool_enriched" "log:$T/other/enriched" 10 0 3 > /dev/null
"$BIN/aggregate" --in "log:$T/other/enriched" --bad "$bus/bad?partition=3" --state "$T/state" --http 127.0.0.1:0 --until-end 2> "$T/log"
is $? 78 "another number of partitions is refused"
like "$(cat "$T/log")" "2 partitions.*has 3.*--rebuild" "with words"
done_testing
