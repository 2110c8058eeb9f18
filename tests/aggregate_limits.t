#!/bin/bash
# aggregate_limits.t - deadlines, memory, clients that go away, questions that mean no good
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

bus=log:$T/data
"$TESTBIN/tool_enriched" "$bus/enriched" 100000 0 2 > /dev/null

up() {
  rm -f "$T/port"
  start aggregate "$BIN/aggregate" --bus "$bus" --state "$T/state" --http 127.0.0.1:0 --port-file "$T/port" \
    --metrics 127.0.0.1:0 "$@"
  wait_for 20 test -s "$T/port"
  url="http://$(cat "$T/port")"
  wait_for 60 caught_up
}
caught_up() { [ "$(curl -sS "$url/v1/status" | jq '[.offsets[].next] | add')" = 103030 ]; }
ask() { curl -sS -o "$T/answer" -w '%{http_code}' --data-binary "$2" "$url/v1/query/$1"; }
code() { jq -r '[.error.code, .error.at] | join(" ")' "$T/answer"; }
metric() { curl -sS "http://$(sed -n 's/.*event=metrics address=\([^ ]*\).*/\1/p' "$T/aggregate.log" | tail -1)/metrics" | sed -n "s/^millrace_aggregate_$1 //p"; }
metric_is() { [ "$(metric "$1")" = "$2" ]; }
hwm() { sed -n 's/VmHWM: *\([0-9]*\) kB/\1/p' "/proc/${tap_pid[aggregate]}/status"; }

# 50 measures of every day of 8 years: more than a second of work
measures() { jq -cn "[range($1) | {event: \"*\", measure: \"$2\"}]"; }
heavy="{\"measures\":$(measures 50 mau),\"unit\":\"day\",\"from\":\"2018-12-01\",\"to\":\"2026-11-05\"}"
range='"from":"2026-11-01","to":"2026-11-05"'

up --query-time 20ms
is "$(ask trend "$heavy") $(code)" "408 deadline " "over the deadline"
wait_for 10 metric_is questions_late_total 1
ok $? "and counted"
wide="{\"measures\":[{\"event\":\"*\",\"measure\":\"unique\"}],\"unit\":\"minute\",$range,
  \"breakdown\":[{\"prop\":\"\$url\"},{\"prop\":\"\$ip\"},{\"prop\":\"\$title\"},{\"prop\":\"\$path\"}]}"
stop aggregate
up --query-time 1h --query-memory 1m
before=$(hwm)
is "$(ask trend "$wide") $(code)" "413 too_large " "over the memory bound"
[ $(($(hwm) - before)) -lt 60000 ]
ok $? "which holds: $(($(hwm) - before)) kB more"
wait_for 10 metric_is questions_large_total 1
ok $? "and counted"
stop aggregate
up --query-time 1h
# 20 s of work: an expression that tries all ways to part each address
slow='{"measures":[{"event":"*"}],"where":{"prop":"$url","op":"matches","values":["(.*)*(.*)*(.*)*x$"]}}'
curl -sS -m 1 -o /dev/null --data-binary "$slow" "$url/v1/query/trend" 2> /dev/null
is $? 28 "a client goes away"
wait_for 20 metric_is questions_canceled_total 1
ok $? "its question stops"
is "$(ask names '{"kind":"events"}')" 200 "and others are answered"
stop aggregate

# What means no good is refused with its place, or answered; the program lives on.
up --query-time 5s
refused() { is "$(ask "$1" "$2") $(code)" "400 $3" "${4:-$2}"; }
steps() { jq -cn "{steps: [range($1) | {event: \"A\"}]}"; }
refused funnel "$(steps 33)" "too_many /steps" "33 steps"
refused funnel "$(steps 0)" "missing /steps" "no steps"
is "$(ask funnel "$(steps 32)")" 200 "32 steps"
deep=$(printf '{"not":%.0s' {1..200})$(printf '}%.0s' {1..200})
is "$(ask trend "{\"measures\":[{\"event\":\"A\"}],\"where\":$deep}")" 400 "a filter 200 deep"
python3 -c 'print("[" * 100000)' > "$T/deep"
is "$(ask trend "@$T/deep")" 400 "JSON 100,000 deep"
is "$(ask trend '{"measures":[{"event":"A"}]')" 400 "JSON cut short"
is "$(ask trend '')" 400 "nothing"
is "$(ask trend '[]')" 400 "a list"
is "$(ask trend 'null')" 400 "null"
for bad in NaN Infinity -Infinity 1e999; do
  is "$(ask trend "{\"measures\":[{\"event\":\"A\"}],\"where\":{\"prop\":\"n\",\"op\":\">\",\"values\":[$bad]}}")" 400 "$bad"
