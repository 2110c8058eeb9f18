#!/bin/bash
# flow_kafka_bus.t - the Kafka transport against a real broker
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh
tool=$TESTBIN/tool_bus
broker() { tests/kafka "$@" >> "$T/broker.log" 2>&1; }

broker start "$T/kafka" "$T/port"
ok $? 'a broker starts'
[ -s "$T/port" ] || { sed 's/^/# /' "$T/broker.log"; done_testing; }
at=127.0.0.1:$(cat "$T/port")
bus=kafka://$at
lines() { "$tool" read --until-end --url "$@" 2> "$T/read.log"; }

# --- round trip ---
"$tool" write --url $bus/round --count 5000 --partitions 3 --spread > "$T/out" 2> "$T/log"
is "$?:$(tail -1 "$T/out")" '0:durable 5000' 'writes 5,000 records to three partitions'
like "$(kcat -b $at -L -t round)" 'round" with 3 partitions' 'the topic was made with three'
lines $bus/round > "$T/in"
is "$(sort -u "$T/in" | wc -l)" 5000 'reads them once each'
is "$(awk '{ n = substr($4, 2); if ($1 != n % 3 || $2 != int(n / 3)) print }' "$T/in")" '' \
  'each in its partition, at its offset, in order'
is "$(lines $bus/round --assign 0,2 | awk '{ print $1 }' | sort | uniq -c | xargs)" \
  '1667 0 1666 2' 'partitions can be chosen'
is "$(lines $bus/round --assign 1 --start 1660 | wc -l)" 7 'starts at an offset'
is "$(lines $bus/nothing; echo $?)" 0 'a topic that is not there has nothing'
is "$(kcat -b $at -L | grep -c '"nothing"')" 0 'and reading does not make one'

# --- other clients ---
kcat -b $at -C -t round -e -q -p 0 -o 0 -c 1 -f '%s' > "$T/raw"
is "$(head -c 2 "$T/raw" | od -An -tx1 | xargs)" 'c3 01' "kcat reads Avro's single-object encoding"
like "$(tail -c +11 "$T/raw" | tr -d '\0')" 'm0' 'with the datum behind it'
"$tool" write --url $bus/keys --count 400 --keys 100 --partitions 5 > "$T/out" 2> "$T/log"
is "$(lines $bus/keys | wc -l)" 400 'records with keys arrive'
"$tool" write --url $bus/keys-theirs --count 0 --partitions 5 > "$T/out" 2> "$T/log"
for n in $(seq 0 99); do echo "user-$n:x"; done |
  kcat -b $at -P -t keys-theirs -K: -X partitioner=murmur2_random
is "$(kcat -b $at -C -t keys -e -q -f '%k %p\n' | sort -u)" \
  "$(kcat -b $at -C -t keys-theirs -e -q -f '%k %p\n' | sort -u)" \
  'a key goes where murmur2 of other clients puts it'

# --- what is not ours ---
printf 'junk\n\xc3\x01\x01\x02\x03\x04\x05\x06\x07\x08x\n' | kcat -b $at -P -t round -p 1
kcat -b $at -C -t round -e -q -p 0 -o 0 -c 1 -D '' -f '%s' | head -c 12 > "$T/cut"
kcat -b $at -P -t round -p 1 "$T/cut"
"$tool" write --url $bus/round --count 1 --first 1 --spread > "$T/out" 2> "$T/log"
lines $bus/round --assign 1 --start 1667 > "$T/in"
is "$?:$(wc -l < "$T/in")" 0:4 'foreign bytes do not stop a reader'
like "$(sed -n 1p "$T/in")" 'undecodable 1 4 not in Avro' 'they come as they are, with the reason'
like "$(sed -n 2p "$T/in")" 'undecodable 1 11 schema fingerprint 0807060504030201 is not known' \
  'an unknown schema is named'
like "$(sed -n 3p "$T/in")" 'undecodable 1 12 2 bytes are not a datum' 'a cut datum is told'
like "$(sed -n 4p "$T/in")" ' m1$' 'and what follows is read'

# --- a writer of another version ---
mkdir "$T/schemas"
sed 's/{"name": "door"/{"name": "colour", "type": ["null", "string"], "default": null}, &/' \
  schemas/collected.avsc > "$T/new.avsc"
python3 - "$T/new.avsc" > "$T/versioned" <<'END'
import json, struct, sys
from functools import reduce
def canon(s):
    if isinstance(s, str): return '"%s"' % s
    if isinstance(s, list): return '[%s]' % ','.join(canon(x) for x in s)
    if s['type'] == 'record':
        return '{"name":"millrace.Collected","type":"record","fields":[%s]}' % ','.join(
            '{"name":"%s","type":%s}' % (f['name'], canon(f['type'])) for f in s['fields'])
    return canon(s['type'])
