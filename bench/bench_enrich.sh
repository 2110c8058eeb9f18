#!/bin/bash
# bench_enrich.sh - enrich as a process over a log of page views and track calls: with the seven
# steps that need no data, with all, of people with many browsers and addresses, without caches
#
#   bench/bench_enrich.sh [BUILD] [RECORDS]      lines: what events/s MB/s CPU-s/million peak-MiB
#
# Next to it its bound: the same input only read, unpacked and decoded. MB are unpacked bytes of
# the input's records. CPU is of all threads, so events per second and core = 10^6 / CPU-s/million.
# SPDX-License-Identifier: Apache-2.0
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
records=${2:-1000000}
tool=$build/test/tool_enrich
t=$(mktemp -d "${TMPDIR:-/tmp}/millrace-bench-XXXXXX")
trap 'rm -rf "$t"' EXIT

agents=/usr/share/uap-core/tests/test_ua.yaml
cat > "$t/seven.yaml" << END
enrich: {steps: [ids, time, context, page, referrer, campaign, json]}
END
"$tool" write "log:$t/in" 1 "$records" 0 0
"$tool" write "log:$t/varied" 1 "$records" 0 0 0 "$agents"
bytes=$("$tool" scan collected "log:$t/in" | cut -d' ' -f2)
echo "# $records records, $((bytes / records)) bytes each, $(du -sm "$t/in" | cut -f1) MiB packed"

# line NAME COMMAND..: the best of three by CPU
line() {
  local name=$1
  shift
  for _ in 1 2 3; do
    rm -rf "$t/out"
    "$tool" time "$@" 2> "$t/log" | tail -1
  done | sort -n -k2 | head -1 | awk -v name="$name" -v n="$records" -v bytes="$bytes" '{
    printf "%-28s %9.0f events/s %7.1f MB/s %6.2f CPU-s/million %6.1f MiB\n",
      name, n / $1, bytes / $1 / 1e6, $2 * 1e6 / n, $3 / 1024 }'
}
line "scan (bound)" "$tool" scan collected "log:$t/in"
run() {
  line "$1" "$build/bin/enrich" --in "log:$t/$2" --out "log:$t/out" --bad "log:$t/bad?partition=1" \
    --until-end "${@:3}"
}
run "seven steps of one file each" in --config "$t/seven.yaml"
run "all steps, one browser" in
run "all steps, 50,000 people" varied
run "all steps, no cache" varied --no-cache
