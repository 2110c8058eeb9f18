#!/bin/bash
# sink_crash.t - kill -9 of the file sink at each call that matters, and starts again (R5)
#
# Each round dies at the n-th write, sync, rename or unlink of one kind, n = 1, 2, .. until a run
# needs no more of them; then a run without faults finishes. Afterwards every offset must be in
# exactly one file, and the lines must be those of a run that was never disturbed.
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

in=log:$T/data/enriched
"$TESTBIN/tool_enriched" "$in" 3000 0 2 > /dev/null
options=(--until-end --rotate-records 700)
# In a shell of its own: bash tells of each death.
sink() { (timeout 60 "$BIN/sink" --in "$in" "$@"; exit $?) 2>> "$T/sink.log"; }
content() {
  case $1 in
    jsonl) cat "$2"/enriched-"$3"-*.jsonl ;;
    jsonl.gz) zcat "$2"/enriched-"$3"-*.gz ;;
  esac | md5sum
}

# check FORMAT DIR WORDS: whole, nothing twice, the same lines as undisturbed
check() {
  "$BIN/sink" verify "$2" > "$T/verify" 2>&1
  local status=$? p
  is "$status $(tail -1 "$T/verify" | cut -d' ' -f3-)" "0 3000 records, 0 problems" "$3: all records, once"
  [ "$1" = avro ] && return
  for p in 0 1; do
    is "$(content "$1" "$2" $p)" "$(content "$1" "$T/whole-$1" $p)" "$3: partition $p has the same lines"
  done
}

kills=0
for format in jsonl jsonl.gz avro; do
  sink --to "file:$T/whole-$format?format=$format" "${options[@]}"
  check $format "$T/whole-$format" "$format undisturbed"
  for call in write:torn write:kill_after sync:kill sync:kill_after rename:kill rename:kill_after open:kill_after; do
    dir=$T/$format-${call/:/-}
    # One directory dies at each call in turn: what was committed stays, the rest is done again.
    for ((n = 1; n < 60; n++)); do
      FAULT=$call:$dir/:$n LD_PRELOAD=$TESTBIN/preload_fault.so \
        sink --to "file:$dir?format=$format" "${options[@]}"
      status=$?
      [ $status = 0 ] && break
      [ $status = 137 ] || { ok 1 "$call $n: ended with $status"; tail -3 "$T/sink.log" | sed 's/^/# /'; }
      kills=$((kills + 1))
      "$BIN/sink" verify "$dir" > "$T/verify" || { ok 1 "$call $n: $(cat "$T/verify")"; }
    done
    sink --to "file:$dir?format=$format" "${options[@]}"
    check $format "$dir" "$format: died at each $call ($((n - 1)) times)"
  done
done

# Also at moments that no call marks, with early files by the clock, while records come.
dir=$T/random
start feed bash -c "for i in {1..20}; do '$TESTBIN/tool_enriched' 'log:$T/live/enriched' 500 \$((i * 1000)) 1 \$i > /dev/null; done"
RANDOM=7
for ((i = 0; i < 25; i++)); do
  start sink "$BIN/sink" --in "log:$T/live/enriched" --to "file:$dir" --flush-after 20ms --rotate-records 300
  sleep "0.0$((RANDOM % 9 + 1))$((RANDOM % 10))"
  stop sink KILL 2> /dev/null
  kills=$((kills + 1))
done
wait "${tap_pid[feed]}"; unset "tap_pid[feed]"
timeout 60 "$BIN/sink" --in "log:$T/live/enriched" --to "file:$dir" --until-end 2>> "$T/sink.log"
is $? 0 "random kills: the last run ends"
"$BIN/sink" verify "$dir" > "$T/verify"
is "$? $(tail -1 "$T/verify" | cut -d' ' -f3-)" "0 10000 records, 0 problems" "random kills: all records, once"
is "$(cat "$dir"/*.jsonl | jq -r .message_id | sort | uniq -d | wc -l)" 0 "no message twice"
echo "# $kills kills"
done_testing
