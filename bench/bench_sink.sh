#!/bin/bash
# bench_sink.sh - the file sink as a process over a log of enriched records
#
#   bench/bench_sink.sh [BUILD] [RECORDS]   lines: events/s, MB/s of file, CPU-s/million, peak MiB
#
# First the disk's own speed: dd of the jsonl files' bytes with conv=fdatasync, in the same run. MB are
# bytes of the files written. CPU is of all threads, so events per second and core = 10^6 /
# CPU-s/million. The best of three by CPU.
# SPDX-License-Identifier: Apache-2.0
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
records=${2:-500000}
t=$(mktemp -d "${TMPDIR:-/tmp}/millrace-bench-XXXXXX")
trap 'rm -rf "$t"' EXIT

"$build/test/tool_enriched" "log:$t/in/enriched" "$records" > /dev/null
echo "# $records records, $(du -sm "$t/in" | cut -f1) MiB of log, $(nproc) cores"

# line NAME OPTION..
line() {
  local name=$1
  shift
  for _ in 1 2 3; do
    rm -rf "$t/out"
    /usr/bin/time -a -o "$t/time" -f '%e %U %S %M' "$build/bin/sink" --in "log:$t/in/enriched" --until-end "$@" \
      2> "$t/log"
    echo "$(tail -1 "$t/time") $(cat "$t"/out/* | wc -c)"
  done | sort -n -k2 | head -1 | awk -v name="$name" -v n="$records" '{
    printf "%-24s %9.0f events/s %7.1f MB/s %6.2f CPU-s/million %6.1f MiB %6.0f B/event\n",
      name, n / $1, $5 / $1 / 1e6, ($2 + $3) * 1e6 / n, $4 / 1024, $5 / n }'
}

"$build/bin/sink" --in "log:$t/in/enriched" --until-end --to "file:$t/out" 2> "$t/log"
bytes=$(cat "$t"/out/* | wc -c)
dd if=/dev/zero of="$t/dd" bs=256k count=$((bytes / 262144)) conv=fdatasync 2>&1 | tail -1 |
  sed "s/^/disk (dd, fdatasync): /"
rm -f "$t/dd"
line jsonl --to "file:$t/out"
line "jsonl --no-nulls" --to "file:$t/out" --no-nulls
line jsonl.gz --to "file:$t/out?format=jsonl.gz"
line "avro deflate" --to "file:$t/out?format=avro"
line "avro zstandard" --to "file:$t/out?format=avro" --codec zstandard
line "avro null" --to "file:$t/out?format=avro" --codec null
