#!/bin/bash
# bus_away.t - a broker that is not there: named in the log, tried again, given up on by option
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
away=kafka://127.0.0.1:$port

# gives_up NAME ARGUMENT..: ends with 69 (peer gone) and names the broker
gives_up() {
  local name=$1
  shift
  timeout 60 "$BIN/$name" "$@" --open-time 1s > "$T/$name.out" 2> "$T/$name.log" < /dev/null
  is $? 69 "$name gives up with 69"
  grep -q "level=error.*127.0.0.1:$port" "$T/$name.log"
  ok $? "$name says which broker it was"
}
gives_up collect --bus "$away" --listen 127.0.0.1:0
gives_up enrich --bus "$away"
gives_up sink --bus "$away" --to "file:$T/files"
gives_up aggregate --bus "$away" --state "$T/state" --http 127.0.0.1:0

# Without the option it goes on trying, and SIGTERM ends it at once.
start patient "$BIN/collect" --bus "$away" --listen 127.0.0.1:0
wait_for 20 grep -q "127.0.0.1:$port" "$T/patient.log"
ok $? "collect tells what it waits for"
kill -0 "${tap_pid[patient]}"
ok $? "and goes on trying"
stop patient
is $? 0 "SIGTERM ends it in order: nothing was begun"
for name in enrich sink aggregate; do
  case $name in enrich) set -- ;; sink) set -- --to "file:$T/f" ;; *) set -- --state "$T/s" --http 127.0.0.1:0 ;; esac
  start $name "$BIN/$name" --bus "$away" "$@"
  before=$(wc -l < "$T/$name.log")
  more() { [ "$(wc -l < "$T/$name.log")" -gt "$before" ]; }
  wait_for 20 more
  stop $name
  is $? 0 "$name likewise"
done
start waits "$BIN/enrich" --bus "log:$T/nothing"
wait_for 20 grep -q event=waiting "$T/waits.log"
stop waits
is $? 0 "enrich that waits for its topic on a log likewise"
done_testing
