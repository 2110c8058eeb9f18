#!/bin/bash
# flow_sdk.t - the real SDKs, unmodified, send every call; each arrives once, in files and counts
#
# analytics-node, segment-analytics-python, analytics-go, rudder-sdk-node, and analytics-next in
# headless Chromium (as a package and by the snippet's path), through collect, enrich, sink and
# aggregate: on the embedded log and on a real Kafka broker; then the same bodies once more as
# `collect --stdin | enrich | sink` in a shell.
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh
.ci/install sdks || { echo "Bail out! the SDKs cannot be installed"; exit 69; }
sdk=$PWD/build/sdk

settings() {
  cat << EOF
bus: $1
sources:
  - {name: node, write_key: wk-node}
  - {name: python, write_key: wk-python}
  - {name: go, write_key: wk-go}
  - {name: rudder, write_key: wk-rudder}
  - {name: browser, write_key: wk-browser}
  - {name: snippet, write_key: wk-snippet}
collect:
  listen: 127.0.0.1:0
  analytics_js: $sdk/node_modules/@segment/analytics-next/dist/umd/standalone.js
aggregate:
  http: 127.0.0.1:0
EOF
}

# run_sdks URL: all of them, one after the other; their own exit status is a test.
run_sdks() {
  NODE_PATH=$sdk/node_modules timeout 60 node tests/sdk/node.js "$1" wk-node
  ok $? "analytics-node ran"
  timeout 60 "$sdk/venv/bin/python" tests/sdk/python.py "$1" wk-python
  ok $? "segment-analytics-python ran"
  timeout 60 "$sdk/go-sdk" "$1" wk-go
  ok $? "analytics-go ran"
  NODE_PATH=$sdk/node_modules timeout 60 node tests/sdk/rudder.js "$1" wk-rudder
  ok $? "rudder-sdk-node ran"
  NODE_PATH=$sdk/node_modules timeout 120 node tests/sdk/browser.js "$1" wk-browser wk-snippet \
    "$sdk/node_modules"
  ok $? "analytics-next ran in Chromium"
}

lines() { cat "$1"/*.jsonl 2> /dev/null | wc -l; }
has_lines() { [ "$(lines "$1")" -ge "$2" ]; }
query() { curl -sS -H 'Content-Type: application/json' -d "$2" "http://$(cat "$1")/v1/query/trend"; }

# check_files DIR WHAT: check.py's tests, as ours
check_files() {
  python3 tests/sdk/check.py "$1"/*.jsonl > "$T/check"
  while read -r line; do
    case $line in
      ok*) ok 0 "$2: ${line#*- }" ;;
      not*) ok 1 "$2: ${line#*- }" ;;
      '#'*) echo "$line" ;;
    esac
  done < "$T/check"
}

# flow NAME BUS: everything on one transport
flow() {
  local dir=$T/$1
  mkdir -p "$dir"
  settings "$2" > "$dir/millrace.yaml"
  start "$1-collect" "$BIN/collect" --config "$dir/millrace.yaml" --port-file "$dir/collect.port"
  wait_for 20 test -s "$dir/collect.port"
  ok $? "$1: collect listens"
  start "$1-enrich" "$BIN/enrich" --config "$dir/millrace.yaml"
  start "$1-aggregate" "$BIN/aggregate" --config "$dir/millrace.yaml" --state "$dir/state" \
    --port-file "$dir/aggregate.port"
  start "$1-sink" "$BIN/sink" --config "$dir/millrace.yaml" --to "file:$dir/files?format=jsonl" \
    --flush-after 500ms
  run_sdks "http://$(cat "$dir/collect.port")"
  wait_for 30 has_lines "$dir/files" 42
  ok $? "$1: all 42 events are in the files"
  check_files "$dir/files" "$1"
  wait_for 20 test -s "$dir/aggregate.port"
  local ask='{"measures":[{"event":"Order Completed","measure":"total"},{"event":"Order Completed","measure":"unique"},{"event":"Page","measure":"total"}],"unit":"day","last":{"n":60,"unit":"day"}}'
  counted() { [ "$(query "$dir/aggregate.port" "$ask" | jq -c '[.series[].overall]')" = '[6,6,6]' ]; }
  wait_for 20 counted
  is "$(query "$dir/aggregate.port" "$ask" | jq -c '[.series[].overall]')" '[6,6,6]' "$1: and in the counts"
  for program in collect enrich aggregate sink; do
    stop "$1-$program"
    is $? 0 "$1: $program ends with 0"
  done
  "$BIN/sink" verify "$dir/files" > "$dir/verify"
  ok $? "$1: sink verify agrees"
}

flow log "log:$T/log/data"
mkdir -p "$T/broker"
tests/kafka start "$T/broker" "$T/broker/port" > "$T/broker.log" 2>&1
ok $? "a real broker runs"
flow kafka "kafka://127.0.0.1:$(cat "$T/broker/port")"
tests/kafka stop "$T/broker" > /dev/null 2>&1

# The same bodies through a shell's pipe. The source is told by --source, so it goes one by one.
mkdir -p "$T/pipe/files"
"$BIN/sink" --in "log:$T/log/data/collected" --until-end --to "file:$T/pipe/collected?format=jsonl" \
  2> "$T/pipe.log"
for source in node python go rudder browser snippet; do
  cat "$T"/pipe/collected/*.jsonl | jq -c "select(.source == \"$source\") | .body | fromjson? // ." \
    > "$T/pipe/$source.in"
  (cd "$T/pipe" && "$BIN/collect" --stdin --source $source < $source.in 2>> "$T/pipe.log" |
    "$BIN/enrich" 2>> "$T/pipe.log" | "$BIN/sink" --to "file:$source" 2>> "$T/pipe.log")
  ok $? "collect --stdin | enrich | sink: $source"
  cat "$T/pipe/$source"/*.jsonl
done > "$T/pipe/out"
grep -E '^(not )?ok|^#' "$T/pipe/out"
grep -vE '^(not )?ok|^#' "$T/pipe/out" > "$T/pipe/files/all.jsonl"
check_files "$T/pipe/files" pipe
done_testing
