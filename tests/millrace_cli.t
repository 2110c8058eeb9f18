#!/bin/bash
# millrace_cli.t - up, down and query with the real programs
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

home=$T/home
mkdir -p "$home/destinations"
settings() {
  cat > "$home/millrace.yaml" << EOF
bus: log:data
sources:
  - {name: web, write_key: wk}
collect:
  listen: 127.0.0.1:0
aggregate:
  http: 127.0.0.1:0
EOF
}
settings
printf 'type: file\npath: out/lines\n' > "$home/destinations/lines.yaml"
printf 'type: file\npath: out/avro\nformat: avro\n' > "$home/destinations/avro.yaml"
printf 'type: file\npath: out/off\nenabled: no\n' > "$home/destinations/off.yaml"
printf 'type: carrier-pigeon\n' > "$home/destinations/bird.yaml"

up() { start up "$BIN/millrace" up --config "$home/millrace.yaml"; }
millrace() { "$BIN/millrace" "$@" --config "$home/millrace.yaml"; }
url() { echo "http://$(cat "$home/data/collect.port")"; }
send() { curl -sS -m 10 -o /dev/null -w '%{http_code}' -u wk: "$(url)/v1/track" -d "$1"; }
# track FROM TO EVENT: one event each; stops at the first that is not acknowledged
track() {
  local i
  for i in $(seq "$1" "$2"); do
    [ "$(send "{\"userId\":\"u$((i % 7))\",\"event\":\"$3\",\"messageId\":\"$3-$i\"}")" = 200 ] || return 1
    echo "$3-$i"
  done
}
listens() { [ -s "$home/data/collect.port" ] && [ -s "$home/data/aggregate.port" ]; }
overall() { millrace query trend --event "$1" --last 2d --json | jq '.series[0].overall'; }
counts() { [ "$(overall "$1")" = "$2" ]; }
pid_of() { grep "event=start .*name=$1 " "$T/up.log" | tail -1 | sed 's/.*pid=\([0-9]*\).*/\1/'; }
lines() { cat "$home"/out/lines/*.jsonl 2> /dev/null | wc -l; }
ids() { cat "$home"/out/lines/*.jsonl | jq -r "select(.event==\"$1\").message_id" | sort; }

up
wait_for 20 listens
ok $? "up starts collect and aggregate"
wait_for 10 grep -q "type 'carrier-pigeon" "$T/up.log"
ok $? "an unknown destination is told"
track 1 20 Hello > /dev/null
ok $? "20 events are acknowledged"
wait_for 20 counts Hello 20
is "$(overall Hello)" 20 "... and counted"
like "$(millrace query events)" "Hello +20" "query events has the name"
like "$(millrace query trend --event Hello --last 2d)" "overall +20" "query trend has a table"
like "$(millrace query trend --event Hello --last 2d)" "  20  █+" "... with a bar"
"$BIN/millrace" query trend --event Nonsense --event Hello --by source --config "$home/millrace.yaml" \
  > /dev/null 2> "$T/notes"
is "$?:$(sed -n 1p "$T/notes")" "0:no event is called 'Nonsense' (\`millrace query events\` lists the names)" \
  "a name that nobody sent is told"
is "$(sed -n 2p "$T/notes")" "no event has a property 'source': did you mean \$source ?" \
  "... and what was meant"
like "$(millrace query retention --event Hello --last 2d)" "cohort +size +0 +1 .*100[.]0%[*]" "retention is a table with percentages"
like "$(millrace query trend --event Hello --event Nobody --last 2d)" "Hello +20  ▁*█" \
  "... and a line each for several events"
is "$(millrace query trend --event Hello --measure unique --last 2d --json |
  jq '.series[0].overall')" 7 "unique people"
like "$(millrace query trend --event Hello --last 2d --csv | tr -d '\r')" \
  $'^bucket,Hello\n.*,20$' "CSV"
is "$(millrace query trend --event Hello --unit hour --last 24h --csv | tr -d '\r' |
  tail -n +2 | awk -F, '{ n += $2 } END { print n, (NR >= 24) }')" "20 1" "by the hour"
millrace query trend --event Hello --unit fortnight 2> "$T/words"
is $? 64 "a unit that there is not is refused"
like "$(cat "$T/words")" "unit" "... in words"

"$BIN/millrace" up --config "$home/millrace.yaml" 2> "$T/words"
is $? 75 "a second up on the same data is refused"
like "$(cat "$T/words")" "runs already" "... in words"

# kill -9 of each program; the supervisor brings it back, and all is counted once
for name in collect enrich aggregate sink:lines; do
  old=$(pid_of $name)
  kill -9 "$old"
  came_back() { [ "$(pid_of $name)" != "$old" ]; }
  wait_for 10 came_back
  ok $? "$name comes back"
done
posts() { [ "$(send '{"userId":"u1","event":"After","messageId":"after-1"}')" = 200 ]; }
wait_for 20 posts
wait_for 20 counts After 1
is "$(overall After)" 1 "the stream goes on"
wait_for 20 counts Hello 20
is "$(overall Hello)" 20 "... and has counted nothing twice"

# An orderly stop under load: whatever was acknowledged is in the files.
track 1 100000 Load > "$T/acks" 2> /dev/null &
load=$!
loaded() { [ "$(wc -l < "$T/acks")" -ge 60 ]; }
wait_for 30 loaded
"$BIN/millrace" down --config "$home/millrace.yaml"
is $? 0 "down stops it, under load"
wait "${tap_pid[up]}"
is $? 0 "up ended with 0"
unset 'tap_pid[up]'
wait $load
is "$(sort "$T/acks" | comm -23 - <(ids Load) | wc -l)" 0 \
  "all $(wc -l < "$T/acks") that were acknowledged are in the files"
is "$(ids Load | uniq -d | wc -l)" 0 "... none twice"
for kind in lines avro; do
  "$BIN/sink" verify "$home/out/$kind" > "$T/verify"
  is $? 0 "sink verify: $kind: $(tail -1 "$T/verify")"
done
[ ! -e "$home/out/off" ]
ok $? "a destination that is switched off gets nothing"
like "$(tail -1 "$T/up.log")" 'program=millrace event=exit words="ended in order"' "the last line"
is "$(grep -vc '^ts=.* level=.* program=.* event=' "$T/up.log")" 0 "every line of the log is a fact"
millrace query events 2> "$T/words"
is $? 69 "a query without a server fails"
like "$(cat "$T/words")" "does .millrace up. run" "... in words"

# kill -9 of the supervisor, and a new start
before=$(lines)
up
wait_for 20 listens
track 1 5 Again > /dev/null
stop up KILL
up
wait_for 20 grep -q . "$home/data/collect.port"
wait_for 20 counts Again 5
is "$(overall Again)" 5 "after kill -9 of the supervisor a new up goes on"
stop up TERM
is $? 0 "... and ends in order"
is "$(lines)" $((before + 5)) "... with nothing lost or twice in the files"

# Settings that cannot be
refused() { # refused STATUS REGEX WORDS
  timeout 30 "$BIN/millrace" up --config "$home/millrace.yaml" 2> "$T/words"
  is $? "$1" "$3"
  like "$(cat "$T/words")" "$2" "... in words"
}
echo 'bus: carrier:pigeon' > "$home/millrace.yaml"
refused 78 "neither log:DIR nor kafka" "a bus that there is not"
echo 'bus: [' > "$home/millrace.yaml"
refused 78 "millrace.yaml" "a file that is no YAML"
settings
echo '  htpp: 1' >> "$home/millrace.yaml"
refused 78 "htpp" "an unknown option of a program"
settings
echo 'colect: {listen: 127.0.0.1:1}' >> "$home/millrace.yaml"
refused 78 "unknown key 'colect': did you mean collect" "a section that there is not"
python3 -c 'import socket, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(); print(s.getsockname()[1], flush=True)
time.sleep(600)' > "$T/taken" 2> "$T/taken.log" &
tap_pid[taken]=$!
wait_for 10 test -s "$T/taken"
settings
sed -i "s/listen: .*/listen: 127.0.0.1:$(cat "$T/taken")/" "$home/millrace.yaml"
refused 69 "collect cannot listen at 127.0.0.1:$(cat "$T/taken"): another program does" "a port that is taken"
settings
sed -i "s/http: .*/http: 127.0.0.1:$(cat "$T/taken")/" "$home/millrace.yaml"
refused 69 "aggregate cannot listen at 127.0.0.1:$(cat "$T/taken"): another program does" "also aggregate's"
stop taken
timeout 10 "$BIN/millrace" up --config "$T/none.yaml" 2> "$T/words"
[ $? -ne 0 ]
ok $? "a file that is not there"
"$BIN/millrace" fly 2> "$T/words"
is $? 64 "a command that there is not"
"$BIN/millrace" query trend --evnt Hello 2> "$T/words"
is $? 64 "an option that there is not"
like "$(cat "$T/words")" "unknown option --evnt \(see millrace query --help\)" "... of the command that was typed"
"$BIN/millrace" query trend --last 7x 2> "$T/words"
is $? 64 "a span that is none"

# The first start in an empty directory
mkdir "$T/new"
cd "$T/new" || exit 70
start first "$BIN/millrace" up
wait_for 20 test -s data/collect.port -a -s data/aggregate.port
ok $? "up in an empty directory makes a start"
key=$(sed -n 's/^Write key: //p' "$T/first.out")
like "$key" '^[0-9a-f]{24}$' "... with a random write key"
eval "$(grep '^  curl' "$T/first.out") -sS" > "$T/answer"
is "$(jq .success "$T/answer")" true "... and the curl line that it prints works"
first_counts() { [ "$("$BIN/millrace" query trend --event Hello --json | jq '.series[0].overall')" = 1 ]; }
wait_for 20 first_counts
ok $? "... and so does the query"
stop first TERM
is $? 0 "... and it ends in order"
is "$(cat out/files/*.jsonl | wc -l)" 1 "... with the event in a file"
# The same settings with another data directory
start other "$BIN/millrace" up --data "$T/elsewhere"
wait_for 20 test -s "$T/elsewhere/collect.port"
ok $? "--data goes elsewhere"
wait_for 20 test -d "$T/elsewhere/collected"
ok $? "... with the log"
"$BIN/millrace" down --data "$T/elsewhere"
is $? 0 "... and down finds it"
wait "${tap_pid[other]}"
is $? 0 "... and stops it"
unset 'tap_pid[other]'
done_testing
