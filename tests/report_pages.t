#!/bin/bash
# report_pages.t - the dashboard's pages in a real browser, next to the API's numbers
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh
.ci/install sdks || { echo "Bail out! playwright cannot be installed"; exit 69; }

bus=log:$T/data
{
  for i in $(seq 400); do
    jq -cn --arg u "u$((i % 40))" --arg e "$([ $((i % 3)) = 0 ] && echo Bought || echo Viewed)" --arg m "m$i" \
      '{type: "track", userId: $u, event: $e, messageId: $m, properties: {n: 1}}'
  done
  jq -cn '{type: "track", userId: "<b>x</b>", event: "<img src=x onerror=alert(1)>", messageId: "h",
    properties: {"<script>": "</script><script>alert(2)</script>"}}'
} | "$BIN/collect" --stdin --source web --out "$bus/collected" 2> "$T/collect.log"
"$BIN/enrich" --bus "$bus" --until-end 2> "$T/enrich.log"
start aggregate "$BIN/aggregate" --bus "$bus" --state "$T/state" --http 127.0.0.1:0 --port-file "$T/aggregate.port"
wait_for 30 test -s "$T/aggregate.port"
start report "$BIN/report" --listen 127.0.0.1:0 --port-file "$T/port" --dir "$T" --bus "$bus" \
  --aggregate "$(cat "$T/aggregate.port")"
wait_for 30 test -s "$T/port"
url=http://$(cat "$T/port")
wait_for 30 bash -c "curl -sS -d '{}' $url/api/v1/query/people | jq -e '.total == 41'"
timeout 240 node tests/report_pages.js "$url" Viewed
status=$?
stop report
stop aggregate
[ $status = 0 ] && rm -rf "$T"
exit $status
