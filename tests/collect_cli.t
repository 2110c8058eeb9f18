#!/bin/bash
# collect_cli.t - collect as a program: paths, keys, CORS, bad input, limits, signals, a full disk
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

cat > "$T/millrace.yaml" << END
bus: log:$T/data
sources:
  - {name: web, write_key: WK}
  - {name: shop, write_keys: [SK1, SK2], origins: ["https://shop.example"]}
  - {name: off, write_key: OFF, enabled: false}
  - {name: slow, write_key: SLOW, rate: 5}
  - {name: filed, write_key: "file:$T/key"}
END
printf 'FROM-A-FILE\n' > "$T/key"
printf 'console.log("bundle");\n' > "$T/bundle.js"

# up NAME [OPTION..]: starts collect as NAME and sets $U.
up() {
  local name=$1
  shift
  rm -f "$T/port"
  start "$name" "$BIN/collect" --config "$T/millrace.yaml" --listen 127.0.0.1:0 \
    --port-file "$T/port" "$@"
  wait_for 20 test -s "$T/port"
  U=http://$(cat "$T/port")
}

# post PATH BODY [CURL-OPTION..]: $status, $body, $head
post() {
  local path=$1 data=$2
  shift 2
  status=$(printf %s "$data" | curl -sS -o "$T/body" -D "$T/head" -w '%{http_code}' -X POST \
    --data-binary @- "$@" "$U$path")
  body=$(cat "$T/body")
  head=$(tr -d '\r' < "$T/head")
}
get() {
  local path=$1
  shift
  status=$(curl -sS -o "$T/body" -D "$T/head" -w '%{http_code}' "$@" "$U$path")
  body=$(cat "$T/body")
  head=$(tr -d '\r' < "$T/head")
}

