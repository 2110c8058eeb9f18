#!/bin/bash
# report_cli.t - the dashboard's server: who may, what is answered, the feed, the files
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

bus=log:$T/data
"$TESTBIN/tool_enriched" "$bus/enriched" 300 0 1 > /dev/null
mkdir "$T/dir"
up() { # PASSWORD-FILE..
  rm -f "$T/port"
  start report "$BIN/report" --listen 127.0.0.1:0 --port-file "$T/port" --dir "$T/dir" --bus "$bus" \
    --aggregate 127.0.0.1:1 --aggregate-port-file "$T/aggregate.port" "$@"
  wait_for 20 test -s "$T/port"
  ok $? "report listens"
  url=http://$(cat "$T/port")
}
code() { curl -sS -o "$T/body" -w '%{http_code}' "$@"; }

up
is "$(code "$url/")" 200 "the page"
like "$(curl -sSI "$url/funnels")" "Content-Security-Policy: default-src 'none'; script-src 'self'" "its policy"
is "$(curl -sS --compressed "$url/app.js" | head -c 6)" "import" "gzip, as stored"
is "$(curl -sS "$url/app.js" | head -c 6)" "import" "and inflated for others"
etag=$(curl -sSI "$url/app.js" | sed -n 's/^ETag: \(.*\)\r/\1/p')
is "$(code -H "If-None-Match: $etag" "$url/app.js")" 304 "an ETag costs nothing"
is "$(code "$url/nothing.js")" 404 "no such asset"
is "$(curl -sS "$url/api/me" | jq -c '[.role, .login]')" '["editor",false]' "without passwords: an editor"
is "$(code -H 'Host: evil.example' "$url/api/me")" 403 "another host's name is refused"
is "$(code -X PUT -H 'Origin: http://evil.example' -d '{}' "$url/api/files/reports/a")" 403 "another site's page, too"
is "$(code -X POST -d '{}' "$url/api/v1/query/trend")" 503 "aggregate is away"
like "$(jq -r .error.message "$T/body")" "aggregate does not answer at 127.0.0.1:1" "and it says so"

start aggregate "$BIN/aggregate" --bus "$bus" --state "$T/state" --http 127.0.0.1:0 --port-file "$T/aggregate.port"
wait_for 20 test -s "$T/aggregate.port"
ok $? "aggregate comes, at a port that a file says"
wait_for 20 bash -c "curl -sS -d '{}' $url/api/v1/query/trend | jq -e '.series | length > 0'"
ok $? "its answers come through"
is "$(curl -sS -d '{"steps":[]}' "$url/api/v1/query/funnel" | jq -r .error.at)" /steps "its errors, too"

# the feed
curl -sS -N -m 3 -H 'Accept: text/event-stream' "$url/api/live" > "$T/feed" 2> /dev/null
is "$(grep -c '^data: {' "$T/feed")" 50 "the feed begins with the latest rows"
id=$(sed -n 's/^id: //p' "$T/feed" | sed -n 40p)
curl -sS -N -m 2 -H 'Accept: text/event-stream' -H "Last-Event-ID: $id" "$url/api/live" > "$T/again" 2> /dev/null
is "$(sed -n 's/^id: //p' "$T/again")" "$(sed -n 's/^id: //p' "$T/feed" | tail -10)" "it goes on behind the last id"
curl -sS -N -m 2 -H 'Accept: text/event-stream' "$url/api/live?after=$id" > "$T/again" 2> /dev/null
is "$(sed -n 's/^id: //p' "$T/again")" "$(sed -n 's/^id: //p' "$T/feed" | tail -10)" "... for those who cannot send the header, too"
event=$(sed -n 's/^data: //p' "$T/feed" | jq -r .event | sort | uniq -c | sort -rn | awk 'NR == 1 { $1 = ""; print substr($0, 2) }')
curl -sS -G --data-urlencode "event=$event" "$url/api/live" > "$T/rows"
is "$(jq -r '.rows[].event' "$T/rows" | sort -u)" "$event" "a filter on the server: $event"
is "$(code "$url/api/live?where=nonsense")" 400 "a bad filter"

