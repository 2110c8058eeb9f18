#!/bin/bash
# The log's writer dies, and its disk lies: nothing acknowledged is lost, nothing is there twice.
# SPDX-License-Identifier: Apache-2.0
# Thousands of syncs: in memory where there is such a place.
[ -w /dev/shm ] && export TMPDIR=${TMPDIR:-/dev/shm}
. tests/tap.sh
tool=$TESTBIN/tool_log
fault=$TESTBIN/preload_fault.so
seed=${SEED:-20261124}
RANDOM=$seed
echo "# seed $seed"

acked() { awk '/^acked|^base/ { if ($2 + 0 > n) n = $2 + 0 } END { print n + 0 }' "$@"; }

# The log at $1 is right, and holds all that the output files $2.. say was acknowledged. Prints what is not.
check() {
  local url=$1
  shift
  "$tool" read "$url" > "$T/read" 2>&1 || { echo "read failed: $(tail -1 "$T/read")"; return; }
  grep -v '^end ' "$T/read" | head -3
  local end
  end=$(awk '/^end/ { print $2 }' "$T/read")
  [ "${end:-0}" -ge "$(acked "$@")" ] || echo "ends at $end, acked $(acked "$@")"
}

# 1. kill -9 at random times, while a reader follows.
for i in $(seq 50); do
  "$tool" write "log:$T/kill/t" 0 20000 > "$T/kill.$i" 2>&1 &
  pid=$!
  sleep "0.0$((RANDOM % 80 + 10))"
  { kill -9 $pid; wait $pid; } 2> /dev/null
done
is "$(check "log:$T/kill/t" "$T"/kill.*)" "" "50 kills: all acknowledged is there once"
ok $(($(acked "$T"/kill.*) > 500 ? 0 : 1)) "they were under load: $(acked "$T"/kill.*) acked"

# 2. The process dies at the n-th call of each kind, and half way through a write.
for rule in write:torn write:kill sync:kill sync:kill_after open:kill_after truncate:kill; do
  bad=""
  killed=0
  for n in $(seq 1 25); do
    (FAULT="$rule:/at/t:$n" LD_PRELOAD=$fault "$tool" write "log:$T/at/t" 120 1500 \
      > "$T/at.$n" 2>&1
     [ $? = 137 ]) 2> /dev/null && killed=$((killed + 1))
    bad+=$(check "log:$T/at/t" "$T"/at.*)
    [ -z "$bad" ] || break
  done
  is "$bad" "" "$rule at each of 25 calls: $killed times"
  ok $((killed > 0 ? 0 : 1)) "it was killed"
  rm -rf "$T/at" "$T"/at.*
done

# 3. Failing calls: nothing is acknowledged by mistake, and writing goes on behind the failure.
for rule in write:ENOSPC write:EIO write:short fdatasync:EIO fsync:EIO open:ENOSPC truncate:EIO; do
  bad=""
  for n in 1 2 3 5 8 13 21; do
    FAULT="$rule:/fail/t:$n:$((n + 1))" LD_PRELOAD=$fault timeout 20 \
      "$tool" write "log:$T/fail/t" 120 1500 > "$T/fail.$n" 2>&1
    bad+=$(check "log:$T/fail/t" "$T"/fail.*)
    grep -q '^open -' "$T/fail.$n" ||
      [ "$(acked "$T/fail.$n")" = $(($(awk '/^base/ { print $2 }' "$T/fail.$n") + 120)) ] ||
      bad+="n=$n: not all was acknowledged in the end"
    [ -z "$bad" ] || break
  done
  is "$bad" "" "$rule: right in the end, $(cat "$T"/fail.* | grep -c '^error -') errors met"
  rm -rf "$T/fail" "$T"/fail.*
done

