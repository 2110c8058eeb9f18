#!/bin/bash
# bench_enrich.sh - enrich as a process: the seven steps that need no data, all, without caches
#
#   in        page views and track calls of one browser, about 1.2 kB each
#   varied    the same of 50,000 people with many browsers, addresses and referrers
#   recorded  each call of six real SDKs in equal shares, with other ids, times and prices
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
declare -A bytes
trap 'rm -rf "$t"' EXIT

agents=/usr/share/uap-core/tests/test_ua.yaml
cat > "$t/seven.yaml" << END
enrich: {steps: [ids, time, context, page, referrer, campaign, json]}
END
"$tool" write "log:$t/in" 1 "$records" 0 0
"$tool" write "log:$t/varied" 1 "$records" 0 0 0 "$agents"
"$tool" write "log:$t/recorded" 1 "$records" 0 0 0 bench/recorded.tsv
for in in in varied recorded; do
  bytes[$in]=$("$tool" scan collected "log:$t/$in" | cut -d' ' -f2)
  echo "# $in: $records records, $((bytes[$in] / records)) bytes each, $(du -sm "$t/$in" | cut -f1) MiB packed"
done

# line NAME INPUT COMMAND..: the best of three by CPU
line() {
  local name=$1 bytes=${bytes[$2]}
  shift 2
  for _ in 1 2 3; do
    rm -rf "$t/out"
    "$tool" time "$@" 2> "$t/log" | tail -1
  done | sort -n -k2 | head -1 | awk -v name="$name" -v n="$records" -v bytes="$bytes" '{
    printf "%-28s %9.0f events/s %7.1f MB/s %6.2f CPU-s/million %6.1f MiB\n",
      name, n / $1, bytes / $1 / 1e6, $2 * 1e6 / n, $3 / 1024 }'
}
run() {  # NAME INPUT OPTION..
  line "$1" "$2" "$build/bin/enrich" --in "log:$t/$2" --out "log:$t/out" --bad "log:$t/bad?partition=1" \
    --until-end "${@:3}"
}
for in in in recorded; do
  line "scan (bound), $in" $in "$tool" scan collected "log:$t/$in"
  run "seven steps, $in" $in --config "$t/seven.yaml"
done
run "all steps, in" in
run "all steps, recorded" recorded
run "all steps, varied" varied
run "all steps, varied, no cache" varied --no-cache