EMPTY = 0xc15d213aa4d7a795
def fp(data):
    h = EMPTY
    for b in data:
        h ^= b
        for _ in range(8): h = (h >> 1) ^ (EMPTY if h & 1 else 0)
    return h
schema = json.load(open(sys.argv[1]))
text = lambda t: bytes([len(t) * 2]) + t.encode()
datum = text('v2') + text('track') + text('s') + b'\x02' + b'\0\0\0' + b'\x02' + text('red') + text('d') + text('{}') + b'\0'
sys.stdout.buffer.write(b'\xc3\x01' + struct.pack('<Q', fp(canon(schema).encode())) + datum)
END
kcat -b $at -P -t versions "$T/versioned"
like "$(lines $bus/versions)" 'undecodable.*is not known' 'a newer schema is not guessed at'
cp "$T/new.avsc" "$T/schemas/"
like "$(lines "$bus/versions?schemas=$T/schemas")" ' v2$' 'its .avsc in ?schemas=DIR resolves it'

# --- yesterday's records, tomorrow's reader ---
lines $bus/round --schema-file "$T/new.avsc" | sort > "$T/in"
is "$(lines $bus/round | sort | diff - "$T/in" | head -3)" '' \
  'a reader whose schema has a new field reads what was written before, without ?schemas'
is "$(grep -c ' m[0-9]*$' "$T/in")" 5001 'all of it'

# --- limits ---
"$tool" write --url $bus/large --count 1 --size 1000000 > "$T/out" 2> "$T/log"
like "$(cat "$T/out")" 'refused 0' 'a record that no broker would take is refused'
"$tool" write --url $bus/large --count 2 --size 970000 > "$T/out" 2> "$T/log"
is "$?:$(tail -1 "$T/out")" '0:durable 2' 'one just below is taken'
lines $bus/round --assign 0 --start 999999 > /dev/null
is $? 74 'a start past the end is an error'
like "$(cat "$T/read.log")" 'past the end, 0 to 1667 are kept' 'which says what is there'
"$tool" read --url $bus/round --assign 0 --start 999999 > /dev/null 2> "$T/read.log"
is $? 74 'also where the broker has to say it'
"$tool" read --url $bus/round --assign 9 > /dev/null 2> "$T/read.log"
like "$?:$(cat "$T/read.log")" '^78:.*3 partitions, no number 9' 'a partition that is not there'
for wrong in "kafka://$at" "kafka:///t" "kafka://$at/a/b" "kafka://$at/t?x=1" "kafka://h:0/t" \
  "kafka://h:99999/t" "kafka://a b/t"; do
  timeout 5 "$tool" read --url "$wrong" > "$T/out" 2>&1
  is $? 78 "a wrong URL: $wrong"
done

# --- what others did to a topic ---
"$tool" write --url $bus/trimmed --count 100 > "$T/out" 2> "$T/log"
"$TESTBIN/tool_kafka" trim $at trimmed 40
is "$?:$(lines $bus/trimmed | head -1)" '0:0 40 - m40' 'the first is the first that is kept'
for how in '' --until-end; do
  # shellcheck disable=SC2086
  timeout 20 "$tool" read --url $bus/trimmed --start 10 $how > /dev/null 2> "$T/read.log"
  like "$?:$(cat "$T/read.log")" '^74:.*gap: 30 records from offset 10 .*40 to 100 are kept' \
    "a gap is an error that says how large it is ${how:-(without an end)}"
done
"$TESTBIN/tool_kafka" txn $at txn 3
"$TESTBIN/tool_kafka" txn $at txn 2 abort
is "$?:$(timeout 20 "$tool" read --until-end --url $bus/txn 2> "$T/read.log" | wc -l)" 0:3 \
  'the holes of transactions are passed over, what was aborted is not read'
"$tool" write --url $bus/txn --count 1 > "$T/out" 2> "$T/log"
is "$(lines $bus/txn | tail -1)" '0 7 - m0' 'and what follows them is'
start early "$tool" read --url $bus/later --count 10
wait_for 5 grep -q event= "$T/early.log"
"$tool" write --url $bus/later --count 10 > "$T/out" 2> "$T/log"
wait_for 10 grep -q m9 "$T/early.out"
ok $? 'a reader waits for a topic that is not there yet'

# --- properties ---
for wrong in plugin.library.paths=x group.id=x auto.offset.reset=earliest nonsense=1 linger.ms=abc \
  novalue sasl.password=file:/no/such/file; do
  "$tool" read --url $bus/round --kafka="$wrong" --until-end > "$T/out" 2>&1
  like "$?:$(tail -1 "$T/out")" "^78:.*${wrong%%=*}" "--kafka=$wrong is refused, and named"
