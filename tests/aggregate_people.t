#!/bin/bash
# aggregate_people.t - people, persons, saved queries and deletes through the programs and HTTP
#
# semantics.md's cases I01-I06 and P01-P04 with real events; a saved query that is kept up over kill -9.
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

serve() {       # serve NAME: an aggregate over $T/NAME, its address in $URL
  rm -f "$T/port"
  start "$1" "$BIN/aggregate" --in "log:$T/$1/enriched" --state "$T/$1/state" --http 127.0.0.1:0 \
    --port-file "$T/port" --out "log:$T/$1" --reports "$T/$1/reports" --bad "log:$T/$1/bad?partition=3"
  wait_for 20 test -s "$T/port"
  URL=http://$(cat "$T/port")
}
send() {        # send NAME: JSON lines on stdin, through collect and enrich
  "$BIN/collect" --stdin --out "log:$T/$1/collected" 2>> "$T/$1.log" &&
    "$BIN/enrich" --in "log:$T/$1/collected" --out "log:$T/$1/enriched" --bad "log:$T/$1/bad" \
      --until-end 2>> "$T/$1.log"
}
ask() { curl -s -X POST "$URL$1" -d "$2"; }
persons() { ask /v1/query/people '{}' | jq .total; }
read_all() {    # all that was sent is answered
  wait_for 20 sh -c "curl -s $URL/v1/status | jq -e '[.offsets[] | .next == .end] | length > 0 and all'"
}
counts() { ask /v1/query/funnel "$1" | jq -c '[.steps[].count]'; }
who() { ask /v1/query/people "{\"query\":$1,\"sort\":\"\$id\"}" | jq -c '[.people[].id]'; }
n=0             # a pipe is a shell of its own: the time makes ids differ
event() {       # event SECOND NAME [user=U] [anon=A] [previous=P] [type=T] [more JSON members]
  local json type=track
  n=$((n + 1))
  json="\"event\":\"$2\",\"messageId\":\"m$EPOCHREALTIME-$n\",\"timestamp\":\"2026-11-20T10:00:$(printf %02d "$1").000Z\""
  shift 2
  for word in "$@"; do
    case $word in
      user=*) json="$json,\"userId\":\"${word#*=}\"" ;;
      anon=*) json="$json,\"anonymousId\":\"${word#*=}\"" ;;
      previous=*) json="$json,\"previousId\":\"${word#*=}\"" ;;
      type=*) type=${word#*=} ;;
      *) json="$json,$word" ;;
    esac
  done
  echo "{\"type\":\"$type\",$json}"
}

# I01: D1, D1, (D1,U1); D2, D2; (D2,U1)
{ event 1 x anon=D1; event 2 x anon=D1; event 3 x anon=D1 user=U1; } | send i1
serve i1
read_all
is "$(persons)" 1 "I01: a device and its user are one"
{ event 4 x anon=D2; event 5 x anon=D2; } | send i1
wait_for 20 sh -c "[ \"\$(curl -s -X POST $URL/v1/query/people -d {} | jq .total)\" = 2 ]"
ok $? "I01: another device is another person"
event 6 x anon=D2 user=U1 | send i1
wait_for 20 sh -c "[ \"\$(curl -s -X POST $URL/v1/query/people -d {} | jq .total)\" = 1 ]"
ok $? "I01: until its user is known"
is "$(ask /v1/query/person '{"id":"D2"}' | jq -c '[.id, .ids, .event_count]')" \
  '["U1",["D1","D2","U1"],6]' "and all past events are the user's"
stop i1

# I02: shared device with reset
{ event 1 x anon=D1; event 2 x anon=D1 user=U1; event 3 x anon=D2; event 4 x anon=D2
  event 5 x anon=D2 user=U2; } | send i2
serve i2
read_all
is "$(ask /v1/query/person '{"id":"U1"}' | jq .event_count)$(ask /v1/query/person '{"id":"U2"}' |
  jq .event_count)" 23 "I02: U1 has 2 events, U2 3"