# 4. A full disk, for a while; a truncate that fails as well leaves a tail that readers must not see.
for more in "" ",truncate:EIO:/full/t:1:-"; do
  : > "$T/is_full"
  : > "$T/full.out"
  FAULT="write:ENOSPC:.avro:3:-$more" FAULT_IF="$T/is_full" LD_PRELOAD=$fault \
    "$tool" write "log:$T/full/t" 300 > "$T/full.out" 2>&1 &
  pid=$!
  wait_for 10 grep -q '^error -28' "$T/full.out"
  ok $? "a full disk is reported: $(grep -m1 '^error -' "$T/full.out")"
  before=$(acked "$T/full.out")
  is "$(check "log:$T/full/t" "$T/full.out")" "" "what readers see meanwhile is right"
  is "$(acked "$T/full.out")" "$before" "and nothing more was acknowledged"
  rm "$T/is_full"
  wait $pid
  ok $? "the writer goes on by itself"
  like "$(grep '^error' "$T/full.out" | tail -1)" "error 0 " "the error went away"
  is "$(acked "$T/full.out")" $(($(awk '/^base/ { print $2 }' "$T/full.out") + 300)) "all acknowledged"
  is "$(check "log:$T/full/t" "$T/full.out")" "" "all there"
done

# 5. A sync that fails: another file, and never the same sync again.
FAULT="fdatasync:EIO:.avro:3:4" LD_PRELOAD=$fault "$tool" write "log:$T/eio/t" 200 > "$T/eio.out" 2>&1
like "$(cat "$T/eio.out")" "error -5 .*cannot sync" "a failed fdatasync is reported"
is "$(check "log:$T/eio/t" "$T/eio.out")" "" "all there"
ok $(($(ls "$T/eio/t/0" | wc -l) > 1 ? 0 : 1)) "in a new segment"

# ... and where the blocks cannot be cut off either, a reader may begin at every offset.
FAULT="fdatasync:EIO:.avro:30:30,truncate:EIO::1:-" LD_PRELOAD=$fault \
  "$TESTBIN/tool_bus" write --url "log:$T/uncut/enriched" --count 60 --each > "$T/uncut.out" 2>&1
from_every_offset() {
  local n got
  for n in $(seq 0 59); do
    got=$("$TESTBIN/tool_bus" read --url "log:$T/uncut/enriched" --start "$n" --until-end 2> "$T/uncut.log" |
      grep -cE '^[0-9]+[ :]')
    [ "$got" = $((60 - n)) ] || printf '%s:%s ' "$n" "$got"
  done
}
is "$(from_every_offset)" "" "from every offset the rest is read"
first=$(ls "$T/uncut/enriched/0/"*.avro | head -1)
head -c 60 /dev/urandom >> "$first"
is "$(from_every_offset)" "" "also where damage stands behind what could not be cut off"

# 6. A reader in another process sees durable records only.
: > "$T/no_sync"
FAULT="fdatasync:EIO:.avro:1:-" FAULT_IF="$T/no_sync" LD_PRELOAD=$fault \
  "$tool" write "log:$T/seen/t" 50 > "$T/seen.out" 2>&1 &
pid=$!
start follow "$tool" follow "log:$T/seen/t" 50
wait_for 10 grep -q '^error -5' "$T/seen.out"
wait_for 1 grep -q '^got' "$T/follow.out"
is "$(cat "$T/follow.out")" "" "written, not synced: not seen"
rm "$T/no_sync"
wait_for 20 grep -q '^got 49' "$T/follow.out"
ok $? "seen once it is durable"
wait $pid
stop follow

# 7. The power fails: only what was synced is sure to be there, of the rest a random part.
mkdir -p "$T/power"
bad=""
for i in $(seq 40); do
  python3 tests/power.py begin "$T/power" "$T/shadow"
  POWER_FROM=$T/power POWER_TO=$T/shadow LD_PRELOAD=$TESTBIN/preload_power.so \
    "$tool" write "log:$T/power/d/t" 0 20000 > "$T/power.$i" 2>&1 &
  pid=$!
  sleep "0.0$((RANDOM % 60 + 10))"
  { kill -9 $pid; wait $pid; } 2> /dev/null
  python3 tests/power.py loss "$T/power" "$T/shadow" "$T/left" $((seed + i)) || bad+="power.py failed"
  rm -rf "$T/power"
  mv "$T/left" "$T/power"
  bad+=$(check "log:$T/power/d/t" "$T"/power.*)
  [ -z "$bad" ] || break
done
is "$bad" "" "40 power losses: all acknowledged is there once"
ok $(($(acked "$T"/power.*) > 100 ? 0 : 1)) "they were under load: $(acked "$T"/power.*) acked"
done_testing