done
echo 'hunter2' > "$T/secret"
"$tool" read --url $bus/round --kafka=sasl.password=hunter2 --kafka=sasl.password=file:"$T/secret" \
  --kafka=client.id=me --until-end --quiet > "$T/out" 2>&1
is "$?:$(grep -c hunter2 "$T/out")" 0:0 'a secret is not shown'
like "$(cat "$T/out")" 'name=client.id value=me' 'other properties are'

# --- the broker dies while we write, and while a filter reads and writes ---
start writer "$tool" write --url $bus/kill --partitions 2 --spread --count 30000 --rate 6000
start copy "$tool" copy --url $bus/kill --out $bus/kill-out --partitions 2
wait_for 20 grep -q 'durable [1-9]' "$T/writer.out"
broker kill "$T/kafka"
ok $? 'the broker is killed by signal 9'
before=$(tail -1 "$T/writer.out")
broker restart "$T/kafka"
ok $? 'and starts again'
wait_for 30 grep -q 'durable 30000' "$T/writer.out"
ok $? "all becomes durable (it was at ${before#durable } when the broker died)"
lines $bus/kill > "$T/in"
is "$(wc -l < "$T/in"):$(awk '{ print $4 }' "$T/in" | sort -u | wc -l)" 30000:30000 \
  'nothing is lost, nothing is twice'
is "$(awk '{ n = substr($4, 2) + 0; if ($1 in last && n <= last[$1]) print; last[$1] = n }' \
  "$T/in")" '' 'and all is in order'
count_out() { [ "$(lines $bus/kill-out --schema enriched --distinct | wc -l)" = 30000 ]; }
wait_for 30 count_out
ok $? 'the filter that read meanwhile has written each once'
stop copy

# --- a filter is killed, its successor resumes by stamps ---
for round in 1 2 3 4 5; do
  start copy$round "$tool" copy --url $bus/kill --out $bus/stamped --partitions 2
  want=$((round * 2000))
  grown() { [ "$(kcat -b $at -C -t stamped -e -q -f '%o\n' | wc -l)" -ge $want ]; }
  wait_for 20 grown
  stop copy$round KILL
done
timeout 60 "$tool" copy --url $bus/kill --out $bus/stamped --partitions 2 --until-end 2> "$T/copy.log"
ok $? 'a filter that was killed five times comes to the end'
lines $bus/stamped --schema enriched --distinct > "$T/in"
is "$(wc -l < "$T/in")" 30000 'its readers see every record once'
is "$(awk '$5 != $1 || $6 != last[$1] + 0 { print } { last[$1] = $6 + 1 }' "$T/in" | head -3)" '' \
  'without a gap, partition by partition'
"$tool" resume --url $bus/stamped --partitions 3 > "$T/out" 2> "$T/log"
is "$(xargs < "$T/out")" '0 15000 1 15000 2 -2' 'its stamps say where it stands'

# --- a group: two members, one is killed, one comes ---
"$tool" write --url $bus/shared --partitions 4 --spread --count 8000 > "$T/out" 2> "$T/log"
group="--group g --kafka=session.timeout.ms=6000 --kafka=heartbeat.interval.ms=500"
# shellcheck disable=SC2086
member() { start "$1" "$tool" copy --url $bus/shared --out $bus/shared-out --partitions 4 $group; }
member a
member b
wait_for 20 grep -q 'event=assign.*partitions=2' "$T/a.log"
ok $? 'two members share four partitions'
"$tool" write --url $bus/shared --spread --count 8000 --first 8000 > "$T/out" 2> "$T/log"
stop a KILL
wait_for 30 grep -q 'event=assign.*shared partitions=4' "$T/b.log"
ok $? 'when one is killed the other takes all'
member c
"$tool" write --url $bus/shared --spread --count 8000 --first 16000 > "$T/out" 2> "$T/log"
count_shared() { [ "$(lines $bus/shared-out --schema enriched --distinct | wc -l)" = 24000 ]; }
wait_for 30 count_shared
ok $? 'every record was copied'
lines $bus/shared-out --schema enriched --distinct > "$T/in"
is "$(awk '$5 != $1 || $6 != last[$1] + 0 { print } { last[$1] = $6 + 1 }' "$T/in" | head -3)" '' \
  'once, in order, without a gap'
stop b
stop c