stop i2

# I03: four ids, merged in each of six orders
for order in "BC CD AC" "BC AC CD" "CD BC AC" "CD AC BC" "AC BC CD" "AC CD BC"; do
  name=i3$(echo $order | tr -d ' ')
  { for id in A B C D; do event $((++s)) "e$id" user=$id; done; s=0
    for pair in $order; do
      event 50 x type=alias user=${pair:1} previous=${pair:0:1} '"properties":{"$merge":true}'
    done; } | send "$name"
  serve "$name"
  read_all
  is "$(persons) $(counts '{"steps":[{"event":"eA"},{"event":"eB"},{"event":"eC"},{"event":"eD"}],
    "from":"2026-11-01","to":"2026-11-30"}')" "1 [1,1,1,1]" "I03: merged as $order: one person, A-B-C-D"
  stop "$name"
done

# I04, I06: before and after identify
funnel='{"steps":[{"event":"A"},{"event":"B"}],"from":"2026-11-01","to":"2026-11-30","window":{"n":100,"unit":"second"}}'
{ event 0 A anon=anon-1; event 10 B user=Alice; } | send i4
serve i4
read_all
is "$(persons) $(counts "$funnel")" "2 [1,0]" "I04, I06: two persons, nobody converts"
event 11 Identify type=identify anon=anon-1 user=Alice '"traits":{"age":40}' | send i4
wait_for 20 sh -c "[ \"\$(curl -s -X POST $URL/v1/query/people -d {} | jq .total)\" = 1 ]"
is "$(persons) $(counts "$funnel")" "1 [1,1]" "I04, I06: after identify one, who converted"
stop i4

# I05: signup -> watch; the anonymous and the known are one
{ event 1 signup anon=had; event 2 watch anon=had user=done
  for i in 1 2 3; do event 1 signup user=p$i; done
  event 1 watch user=wrong; event 2 other user=wrong; } | send i5
serve i5
read_all
is "$(counts '{"steps":[{"event":"signup"},{"event":"watch"}],"from":"2026-11-01","to":"2026-11-30"}')" \
  '[4,1]' "I05: 4 signed up, 1 watched"
stop i5

# P01-P04: windows that end now
now=$(date +%s)
ago() { date -u -d "@$((now - $1 * 86400))" +%Y-%m-%dT%H:%M:%S.000Z; }
view() { n=$((n + 1)); echo "{\"type\":\"track\",\"event\":\"view\",\"userId\":\"$1\",\"messageId\":\"m$n\",\"timestamp\":\"$(ago "$2")\"}"; }
{ view p1 2; view p1 4; view p2 9; view p2 12; view p3 1; view p3 5; view p3 9; view p4 20
  # P04: p1 comes again after a week; p2 never was away, p3 stayed away, p4 is new
  { view p1 1; view p1 12; view p2 1; view p2 4; view p2 12; view p3 12; view p4 1; } | sed 's/"view"/"run"/; s/"m\([0-9]*\)"/"r\1"/'
} | send p1
serve p1
read_all
last() { echo "\"within\":{\"last\":{\"n\":$1,\"unit\":\"day\"}}"; }
is "$(who "{\"did\":\"view\",\"count\":{\"op\":\">=\",\"n\":2},$(last 7)}")" '["p1","p3"]' "P01: twice in 7 days"
is "$(who "{\"did\":\"view\",\"count\":{\"op\":\"<=\",\"n\":2},$(last 10)}")" '["p1","p2"]' \
  "P02: at most twice is at least once"
like "$(ask /v1/query/people '{"query":{"did":"view","count":{"op":"=","n":0}}}')" \
  '"at":"/query/count/n".*did_not' "P03: not at all is asked for with did_not"
