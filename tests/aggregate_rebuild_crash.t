#!/bin/bash
# aggregate_rebuild_crash.t - kill -9 while files are written, merged, retired (--retain) and rebuilt: the answers stay
#
# Runs and rebuilds with many small files are killed at writes, fsyncs, renames and unlinks (preload_fault). What is started
# over what they left answers as after a run that nobody disturbed.
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

bus=log:$T/data
now=$(date +%s)
# 10 days, at two hours of each; 5.75 days are kept, so that no event comes near the border
send() {        # send FROM TO: events
  jq -nc --argjson now "$now" "range($1; $2)"' | {type: "track", event: (if . % 3 == 0 then "Buy" else "Look" end),
    userId: "u\(. * 31 % 211)", messageId: "m\(.)", timestamp: ($now - 3600 - (. * 7 % 20) * 43200 - . % 60 | todate)}' |
    "$BIN/collect" --stdin --source web --bus "$bus" 2> "$T/log" && "$BIN/enrich" --bus "$bus" --until-end 2> "$T/log"
}
send 0 24000
ok $? "24,000 events of 10 days"
aggregate=("$BIN/aggregate" --bus "$bus" --state "$T/state" --http 127.0.0.1:0 --flush-bytes 8k --retain 138h)
first=$(date -u -d "@$((now - 5 * 86400))" +%FT%TZ) last=$(date -u -d "@$((now + 60))" +%FT%TZ)
range="\"from\":\"$first\",\"to\":\"$last\""
ask() { curl -sS -d "$2" "http://$(cat "$T/port")/v1/query/$1" | jq -c 'del(.computed_at, .complete_through, .scanned, .took_ms)'; }
answers() {     # what a start says
  rm -f "$T/port"
  start aggregate "${aggregate[@]}" --port-file "$T/port"
  wait_for 30 test -s "$T/port" || return 1
  wait_for 30 sh -c "curl -s http://$(cat "$T/port")/v1/status | jq -e '[.offsets[] | .next == .end] | length > 0 and all'"
  ask trend "{\"measures\":[{\"event\":\"*\"},{\"event\":\"*\",\"measure\":\"unique\"}],\"unit\":\"hour\",$range}"
  ask funnel "{\"steps\":[{\"event\":\"Look\"},{\"event\":\"Buy\"}],$range}"
  ask people '{"query":{"did":"Buy","within":{"last":{"n":5,"unit":"day"}}},"limit":300,"columns":[]}' |
    jq -c '[.total, [.people[].id]]'
  stop aggregate
}
"${aggregate[@]/138h/0}" --until-end 2> "$T/log"    # all days: serving reads on, merges, retires
rm -rf "$T/raw"; mv "$T/state" "$T/raw"
send 24000 64000
ok $? "and 40,000 more"
"${aggregate[@]}" --until-end 2> "$T/log"
ok $? "an undisturbed run"
wanted=$(answers)
[ "$(jq -s '.[0].series[0].overall' <<< "$wanted")" -gt 10000 ]
ok $? "has answers"
rm -rf "$T/kept"; cp -r "$T/state" "$T/kept"

# killed HOW CALL ACTION STEP: kill -9 at the 1st, (1 + STEP)th, .. such call; then a start
killed() {
  local n=1 kills=0 wrong=0 status how=(--until-end) limit=60
  [ "$1" = rebuild ] && how=(--rebuild)
  [ "$1" = serve ] && how=() limit=2
  for ((; kills < 3; n += $4)); do
    rm -rf "$T/state" "$T/state.rebuild"
    [ "$1" = rebuild ] && cp -r "$T/kept" "$T/state"
    [ "$1" = serve ] && cp -r "$T/raw" "$T/state"
    timeout $limit env FAULT="$2:$3:/state:$n" LD_PRELOAD="$TESTBIN/preload_fault.so" \
      "${aggregate[@]}" "${how[@]}" 2> "$T/log"
    status=$?
    [ $status = 137 ] || break
    kills=$((kills + 1))
    [ "$(answers)" = "$wanted" ] || { wrong=$((wrong + 1)); echo "# $1: $2:$3:$n is different"; }
  done
  [ $kills -gt 0 ] && [ $wrong = 0 ]
  ok $? "$1: killed at $kills of the calls of $2 ($3), none is different"
}
{
  killed run write torn 9
  killed run rename kill 3
  killed rebuild write torn 9
  killed rebuild sync kill 7
  killed rebuild rename kill_after 3
  killed rebuild unlink kill 1
  killed serve write torn 5
  killed serve sync kill 3
  killed serve rename kill_after 1
} 2> /dev/null
# and a rebuild over what a killed one left
"${aggregate[@]}" --rebuild 2> "$T/log"
ok $? "a rebuild"
is "$(answers)" "$wanted" "says the same"
"$BIN/aggregate" check "$T/state" > "$T/check" 2>&1
ok $? "and what is there is good"
[ ! -e "$T/state.rebuild" ]
ok $? "nothing is left aside"
done_testing