# topic NAME: its records as JSON lines
topic() {
  rm -rf "$T/read"
  "$BIN/sink" --in "log:$T/data/$1" --until-end --to "file:$T/read?format=jsonl" 2> "$T/sink.log"
  cat "$T"/read/*.jsonl 2> /dev/null
}
# last_bad: reason and place of the latest bad record
last_bad() { topic bad | tail -1 | jq -r '.reason + " " + .at'; }

good='{"userId":"u1","event":"x"}'
up main --analytics-js "$T/bundle.js"
[ -s "$T/port" ]
ok $? "it listens on a port that it picked"
like "$(cat "$T/main.log")" 'event=listening addr=127\.0\.0\.1:[0-9]+' "and logs its address"

# --- every path, with and without a slash at the end ---
for path in t track; do post /v1/$path '{"userId":"u","event":"e","messageId":"p-'$path'"}' -u WK:; is "$status$body" '200{"success":true}' "/v1/$path"; done
for path in i identify p page s screen; do post /v1/$path '{"userId":"u","messageId":"p-'$path'"}' -u WK:; is "$status" 200 "/v1/$path"; done
for path in g group; do post /v1/$path/ '{"userId":"u","groupId":"g","messageId":"p-'$path'"}' -u WK:; is "$status" 200 "/v1/$path/"; done
for path in a alias; do post /v1/$path '{"userId":"u","previousId":"v","messageId":"p-'$path'"}' -u WK:; is "$status" 200 "/v1/$path"; done
for path in b batch import; do post /v1/$path/ '{"batch":[{"type":"track","userId":"u","event":"e","messageId":"p-'$path'"}]}' -u WK:; is "$status" 200 "/v1/$path/"; done
is "$(topic collected | jq -r .message_id | sort | tr '\n' ' ')" \
  "p-a p-alias p-b p-batch p-g p-group p-i p-identify p-import p-p p-page p-s p-screen p-t p-track " \
  "each is in the topic"
is "$(topic collected | jq -r 'select(.message_id == "p-g").type')" group "the path implies the type"
post /v1/m '{"series":[]}' -H 'Content-Type: text/plain'
is "$status" 200 "/v1/m needs no key"
post /v1/nothing '{}' -u WK:
is "$status" 404 "an unknown path"
like "$body" '/v1/batch' "and is told where events go"
get /v1/track -u WK:
is "$status" 405 "GET of a path for events"
get /healthz
is "$status$body" '200{"status":"ok"}' "/healthz"

# --- keys: header, envelope, message, query ---
post /v1/t "$good" -u WK:; is "$status" 200 "key in the header"
post /v1/t '{"userId":"u","event":"e","writeKey":"SK2","messageId":"k-body"}'; is "$status" 200 "key in the body"
post /v1/b '{"batch":[{"type":"track","userId":"u","event":"e"}],"writeKey":"WK"}'; is "$status" 200 "key in the envelope"
post /v1/b '{"batch":[{"type":"track","userId":"u","event":"e","writeKey":"SK1"}]}'; is "$status" 200 "key in the message"
post '/v1/b?writeKey=FROM%2DA-FILE' '{"batch":[{"type":"track","userId":"u","event":"e","messageId":"k-query"}]}'; is "$status" 200 "key in the query"
post /v1/t '{"userId":"u","event":"e","writeKey":"NO"}' -u WK:; is "$status" 200 "the header's key counts first"
is "$(topic collected | jq -r 'select(.message_id | startswith("k-")) | .source + " " + (.body | tostring)')" \
  'shop {"userId":"u","event":"e","messageId":"k-body"}
filed {"type":"track","userId":"u","event":"e","messageId":"k-query"}' "the key gives the source, and is not stored"
before=$(topic bad | wc -l)
post /v1/t "$good" -u NO:; is "$status" 401 "an unknown key in the header"
post /v1/t "$good"; is "$status" 401 "no key"
post /v1/b '{"batch":[{"type":"track","userId":"u","event":"e","writeKey":"NO"}]}'; is "$status" 401 "an unknown key in the message"
post /v1/b '{"batch":[7]}'; is "$status" 401 "no key, and no message"
post /v1/t '{bad' -u NO:; is "$status" 401 "what has no known key is not even parsed"
is "$(topic bad | wc -l)" "$before" "nothing of those is kept"
post /v1/t "$good" -u OFF:; is "$status" 200 "a source that is switched off"
is "$body" '{"success":true,"filtered":1,"words":"the source is switched off: nothing is kept"}' "... and the answer says so"
post /v1/t "$good" -H "Authorization: Bearer x.y.z"; is "$status" 401 "Bearer is no write key"

# --- what is stored ---
post /v1/b '{"batch":[{"type":"track","anonymousId":"a","event":"e","messageId":"m1","context":{"library":{"name":"own"}}},{"type":"track","userId":12345678901234567890,"anonymousId":null,"event":"e","messageId":"m2"}],"context":{"library":{"name":"go"},"app":1},"sentAt":"2026-11-24T00:29:17.796150683Z"}' -u WK: -A 'agent/1'
is "$(topic collected | jq -c 'select(.message_id == "m1") | [.body.context, .sent_at, .user_agent, .ip, .door]')" \
  '[{"library":{"name":"own"},"app":1},"2026-11-24T00:29:17.796Z","agent/1","127.0.0.1","segment"]' "the envelope's context is beneath the message's own"
like "$(topic collected | grep '"m2"')" '"userId":12345678901234567890,"anonymousId":null' "digits and nulls as they came"
post /v1/t '{ "userId" : "u\u00e9",	"event":"e" , "messageId":"m3" }
' -u WK:
is "$status" 200 "white space is fine"
post /v1/t "$good" -u WK:
like "$(topic collected | tail -1 | jq -r .message_id)" '^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab]' "a message without an id gets one"
post /v1/t '{"userId":"u","event":"gz","messageId":"gz"}' -u WK: -H 'Content-Type: application/x-www-form-urlencoded' 
is "$status" 200 "Content-Type does not matter"
printf '{"userId":"u","event":"gz","messageId":"gz1"}' | gzip > "$T/one.gz"
gz() { status=$(curl -sS -o "$T/body" -w '%{http_code}' -u WK: -H "Content-Encoding: ${2:-gzip}" --data-binary @"$1" "$U/v1/t"); body=$(cat "$T/body"); }
gz "$T/one.gz"; is "$status" 200 "gzip"
is "$(topic collected | jq -r 'select(.message_id == "gz1").body.event')" gz "is unpacked"
head -c 30 "$T/one.gz" > "$T/cut.gz"; gz "$T/cut.gz"; is "$status" 400 "gzip cut short"
is "$(last_bad)" "malformed_encoding " "goes to bad"
is "$(topic bad | tail -1 | jq -r .original_base64 | base64 -d | cmp - "$T/cut.gz" && echo same)" same "with its bytes"
{ cat "$T/one.gz"; echo junk; } > "$T/junk.gz"; gz "$T/junk.gz"; is "$status" 400 "bytes behind gzip"
head -c 64m /dev/zero | gzip -9 > "$T/bomb.gz"; gz "$T/bomb.gz"; is "$status" 413 "a gzip bomb"
is "$(last_bad)" "too_large " "goes to bad"
gz "$T/one.gz" br; is "$status" 415 "another coding"

# --- messages that are wrong, one by one; the rest of the batch is kept ---
deep=$(printf '[%.0s' $(seq 100))$(printf ']%.0s' $(seq 100))
big=$(head -c 33000 /dev/zero | tr '\0' x)
while IFS='|' read -r message wanted; do
  post /v1/b '{"batch":[{"type":"track","userId":"u","event":"first"},'"$message"']}' -u WK:
  is "$status $body $(last_bad)" "200 {\"success\":true,\"rejected\":1} $wanted" "bad: ${message:0:60}"
done << END
7|wrong_type /batch/1
{}|missing_field /batch/1/type
{"type":"nonsense","userId":"u"}|unknown_type /batch/1/type
{"type":7,"userId":"u"}|wrong_type /batch/1/type
{"type":"track","event":"e"}|missing_id /batch/1
{"type":"track","event":"e","userId":"","anonymousId":null}|missing_id /batch/1
{"type":"track","event":"e","userId":["u"]}|wrong_type /batch/1/userId
{"type":"track","event":"e","anonymousId":true}|wrong_type /batch/1/anonymousId
{"type":"track","userId":"u"}|missing_field /batch/1/event
{"type":"track","userId":"u","event":5}|wrong_type /batch/1/event
{"type":"group","userId":"u"}|missing_field /batch/1/groupId
{"type":"alias","userId":"u"}|missing_field /batch/1/previousId
{"type":"track","userId":"u","event":"e","properties":[1]}|wrong_type /batch/1/properties
{"type":"identify","userId":"u","traits":"x"}|wrong_type /batch/1/traits
{"type":"track","userId":"u","event":"e","context":"x"}|wrong_type /batch/1/context
{"type":"track","userId":"u","event":"e","timestamp":5}|wrong_type /batch/1/timestamp
{"type":"track","userId":"u","event":"e","messageId":{}}|wrong_type /batch/1/messageId
{"type":"track","userId":"u","event":"$big"}|too_large /batch/1
END
post /v1/b '{"batch":[{"type":"track",  "userId":["\u00e9"] ,"event":"e"}]}' -u WK:
is "$(topic bad | tail -1 | jq -r '.original + " " + .source')" '{"type":"track",  "userId":["\u00e9"] ,"event":"e"} web' "the very bytes are kept"
post /v1/track '{"type":"identify","userId":"u"}' -u WK:
is "$status $(last_bad)" "200 unknown_type /type" "a type that is not the path's"

# --- bodies that are wrong as a whole ---
while IFS='|' read -r text wanted; do
  post /v1/t "$text" -u WK:
  is "$status $(last_bad)" "$wanted" "body: ${text:0:40}"
  is "$(jq -r '.error | .code + " " + .message' <<< "$body")" \
    "$(topic bad | tail -1 | jq -r '.reason + " " + .words')" "and the answer says what bad says"
done << END
{"userId":"u1"|400 malformed_json 
[1,2]|400 wrong_type 
"text"|400 wrong_type 
{"userId":"u","event":"e"} x|400 malformed_json 
{"userId":"u","event":"e","properties":{"a":$deep}}|400 malformed_json 
{"userId":"\ud800","event":"e"}|400 malformed_json 
END
printf '{"userId":"u","event":"a\0b"}' > "$T/nul"
is "$(curl -sS -o /dev/null -w '%{http_code}' -u WK: --data-binary @"$T/nul" "$U/v1/t")" 400 "a NUL byte"
printf '{"userId":"u","event":"\xff\xfe"}' > "$T/utf"
is "$(curl -sS -o /dev/null -w '%{http_code}' -u WK: --data-binary @"$T/utf" "$U/v1/t")" 400 "bytes that are not UTF-8"
post /v1/t '{"userId":"u","event":"nul\u0000escaped","messageId":"nul"}' -u WK:
is "$(topic collected | jq -c 'select(.message_id == "nul").body.event')" '"nul\u0000escaped"' "an escaped NUL is text"
post /v1/b '{"batch":7}' -u WK:; is "$status $(last_bad)" "400 wrong_type " "a batch that is none"
post /v1/b '{"batch":[]}' -u WK:; is "$status" 200 "an empty batch"
post /v1/t '' -u WK:; is "$status" 400 "an empty body"
head -c 2m /dev/zero | tr '\0' ' ' > "$T/2m"
is "$(curl -sS -o "$T/body" -D "$T/head" -w '%{http_code}' -u WK: -H 'Expect:' --data-binary @"$T/2m" "$U/v1/t")" 413 "a body of 2 MB"
like "$(cat "$T/head")" 'Access-Control-Allow-Origin: \*' "has CORS headers, too"
python3 - > "$T/many" << 'END'
import json
print(json.dumps({"batch": [{"type": "track", "userId": "u", "event": "many"}] * 1000}))
END
is "$(curl -sS -o "$T/body" -w '%{http_code}' -u WK: --data-binary @"$T/many" "$U/v1/b")" 200 "a batch of 1000"
is "$(topic collected | jq -r .body.event | grep -c many)" 1000 "all of it is kept"

# --- CORS, settings, bundle ---
get /v1/t -X OPTIONS -H 'Origin: https://a.example' -H 'Access-Control-Request-Method: POST' -H 'Access-Control-Request-Headers: authorization,x-retry-count'
is "$status" 204 "a preflight needs no key"
like "$head" 'Access-Control-Allow-Origin: \*' "allows any origin"
like "$head" 'Access-Control-Allow-Headers: authorization, content-type, .*x-retry-count' "the SDK's headers"
like "$head" 'Access-Control-Allow-Methods: GET, POST, OPTIONS' "its methods"
like "$head" 'Access-Control-Max-Age: 86400' "for a day"
get /any/thing -X OPTIONS; is "$status" 204 "everywhere"
post /v1/t "$good" -u NO: -H 'Origin: https://a.example'
like "$status $head" '401 .*Access-Control-Allow-Origin: \*.*Access-Control-Expose-Headers: Retry-After' "errors have CORS headers, too"
post /v1/t "$good" -u SK1: -H 'Origin: https://shop.example'
like "$status $head" '200 .*Access-Control-Allow-Origin: https://shop.example' "a page that may send for this source"
post /v1/t "$good" -u SK1: -H 'Origin: https://evil.example'; is "$status" 403 "a page that may not"
post /v1/t '{"userId":"u","event":"e","writeKey":"SK1"}' -H 'Origin: https://evil.example'; is "$status" 403 "nor with the key in the body"
get /v1/projects/ANY%20KEY/settings -H 'Origin: https://a.example'
is "$(jq -c '.integrations["Segment.io"] | [.apiKey, .apiHost, .protocol]' <<< "$body")" "[\"ANY KEY\",\"${U#http://}/v1\",\"http\"]" "settings name the key and this host"
like "$head" 'Access-Control-Allow-Origin: \*' "for any page"
get /v1/projects/K/settings -H 'X-Forwarded-Host: evil.example' -H 'X-Forwarded-For: 1.2.3.4'
is "$(jq -r '.integrations["Segment.io"].apiHost' <<< "$body")" "${U#http://}/v1" "a forwarded host is believed of trusted proxies only"
get /v1/projects/K/settings -H 'Host: a"b'
like "$status" '^(200|400)$' "a Host that is none"
get /analytics.js/v1/KEY/analytics.min.js
is "$status$body" '200console.log("bundle");' "the bundle's path"

# --- rates ---
many='{"batch":['$(printf '{"type":"track","userId":"u","event":"e"},%.0s' $(seq 30))'{"type":"track","userId":"u","event":"e"}]}'
post /v1/b "$many" -u SLOW:; is "$status" 200 "a large batch is taken"
post /v1/t "$good" -u SLOW:
is "$status" 429 "and puts the source in debt"
like "$head" $'\nRetry-After: [1-9]' "with Retry-After in seconds"

# --- reload ---
cp "$T/millrace.yaml" "$T/old.yaml"
echo '  - {name: fresh, write_key: FRESH}' >> "$T/millrace.yaml"
kill -HUP "${tap_pid[main]}"
fresh() { post /v1/t "$good" -u FRESH:; [ "$status" = 200 ]; }
wait_for 5 fresh
ok $? "SIGHUP: a new source is known"
echo '  - {name: fresh, write_key: FRESH2}' >> "$T/millrace.yaml"
kill -HUP "${tap_pid[main]}"
wait_for 5 grep -q 'the old settings stay' "$T/main.log"
ok $? "SIGHUP: wrong settings are refused with words"
like "$(cat "$T/main.log")" "millrace.yaml:9: there are two sources 'fresh'" "that name the line"
post /v1/t "$good" -u FRESH:; is "$status" 200 "and the old ones stay"
"$BIN/collect" --config "$T/millrace.yaml" --check > "$T/check" 2>&1
is $? 78 "--check finds it, too"
cp "$T/old.yaml" "$T/millrace.yaml"
"$BIN/collect" --config "$T/millrace.yaml" --check > "$T/check" 2>&1
is $? 0 "--check of good settings"

stop main
is $? 0 "SIGTERM: exit 0"
ledger() { sed -n 's/.*event=end \(in=.*\)/\1/p' "$T/$1.log" | tail -1; }
eval "$(ledger main)"
is "$in" $((out + bad + filtered + pending)) "the ledger adds up: $(ledger main)"
is "$out" "$(topic collected | wc -l)" "out is what is in collected"
is "$bad" "$(topic bad | wc -l)" "bad is what is in bad"
is "$filtered $pending" "1 0" "one was filtered, none is pending"

# --- a proxy, unknown keys kept, metrics, all of one start ---
metrics=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
up second --trusted-proxies 127.0.0.0/8 --unknown-key bad --rate-address 1000 --metrics "127.0.0.1:$metrics"
post /v1/t '{"userId":"u","event":"e","messageId":"proxied"}' -u WK: -H 'X-Forwarded-For: 6.6.6.6, 8.8.8.8, 127.0.0.9'
is "$(topic collected | jq -r 'select(.message_id == "proxied").ip')" 8.8.8.8 "the client behind a trusted proxy"
for sent in 'DNT: 1' 'Sec-GPC: 1' 'DNT: 0' 'Sec-GPC: ?0'; do
  post /v1/t "{\"userId\":\"u\",\"event\":\"e\",\"messageId\":\"$sent\"}" -u WK: -H "$sent"
done
post /v1/t '{"userId":"u","event":"e","messageId":"both"}' -u WK: -H 'dnt: 1' -H 'sec-gpc: 1'
is "$(topic collected | jq -r 'select(.message_id | test("DNT|GPC|both")) | .opt_out // "-"' | tr '\n' ,)" \
  "dnt,gpc,-,-,dnt gpc," "what the headers ask for is kept"
get /v1/projects/K/settings -H 'X-Forwarded-Host: c.example' -H 'X-Forwarded-Proto: https'
is "$(jq -c '.integrations["Segment.io"] | [.apiHost, .protocol]' <<< "$body")" '["c.example/v1","https"]' "and the host that the browser asked"
post /v1/t "$good" -u NO:
is "$status $(last_bad)" "200 unknown_key /writeKey" "--unknown-key bad keeps it"
measured() { curl -sS "http://127.0.0.1:$metrics/metrics" | grep -q '^millrace_collect_events_out_total 6$'; }
wait_for 5 measured
ok $? "metrics are served"
stop second
is $? 0 "it ends"

# --- the disk is full ---
rm -rf "$T/data"
start_full() {
  rm -f "$T/port"
  start disk env LD_PRELOAD="$TESTBIN/preload_fault.so" FAULT="write:ENOSPC:$T/data:1:-" FAULT_IF="$T/full" \
    "$BIN/collect" --config "$T/millrace.yaml" --listen 127.0.0.1:0 --port-file "$T/port" --answer-time 2s
  wait_for 20 test -s "$T/port"
  U=http://$(cat "$T/port")
}
start_full
post /v1/t '{"userId":"u","event":"e","messageId":"d1"}' -u WK:; is "$status" 200 "before the disk is full"
touch "$T/full"
post /v1/t '{"userId":"u","event":"e","messageId":"d2"}' -u WK:; is "$status" 503 "disk full: 503, never 200"
like "$head" $'\nRetry-After: [1-9]' "with Retry-After"
get /healthz; is "$status" 503 "/healthz says so"
rm "$T/full"
again() { post /v1/t '{"userId":"u","event":"e","messageId":"d3"}' -u WK:; [ "$status" = 200 ]; }
wait_for 15 again
ok $? "room again: it goes on by itself"
stop disk
is $? 0 "and ends with 0"
is "$(topic collected | jq -r .message_id | sort -u | tr '\n' ' ')" "d1 d2 d3 " "nothing is lost, what was refused is there once"

# --- kill -9 under load: what was acknowledged is there ---
rm -rf "$T/data"
up killed
"$TESTBIN/tool_load" --url "$U" --key WK --connections 16 --batch 3 --seconds 20 --client k \
  --acks "$T/acks" > "$T/load.out" 2>&1 &
load=$!
acked() { [ "$(wc -l < "$T/acks")" -gt 2000 ]; }
wait_for 20 acked
stop killed KILL
kill -TERM $load
wait $load
topic collected | jq -r .message_id | sort -u > "$T/there"
grep '^k-' "$T/acks" | sort -u > "$T/acked"
is "$(comm -23 "$T/acked" "$T/there" | wc -l)" 0 "kill -9: all of $(wc -l < "$T/acked") acknowledged are there"

# --- the spool: a position behind its end passes over nothing ---
mkdir "$T/spool"
echo 1000 > "$T/spool/collected.position"
spooled() {
  up "$1" --bus kafka://127.0.0.1:1 --ack spool --spool "$T/spool" --spool-bytes 1m \
    --metrics "127.0.0.1:$metrics"
}
spool_events() {
  curl -sS "http://127.0.0.1:$metrics/metrics" | grep -q "^millrace_collect_spool_events $1\$"
}
spooled stale
is "$(cat "$T/spool/collected.position")" 0 "a position behind the end of the spool is set back"
for i in 1 2 3; do post /v1/t "$good" -u WK:; is "$status" 200 "Kafka is away: event $i is spooled"; done
stop stale KILL
spooled stale2
wait_for 10 spool_events 3
ok $? "kill -9, and all three still wait"

# --- a small spool is several segments: delivered ones can go ---
for i in 1 2 3; do
  large=
  for j in 1 2 3 4 5 6 7 8 9 10; do
    large+=${large:+,}'{"type":"track","userId":"u","event":"'$(head -c 21000 /dev/urandom | base64 -w 0)'"}'
  done
  post /v1/b "{\"batch\":[$large]}" -u WK:; is "$status" 200 "280 kB more"
done
[ "$(ls "$T"/spool/collected/0/*.avro | wc -l)" -gt 1 ]
ok $? "1 MiB is more than one segment"
stop stale2 KILL

# --- words for people ---
"$BIN/collect" --config "$T/millrace.yaml" --ack spool > "$T/out" 2>&1
is $? 64 "--ack spool without --spool: usage"
"$BIN/collect" --config "$T/none.yaml" > "$T/out" 2>&1
is $? 78 "no such settings"
"$BIN/collect" --config "$T/millrace.yaml" --listen 127.0.0.1:0 --bus "log:/proc/none" > "$T/out" 2>&1
isnt=$?
[ $isnt != 0 ]
ok $? "a directory that cannot be written: exit $isnt"
like "$(cat "$T/out")" '/proc/none' "and it says which"
done_testing
