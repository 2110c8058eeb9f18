#!/bin/bash
# millrace_audit.t - ledgers that add up, those that do not, and where one event is
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

home=$T/home
mkdir -p "$home/destinations"
start stub python3 tests/stub.py "$T/port" "$T/requests" "$T/mode"
echo poison > "$T/mode"
wait_for 20 test -s "$T/port"
cat > "$home/millrace.yaml" << EOF
bus: log:data
sources:
  - {name: web, write_key: wk}
collect: {listen: '127.0.0.1:0'}
aggregate: {http: '127.0.0.1:0'}
enrich: {bots: drop}
sink: {allow_host: [127.0.0.1], flush_after: 300ms}
EOF
printf 'type: file\npath: out\n' > "$home/destinations/files.yaml"
printf 'type: webhook\nurl: http://127.0.0.1:%s/h\nstart: first\nbatch_size: 1\n' "$(cat "$T/port")" \
  > "$home/destinations/hook.yaml"

millrace() { "$BIN/millrace" "$@" --config "$home/millrace.yaml" 2>> "$T/millrace.log"; }
listens() { [ -s "$home/data/collect.port" ] && [ -s "$home/data/aggregate.port" ]; }
row() { jq -c ".stages[] | select(.stage == \"$1\") | [.in, .out, .bad, .duplicate, .filtered, .pending]"; }
settled() { millrace audit --json | jq -e "[.stages[].pending] == [0,0,0,0,0] and .stages[1].in >= $1"; }
send() { curl -sS -o /dev/null -w '%{http_code}' -u wk: "http://$(cat "$home/data/collect.port")/v1/track" -d "$1"; }

start up "$BIN/millrace" up --config "$home/millrace.yaml"
wait_for 20 listens
for i in $(seq 30); do send "{\"messageId\":\"m$i\",\"userId\":\"u$i\",\"event\":\"E\"}"; done > "$T/codes"
for i in 1 2 3; do send "{\"messageId\":\"m$i\",\"userId\":\"u$i\",\"event\":\"E\"}"; done >> "$T/codes"
send '{"messageId":"bot1","userId":"b","event":"E","context":{"userAgent":"Googlebot/2.1"}}' >> "$T/codes"
send '{"messageId":"dead1","userId":"d","event":"POISON"}' >> "$T/codes"
send '{"messageId":"noevent1","userId":"u1"}' >> "$T/codes"
is "$(sed 's/200//g' "$T/codes")" "" "all are acknowledged"
wait_for 30 settled 35
ok $? "all pass through"
millrace audit --json > "$T/audit"
is $? 0 "the ledgers of a running millrace add up"
is "$(row collect < "$T/audit")" "[36,35,1,0,0,0]" "collect: 36 came, one of them bad"
is "$(row enrich < "$T/audit")" "[35,31,0,3,1,0]" "enrich: three duplicates, a bot filtered"
like "$(row aggregate < "$T/audit")" "^\[[0-9]+,31,0,0,[0-9]+,0\]" "aggregate: the rest, and markers"
like "$(row sink:files < "$T/audit")" "^\[[0-9]+,31,0,0,[0-9]+,0\]" "the files have them"
like "$(row sink:hook < "$T/audit")" "^\[[0-9]+,30,1,0,[0-9]+,0\]" "the webhook, but for a dead letter"
is "$(millrace audit --last 1h --json | jq -c '[.holds, .stages[1].in]')" "[true,35]" "the last hour is all of it"
like "$(millrace audit)" "Nothing vanished" "said as a table"
is "$(millrace audit --no-verify --json | jq -c '.stages[1] | [.filtered, .unproven]')" "[1,1]" "--no-verify proves no filtering"

