#!/bin/bash
# enrich_replay.t - --verify after 50 kills, parts of the input by time, diff of two versions
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
verify() {  # NAME INPUT OPTION..
  local name=$1 in=$2
  shift 2
  "$BIN/enrich" --verify --in "log:$T/$in" --out "log:$T/$name-out" "$@" 2> "$T/verify.log"
}
result() { sed -n 's/.*event=verify //p' "$T/verify.log"; }
records() { "$tool" dump enriched "log:$T/$1-out" | awk '$3 != "$marker" { $2 = ""; print }' |
  sort -n -k1,1 -k4,4; }
bads() { "$tool" dump bad "log:$T/$1-bad" | awk '{ $2 = ""; print }' | sort; }
diff_of() { "$BIN/enrich" diff "log:$T/$1-out" "log:$T/$2-out" "${@:3}" 2> "$T/diff.log"; }

# A log that was killed 50 times.
"$tool" write "log:$T/many" 2 200000 20 101
seed=20261124
RANDOM=$seed
echo "# seed $seed"
resumed() { [ "$(grep -c event=resume "$T/kill.log")" -ge 2 ]; }
kills=0
# Under the sanitizers a start takes 2 s of data files; what is killed is the same.
times=50
case $BUILD in *san) times=8 ;; esac
for i in $(seq $times); do
  : > "$T/kill.log"
  "$BIN/enrich" --in "log:$T/many" --out "log:$T/kill-out" --bad "log:$T/kill-bad?partition=1" \
    --until-end 2>> "$T/kill.log" &
  pid=$!
  wait_for 10 resumed
  sleep "0.$(printf '%03d' $((RANDOM % 12)))"
  kill -9 $pid 2> /dev/null && kills=$((kills + 1))
  wait $pid 2> /dev/null
done
verify kill many
is $? 0 "--verify is green amid $kills kills: $(result)"
run kill many
out=$(grep -o ' out=[0-9]*' "$T/kill.log" | tail -1)
verify kill many
is $? 0 "--verify is green after them"
total=$("$tool" dump enriched "log:$T/kill-out" | grep -vc '\$marker')
is "$(result)" "equal=$total changed=0 missing=0 extra=0 other_logic=0 unsure=0 gone=0" \
  "all $total records are the same bytes"

# What it finds.
"$tool" write "log:$T/in" 3 3000 0 101
"$tool" write "log:$T/whole" 3 3000 0 0
"$tool" write "log:$T/other" 3 3000 0 101 1
run in in
run whole whole
bad=$(bads in | wc -l)
verify in whole
is $? 65 "records that should be there: status 65"
like "$(result)" "^equal=[0-9]* changed=0 missing=$bad extra=0 " "missing: $(result)"
like "$(grep event=difference "$T/verify.log" | head -1)" "what=missing partition=[0-9] offset=[0-9]" "named"
verify whole in --show 3
is $? 65 "records that should not be there: status 65"
like "$(result)" "^equal=[0-9]* changed=0 missing=0 extra=$bad " "extra: $(result)"
is "$(grep -c event=difference "$T/verify.log")" 3 "--show 3"
verify in other
is $? 65 "other bytes: status 65"
like "$(grep event=difference "$T/verify.log" | head -1)" "what=changed .*fields=.*message_id" "with fields"
like "$(tail -1 "$T/verify.log")" "not what input and settings make" "in words"
verify in in --dedup-window 1h
is $? 65 "other settings: nothing can be compared"
like "$(tail -1 "$T/verify.log")" "made by other settings" "in words"

# Two versions.
diff_of in in > "$T/diff"
is $? 0 "diff of the same: 0"
is "$(cat "$T/diff")" "same=$((3000 - bad)) changed=0 missing=0 added=0" "and the counts"
diff_of in whole > "$T/diff"
is $? 1 "diff of others: 1"
is "$(tail -1 "$T/diff")" "same=$((3000 - bad)) changed=0 missing=0 added=$bad" "added"
diff_of whole in --show 2 > "$T/diff"
is "$(tail -1 "$T/diff")" "same=$((3000 - bad)) changed=0 missing=$bad added=0" "missing"
is "$(grep -c '^missing [0-2] [0-9]*$' "$T/diff")" 2 "--show 2"
printf 'enrich:\n  steps: [ids, time, context, page, referrer, campaign, json, privacy: {ip: drop}]\n' > "$T/privacy.yaml"
run private whole --config "$T/privacy.yaml"
diff_of whole private > "$T/diff"
like "$(tail -1 "$T/diff")" "^same=0 changed=3000 missing=0 added=0" "changed"
like "$(head -1 "$T/diff")" "^changed 0 0( [a-z_.]+)* ip( [a-z_.]+)*$" "with the names of the fields: $(head -1 "$T/diff")"
"$BIN/enrich" diff "log:$T/in-out" 2> "$T/err"
is $? 64 "diff of one"
"$BIN/enrich" diff "log:$T/in-out" "log:$T/kill-out" 2> "$T/err" > /dev/null
is $? 78 "diff of other numbers of partitions"

# A part by time. Record i is received i ms after this instant, in partition i % 3.
base=$(date -u -d @1795000000 +%Y-%m-%dT%H:%M)
second=$(date -u -d @1795000000 +%S)
at() { date -u -d "@$((1795000000 + $1))" +%Y-%m-%dT%H:%M:%SZ; }
"$tool" write "log:$T/long" 3 30000 20 101
run long long
part() { records long | awk '$4 * 3 + $3 >= 10000 && $4 * 3 + $3 < 20000'; }
run part long --from-time "$(at 10)" --to-time "$(at 20)"
is $? 0 "--from-time, --to-time ($base:$second + 10 s .. 20 s)"
is "$(grep -c 'event=range partition=[0-2] warm=0 from=333[34] to=10000' "$T/part.log")" 3 \
  "the ranges are in the log: $(grep -o 'event=range.*' "$T/part.log" | head -1)"
same <(records part) <(part) "the same bytes as the whole has there: $(part | wc -l) records"
is "$(bads part | awk '{ print $NF }' | wc -l)" "$(bads part | sort -u | wc -l)" "each bad one once"
verify part long --from-time "$(at 10)" --to-time "$(at 20)"
is $? 0 "and they verify: $(result)"
verify long long --from-time "$(at 10)" --to-time "$(at 20)"
is $? 0 "a part of the whole verifies alone: $(result)"
"$tool" write "log:$T/longer" 1 100000 20 101
for i in $(seq 6); do
  start killed "$BIN/enrich" --in "log:$T/longer" --out "log:$T/killed-out" \
    --bad "log:$T/killed-bad?partition=1" --from-time "$(at 5)" --to-time "$(at 90)"
  sleep "0.$(printf '%03d' $((150 + RANDOM % 250)))"
  stop killed KILL
done
run killed longer --from-time "$(at 5)" --to-time "$(at 90)"
run once longer --from-time "$(at 5)" --to-time "$(at 90)"
same <(records killed) <(records once) "killed six times: the same bytes, each once"
same <(bads killed) <(bads once) "and each bad one once"
"$BIN/enrich" --from-time yesterday --check 2> "$T/err"
is $? 64 "a time that is none" || cat "$T/err"
"$BIN/enrich" --from-time 2026-11-02 --to-time 2026-11-01 --check 2> "$T/err"
is $? 64 "an end before the start"
done_testing