# --- what enrich makes of an input does not hang on the transport ---
records() { grep -v '\$marker' "$T/$1-out" | awk '{ $2 = ""; print }' | sort -k4,4n; }
enrich_on() {  # NAME IN OUT BAD: its records to $T/NAME-out, its bad ones to $T/NAME-bad
  "$BIN/enrich" --in "$2" --out "$3" --bad "$4" --until-end 2> "$T/$1.log" &&
    "$TESTBIN/tool_enrich" dump enriched "$3" > "$T/$1-out" &&
    "$TESTBIN/tool_enrich" dump bad "${4%\?*}" | awk '{ $1 = $2 = ""; print }' | sort > "$T/$1-bad"
}
for url in $bus/same-in "log:$T/same-in"; do
  "$TESTBIN/tool_enrich" write "$url" 1 20000 50 101 2>> "$T/log"
done
enrich_on kafka $bus/same-in $bus/same-out $bus/same-bad
ok $? 'enrich over Kafka'
enrich_on log "log:$T/same-in" "log:$T/same-out" "log:$T/same-bad?partition=1"
ok $? 'the same over the log'
"$TESTBIN/tool_enrich" write - 1 20000 50 101 | "$BIN/enrich" --bad "log:$T/pipe-bad?partition=1" 2> "$T/log" |
  "$TESTBIN/tool_enrich" dump enriched - > "$T/pipe-out"
records log > "$T/log-records"
cmp <(records kafka) "$T/log-records"
ok $? "the same bytes in each of $(wc -l < "$T/log-records") records from Kafka and from the log"
cmp <(records pipe) "$T/log-records"
ok $? 'and from a pipe'
cmp "$T/kafka-bad" "$T/log-bad" && [ -s "$T/log-bad" ]
ok $? "and $(wc -l < "$T/log-bad") bad ones"

"$BIN/enrich" --in $bus/same-in --out $bus/same-out2 --bad "$bus/same-bad?partition=1" --until-end 2> "$T/log"
is $? 78 'a URL for bad that is none is told at once'
like "$(tail -1 "$T/log")" 'same-bad.partition=1: after . only schemas=DIR is known' 'with the mend'

# --- the ledgers, from Kafka's topics ---
mkdir -p "$T/ledger/destinations"
printf 'bus: %s\nsources: [{name: web, write_key: k}]\n' "$bus" > "$T/ledger/millrace.yaml"
printf 'type: file\npath: out\n' > "$T/ledger/destinations/files.yaml"
for n in $(seq 60); do
  echo "{\"type\":\"track\",\"event\":\"E\",\"userId\":\"u$((n % 55))\",\"messageId\":\"m$((n % 55))\"}"
done | "$BIN/collect" --stdin --source web --partitions 2 --bus $bus 2> "$T/log" &&
  "$BIN/enrich" --bus $bus --until-end 2> "$T/log" &&
  (cd "$T/ledger" && "$BIN/sink" --in $bus/enriched --bad $bus/bad --to file:out --until-end 2> "$T/log")
ok $? 'events go through the stages'
is "$("$BIN/millrace" audit --last 1h --json --config "$T/ledger/millrace.yaml" 2> "$T/log" |
  jq -c '[.holds, (.stages[1, 3] | [.in - .filtered, .out, .duplicate])]')" '[true,[60,55,5],[55,55,0]]' \
  'millrace audit adds them up'
like "$("$BIN/millrace" trace m3 --config "$T/ledger/millrace.yaml" 2> "$T/log")" \
  'collected .*enriched.*collected .*duplicate.*sink:files *delivered: enriched-' 'millrace trace finds one'

# --- the broker is away ---
broker stop "$T/kafka"
"$tool" write --url $bus/away --count 1 --open 2s > "$T/out" 2> "$T/log"
like "$?:$(tail -1 "$T/log")" "^69:.*$at.*refused" 'no broker: says which and why, ends with 69'
"$tool" read --url $bus/round --open 2s > "$T/out" 2> "$T/log"
is $? 69 'a reader too'
"$tool" read --url kafka://no-such-host.invalid:9092/t --open 2s > "$T/out" 2> "$T/log"
like "$?:$(tail -1 "$T/log")" '^69:.*no-such-host.invalid:9092.*resolve' 'a name that is none'
start patient "$tool" write --url $bus/away --count 1000 --open 60s
start background "$tool" write --url $bus/away2 --count 1000 --trickle
broker restart "$T/kafka"
wait_for 20 grep -q 'durable 1000' "$T/patient.out"
ok $? 'who waits gets through when it comes'
wait_for 20 grep -q 'durable 1000' "$T/background.out"
ok $? 'what was staged meanwhile goes out'
is "$(lines $bus/away2 | wc -l)" 1000 'once each'

broker kill "$T/kafka"
done_testing
