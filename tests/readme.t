#!/bin/bash
# readme.t - the commands of README.md's bash blocks, run as they stand, one after the other
#
# Blocks marked sh are not run here: `make demo` and `make test` are for ever or run this, and a broker
# for the Kafka lines is in flow_kafka.t. `make` and the directory are the test's own.
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

root=$PWD
mkdir -p "$T/tree/build"
ln -s "$BIN" "$T/tree/build/bin"
awk '/^```bash$/ { on = 1; next } /^```$/ { if (on) print "echo \"== block\" >&2"; on = 0 } on' README.md |
  sed 's/^make$/true/' > "$T/commands"
[ "$(wc -l < "$T/commands")" -gt 30 ]
ok $? "README has commands"
(
  cd "$T/tree" || exit 70
  export npm_config_cache="$root/build/npm-cache"
  timeout 240 bash -e -u -o pipefail "$T/commands"
) > "$T/out" 2> "$T/err"
status=$?
is $status 0 "all of them succeed"
[ $status = 0 ] || { tail -n 20 -q "$T/out" "$T/err" | sed 's/^/# /'; }
[ $status = 0 ] || "$BIN/millrace" down --config "$T/tree/build/tour/millrace.yaml" > /dev/null 2>&1

has() { grep -qE "$1" "$T/out"; ok $? "$2"; }
has '^Write key: [0-9a-f]{24}$' "up writes settings and says the key"
has '"success": ?true' "curl's event is taken"
has 'Order Completed +2$' "query events: two orders"
has '^overall +2' "query trend: two orders"
has ',2.?$' "... of two people"
has 'problems' "sink verify speaks"
has 'u2 Page https://shop.example/\?utm_source=news news$' "fastavro reads the log"
has '│ Order Completed +│ +2 │ +2 │' "DuckDB reads the files"
has '^the same$' "a replay makes the same records"
has '"event":"Hello"' "and the pipe"
for link in $(grep -o '](\([a-zA-Z/.0-9_-]*\))' README.md | tr -d '()]'); do
  [ -e "$link" ] || { ok 1 "README links to $link"; }
done
done_testing
