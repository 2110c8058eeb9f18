#!/bin/bash
# aggregate_cli.t - the counts as people ask for them, next to jq's over the sink's lines
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

bus=log:$T/data
"$TESTBIN/tool_enriched" "$bus/enriched" 3000 0 2 > /dev/null
"$BIN/sink" --bus "$bus" --to "file:$T/files" --until-end 2> "$T/sink.log"
cat "$T"/files/*.jsonl > "$T/lines"

up() {
  rm -f "$T/port"
  start aggregate "$BIN/aggregate" --bus "$bus" --state "$T/state" --http 127.0.0.1:0 \
    --port-file "$T/port" --emit-every 100ms --count-by '$source'
  wait_for 20 test -s "$T/port"
  ok $? "aggregate listens"
}
ask() { curl -sS -w '\n%{http_code}' -d "$2" "http://$(cat "$T/port")/v1/query/$1" > "$T/answer"; head -n -1 "$T/answer"; }
status() { curl -sS "http://$(cat "$T/port")/v1/status"; }
caught_up() { [ "$(status | jq '[.offsets[].next] | add')" = "$1" ]; }
counted() {
  rm -rf "$T/counted"
  "$BIN/sink" --in "$bus/counted" --to "file:$T/counted" --until-end 2>> "$T/sink.log"
  cat "$T"/counted/*.jsonl 2> /dev/null
}

# by jq: events and users of one event (or all), per day, from the lines
user='(.user_id // ("a:" + .anonymous_id))'
by_day() {
  jq -sc --arg event "$1" '[.[] | select($event == "*" or .event == $event)] |
    [["2026-11-01","2026-11-02","2026-11-03","2026-11-04"][] as $day |
      [.[] | select(.timestamp[0:10] == $day)] | '"$2"']' "$T/lines"
}
range='"unit":"day","from":"2026-11-01","to":"2026-11-04"'

up
wait_for 20 caught_up 3090
ok $? "all records are read"
is "$(status | jq -c '.ledger')" '{"in":3090,"out":3000,"bad":0,"duplicate":30,"filtered":60,"pending":0}' "the ledger"
is "$(status | jq -c '[.offsets[].next, .persons, .events]')" \
  "[1545,1545,$(jq -r "$user" "$T/lines" | sort -u | wc -l),3000]" "offsets, persons, events"
for event in "Page" 'Signed "Up"' "Заказ" $'line\nbreak' "*"; do
  json=$(jq -cn --arg e "$event" '$e')
  ask trend "{\"measures\":[{\"event\":$json},{\"event\":$json,\"measure\":\"unique\"}],$range}" > "$T/trend"
  is "$(jq -c '.series[0].values' "$T/trend")" "$(by_day "$event" length)" "$json: events by day"
  is "$(jq -c '.series[1].values' "$T/trend")" "$(by_day "$event" "map($user) | unique | length")" "$json: users by day"
  is "$(jq -c '.series[0].overall' "$T/trend")" "$(by_day "$event" length | jq add)" "$json: all events"
  is "$(jq -c '.series[1].overall' "$T/trend")" \
    "$(jq -sc --arg e "$event" "[.[] | select(\$e == \"*\" or .event == \$e) | $user] | unique | length" "$T/lines")" \
    "$json: all users"
done
is "$(jq -c '[.buckets, .series[0].segment, .series[0].event]' "$T/trend")" \
  '[["2026-11-01","2026-11-02","2026-11-03","2026-11-04"],[],"*"]' "buckets, segment, event"
is "$(jq -r '[has("computed_at"), has("complete_through"), has("took_ms"), .scanned > 0] | all' "$T/trend")" true \
  "an answer says when and how"
ask trend '{"measures":[{"event":"Page"}],"unit":"hour","from":"2026-11-02T03:00:00Z","to":"2026-11-02T06:00:00Z"}' > "$T/trend"
is "$(jq -c '[.buckets[0], .series[0].values]' "$T/trend")" \
  "$(jq -sc '["2026-11-02T03:00:00Z", [("03","04","05") as $h | [.[] | select(.event == "Page" and .timestamp[0:13] == "2026-11-02T" + $h)] | length]]' "$T/lines")" \
  "by hour"
ask trend '{"unit":"week","from":"2026-11-01","to":"2026-11-07","measures":[{"event":"*","measure":"unique"}]}' > "$T/trend"
is "$(jq -c .buckets "$T/trend")" '["2026-10-26","2026-11-02"]' "weeks begin on Monday"
is "$("$BIN/millrace" query trend --url "http://$(cat "$T/port")" --unit week --from 2026-11-01 --to 2026-11-07 \
  --week-start sunday --event Page --csv | cut -d, -f1 | tr -d '\r' | xargs)" "bucket 2026-11-01" "or where the question says"
is "$("$BIN/aggregate" --week-start funday --check 2>&1 | grep -c "'funday' is no day")" 1 "funday is none"
printf 'aggregate:\n  week_start: sunday\n' > "$T/week.yaml"
is "$("$BIN/aggregate" --config "$T/week.yaml" --dump | grep -c 'week_start: "sunday"')" 1 "from the settings"
ask trend "{$range,\"top\":2}" > "$T/trend"
is "$(jq -c '[.series[] | [.event, .overall]]' "$T/trend")" \
  "$(jq -sc '[group_by(.event)[] | [.[0].event, length]] | sort_by(-.[1], .[0]) | .[0:2] + [["$other", (.[2:] | map(.[1]) | add)]]' "$T/lines")" \
  "no measures: the top events and the rest"
is "$(ask names '{"kind":"events","prefix":"P"}' | jq -c 'map([.name, .count])')" \
  "$(jq -sc '[group_by(.event)[] | [.[0].event, length]] | map(select(.[0] | startswith("P"))) | sort_by(-.[1], .[0])' "$T/lines")" \
  "names"
ask trend '{"unit":"day","last":{"n":2,"unit":"day"},"measures":[{"event":"Page"}]}' > "$T/trend"
is "$(jq -c '.series[0].incomplete' "$T/trend")" '[false,true]' "today is not over"

# What it refuses
ask trend '{"measures":[{"event":"A","measure":"sum"}]}' > "$T/trend"
is "$(jq -c '[.error.code, .error.at]' "$T/trend") $(tail -1 "$T/answer")" \
  '["bad_value","/measures/0/prop"] 400' "a sum of nothing"
ask funnel '{}' > /dev/null; is "$(tail -1 "$T/answer")" 400 "another kind"
is "$(curl -s -o /dev/null -w '%{http_code}' "http://$(cat "$T/port")/nothing")" 404 "another path"
is "$(curl -s -o /dev/null -w '%{http_code}' "http://$(cat "$T/port")/v1/query/trend")" 405 "another method"
head -c 300000 /dev/zero | curl -s -o /dev/null -w '%{http_code}' --data-binary @- "http://$(cat "$T/port")/v1/query/trend" > "$T/code"
is "$(cat "$T/code")" 413 "a body that is too long"
"$BIN/aggregate" --bus "$bus" --state "$T/state" --http 127.0.0.1:0 2> "$T/second.log"
is $? 75 "a second one on the same directory"; like "$(cat "$T/second.log")" "another aggregate has it" "is told why"

# What it emits
all_emitted() { [ "$(counted | jq -s 'map(select(.breakdown == null)) | group_by([.event, .bucket]) | map(max_by(.as_of | split(",") | map(split(":")[1] | tonumber) | add)) | map(.total) | add')" = "$1" ]; }
wait_for 20 all_emitted 3000
ok $? "the newest counts add up to all events"
quarter='(.timestamp[0:14] + ({"0":"00","1":"15","2":"30","3":"45"}[(.timestamp[14:16] | tonumber / 15 | floor | tostring)]))'
is "$(counted | jq -sc 'map(select(.breakdown == null)) | group_by([.event, .bucket]) | map(.[-1] | [.event, .bucket[0:16], .unit, .total, .unique]) | sort' | md5sum)" \
  "$(jq -sc "group_by([.event, $quarter]) | map([.[0].event, (.[0] | $quarter), \"15min\", length, (map($user) | unique | length)]) | sort" "$T/lines" | md5sum)" \
  "each is jq's, totals and users by quarters of an hour"
is "$(counted | jq -sc 'map(select(.breakdown == "$source")) | group_by([.event, .bucket, .segment]) | map(.[-1] | [.event, .bucket[0:16], .segment, .total, .unique]) | sort' | md5sum)" \
  "$(jq -sc "group_by([.event, $quarter, .source]) | map([.[0].event, (.[0] | $quarter), .[0].source, length, (map($user) | unique | length)]) | sort" "$T/lines" | md5sum)" \
  "... and by source"
is "$(counted | tail -1 | jq -r .as_of)" "0:1545,1:1545" "as of the offsets read"
stop aggregate; is $? 0 "SIGTERM ends with 0"
before=$(counted | wc -l)
up
wait_for 20 caught_up 3090
is "$(ask trend "{$range,\"measures\":[{\"event\":\"*\"}]}" | jq '.series[0].overall')" 3000 "a restart counts the same"
stop aggregate
is "$(counted | wc -l)" "$before" "and emits nothing that was said"
"$TESTBIN/tool_enriched" "$bus/enriched" 1 50000 1 3 > /dev/null
"$BIN/aggregate" --bus "$bus" --state "$T/state" --http 127.0.0.1:0 --until-end --count-by '$source' 2> "$T/end.log"
is $? 0 "--until-end"
is "$(counted | wc -l)" $((before + 2)) "one event more: one record more of each count"
like "$(counted | tail -1 | jq -r .as_of)" "^0:1546,1:1545$" "as of now"
up
wait_for 20 caught_up 3091
kill -KILL "${tap_pid[aggregate]}"; wait "${tap_pid[aggregate]}" 2> /dev/null; unset "tap_pid[aggregate]"
up
wait_for 20 caught_up 3091
ok $? "after kill -9 it starts again"
stop aggregate
is "$(counted | wc -l)" $((before + 2)) "and says nothing twice"

# Wrong use
wrong() { "$BIN/aggregate" "${@:3}" > "$T/out" 2>&1 < /dev/null; is $? "$1" "${*:3}"; like "$(cat "$T/out")" "$2" "says $2"; }
wrong 64 "unknown option" --nonsense
touch "$T/file"
wrong 66 "cannot be made" --bus "$bus" --state "$T/file/x"
wrong 78 "." --bus "$bus" --state "$T/s2" --http nonsense
done_testing
