#!/bin/bash
# aggregate_threads.t - a question's threads begin one after the other: on one core, the second when the first is done
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

awk 'BEGIN { for (i = 0; i < 24000; i++)
  printf "{\"type\":\"track\",\"event\":\"E\",\"userId\":\"u%d\",\"messageId\":\"m%d\"}\n", i % 3000, i }' |
  "$BIN/collect" --stdin --source web --bus "log:$T/data" 2> "$T/log" &&
  "$BIN/enrich" --bus "log:$T/data" --until-end 2> "$T/log"
ok $? "24,000 events of 3,000 people"
start aggregate taskset -c "$(taskset -cp $$ | sed 's/.*: \([0-9]*\).*/\1/')" "$BIN/aggregate" --bus "log:$T/data" --state "$T/state" \
  --http 127.0.0.1:0 --port-file "$T/port"
wait_for 30 test -s "$T/port"
ask() { curl -sS -d "$2" "http://$(cat "$T/port")/v1/query/$1"; }
whole() { [ "$(curl -sS "http://$(cat "$T/port")/v1/status" | jq '[.offsets[] | .end - .next] | add')" = 0 ]; }
wait_for 30 whole
ok $? "are read"
for limit in 1 2 50 1000; do
  is "$(ask people "{\"limit\": $limit}" | jq -c '[.total, (.people | length), ([.people[].id] | unique | length)]')" \
    "[3000,$limit,$limit]" "$limit of 3,000 people, each once"
done
done_testing
