#!/bin/bash
# flow_kill.t - kill -9 of each program at random, 50 times on the log and 50 on Kafka, under load
#
# KILLS= and SEED= choose; the long run is KILLS=1000.
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

run() {
  timeout 500 python3 tests/kill.py "$BUILD" "$2" "$T/$1" "${KILLS:-50}" "${SEED:-7}" > "$T/$1.tap" 2>&1
  local status=$?
  while read -r line; do
    case $line in
      ok*) ok 0 "$1: ${line#*- }" ;;
      not*) ok 1 "$1: ${line#*- }" ;;
      *) echo "# ${line#\# }" ;;
    esac
  done < "$T/$1.tap"
  is $status 0 "$1: all of it"
}

run log "log:$T/log/data"
mkdir -p "$T/broker"
tests/kafka start "$T/broker" "$T/broker/port" > "$T/broker.log" 2>&1
ok $? "a real broker runs"
run kafka "kafka://127.0.0.1:$(cat "$T/broker/port")"
tests/kafka stop "$T/broker" > /dev/null 2>&1
done_testing