is "$(who "{\"did_not\":\"view\",$(last 7)}")" '["p2","p4"]' "did_not: all known who did not"
is "$(who "{\"and\":[{\"did\":\"run\",$(last 2)},{\"did\":\"run\",\"within\":{\"from\":\"2020-01-01\",
  \"to\":\"$(ago 8 | cut -c1-10)\"}},{\"did_not\":\"run\",\"within\":{\"from\":\"$(ago 7 | cut -c1-10)\",
  \"to\":\"$(ago 3 | cut -c1-10)\"}}]}")" '["p1"]' "P04: restarted: silent between 7 and 2 days ago"
is "$(who "{\"first_time\":\"view\",$(last 5)}")" '["p1"]' "first_time"
is "$(who "{\"sequence\":[{\"event\":\"view\"},{\"event\":\"view\"}],\"window\":{\"n\":2,\"unit\":\"day\"}}")" \
  '["p1"]' "sequence within two days"
token=$(ask /v1/query/people '{"limit":3,"sort":"-$last_seen"}' | jq -r .next)
is "$(ask /v1/query/people "{\"limit\":3,\"sort\":\"-\$last_seen\",\"page\":\"$token\"}" |
  jq -c '[.total, [.people[].id], .next]')" '[4,["p4"],null]' "the last page"
for bad in '{"query":{"did":"x","sum":{"op":">","n":1}}}' '{"query":{"xor":[]}}' '{"sort":7}' \
  '{"page":"zz"}' '{"query":{"in_cohort":"none"}}' '{"limit":5000}' '{"query":{"and":[]}}'; do
  like "$(ask /v1/query/people "$bad")" '"at":"/[a-z_/]*","message":"' "refused with words: $bad"
done
stop p1

# What people have from their events: the latest that is set, over all of their ids; a trait comes first
mkdir -p "$T/os/reports"
printf 'kind: people\nquery: {prop: $browser, op: is, values: [Firefox]}\n' > "$T/os/reports/foxes.yaml"
chrome='"context":{"userAgent":"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"}'
firefox='"context":{"userAgent":"Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0"}'
{ event 1 x user=ann "$chrome"; event 2 x user=bob "$firefox"; event 3 x anon=d1 "$firefox"; event 2 x anon=d1 user=ann
  event 5 x user=ann; event 4 x user=bob "$chrome"; event 6 x user=cid; event 7 x user=dan "$chrome"
  event 8 Identify type=identify user=dan '"traits":{"$browser":"Lynx","browser":"none"}'; } | send os
serve os
read_all
browser() { who "{\"prop\":\"\$browser\",\"op\":\"$1\",\"values\":[$2]}"; }
is "$(browser is '"Firefox"')" '["ann"]' "who was last seen with Firefox, on a device of his, too"
is "$(browser is '"Chrome"')" '["bob"]' "not who had it once"
is "$(browser is_not '"Chrome"')" '["ann","cid","dan"]' "missing satisfies is_not"
is "$(browser contains '"LYN"')$(browser is_not_set '')" '["dan"]["cid"]' "a trait of that name comes first"
is "$(who '{"and":[{"not":{"prop":"$os","op":"is","values":["Windows"],"of":"profile"}},{"did":"x"}]}')" '["ann","cid"]' \
  "next to others"
is "$(who '{"did":"x","where":{"prop":"$browser","op":"is","values":["Chrome"]}}')" '["ann","bob","dan"]' \
  "who ever had it is asked by what he did"
is "$(ask /v1/query/people '{"sort":"-$browser","columns":["$browser"]}' | jq -c '[.people[] | [.id, .traits["$browser"]]]')" \
  '[["dan","Lynx"],["ann","Firefox"],["bob","Chrome"],["cid",null]]' "columns and sort show the same"
is "$(ask /v1/query/people '{"query":{"prop":"$browser","op":"is_set"}}' | jq .unknown)" null "which is no unknown property"
foxes() { [ "$(who '{"in_cohort":"foxes"}')" = "$1" ]; }
wait_for 10 foxes '["ann"]'
ok $? "a saved query"
{ event 9 x user=ann "$chrome"; event 9 x user=cid "$firefox"; } | send os
wait_for 10 foxes '["cid"]'
ok $? "is kept up to date"
stop os