# one event
millrace trace m1 --json > "$T/trace"
is "$?$(jq -c '[.collected[].state]' "$T/trace")" '0["enriched","duplicate"]' "trace: enriched, and its repeat a duplicate"
is "$(jq -c '.enriched[0] | [.event, .person, .aggregate]' "$T/trace")" '["E","u1","counted"]' "... and counted"
file=$(jq -r '.enriched[0].destinations[] | select(.name == "files").file' "$T/trace")
grep -q '"message_id":"m1"' "$home/out/$file"
ok $? "... it is in the file that was named: $file"
is "$(jq -r '.enriched[0].destinations[] | select(.name == "hook").state' "$T/trace")" "done" "... the webhook has it"
millrace trace dead1 --json > "$T/trace"
is "$(jq -r '.enriched[0].destinations[] | select(.name == "hook").state' "$T/trace")" "dead letter" "trace: a dead letter"
is "$(jq -c '.bad[] | [.stage, .destination, .reason]' "$T/trace")" '["sink","hook","refused"]' "... with its reason"
is "$(millrace trace bot1 --json | jq -r '.collected[0].state')" filtered "trace: filtered"
like "$(millrace trace noevent1)" "bad .*collect" "trace: one that collect refused"
millrace trace nothere > "$T/trace"
is "$?$(cat "$T/trace")" "66No stage knows a message with the id nothere." "trace: unknown is 66"
stop up
millrace audit > "$T/audit.txt"
is $? 0 "they add up when all has stopped, too"
like "$(cat "$T/audit.txt")" "as its manifest says" "... with aggregate's manifest"

# what must not be
sums=$home/out/.enriched-0.sums
file=$(cd "$home/out" && echo *.jsonl | cut -d' ' -f1)
cp "$sums" "$T/sums"
awk -v f="$file" '$NF == f { $3-- } { print }' "$T/sums" > "$sums"
millrace audit > "$T/audit.txt"
is $? 65 "a file with a record less: 65"
like "$(cat "$T/audit.txt")" "holds [0-9]+ records, the topic [0-9]+" "... and which"
cp "$T/sums" "$sums"
mkdir "$T/away"
mv "$home/out/$file" "$T/away/"
millrace audit > "$T/audit.txt"
is $? 0 "a file that was moved away is nothing lost"
like "$(cat "$T/audit.txt")" "sink:files" "... and the other files still add up"
mv "$T/away/$file" "$home/out/"
sed -i 's/bots: drop/bots: mark/' "$home/millrace.yaml"
millrace audit > "$T/audit.txt"
is $? 65 "a dropped event that the settings would keep: 65"
like "$(cat "$T/audit.txt")" "1 went in and are nowhere" "... counted"
like "$(cat "$T/audit.txt")" "enrich --verify: .*1 missing" "... in enrich's words"
# One that its sink has not begun: nothing waits for it, unless it is to begin with the first.
printf 'type: webhook\nurl: http://127.0.0.1:1/h\n' > "$home/destinations/late.yaml"
is "$(millrace audit --no-verify --json | row sink:late)" "[0,0,0,0,0,0]" "a new destination has nothing under way"
echo 'start: first' >> "$home/destinations/late.yaml"
like "$(millrace audit --no-verify --json | row sink:late)" "^\[([1-9][0-9]*),0,0,0,0,\1\]" "... but with start: first"
rm "$home/destinations/late.yaml"
hook=$(millrace audit --no-verify --last 1d --json | jq '.stages[] | select(.stage == "sink:hook").out')
like "$(millrace destination list)" "hook +webhook +on +[a-z]* +$hook +0 " "list says what the audit of a day says: $hook"
is "$(millrace destination list --json | jq -c 'select(.name == "hook").last_day | [.out, .pending]')" "[$hook,0]" "... as JSON, too"
mv "$home/data/enriched" "$T/enriched"
millrace audit --no-verify --json > "$T/audit"
is "$(row enrich < "$T/audit")" "[35,0,0,0,0,35]" "without its output all is pending"
stop stub

printf 'data: here\n' > "$home/other.yaml"
is "$(cd / && "$BIN/millrace" down --config "$home/other.yaml")" "millrace does not run on $home/here" \
  "data: of the file is seen from the file, wherever a command is called"
done_testing
