#!/bin/bash
# enrich_cli.t - enrich as a process on a log: counts, resume, kill -9, pipes, refusals
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh
tool=$TESTBIN/tool_enrich

# run NAME [OPTION..]: the input $in to $T/NAME-out and $T/NAME-bad, to its end
in=log:$T/in
run() {
  local name=$1
  shift
  "$BIN/enrich" --in "$in" --out "log:$T/$name-out" --bad "log:$T/$name-bad?partition=1" \
    --until-end "$@" 2>> "$T/$name.log"
}
# Records without their offsets in the output, and without markers.
records() { "$tool" dump enriched "log:$T/$1-out" | awk '$3 != "$marker" { $2 = ""; print }'; }
bads() { "$tool" dump bad "log:$T/$1-bad" | awk '{ $2 = ""; print }'; }
ledger() { grep 'event=end' "$T/$1.log" | tail -1 | grep -o 'in=.* pending=[0-9]*'; }
count() { "$tool" dump enriched "log:$T/$1-out" 2> /dev/null | wc -l; }
# Per partition src must rise.
src_rises() { awk '{ if (($1 in last) && $4 <= last[$1]) bad++; last[$1] = $4 } END { exit bad > 0 }'; }

"$tool" write "$in" 3 30000 20 101
ok $? "30,000 records in 3 partitions, with duplicates and bad ones"
run plain
is $? 0 "until-end exits 0"
records plain > "$T/plain"
bads plain > "$T/plain.bad"
out=$(wc -l < "$T/plain")
bad=$(wc -l < "$T/plain.bad")
dup=$((30000 - out - bad))
is "$(ledger plain)" "in=30000 out=$out bad=$bad duplicate=$dup filtered=0 pending=0" "the ledger"
ok $((dup < 1300 || dup > 1500)) "duplicates were dropped: $dup"
ok $((bad < 270 || bad > 297)) "bad ones went to bad: $bad"
is "$(awk '{ print $5 }' "$T/plain" | sort | uniq -d | wc -l)" 0 "no message id twice"
is "$(awk '{ print $2, $3 }' "$T/plain.bad" | sort -u)" "enrich body_not_json" "stage and reason"
src_rises < "$T/plain"
ok $? "src rises in each partition"
is "$(awk '{ print ($1 == $3) }' "$T/plain" | sort -u)" 1 "output partition = input partition"
is "$("$tool" dump collected "$in" | awk '{ print $3 }' | sort -u | wc -l)" \
  "$( (awk '{ print $5 }' "$T/plain"; "$tool" dump collected "$in" | awk 'NR==FNR { b[$4 " " $5] = 1; next }
      (($1 " " $2) in b) { print $3 }' "$T/plain.bad" -) | sort -u | wc -l)" \
  "every message id is in the output or in bad"

run plain
is "$?/$(ledger plain)" "0/in=0 out=0 bad=0 duplicate=0 filtered=0 pending=0" \
  "again: nothing is left to do, marker or not"
is "$(records plain | cmp - "$T/plain" && bads plain | cmp - "$T/plain.bad")" "" "nothing was added"

# Small batches: the input grows while enrich runs.
in=log:$T/grow
start grow "$BIN/enrich" --in "$in" --out "log:$T/grow-out" --bad "log:$T/grow-bad?partition=1"
for first in 0 1 300 2000 2001 9000; do
  end=$(case $first in 0) echo 1 ;; 1) echo 300 ;; 300) echo 2000 ;; 2000) echo 2001 ;;
    2001) echo 9000 ;; *) echo 30000 ;; esac)
  "$tool" write "$in" 3 $((end - first)) 20 101 "$first"
done
all_read() { "$tool" dump enriched "log:$T/grow-out" | awk '$5 == 9999 { n++ } END { exit n < 3 }'; }
wait_for 30 all_read
ok $? "a growing input is followed, the last duplicates end in markers"
pid=${tap_pid[grow]}
unset "tap_pid[grow]"
kill -TERM "$pid"
wait "$pid"
is $? 0 "SIGTERM: exit 0"
like "$(tail -1 "$T/grow.log")" "event=exit status=0" "the last line says so"
is "$(records grow | sort -n -k1,1 -k4,4 | cmp - <(sort -n -k1,1 -k4,4 "$T/plain"))" "" \
  "small batches give the same bytes"
is "$(bads grow | sort | cmp - <(sort "$T/plain.bad"))" "" "and the same bad ones"

# One partition instead of three: the same but for src.
in=log:$T/one
"$tool" write "$in" 1 3000 0 101
run one
in=log:$T/three
"$tool" write "$in" 3 3000 0 101
run three
is "$(records one | awk '{ print $5, $6 }' | sort | cmp - <(records three | awk '{ print $5, $6 }' |
  sort))" "" "the number of partitions changes nothing but src"

# A pipe.
"$tool" write - 1 3000 20 101 | "$BIN/enrich" --bad "log:$T/pipe-bad?partition=1" 2> "$T/pipe.log" |
  "$tool" dump enriched - | awk '$3 != "$marker" { $2 = ""; print }' > "$T/pipe"
