#!/bin/bash
# bench_questions.sh [EVENTS [DIR]] - into aggregate's store, on disk, open again, and questions; next to DuckDB and ClickHouse
# 1,000,000 events of 1 M users in 30 days (bench_store has what is in them); 10000000 and 50000000 are what docs/store.md
# tells of. DIR is kept; else a temporary one is not. The peers get the seven columns that the questions ask for.
# SPDX-License-Identifier: Apache-2.0
set -u
cd "$(dirname "$0")/.." || exit 70
BUILD=${BUILD:-build}
events=${1:-1000000}
dir=${2:-$(mktemp -d -t millrace-questions-XXXXXX)}
[ $# -ge 2 ] || trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir"
"$BUILD/bench/bench_store" "$events" "$dir/state" || exit 1
[ -s "$dir/rows.csv" ] || "$BUILD/bench/bench_query" "$dir/state" export > "$dir/rows.csv" || exit 1
echo "- millrace"
"$BUILD/bench/bench_query" "$dir/state" || exit 1
.ci/install pyvenv build/venv && build/venv/bin/python bench/bench_peers.py duckdb "$dir/rows.csv"
if command -v clickhouse-server > /dev/null && command -v clickhouse-client > /dev/null; then
  python3 bench/bench_peers.py clickhouse "$dir/rows.csv"
else
  echo "ClickHouse is missing: .ci/install bench"
fi
