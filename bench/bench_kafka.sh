#!/bin/bash
# bench_kafka.sh - produce and consume through lib/bus next to kcat, on one real broker of one node
#
#   bench/bench_kafka.sh [RECORDS [BYTES]]     1,000,000 of 400 bytes
#
# Both have acks=all, idempotence, lz4 and the same linger, and kcat sends the values that tool_bus
# wrote. With the broker on the same machine the clock shows all of them at work: CPU-seconds of
# the client per million records is the figure to compare.
# SPDX-License-Identifier: Apache-2.0
cd "$(dirname "$0")/.." || exit 70
. tests/tap.sh
count=${1:-1000000} bytes=${2:-400}
KAFKA_JAVA="-Xmx1g -XX:+UseSerialGC" tests/kafka start "$T/kafka" "$T/port" || exit 69
at=127.0.0.1:$(cat "$T/port")
bus=kafka://$at
tool=$TESTBIN/tool_bus

# line WORDS: from "seconds user system kb"
line() {
  awk -v what="$1" -v n="$count" '{
    printf "%-28s %10d events/s  %6.2f CPU-s per million  %6.1f MB\n", what, n / $1,
      ($2 + $3) / n * 1e6, $4 / 1024 }' "$T/time"
}
timed() {
  local what=$1
  shift
  /usr/bin/time -q -o "$T/time" -f '%e %U %S %M' "$@" > "$T/out" 2> "$T/log" || cat "$T/log"
  line "$what"
}
$tool write --url $bus/warm --count 200000 --size "$bytes" > /dev/null 2>&1

timed 'bus write, 1 partition' $tool write --url $bus/one --count "$count" --size "$bytes"
timed 'bus write, 4 partitions' $tool write --url $bus/four --partitions 4 --spread \
  --count "$count" --size "$bytes"
kcat -b $at -C -t one -e -q -u | cut -c 12- > "$T/lines"
timed 'kcat -P' kcat -b $at -P -t kcat -l "$T/lines" -X acks=all -X enable.idempotence=true \
  -X compression.codec=lz4 -X linger.ms=5 -X queue.buffering.max.messages=10000000
for round in 1 2; do
  timed "bus read, 1 partition ($round)" $tool read --url $bus/one --until-end --quiet
  timed "bus read, 4 partitions ($round)" $tool read --url $bus/four --until-end --quiet
  timed "kcat -C, same topic ($round)" kcat -b $at -C -t one -e -q -f ''
done
tests/kafka kill "$T/kafka"
rm -rf "$T"