# Saved: who enters is said within a second, once, over kill -9; and a delete is kept
mkdir -p "$T/s/reports"
printf 'kind: people\nquery:\n  and:\n    - {prop: gender, op: is, values: [female]}\n    - {did: Buy, count: {op: ">=", n: 3}}\n' \
  > "$T/s/reports/fans.yaml"
printf 'kind: funnel\nsteps: [{event: Look}, {event: Buy}]\nfrom: "2026-11-01"\nto: "2026-11-30"\n' \
  > "$T/s/reports/path.yaml"
printf 'kind: people\nquery: {did: }\n' > "$T/s/reports/broken.yaml"
{ event 1 Identify type=identify user=ann '"traits":{"gender":"female","name":"Ann"}'
  event 2 Look user=ann; event 3 Buy user=ann; event 4 Buy user=ann; event 5 Look user=bob; } | send s
serve s
read_all
members() { "$BIN/sink" --in "log:$T/s/members" --to "file:$T/$1" --until-end 2> /dev/null; cat "$T/$1"/*.jsonl; }
cp -r "$T/s/reports" "$T/s/kept"
wait_for 10 sh -c "ls $T/s/members/0/* && ls $T/s/funnels/0/*"
is "$(ask /v1/query/people '{"query":{"in_cohort":"fans"}}' | jq .total)" 0 "nobody matches yet"
like "$(cat "$T/s.log")" 'broken.yaml.*at /query' "a broken file is named, with the place"
sent=$(date +%s%N)
event 6 Buy user=ann | send s
wait_for 10 sh -c "[ \"\$(curl -s -X POST $URL/v1/query/people -d '{\"query\":{\"in_cohort\":\"fans\"}}' | jq .total)\" = 1 ]"
ok $? "ann is a fan $((($(date +%s%N) - sent) / 1000000)) ms after she bought"
entered() { [ "$(members "m$RANDOM" | grep -c '"entered"')" = "${1:-1}" ]; }
wait_for 10 entered
ok $? "and it was said"
for kill in 1 2 3; do
  stop s KILL
  event $((kill + 6)) Buy user=ann | send s
  serve s
  read_all
done
wait_for 10 sh -c "[ \"\$(curl -s -X POST $URL/v1/query/people -d '{\"query\":{\"in_cohort\":\"fans\"}}' | jq .total)\" = 1 ]"
is "$(members once | jq -c 'select(.change == "entered") | [.person, .version, (.profile | fromjson | .name)]')" \
  '["ann",1,"Ann"]' "three kills later it was said once"
is "$(ask /v1/delete '{"id":"ann"}' | jq -c .done)$(ask /v1/query/person '{"id":"ann"}' | jq -r .error.code)" \
  'truenot_found' "a deleted person is not known"
left() { [ "$(members "l$RANDOM" | jq -c 'select(.person == "ann") | [.change, .version, .cause]' | tail -1)" = '["exited",2,"deleted"]' ]; }
wait_for 10 left
ok $? "and has left the query"
is "$(ask /v1/delete '{"id":"nobody"}' | jq -r .error.code)" not_found "a delete of nobody"
stop s
"$BIN/sink" --in "log:$T/s/funnels" --to "file:$T/f" --until-end 2> /dev/null
is "$(cat "$T"/f/*.jsonl | jq -c .counts | tail -1)" '"[1,0]"' "the funnel counts whom is left"
"$BIN/aggregate" --rebuild --in "log:$T/s/enriched" --state "$T/s/state" --out "log:$T/s" \
  --bad "log:$T/s/bad?partition=3" 2>> "$T/rebuild.log"
ok $? "a rebuild"
serve s
read_all
is "$(persons)" 1 "keeps the delete"
stop s
done_testing
