#!/bin/bash
# bench_collect.sh - collect under tool_load: single events and batches of 100, durable on the log
#
#   bench/bench_collect.sh [BUILD] [SECONDS]     lines: what events/s CPU-s/million peak-MiB p50 p99
#
# CPU is of all threads of collect (parsing, compression, fdatasync), so events per second and core =
# 10^6 / CPU-s/million. Every answer is after the fdatasync. The bounds are bench_httpd's bare epoll
# servers, the second of which also answers after a group fdatasync. --stdin is the same without HTTP.
# SPDX-License-Identifier: Apache-2.0
set -eu
cd "$(dirname "$0")/.."
build=${1:-${BUILD:-build}}
seconds=${2:-4}
t=$(mktemp -d "${TMPDIR:-/tmp}/millrace-bench-XXXXXX")
trap 'kill "${pid:-0}" 2> /dev/null; rm -rf "$t"' EXIT
printf 'bus: log:%s/data\nsources:\n  - {name: web, write_key: K}\n' "$t" > "$t/millrace.yaml"

# cpu PID: seconds of user and system time so far
cpu() { awk -v hz="$(getconf CLK_TCK)" '{ print ($14 + $15) / hz }' "/proc/$1/stat"; }
memory() { awk -v what="$2:" '$1 == what { print $2 / 1024 }' "/proc/$1/status"; }
value() { awk -v key="$1" '$1 == key { print $2 }' "$t/load"; }

# line NAME CONNECTIONS BATCH
line() {
  rm -rf "$t/data" "$t/port"
  "$build/bin/collect" --config "$t/millrace.yaml" --listen 127.0.0.1:0 --port-file "$t/port" \
    2> "$t/log" &
  pid=$!
  until [ -s "$t/port" ]; do sleep 0.05; done
  rest=$(memory $pid VmRSS)
  before=$(cpu $pid)
  "$build/test/tool_load" --url "http://$(cat "$t/port")" --key K --connections "$2" --batch "$3" \
    --seconds "$seconds" > "$t/load"
  awk -v name="$1" -v n="$(value events)" -v rate="$(value events_per_s)" -v a="$before" \
    -v b="$(cpu $pid)" -v peak="$(memory $pid VmHWM)" -v p50="$(value p50_ms)" -v p99="$(value p99_ms)" 'BEGIN {
    printf "%-24s %8.0f events/s %6.2f CPU-s/million (%6.0f /s and core) %5.1f MiB p50 %.1f p99 %.1f ms\n",
      name, rate, (b - a) * 1e6 / n, n / (b - a), peak, p50, p99 }'
  kill $pid
  wait $pid
  grep -q 'pending=0' "$t/log"
}
line "1 event, 256 clients" 256 1
line "100 events, 16 clients" 16 100
echo "# at rest collect has $(printf %.1f "$rest") MiB"

python3 - > "$t/lines" << 'END'
import json
for i in range(300000):
    print(json.dumps({"type": "track", "userId": f"u{i % 5000}", "event": "Product Viewed", "messageId": f"m-{i}",
                      "timestamp": "2026-11-24T10:00:00.123Z", "properties": {"path": "/shop", "n": i, "price": 9.5},
                      "context": {"page": {"url": "https://shop.example.com/shop?utm_source=x", "title": "Shop",
                                           "referrer": "https://www.example.org/search"}, "locale": "en-US"}}))
END
rm -rf "$t/data"
TIMEFORMAT='%R %U %S'
{ time "$build/bin/collect" --stdin --out "log:$t/data/collected" < "$t/lines" 2> /dev/null; } 2> "$t/time"
awk '{ printf "%-24s %8.0f events/s %6.2f CPU-s/million\n", "--stdin", 3e5 / $1, ($2 + $3) / 0.3 }' "$t/time"