is "${PIPESTATUS[*]}" "0 0 0 0" "a pipe of three"
in=log:$T/piped
"$tool" write "$in" 1 3000 20 101
run piped
is "$(records piped | cmp - "$T/pipe")" "" "gives the same bytes as a log"

# kill -9 at random.
in=log:$T/kill-in
"$tool" write "$in" 2 300000 20 101
run whole
seed=20261124
RANDOM=$seed
echo "# seed $seed"
kills=0
resumed() { [ "$(grep -c event=resume "$T/kill.log")" -ge "$1" ]; }
for i in $(seq 20); do
  : > "$T/kill.log"
  "$BIN/enrich" --in "$in" --out "log:$T/kill-out" --bad "log:$T/kill-bad?partition=1" \
    --until-end 2>> "$T/kill.log" &
  pid=$!
  wait_for 10 resumed 2
  sleep "0.$(printf '%03d' $((RANDOM % 30)))"
  kill -9 $pid 2> /dev/null && kills=$((kills + 1))
  wait $pid 2> /dev/null
done
done_before=$(count kill)
run kill
is $? 0 "after $kills kills, at $done_before records, the rest is done"
ok $((kills < 15 || done_before < 5000)) "they came in the middle"
is "$(records kill | sort -n -k1,1 -k4,4 | cmp - <(records whole | sort -n -k1,1 -k4,4))" "" \
  "the same bytes, each once, as without kills"
records kill | src_rises
ok $? "src rises"
is "$(bads kill | sort | cmp - <(bads whole | sort))" "" "each bad one once"

# Markers: an input of nothing but duplicates does not have to be read again.
in=log:$T/marker-in
for i in 1 2 3; do "$tool" write "$in" 1 1500 0 0 0; done
run marker
is "$(ledger marker)" "in=4500 out=1500 bad=0 duplicate=3000 filtered=0 pending=0" "3,000 repeats"
like "$("$tool" dump enriched "log:$T/marker-out" | tail -1)" '\$marker 0 4499 ' \
  "the last record is a marker of the last one"
run marker
like "$(grep event=resume "$T/marker.log" | tail -1)" "offset=4500 " "from where it goes on"

# The window.
run window --dedup-window 1s
is "$(ledger window)" "in=4500 out=1500 bad=0 duplicate=3000 filtered=0 pending=0" \
  "a repeat with the newest received_at is one in any window"

# A damaged block.
in=log:$T/flip
"$tool" write "$in" 1 20000 0 0
file=$(ls "$T"/flip/*/*.avro | head -1)
[ -n "$file" ]
ok $? "the log has a file"
size=$(stat -c %s "$file")
printf '\xff\xff\xff\xff' | dd of="$file" bs=1 seek=$((size / 2)) conv=notrunc 2> /dev/null
run flip
lost=$(bads flip | awk '$3 == "undecodable" { n += $6 } END { print n + 0 }')
ok $((lost < 1)) "a damaged block goes to bad: $lost offsets"
is "$(ledger flip)" "in=20000 out=$((20000 - lost)) bad=$lost duplicate=0 filtered=0 pending=0" \
  "and the ledger still adds up"

# At the end of the input, so that nothing but a marker can move the resume point beyond it.
in=log:$T/tail
"$tool" write "$in" 1 20000 0 0
file=$(ls "$T"/tail/*/*.avro | head -1)
printf '\xff\xff\xff\xff' | dd of="$file" bs=1 seek=$(($(stat -c %s "$file") - 100)) \
  conv=notrunc 2> /dev/null
run tail
like "$(ledger tail)" "in=20000 out=.* bad=[1-9]" "a damaged block at the end: $(ledger tail)"
run tail
is "$(ledger tail)" "in=0 out=0 bad=0 duplicate=0 filtered=0 pending=0" "is passed once"
is "$(bads tail | grep -c undecodable)" 1 "and stands in bad once"

# Refusals.
in=log:$T/none
run none
is $? 66 "no such topic"
like "$(tail -1 "$T/none.log")" "no such topic" "in words"
in=log:$T/three
run one
is $? 78 "an output of another number of partitions"
like "$(tail -1 "$T/one.log")" "partitions" "in words"
"$BIN/enrich" --in log:$T/x --out log:$T/x 2> "$T/err"
is $? 64 "--in and --out the same"
"$BIN/enrich" --dedup-window 31d 2> "$T/err"
ok $(($? != 78 && $? != 64)) "a window over 30 days"
"$BIN/enrich" --no-such-option 2> "$T/err"
is $? 64 "an unknown option"
"$BIN/enrich" --bus "log:$T" --check
is $? 0 "--check"
start first "$BIN/enrich" --in "log:$T/in" --out "log:$T/plain-out"
wait_for 10 grep -q event=open "$T/first.log"
in=log:$T/in
run plain
is $? 75 "a second writer is refused"
like "$(tail -1 "$T/plain.log")" "status=75 why=" "in words: $(grep -o 'why=.*' "$T/plain.log" | tail -1)"
stop first
done_testing