# files
is "$(code -X PUT -d '{"kind":"funnel","steps":[{"event":"A"}],"api_key":"s3cret"}' "$url/api/files/reports/one")" 200 "saved"
is "$(cat "$T/dir/reports/one.yaml")" $'kind: funnel\nsteps:\n- event: A\napi_key: s3cret' "as YAML that people read"
is "$(curl -sS "$url/api/files/reports/one" | jq -r .value.api_key)" '$secret' "secrets are not shown"
code -X PUT -d '{"kind":"funnel","api_key":"$secret"}' "$url/api/files/reports/one" > /dev/null
is "$(cat "$T/dir/reports/one.yaml")" $'kind: funnel\napi_key: s3cret' "and stay"
is "$(code -X PUT -d '{}' "$url/api/files/reports/..%2Fx")" 400 "no path in a name"
is "$(code -X PUT -d '[]' "$url/api/files/reports/two")" 400 "an object is needed"
echo 'a: [' > "$T/dir/reports/broken.yaml"
is "$(curl -sS "$url/api/files/reports" | jq -c '[.files[] | [.name, has("error")]]')" '[["broken",true],["one",false]]' "the list names the broken one"
is "$(code -X DELETE "$url/api/files/reports/one")$(ls "$T/dir/reports")" 200broken.yaml "deleted"
stop report
is $? 0 "SIGTERM ends it with 0"

# passwords
"$BIN/report" --listen 0.0.0.0:0 > "$T/out" 2>&1
is $? 78 "others can reach it: a password file is needed"
echo short | "$BIN/report" passwd "$T/passwords" ann editor 2> "$T/out"
is $? 78 "a password of 8 bytes at least"
echo "correct horse" | "$BIN/report" passwd "$T/passwords" ann editor
is $? 0 "ann is an editor"
echo "battery staple" | "$BIN/report" passwd "$T/passwords" bob viewer
echo "token/ci:viewer:$(printf tok | sha256sum | cut -d' ' -f1)" >> "$T/passwords"
is "$(stat -c %a "$T/passwords") $(grep -c ':\$y\$' "$T/passwords")" "600 2" "yescrypt, for nobody else's eyes"
up --password-file "$T/passwords"
is "$(code "$url/api/live")" 401 "log in first"
is "$(curl -sS "$url/api/me" | jq -r .role)" none "nobody yet"
is "$(code -d '{"name":"ann","password":"wrong"}' "$url/api/login")" 401 "a wrong password"
login() { curl -sS -c "$T/$1.jar" -o /dev/null -w '%{http_code}' -d "{\"name\":\"$1\",\"password\":\"$2\"}" "$url/api/login"; }
is "$(login ann 'correct horse') $(login bob 'battery staple')" "200 200" "the right ones"
grep -q '#HttpOnly' "$T/ann.jar"
ok $? "a cookie that scripts cannot read"
csrf=$(curl -sS -b "$T/ann.jar" "$url/api/me" | jq -r .csrf)
is "$(code -b "$T/ann.jar" -X PUT -d '{}' "$url/api/files/reports/x")" 403 "no change without the page's token"
is "$(code -b "$T/ann.jar" -H "X-Csrf-Token: $csrf" -X PUT -d '{"a":1}' "$url/api/files/reports/x")" 200 "with it"
csrf=$(curl -sS -b "$T/bob.jar" "$url/api/me" | jq -r .csrf)
is "$(code -b "$T/bob.jar" -H "X-Csrf-Token: $csrf" -X PUT -d '{"a":1}' "$url/api/files/reports/y")" 403 "a viewer changes nothing"
is "$(code -b "$T/bob.jar" -d '{}' "$url/api/v1/query/trend")" 200 "but asks"
is "$(code -b "$T/bob.jar" "$url/api/sources")" 403 "and sees no write keys"
is "$(code -H 'Authorization: Bearer tok' -d '{}' "$url/api/v1/query/trend")" 200 "a token asks"
is "$(code -H 'Authorization: Bearer wrong' "$url/api/live")" 401 "another one not"
for _ in 1 2 3 4 5 6 7 8 9 10; do last=$(code -d '{"name":"ann","password":"wrong"}' "$url/api/login"); done
is "$last" 429 "too many tries"
stop report
echo "nonsense" > "$T/passwords"
"$BIN/report" --listen 127.0.0.1:0 --password-file "$T/passwords" 2> "$T/out"
is $? 65 "a damaged password file"
like "$(cat "$T/out")" "passwords:1: a line is NAME" "named with its line"
done_testing
