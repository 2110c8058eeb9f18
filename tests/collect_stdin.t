#!/bin/bash
# collect_stdin.t - collect --stdin: lines to a topic or down a pipe
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

topic() {
  rm -rf "$T/read"
  "$BIN/sink" --in "$1" --until-end --to "file:$T/read?format=jsonl" 2> "$T/sink.log"
  cat "$T"/read/*.jsonl 2> /dev/null
}
ledger() { sed -n 's/.*event=end \(in=.*\)/\1/p' "$1" | tail -1; }

printf '%s\n' '{"type":"track","userId":"u1","event":"A","messageId":"1"}' '' \
  '{"batch":[{"type":"page","anonymousId":"a","messageId":"2"},{"type":"track","userId":"u","event":"B","messageId":"3"}],"context":{"app":1}}' \
  '{broken' '{"type":"track","userId":"u"}' > "$T/in"
printf '{"type":"identify","userId":"u","messageId":"4","writeKey":"secret"}' >> "$T/in"   # no newline

mkdir "$T/bare"
(cd "$T/bare" && "$BIN/collect" --stdin < "$T/in" 2> "$T/log" > "$T/out.avro")
is $? 0 "to stdout, bare"
is "$(ledger "$T/log")" "in=6 out=4 bad=2 duplicate=0 filtered=0 pending=0" "the ledger"
is "$(topic "log:$T/bare/bad" | jq -c '[.reason, .words, .original, .source]' | tr '\n' ' ')" \
  '["malformed_json","line 4: no valid JSON: unexpected character, expected a string for object key at byte 1","{broken","stdin"] ["missing_field","line 5: track needs the event'"'"'s name","{\"type\":\"track\",\"userId\":\"u\"}","stdin"] ' \
  "bad lines are in ./bad with their numbers"
"$BIN/sink" --to "file:$T/piped?format=jsonl" --schema collected < "$T/out.avro" 2> "$T/sink.log"
is "$(cat "$T"/piped/*.jsonl | jq -c '[.message_id, .type, .door, .source, .body.context]' | tr '\n' ' ')" \
  '["1","track","stdin","stdin",null] ["2","page","stdin","stdin",{"app":1}] ["3","track","stdin","stdin",{"app":1}] ["4","identify","stdin","stdin",null] ' \
  "stdout is a container of collected records"
grep -q secret "$T/out.avro"
is $? 1 "a write key is not stored"

(cd "$T/bare" && "$BIN/collect" --stdin --source shop < "$T/in" 2> "$T/log" | "$BIN/enrich" 2>> "$T/log" |
  "$BIN/sink" --to "file:$T/whole" 2>> "$T/log")
is $? 0 "collect | enrich | sink"
is "$(cat "$T"/whole/*.jsonl | jq -r '.source + .message_id' | tr '\n' ' ')" "shop1 shop2 shop3 shop4 " "all come out"

mkdir "$T/clean"
(cd "$T/clean" && grep -v -e broken -e '"u"}$' "$T/in" | "$BIN/collect" --stdin > /dev/null 2>&1 && ls)
is "$(ls "$T/clean")" "" "without bad lines no bad topic is made"

deep() { printf '{"type":"track","userId":"u","event":"E","messageId":"d%s","properties":{"a":%s%s}}\n' "$1" "$(printf '[%.0s' $(seq $(($1 - 2))))" "$(printf ']%.0s' $(seq $(($1 - 2))))"; }
{ deep 8; deep 9; deep 64; deep 65; deep 256; deep 257; } > "$T/deep"
while read -r max wanted; do
  "$BIN/collect" --stdin --depth-max "$max" --bus "log:$T/deep-$max" < "$T/deep" 2> "$T/log"
  is "$(topic "log:$T/deep-$max/collected" | sed -n 's/.*"message_id":"\(d[0-9]*\)".*/\1/p' | tr '\n' ' ')" "$wanted " "--depth-max $max"
  "$BIN/enrich" --bus "log:$T/deep-$max" --until-end 2> "$T/log"
  is "$(topic "log:$T/deep-$max/enriched" | sed -n 's/.*"message_id":"\(d[0-9]*\)".*/\1/p' | tr '\n' ' ')" "$wanted " "enrich takes them, too"
done << 'END'
8 d8
64 d8 d9 d64
256 d8 d9 d64 d65 d256
END
like "$("$BIN/collect" --stdin --depth-max 257 2>&1 < /dev/null)" 'depth-max.*256' "--depth-max 257 is refused"

python3 - > "$T/many" << 'END'
import json
for i in range(200000):
    print(json.dumps({"type": "track", "userId": f"u{i % 1000}", "event": "E", "messageId": f"m{i}", "properties": {"n": i}}))
END
"$BIN/collect" --stdin --out "log:$T/log4/collected" --partitions 4 < "$T/many" 2> "$T/log"
is $? 0 "200,000 lines to a log of 4 partitions, more than the buffer holds"
is "$(ledger "$T/log")" "in=200000 out=200000 bad=0 duplicate=0 filtered=0 pending=0" "all are safe"
is "$(topic "log:$T/log4/collected" | jq -r .message_id | sort -u | wc -l)" 200000 "all are there"

{ printf '{"type":"track","event":"'; head -c 9m /dev/zero | tr '\0' x; printf '"}\n'; cat "$T/in"; } > "$T/long"
"$BIN/collect" --stdin --bus "log:$T/long-out" < "$T/long" 2> "$T/log"
is $? 0 "a line of 9 MB"
is "$(ledger "$T/log")" "in=7 out=4 bad=3 duplicate=0 filtered=0 pending=0" "is bad, the rest is taken"
like "$(topic "log:$T/long-out/bad" | jq -r .words | head -1)" '^line 1: the line is longer .* only the first 262144' "and says so"
like "$(topic "log:$T/long-out/bad" | jq -r .words | tail -1)" '^line 6' "lines are counted on"

"$BIN/collect" --stdin --out - < "$T/many" 2> "$T/log" | head -c 100 > /dev/null
is "${PIPESTATUS[0]}" 74 "nobody reads the pipe: exit 74"
like "$(cat "$T/log")" 'event=exit status=74 why=' "with words"

mkfifo "$T/fifo"
"$BIN/collect" --stdin --bus "log:$T/term" < "$T/fifo" 2> "$T/log" &
pid=$!
exec 7> "$T/fifo"
echo '{"type":"track","userId":"u1","event":"A","messageId":"t1"}' >&7
there() { topic "log:$T/term/collected" | grep -q t1; }
wait_for 10 there
ok $? "a line is safe while more may come"
kill -TERM $pid
wait $pid
is $? 0 "SIGTERM ends it"
exec 7>&-
done_testing
