#!/bin/bash
# flow_kafka_secure.t - a broker that wants a password, and one over TLS
#
# A real broker with SASL_PLAINTEXT (PLAIN) and SASL_SSL (SCRAM-SHA-256). collect, enrich and sink go
# through both by `kafka:` in millrace.yaml; no secret is in a log line or in --dump.
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

password=hushHush7
KAFKA_SASL=millrace:$password tests/kafka start "$T/broker" "$T/port" > "$T/broker.log" 2>&1
ok $? "a broker with SASL and TLS runs"
[ -s "$T/port" ] || { sed 's/^/# /' "$T/broker.log"; done_testing; }
echo "$password" > "$T/password"
echo wrongWrong > "$T/wrong"

# settings PORTFILE PROTOCOL MECHANISM PASSWORD: millrace.yaml
settings() {
  cat > "$T/millrace.yaml" << END
bus: kafka://127.0.0.1:$(cat "$T/broker/$1")
sources:
  - {name: web, write_key: K}
kafka:
  - security.protocol=$2
  - sasl.mechanism=$3
  - sasl.username=millrace
  - sasl.password=$4
  - ssl.ca.location=$T/broker/ca.pem
END
}
post() { curl -sS -m 10 -o /dev/null -w '%{http_code}' -u K: "http://$(cat "$T/collect.port")/v1/t" \
  -d "{\"userId\":\"u\",\"event\":\"e\",\"messageId\":\"$1\"}"; }

# through NAME: 20 events through collect, enrich and sink
through() {
  local name=$1 n
  rm -f "$T/collect.port"
  start "collect-$name" "$BIN/collect" --config "$T/millrace.yaml" --listen 127.0.0.1:0 \
    --port-file "$T/collect.port"
  wait_for 30 test -s "$T/collect.port"
  ok $? "$name: collect begins"
  for n in $(seq 20); do post "$name$n"; done > "$T/codes"
  is "$(grep -o 200 "$T/codes" | wc -l)" 20 "$name: 20 events are acknowledged"
  stop "collect-$name"
  "$BIN/enrich" --config "$T/millrace.yaml" --until-end 2> "$T/enrich-$name.log"
  is $? 0 "$name: enrich"
  "$BIN/sink" --config "$T/millrace.yaml" --until-end --to "file:$T/$name?format=jsonl" \
    2> "$T/sink-$name.log"
  is "$?:$(cat "$T/$name"/*.jsonl | jq -r .message_id | grep -c "^$name")" 0:20 "$name: sink has all"
}

settings port.sasl SASL_PLAINTEXT PLAIN "file:$T/password"
through sasl
settings port.tls SASL_SSL SCRAM-SHA-256 "file:$T/password"
through tls
settings port.sasl SASL_PLAINTEXT PLAIN "$password"
for program in collect enrich sink aggregate; do
  "$BIN/$program" --config "$T/millrace.yaml" --dump > "$T/dump" 2>&1
  like "$?$(cat "$T/dump")" '^0.*sasl.password=\(hidden\)' "$program --dump hides the password"
  cp "$T/dump" "$T/dump-$program.log"
done

# refused PORTFILE PROTOCOL PASSWORD CA REGEX WORDS: the program ends with 69 and says why
refused() {
  settings "$1" "$2" "$([ "$1" = port.tls ] && echo SCRAM-SHA-256 || echo PLAIN)" "$3"
  sed -i "s#ssl.ca.location=.*#ssl.ca.location=$4#" "$T/millrace.yaml"
  timeout 60 "$BIN/enrich" --config "$T/millrace.yaml" --open-time 2s 2> "$T/refused.log"
  is $? 69 "$6"
  like "$(tail -1 "$T/refused.log")" "$5" "... in words"
  cat "$T/refused.log" >> "$T/all-refused.log"
}
refused port.sasl SASL_PLAINTEXT "file:$T/wrong" "$T/broker/ca.pem" 'uthentication failed' "a wrong password"
refused port.tls SASL_SSL wrongWrong "$T/broker/ca.pem" 'uthentication failed' "a wrong password over TLS"
keytool -genkeypair -alias x -keyalg RSA -keystore "$T/other.p12" -storetype PKCS12 -storepass changeit \
  -dname CN=127.0.0.1 2> /dev/null
keytool -exportcert -rfc -alias x -keystore "$T/other.p12" -storepass changeit > "$T/other.pem" 2> /dev/null
refused port.tls SASL_SSL "file:$T/password" "$T/other.pem" 'certificate verify failed|SSL handshake failed' \
  "a broker whose certificate nobody signed"
is "$(grep -lE "$password|wrongWrong" "$T"/*.log 2> /dev/null)" "" "no log and no dump has a secret"
tests/kafka stop "$T/broker" > /dev/null 2>&1
done_testing
