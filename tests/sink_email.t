#!/bin/bash
# sink_email.t - email by a real SMTP server: STARTTLS, AUTH, MIME, and what its answers mean
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

python=/usr/bin/python3
mkdir -p "$T/home/destinations"
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$T/key.pem" -out "$T/cert.pem" -days 2 \
  -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 > /dev/null 2>&1
touch "$T/mails"
start smtpd $python tests/smtpd.py "$T/port" "$T/mails" --cert "$T/cert.pem" --key "$T/key.pem" --auth shop:s3cret
wait_for 10 test -s "$T/port"
ok $? "aiosmtpd runs"
port=$(cat "$T/port")

# conf NAME LINES..: destinations/NAME.yaml
conf() {
  local name=$1
  shift
  printf '%s\n' 'type: email' 'start: first' 'retry_min: 100ms' 'retry_max: 300ms' 'retry_for: 1s' \
    'host: localhost' "port: $port" 'user: shop' 'password: s3cret' "ca_file: $T/cert.pem" \
    'sender: "Käthe, shop <hello@shop.example>"' 'to: "{{ traits.email }}"' \
    "subject: 'Hej {{ traits.name | default: \"du\" }}'" "$@" > "$T/home/destinations/$name.yaml"
}
# events: identify calls, an address and a name each, to log:$T/bus/enriched
events() {
  while IFS=, read -r id email name; do
    jq -nc --arg i "$id" --arg e "$email" --arg n "$name" \
      '{messageId:$i,type:"identify",userId:$i,timestamp:"2026-11-24T10:00:00Z",traits:{email:$e,name:$n}}'
  done | "$BIN/collect" --stdin --out "log:$1/collected" 2>> "$T/collect.log" &&
    "$BIN/enrich" --in "log:$1/collected" --out "log:$1/enriched" --until-end 2>> "$T/enrich.log"
}
run() {
  (cd "$T/home" && timeout 30 "$BIN/sink" --in "log:$1/enriched" --bad "log:$1/bad" --to "$2" --until-end \
    --allow-host localhost --config millrace.yaml "${@:3}" 2>> "$T/$2.log")
}
touch "$T/home/millrace.yaml"

events "$T/bus" <<'END'
m1,ann@example.com,Åsa <b>
m2,hard@example.com,H
m3,full@example.com,F
m4,blocked@example.com,B
m5,plain550@example.com,P
m6,spam@example.com,S
m7,grey@example.com,G
m8,drop@example.com,D
m9,full4@example.com,W
m10,no address,N
END
# shellcheck disable=SC2016
conf mail 'text: |' '  Hej {{ traits.name }} = {{ event | default: "x" }}' '  .' 'html: "<p>{{ traits.name }}</p>"' \
  'unsubscribe: "https://shop.example/stop?u={{ user_id }}"' 'unsubscribe_mailto: stop@shop.example'
run "$T/bus" mail
is $? 0 "all of it"
mail() { jq -r "select(.to[0]==\"$1@example.com\") | .text" "$T/mails"; }
is "$(jq -r '.to[0]' "$T/mails" | sort | tr '\n' ' ')" "ann@example.com drop@example.com grey@example.com " \
  "who gets one gets one"
is "$(jq -r '"\(.tls) \(.user) \(.from)"' "$T/mails" | sort -u)" "true shop hello@shop.example" "by STARTTLS, logged in"
mail ann | $python -c '
import email, email.policy, sys
m = email.message_from_string(sys.stdin.read(), policy=email.policy.default)
print(m["subject"]); print(m["from"].addresses[0].display_name, m["to"])
print(m.get_content_type(), [p.get_content_type() for p in m.iter_parts()])
print(m.get_body(("plain",)).get_content(), end="")
print(m.get_body(("html",)).get_content())
print(m["list-unsubscribe"]); print(m["list-unsubscribe-post"]); print(m["message-id"])
print(m.defects)' | tr -d '\r' > "$T/parsed"
is "$(cat "$T/parsed")" 'Hej Åsa <b>
Käthe, shop ann@example.com
multipart/alternative ['"'text/plain', 'text/html'"']
Hej Åsa <b> = Identify
.
<p>Åsa &lt;b&gt;</p>
<mailto:stop@shop.example?subject=unsubscribe>, <https://shop.example/stop?u=m1>
List-Unsubscribe=One-Click
'"$(sed -n 's/^Message-ID: //p' <<< "$(mail ann | tr -d '\r')")"'
[]' "another MIME parser reads what was meant"
"$BIN/sink" --in "log:$T/bus/bad" --schema bad --to "file:$T/bad" --until-end 2> "$T/bad.log"
bad() { cat "$T"/bad/*.jsonl | jq -r "select(.words | contains(\"$1\")) | .reason + \" \" + .words"; }
like "$(bad 'no such user')" '^refused mail: 550 5.1.1' "5xx at RCPT is a dead letter"
like "$(bad 'spam')" '^refused mail: 554' "so is one after the text"
like "$(bad '4.2.2')" '^gave_up mail: 452' "4xx is tried until retry_for"
like "$(bad 'not known')" '^refused mail: .*not known whether' "no answer after the text: not again, and it says so"
like "$(bad 'no address')" "^invalid .*'no address' is no address" "what is no address"
is "$(cat "$T"/bad/*.jsonl | wc -l)" 8 "and no others"

# Setup errors stop and say why.
events "$T/bus2" <<< "s1,ann@example.com,A"
setup() {
  local name=$1 want=$2
  shift 2
  conf "$name" 'text: x'
  for edit in "$@"; do sed -i "$edit" "$T/home/destinations/$name.yaml"; done
  run "$T/bus2" "$name"
  like "$(cat "$T/$name.log")" "event=setup .*$want" "$name: $want"
}
setup login '535' 's/s3cret/wrong/'
setup sender '550 5.7.1 you may not' 's/hello@/refused@/'
setup cert 'certificate' 's/^ca_file.*//'
start plain $python tests/smtpd.py "$T/plain.port" "$T/mails"
wait_for 10 test -s "$T/plain.port"
setup notls 'STARTTLS' "s/^port.*/port: $(cat "$T/plain.port")/"
conf inside 'text: x'
(cd "$T/home" && timeout 20 "$BIN/sink" --in "log:$T/bus2/enriched" --to inside --until-end 2>> "$T/inside.log")
like "$(cat "$T/inside.log")" 'is refused, .*loopback' "an inner address is refused"
is "$(wc -l < "$T/mails")" 3 "nothing was sent by these"

# Words for what is wrong in a file.
conf wrong 'text: "{{ a | nosuch }}"'
like "$(cd "$T/home" && "$BIN/sink" check wrong --config millrace.yaml 2>&1)" 'text: template, line 1: no such filter: nosuch' "a template's mistake"
conf outbox 'text: hello {{ user_id }}' "outbox: $T/out"
run "$T/bus2" outbox
like "$(cat "$T"/out/*.eml)" 'hello s1' "outbox: a file instead of a server"
done_testing
