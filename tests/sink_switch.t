#!/bin/bash
# sink_switch.t - destinations switched while `up` runs: at once, nothing lost, nothing twice
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

mkdir "$T/home"
start stub python3 tests/stub.py "$T/port" "$T/requests" "$T/mode"
echo 200 > "$T/mode"
touch "$T/requests"
cat > "$T/home/millrace.yaml" <<EOF
bus: log:data
sources:
  - name: web
    write_key: k1
collect:
  listen: 127.0.0.1:0
aggregate:
  http: 127.0.0.1:0
sink:
  allow_host: [127.0.0.1]
EOF
cd "$T/home" || exit 1
start up "$BIN/millrace" up
wait_for 20 test -s data/collect.port -a -s "$T/port"
collect=$(cat data/collect.port)
millrace() { "$BIN/millrace" "$@" 2>> "$T/millrace.log"; }
send() {
  for i in $(seq "$1" "$2"); do
    curl -s -u k1: "http://$collect/v1/track" -d "{\"messageId\":\"e$i\",\"userId\":\"u\",\"event\":\"E\"}" > /dev/null
  done
}
taken() { jq -r 'select(.taken) | .headers["idempotency-key"]' "$T/requests"; }
got() { [ "$(taken | wc -l)" -ge "$1" ]; }

send 1 20
millrace destination add hook --type webhook --set "url=http://127.0.0.1:$(cat "$T/port")/h" --set start=first
wait_for 30 got 20
ok $? "one that is added with start: first gets what was there before"
millrace destination disable hook
wait_for 30 grep -q 'event=exit name=sink:hook' "$T/up.log"
ok $? "disable ends its sink"
send 21 40
millrace destination enable hook
wait_for 30 got 40
ok $? "enable goes on where it stopped"
is "$(taken | sort | uniq -d | wc -l)" 0 "nothing twice"
like "$(millrace destination list)" 'hook +webhook +on' "list"
echo hidden-word | millrace destination add mp --type mixpanel --set token=T --set enabled=no --secret secret
is "$(grep -c hidden-word destinations/mp.yaml)$(stat -c %a destinations/.secrets/mp.secret)" 0600 "a secret stands apart"
is "$(millrace destination list | grep -c hidden-word)" 0 "and is not shown"
millrace destination test hook > "$T/test"
is "$?$(cat "$T/test")" "0hook: part 1 of 1: ok" "test sends one event"
millrace destination remove mp
[ ! -e destinations/mp.yaml ] && [ ! -e destinations/.secrets/mp.secret ]
ok $? "remove takes the secret, too"
printf 'type: webhook\nenabled: yes\n' > destinations/broken.yaml
wait_for 30 grep -q 'url is missing' "$T/up.log"
ok $? "one without its settings says which"
send 41 42
wait_for 30 got 43
ok $? "and the others go on"

# What stands in millrace.yaml for all sinks reaches those that run.
millrace destination add near --type webhook --set start=first --set retry_min=1s --set "url=http://localhost:$(cat "$T/port")/n"
near() { millrace destination list --json | jq -r 'select(.name == "near") | .status.words, .status.state'; }
send 43 43
refused() { near | grep -q 'localhost.*use https.*millrace.yaml.*allow_host: \[localhost\]'; }
wait_for 10 refused
ok $? "a host that is not allowed: $(near | head -1)"
before=$(pgrep -P "$(cat data/millrace.pid)" -x aggregate)
sed -i 's/allow_host: .*/allow_host: [127.0.0.1, localhost]/' millrace.yaml
settled() { [ "$(millrace destination list --json | jq 'select(.name == "near") | .status.delivered')" = 43 ]; }
wait_for 10 settled
ok $? "the line that it names is taken by the sink that runs"
is "$(pgrep -P "$(cat data/millrace.pid)" -x aggregate)" "$before" "... and nobody else starts anew"
cd - > /dev/null || exit 1
stop up
done_testing
