#!/bin/bash
# enrich_exec.t - any Unix filter as a step: order, drops, what it breaks, time-outs, kills
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

tool=$TESTBIN/tool_enrich
same() {  # FILE FILE WORDS..
  cmp -s "$1" "$2"
  ok $? "${@:3}"
}
run() {  # NAME INPUT OPTION..
  local name=$1 in=$2
  shift 2
  "$BIN/enrich" --in "log:$T/$in" --out "log:$T/$name-out" --bad "log:$T/$name-bad?partition=1" \
    --until-end "$@" 2>> "$T/$name.log"
}
records() { "$tool" dump enriched "log:$T/$1-out" | awk '$3 != "$marker" { $2 = ""; print }' | sort; }
bads() { [ ! -d "$T/$1-bad" ] || "$tool" dump bad "log:$T/$1-bad" | cut -d' ' -f3- | sort; }
ledger() { grep -o 'in=[0-9]* out=.* pending=[0-9]*' "$T/$1.log" | tail -1; }
lines() { "$BIN/sink" --in "log:$T/$1-out" --to "file:$T/$1-lines" --until-end 2> "$T/sink.log"
  cat "$T/$1-lines"/*.jsonl; }

"$tool" write "log:$T/in" 2 3000 50 101
run plain in
run cat in --step exec:cat
is $? 0 "exec:cat"
is "$(ledger cat)" "$(ledger plain)" "changes no count: $(ledger plain)"
same <(records cat | awk '{ print $4, $5 }') <(records plain | awk '{ print $4, $5 }') \
  "nor which records there are"
same <(lines cat | jq -c 'del(.logic)' | sort) <(lines plain | jq -c 'del(.logic)' | sort) \
  "nor anything in them"
same <(bads cat) <(bads plain) "nor the bad ones"

# Other batches: an input that grows, runs of 7 events, a crash.
"$tool" write "log:$T/grow" 2 500 50 101
start grow "$BIN/enrich" --in "log:$T/grow" --out "log:$T/grow-out" \
  --bad "log:$T/grow-bad?partition=1" --step exec:cat
for first in 500 501 509 1200 2500; do
  end=$(case $first in 500) echo 501 ;; 501) echo 509 ;; 509) echo 1200 ;; 1200) echo 2500 ;;
    *) echo 3000 ;; esac)
  "$tool" write "log:$T/grow" 2 $((end - first)) 50 101 "$first"
done
grown() { [ "$(records grow | wc -l)" = "$(records cat | wc -l)" ]; }
wait_for 30 grown
stop grow KILL
run grow in --step exec:cat
same <(records grow) <(records cat) "other batches give the same bytes"

seed=20261124
RANDOM=$seed
echo "# seed $seed"
"$tool" write "log:$T/many" 2 40000 50 101
run whole many --step exec:cat
for i in $(seq 8); do
  start kill "$BIN/enrich" --in "log:$T/many" --out "log:$T/kill-out" \
    --bad "log:$T/kill-bad?partition=1" --until-end --step exec:cat
  sleep "0.$(printf '%03d' $((100 + RANDOM % 300)))"
  stop kill KILL
done
run kill many --step exec:cat
same <(records kill) <(records whole) "kill -9 at random: the same bytes, each once"
same <(bads kill) <(bads whole) "and each bad one once"

# A filter that changes, and one that drops.
run jq in --step "exec:jq -c '.properties.seen = true | .geo.country = \"SE\" | del(.ip)'"
is $? 0 "exec:jq"
is "$(lines jq | jq -c '[.properties.seen, .geo.country, .ip]' | sort | uniq -c | sed 's/ *//')" \
  "$(ledger jq | sed 's/.*out=\([0-9]*\).*/\1/') [true,\"SE\",null]" "its changes are in every record"
"$tool" write "log:$T/once" 2 3000 0 101        # no repeats, which would live where the first is dropped
run once once
run grep once --step "exec:grep -v '\"price\":1'"
is "$(ledger grep | sed 's/[0-9]/N/g; s/N*N/N/g')" "in=N out=N bad=N duplicate=N filtered=N pending=N" \
  "exec:grep drops"
dropped=$(lines once | grep -c '"price":1')
is "$(records grep | wc -l)" "$(($(records once | wc -l) - dropped))" \
  "exactly the $dropped lines that it does not pass"

# What it breaks goes to bad, the rest goes on.
poisoned=$(lines plain | grep -c '"product_id":"p13"')
breaks() {  # NAME REASON COMMAND OPTION..
  local name=$1 reason=$2 command=$3
  printf 'enrich:\n  steps:\n    - ids\n    - time\n    - json\n    - exec:\n        command: %s\n        timeout: 400ms\n' \
    "$command" > "$T/$name.yaml"
  run "$name" in --config "$T/$name.yaml"
  is $? 0 "$name: enrich goes on"
  is "$(bads "$name" | grep -c "$reason")" "$poisoned" "$name: $poisoned events are bad ($reason)"
  like "$(ledger "$name")" "pending=0" "$name: $(ledger "$name")"
  is "$(lines "$name" | grep -c '"product_id":"p13"')" 0 "$name: none of them is out"
}
[ "$poisoned" -gt 0 ]
ok $? "there are $poisoned events to be broken"
breaks dies exec_failed "awk '/\"p13\"/ { exit 3 } { print }'"
breaks killed exec_failed "awk '/\"p13\"/ { system(\"kill -9 \$PPID\"); exit 3 } { print }'"
breaks hangs exec_failed "awk '/\"p13\"/ { system(\"sleep 60\") } { print }'"
breaks words exec_failed "awk '/\"p13\"/ { print \"what?\"; next } { print }'"
breaks src exec_failed "sed '/\"p13\"/s/\"src\":/\"crs\":/'"
breaks twice exec_failed "awk '{ print } /\"p13\"/ { print }'"
breaks kind exec_answer "sed '/\"p13\"/s/\"type\":\"track\",\"event\":/\"type\":\"track\",\"name\":3,\"event\":/'"
breaks member exec_answer "sed '/\"p13\"/s/^{/{\"colour\":\"red\",/'"

# A command that does not work at all blames nobody.
"$tool" write "log:$T/few" 1 100 0 0
start wait "$BIN/enrich" --in "log:$T/few" --out "log:$T/wait-out" \
  --bad "log:$T/wait-bad?partition=1" --until-end --step "exec:$T/command"
wait_for 20 grep -q 'waiting' "$T/wait.log"
ok $? "no such command: it waits"
cp "$(command -v cat)" "$T/command.new"
mv "$T/command.new" "$T/command"
wait_for 30 grep -q 'event=exit' "$T/wait.log"
is "$(ledger wait)" "in=100 out=100 bad=0 duplicate=0 filtered=0 pending=0" \
  "and goes on when it is there"
start stop "$BIN/enrich" --in "log:$T/few" --out "log:$T/stop-out" \
  --bad "log:$T/stop-bad?partition=1" --step "exec:exit 9"
wait_for 20 grep -q 'waiting' "$T/stop.log"
pid=${tap_pid[stop]}
unset "tap_pid[stop]"
kill -TERM "$pid"
wait "$pid"
ok $(($? == 0)) "SIGTERM ends the wait, not with 0"
like "$(tail -1 "$T/stop.log")" "nothing is lost" "in words"
is "$(records stop)$(bads stop)" "" "nothing is out, nothing is bad"
done_testing
