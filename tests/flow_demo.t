#!/bin/bash
# flow_demo.t - what the shop sent is what is counted and what is in the files, exactly
#
# SEED= and USERS= choose another shop.
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

dir=$T/demo
echo "# seed ${SEED:-1}, ${USERS:-1500} users"
timeout 300 "$BIN/millrace" demo --dir "$dir" --users "${USERS:-1500}" --seed "${SEED:-1}" --no-live \
  > "$T/demo.out" 2> "$T/demo.err"
is $? 0 "the demo makes its history and ends in order"
cat "$T/demo.out" "$T/demo.err" | sed 's/^/# /'
[ -s "$dir/truth.json" ]
ok $? "truth.json is there"
total=$(jq .total "$dir/truth.json")
[ "${total:-0}" -gt 1000 ]
ok $? "the shop had $total events"

# The files: complete after the orderly end, without another start.
jq -r .event "$dir"/out/files/*.jsonl | sort | uniq -c | sed 's/^ *\([0-9]*\) \(.*\)/\2 \1/' > "$T/files"
jq -r '.events | to_entries[] | select(.value.total > 0) | "\(.key) \(.value.total)"' \
  "$dir/truth.json" | sort > "$T/truth"
is "$(sort "$T/files")" "$(cat "$T/truth")" "each event's lines in the files are what the shop sent"
is "$(jq -r .message_id "$dir"/out/files/*.jsonl | sort -u | wc -l)" "$total" "no message is twice"
"$BIN/sink" verify "$dir/out/files" > "$T/verify"
is $? 0 "sink verify agrees: $(tail -1 "$T/verify")"
first=$(jq -r .timestamp "$dir"/out/files/*.jsonl | sort | head -1)
wanted=$(jq -r .first "$dir/truth.json")
difference=$(($(date -d "$first" +%s) - $(date -d "$wanted" +%s)))
[ ${difference#-} -le 2 ]
ok $? "the history begins at $wanted ($first in the files)"
wanted=$(jq '[.events[].total] | add' "$dir/truth.json")
is "$wanted" "$total" "the truth adds up"
is "$(ls "$dir"/data/bad/*/*.avro 2> /dev/null | wc -l)" 0 "nothing was bad"

# The counts, of a new start on the same data.
start up "$BIN/millrace" up --config "$dir/millrace.yaml"
query() { "$BIN/millrace" query "$@" --config "$dir/millrace.yaml"; }
# "*" is what people did: Identify, Group and Alias say who they are.
wanted=$(jq '[.events | to_entries[] | select(.key | IN("Identify", "Group", "Alias") | not) | .value.total] | add' \
  "$dir/truth.json")
counted() { [ "$(query trend --event '*' --last 40d --json | jq '.series[0].overall')" = "$wanted" ]; }
wait_for 30 counted
is "$(query trend --event '*' --last 40d --json | jq '.series[0].overall')" "$wanted" \
  "aggregate counts as many"
wrong=""
while read -r line; do
  name=${line% *}
  count=$(query trend --event "$name" --last 40d --json | jq '.series[0].overall')
  [ "$count" = "${line##* }" ] || wrong="$wrong $name: $count of ${line##* },"
  sum=$(query trend --event "$name" --last 40d --json | jq '.series[0].values | add')
  [ "$sum" = "${line##* }" ] || wrong="$wrong $name: days come to $sum,"
done < "$T/truth"
is "$wrong" "" "... and as many of each event, in all and by day"
# Devices that no login links are persons of their own.
wrong=""
while IFS=, read -r name people; do
  count=$(query trend --event "$name" --measure unique --last 40d --json | jq '.series[0].overall')
  [ "$count" = "$people" ] || wrong="$wrong $name: $count persons of $people,"
done < <(jq -r '.events | to_entries[] | select(.value.total > 0) | "\(.key),\(.value.people)"' "$dir/truth.json")
is "$wrong" "" "... and as many persons did each"
is "$(query events --csv | tail -n +2 | tr -d '\r' | sed 's/,/ /' | sort)" "$(cat "$T/truth")" \
  "the names of events have these counts, too"
# The same demo again changes nothing: it only goes on, and here it stops.
stop up TERM
is $? 0 "up ends in order"
"$BIN/millrace" demo --dir "$dir" --users "${USERS:-1500}" --seed "${SEED:-1}" --no-live > "$T/again" 2>&1
is $? 0 "the same demo again"
like "$(cat "$T/again")" "it is there already" "... knows that its history is there"
is "$(cat "$dir"/out/files/*.jsonl | wc -l)" "$total" "... and sends nothing"

# Interrupted by kill -9 of everything in the middle, then told again: exact, too.
dir=$T/cut
"$BIN/millrace" demo --dir "$dir" --users 3000 --no-live > "$T/cut.out" 2>&1 &
demo=$!
half() { [ "$(cat "$dir"/data/collected/*/*.avro 2> /dev/null | wc -c)" -gt 200000 ]; }
wait_for 60 half
kill -9 $demo
wait $demo 2> /dev/null
[ ! -e "$dir/truth.json" ]
ok $? "a demo was killed before its history was whole"
"$BIN/millrace" down --config "$dir/millrace.yaml"
timeout 300 "$BIN/millrace" demo --dir "$dir" --users 3000 --no-live > "$T/cut.again" 2>&1
is $? 0 "the same command goes on"
total=$(jq .total "$dir/truth.json")
is "$(jq -r .message_id "$dir"/out/files/*.jsonl | sort | uniq | wc -l)" "$total" \
  "all $total messages are in the files"
is "$(cat "$dir"/out/files/*.jsonl | wc -l)" "$total" "... once each"
mails=$(ls "$dir"/outbox/*.eml 2> /dev/null | wc -l)
[ "$mails" -ge 1 ] && jq -e --argjson n "$mails" '.members >= $n and $n >= .members - .unknown' \
  "$dir/data/messages/thank-you/status.json" > /dev/null
ok $? "who came to match the saved query has a mail in outbox: $mails"
is "$(cat "$dir"/outbox/*.eml | grep -a '^To:' | sort | uniq -d)" "" "... once each"

# Live: about the rate, and an orderly end by ^C.
dir=$T/demo
start live "$BIN/millrace" demo --dir "$dir" --rate 200
wait_for 60 grep -q '^live: [0-9]* events' "$T/live.out"
ok $? "live: $(grep '^live: [0-9]' "$T/live.out" | head -1)"
"$BIN/millrace" demo --dir "$dir" > "$T/second" 2>&1
is "$?:$(grep -c "runs already on $dir/data (pid [0-9]*)" "$T/second")" 75:1 "a second one says why not: $(tail -1 "$T/second")"
stop live INT
is $? 0 "^C ends it in order"
grep -q 'query trend' "$T/live.out"
ok $? "it says how to ask"
"$BIN/sink" verify "$dir/out/files" > "$T/verify"
is $? 0 "sink verify agrees: $(tail -1 "$T/verify")"
orders() { grep -o '[0-9]* orders since' "$T/$1.out" | "$2" -1; }
last=$(orders live tail)
is "$(jq -s '[.[] | select(.event == "Order Completed")] | length' "$dir"/out/files/*.jsonl) orders since" "$last" \
  "its last line counts the orders that are in the files"
start goes_on "$BIN/millrace" demo --dir "$dir" --rate 1
wait_for 60 grep -q '^live: [0-9]* events' "$T/goes_on.out"
first=$(orders goes_on head)
[ "${first%% *}" -ge "${last%% *}" ]
ok $? "the next run goes on with its counts: $last, $first"
stop goes_on INT
done_testing