done
for top in -1 0 1001 1e30 1.5 '"5"' true; do
  is "$(ask trend "{\"measures\":[{\"event\":\"A\"}],\"breakdown\":[{\"prop\":\"p\"}],\"top\":$top}")" 400 "top $top"
done
for zone in '"Mars/Base"' '"../../etc/passwd"' '"/etc/localtime"' '""' '"Europe"' '"UTC\u0000x"' 7 "\"$(printf 'A%.0s' {1..5000})\""; do
  is "$(ask trend "{\"measures\":[{\"event\":\"A\"}],\"zone\":$zone}")" 400 "zone ${zone:0:40}"
done
for days in '"from":"1970-12-31","to":"1971-02-01"' '"from":"2026-11-05","to":"2026-11-01"' '"from":"2026-02-30","to":"2026-03-01"' \
  '"from":"9999-12-31","to":"9999-12-31"' '"last":{"n":-1,"unit":"day"}' '"last":{"n":9223372036854775807,"unit":"year"}' \
  '"last":{"n":1,"unit":"eon"}' '"from":17,"to":18' '"from":"2026-11-01T00:00:00.0000000000000000000000000001Z","to":"x"'; do
  is "$(ask trend "{\"measures\":[{\"event\":\"A\"}],$days}")" 400 "$days"
done
for window in '{"n":9223372036854775807,"unit":"month"}' '{"n":-5,"unit":"day"}' '{"n":1}' '7' '{"n":1e300,"unit":"day"}'; do
  is "$(ask funnel "{\"steps\":[{\"event\":\"A\"}],\"window\":$window}")" 400 "window $window"
done
is "$(ask trend '{"measures":[{"event":"A"}],"where":{"prop":"p","op":"matches","values":["(a+)+$("]}}')" 400 "an expression that is none"
like "$(ask trend "$slow")" \
  '^(200|408)$' "one that would take for ever"
is "$(ask trend "{\"measures\":[{\"event\":\"A\"}],\"formula\":\"$(printf '(%.0s' {1..5000})\"}")" 400 "5,000 parentheses"
is "$(ask trend "{\"measures\":[{\"event\":\"A\"}],\"formula\":\"A/0\"}")" 200 "A/0"
is "$(jq -c '[.series[] | select(.formula) | .values[]] | unique' "$T/answer")" '[null]' "is nothing"
is "$(ask people '{"query":{"did":"A","count":{"op":">=","n":1e18}}}')" 400 "1e18 times"
is "$(ask people '{"query":{"and":[]},"page":"AAAA////"}')" 400 "a page that is none"
is "$(ask person '{"id":"'"$(printf 'x%.0s' {1..5000})"'"}')" 400 "an id of 5,000 bytes"
is "$(ask names '{"kind":"values","prop":"$url","limit":100000000}')" 400 "100,000,000 names"
kill -0 "${tap_pid[aggregate]}"
ok $? "it lives"
stop aggregate
up --query-time 1h     # for a machine that is busy
is "$(ask trend "$wide")" 200 "4 breakdowns by the minute"
is "$(jq '.series | length' "$T/answer")" 13 "are 12 and the rest"
is "$(ask trend '{"measures":[{"event":"Nobody did that"}],"breakdown":[{"prop":"no such"}]}')" 200 "what nobody did"
is "$(jq -c '.unknown' "$T/answer")" '{"events":["Nobody did that"],"properties":["no such"]}' "is named"
kill -0 "${tap_pid[aggregate]}"
ok $? "it lives"
stop aggregate; is $? 0 "and ends in order"
done_testing
