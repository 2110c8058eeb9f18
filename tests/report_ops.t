#!/bin/bash
# report_ops.t - destinations, sources, ledgers and traces by the dashboard's API, on a running millrace
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

home=$T/home
mkdir -p "$home/destinations" "$home/geo"
start stub python3 tests/stub.py "$T/stub" "$T/requests" "$T/mode"
echo poison > "$T/mode"
touch "$T/requests" "$home/geo/dbip-city-ipv4.mmdb.txt"
wait_for 20 test -s "$T/stub"
stub=http://127.0.0.1:$(cat "$T/stub")
cat > "$home/millrace.yaml" << EOF
bus: log:data
# a remark
sources:
  - name: web      # the site
    write_key: k1
  - {name: app, write_key: k2}
collect: {listen: '127.0.0.1:0'}
aggregate: {http: '127.0.0.1:0'}
report: {listen: '127.0.0.1:0', password_file: passwords}
sink: {allow_host: [127.0.0.1], flush_after: 300ms}
EOF
echo "correct horse" | "$BIN/report" passwd "$home/passwords" ann editor
for role in viewer editor; do
  echo "token/$role:$role:$(printf %s "$role" | sha256sum | cut -d' ' -f1)" >> "$home/passwords"
done
start up "$BIN/millrace" up --config "$home/millrace.yaml"
listens() { [ -s "$home/data/collect.port" ] && [ -s "$home/data/aggregate.port" ] && [ -s "$home/data/report.port" ]; }
wait_for 20 listens
ok $? "millrace is up"
url=http://$(cat "$home/data/report.port")
collect=http://$(cat "$home/data/collect.port")
api() { curl -sS -m 60 -o "$T/body" -w '%{http_code}' -H "Authorization: Bearer ${role:-editor}" -X "$1" "$url/api/$2" "${@:3}"; }
body() { jq -c "$1" "$T/body"; }
send() { curl -sS -o /dev/null -w '%{http_code}' -u "$1:" "$collect/v1/track" -d "$2"; }

# who may
role=viewer
is "$(api GET kinds)$(api GET statuses)$(api GET 'audit?last=1h')" 200200200 "a viewer looks"
is "$(api GET sources)$(api POST sources -d '{"name":"x"}')$(api POST sources/web/disable)" 403403403 "but sees no write keys"
is "$(api PUT files/destinations/h -d '{}')$(api POST destinations/h/test)$(api POST destinations/h/send)" 403403403 "and switches nothing"
is "$(curl -sS -o /dev/null -w '%{http_code}' "$url/api/audit")" 401 "nobody sees nothing"
curl -sS -c "$T/jar" -o /dev/null -d '{"name":"ann","password":"correct horse"}' "$url/api/login"
is "$(curl -sS -b "$T/jar" -o /dev/null -w '%{http_code}' -X POST "$url/api/sources/web/disable")" 403 "nor changes anything without the page's token"
role=editor

