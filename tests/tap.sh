# tap - test results as lines (Test Anything Protocol) from bash; `. tests/tap.sh` from the root
#
#   ok CONDITION-STATUS words..     is A B words..     like TEXT REGEX words..
#   wait_for SECONDS COMMAND..      repeats the command until it succeeds or the time is over
#   start NAME COMMAND..            runs in the background, output in $T/NAME.log; stop NAME [SIGNAL]
#   done_testing                    the plan, and the exit status
#
# $T is a directory for this test, removed at the end where all passed (else it is named).
# $BIN holds the programs, $TESTBIN the test helpers.
# SPDX-License-Identifier: Apache-2.0
BUILD=${BUILD:-build}
BIN=$PWD/$BUILD/bin
TESTBIN=$PWD/$BUILD/test
T=$(mktemp -d "${TMPDIR:-/tmp}/millrace-XXXXXX")
tap_count=0
tap_failed=0
declare -A tap_pid

ok() {
  local status=$1
  shift
  tap_count=$((tap_count + 1))
  if [ "$status" = 0 ]; then
    echo "ok $tap_count - $*"
  else
    tap_failed=$((tap_failed + 1))
    echo "not ok $tap_count - $*"
    echo "# at $(caller 0 2>/dev/null) $(caller 1 2>/dev/null)"
  fi
}

is() {
  local a=$1 b=$2
  shift 2
  [ "$a" = "$b" ]
  ok $? "$*"
  [ "$a" = "$b" ] || printf '# got:    %s\n# wanted: %s\n' "$a" "$b"
}

like() {
  local text=$1 regex=$2
  shift 2
  [[ $text =~ $regex ]]
  local status=$?
  ok $status "$*"
  [ $status = 0 ] || printf '# got:    %s\n# wanted: %s\n' "$text" "$regex"
}

wait_for() {
  local end=$((SECONDS + $1))
  shift
  until "$@" > /dev/null 2>&1; do
    [ $SECONDS -ge $end ] && return 1
    sleep 0.05
  done
}

start() {
  local name=$1
  shift
  "$@" >> "$T/$name.out" 2>> "$T/$name.log" < /dev/null &
  tap_pid[$name]=$!
}

stop() {
  local pid=${tap_pid[$1]:-}
  [ -n "$pid" ] || return 0
  unset "tap_pid[$1]"
  kill "-${2:-TERM}" "$pid" 2> /dev/null
  wait "$pid" 2> /dev/null
}

done_testing() {
  local name
  for name in "${!tap_pid[@]}"; do stop "$name" KILL; done
  echo "1..$tap_count"
  if [ $tap_failed = 0 ]; then rm -rf "$T"; else echo "# left: $T"; fi
  [ $tap_failed = 0 ]
  exit $?
}
trap 'for tap_name in "${!tap_pid[@]}"; do kill -9 "${tap_pid[$tap_name]}" 2> /dev/null; done' EXIT
