#!/bin/bash
# fuzz.t - every fuzzer for FUZZ_SECONDS (5) under ASan and UBSan; tests/run calls it in `make asan`
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh
[ -n "$(ls "$BUILD"/fuzz/fuzz_* 2> /dev/null)" ]
ok $? "fuzzers are built"
for fuzzer in "$BUILD"/fuzz/fuzz_*; do
  case $fuzzer in *.d) continue ;; esac
  name=${fuzzer##*/}
  mkdir -p "$T/$name"
  "$fuzzer" -max_total_time="${FUZZ_SECONDS:-5}" -timeout=10 -rss_limit_mb=1024 -seed=1 \
    -artifact_prefix="$T/$name-" "$T/$name" > "$T/$name.log" 2>&1
  status=$?
  ok $status "$name: $(sed -n 's/^Done \([0-9]* runs\).*/\1/p' "$T/$name.log")"
  [ $status = 0 ] || tail -30 "$T/$name.log" | sed 's/^/# /'
done
done_testing