# destinations
api GET kinds > /dev/null
is "$(body '[.kinds[0].type, (.kinds | length > 5), (.common | length > 10)]')" '["file",true,true]' "the tables of fields"
for secret in $(jq -r '.kinds[] | .type as $t | .fields[] | select(.type == "secret") | "\($t):\(.name)"' "$T/body"); do
  field=${secret#*:}
  api PUT files/destinations/probe -d "{\"type\":\"${secret%:*}\",\"enabled\":false,\"$field\":\"s3cret\"}" > /dev/null
  grep -q s3cret "$home/destinations/probe.yaml" "$T/body" && leaked="$leaked $secret"
done
is "$leaked" "" "no secret of any kind is in the file or shown again"
is "$(api DELETE files/destinations/probe)$(ls -A "$home/destinations/.secrets")" 200 "and goes with its destination"
is "$(api PUT files/destinations/hook -d '{"type":"webhook","url":"ftp://x"}')" 400 "a wrong one is refused"
like "$(body .error.message)" "url: a URL begins with https" "in the words of its field"
is "$(ls -A "$home/destinations")" .secrets "and leaves nothing"
is "$(api PUT files/destinations/hook -d '{"type":"pigeon"}')$(body .error.message | grep -c 'not one of')" 4001 "so is an unknown kind"
is "$(api PUT files/destinations/hook -d "{\"type\":\"webhook\",\"url\":\"$stub/h\",\"secret\":\"topsecret\",\"start\":\"first\",\"batch_size\":1}")" 200 "a right one is saved"
is "$(cat "$home/destinations/.secrets/hook.secret")$(stat -c %a "$home/destinations/.secrets/hook.secret")" topsecret600 "its secret apart, for the owner"
api PUT files/destinations/hook -d "{\"type\":\"webhook\",\"url\":\"$stub/h\",\"secret\":\"file:destinations/.secrets/hook.secret\",\"start\":\"first\",\"batch_size\":1,\"method\":\"PUT\"}" > /dev/null
is "$(grep -c method "$home/destinations/hook.yaml")$(cat "$home/destinations/.secrets/hook.secret")" 1topsecret "an edit keeps it"
for leak in file:/etc/passwd env:HOME file:destinations/.secrets/other.secret file:destinations/.secrets/hook./../../passwords; do
  is "$(api PUT files/destinations/hook -d "{\"type\":\"webhook\",\"url\":\"$stub/h\",\"secret\":\"$leak\"}")" 403 "nobody names $leak from here"
done
is "$(api PUT files/destinations/files -d '{"type":"file","path":"out","format":"csv"}')$(api PUT files/destinations/files -d '{"type":"file","path":"out"}')" 400200 "files, too"
is "$(api POST destinations/hook/test)$(body '[.ok, .words]')" '200[true,"hook: part 1 of 1: ok"]' "a test event"
for i in $(seq 10); do send k1 "{\"messageId\":\"m$i\",\"userId\":\"u\",\"event\":\"E\"}" > /dev/null; done
send k1 '{"messageId":"dead","userId":"d","event":"POISON"}' > /dev/null
done_all() { api GET 'audit?last=1h' > /dev/null; body '[.stages[] | [.stage, .out, .bad, .pending]]' | grep -qF '["sink:files",11,0,0],["sink:hook",10,1,0]'; }
wait_for 30 done_all
ok $? "the ledgers say what came where"
is "$(body '[.holds, .stages[0].out]')" '[true,11]' "and hold"
is "$(grep -c '"taken": true' "$T/requests")" 11 "ten and a test reached the webhook"
api GET destinations/hook/letters > /dev/null
is "$(body '[.total, .waiting, .letters[0].message_id, .letters[0].event, .letters[0].again]')" '[1,1,"dead","POISON",false]' "a dead letter"
echo 200 > "$T/mode"
is "$(api POST destinations/hook/send)$(body .ok)" 200true "is sent again"
api GET destinations/hook/letters > /dev/null
is "$(body '[.total, .waiting, .letters[0].again]')" '[1,0,true]' "and says so"
is "$(grep -c POISON "$T/requests")" 2 "it arrived"
api GET 'trace?id=dead' > /dev/null
is "$(body '[.enriched[0].destinations[] | select(.name == "hook").state]')" '["sent again"]' "and its trace says so"
status() { api GET statuses > /dev/null; [ "$(body '.statuses.hook.delivered')" = 10 ]; }
wait_for 10 status
ok $? "its status has the count"
is "$(api POST destinations/hook/disable)$(grep -c '^enabled: no' "$home/destinations/hook.yaml")" 2001 "the switch: one line"
wait_for 5 grep -q 'event=exit name=sink:hook' "$T/up.log"
ok $? "ends its sink"
is "$(api POST destinations/hook/enable)$(grep -c '^enabled: yes' "$home/destinations/hook.yaml")" 2001 "and on again"
is "$(api POST destinations/hook/explode)$(api POST destinations/..%2Fx/test)$(api POST destinations/--help/test)" 404400400 "nothing else"
asked=()
for _ in $(seq 20); do
  curl -sS -m 60 -o /dev/null -w '%{http_code}\n' -H "Authorization: Bearer editor" "$url/api/audit?last=3h" >> "$T/codes" &
  asked+=($!)
done
wait "${asked[@]}"
is "$(sort "$T/codes" | uniq -c | xargs)" "20 200" "twenty who ask the same at once wait for one audit"
api GET 'trace?id=m3' > /dev/null
is "$(body '[.found, .enriched[0].aggregate, (.enriched[0].destinations[] | .state)]')" '[true,"counted","delivered","done"]' "a trace"
is "$(api GET 'trace?id=--nobody')$(body .found)" 200false "of nobody"

# sources
is "$(api POST sources -d '{"name":"shop"}')$(body '.sources[2] | [.name, .enabled, (.keys[0] | length)]')" '200["shop",true,32]' "one more source"
key=$(jq -r '.sources[2].keys[0]' "$T/body")
takes() { [ "$(send "$1" '{"userId":"u","event":"E"}')" = "$2" ]; }
wait_for 10 takes "$key" 200
ok $? "collect takes its key at once"
is "$(api POST sources -d '{"name":"shop"}')$(api POST sources -d '{"name":"Bad Name"}')" 409400 "not twice, and no other names"
is "$(api POST sources/web/disable)$(api POST sources/app/disable)$(body '[.sources[].enabled]')" '200200[false,false,true]' "switched off"
is "$(sed -n 2,9p "$home/millrace.yaml")" "# a remark
sources:
  - name: web      # the site
    enabled: false
    write_key: k1
  - {name: app, write_key: k2, enabled: false}
  - name: shop
    write_key: $key" "lines are changed, nothing else"
kept() { n=$((n + 1)); send k1 "{\"messageId\":\"off$n\",\"userId\":\"u\",\"event\":\"OFF\"}" > /dev/null; api GET "trace?id=off$n" > /dev/null; [ "$(body .found)" = false ]; }
wait_for 10 kept
ok $? "and keeps nothing"
is "$(api POST sources/web/enable)$(body '.sources[0].enabled')$(grep -c 'enabled: true' "$home/millrace.yaml")" 200true1 "on again"
is "$(api POST sources/nobody/enable)" 404 "an unknown one"
stop up
is $? 0 "down in order"
stop stub
done_testing
