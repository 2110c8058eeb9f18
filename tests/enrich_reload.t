#!/bin/bash
# enrich_reload.t - steps in millrace.yaml; data files and settings that change while it runs
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

tool=$TESTBIN/tool_enrich
settings() { printf 'enrich:\n  steps:\n    - ids\n    - time\n    - context\n    - page\n    - json\n'
  printf '    - suppress: %s\n' "$T/list"
  printf '    - privacy: {ip: %s, hash: [user_id], key: %s}\n' "$1" "$T/keys"; }
line() { printf '{"type":"track","event":"e","userId":"%s","messageId":"%s","context":{"ip":"192.0.2.7"}}\n' "$1" "$2"; }
send() { line "$1" "$2" | "$BIN/collect" --stdin --out "log:$T/collected" 2>> "$T/collect.log"; }
replace() { cat > "$1.new" && mv "$1.new" "$1"; }
rows() { "$BIN/sink" --in "log:$T/enriched" --to "file:$T/lines" --until-end 2> "$T/sink.log"
  cat "$T/lines"/*.jsonl 2> /dev/null; }
row() { rows | jq -c "select(.message_id == \"$1\")"; }
came() { [ -n "$(row "$1")" ]; }
logged() { grep -q "$1" "$T/enrich.log"; }

echo "bad-user" > "$T/list"
echo "a-key-for-this-test" > "$T/keys"
settings truncate > "$T/millrace.yaml"
"$BIN/enrich" --config "$T/millrace.yaml" --check
is $? 0 "--check takes the steps"
sed 's/suppress/supress/' "$T/millrace.yaml" > "$T/wrong.yaml"
"$BIN/enrich" --config "$T/wrong.yaml" --check 2> "$T/err"
is $? 78 "--check refuses others"
like "$(cat "$T/err")" "wrong.yaml:8: supress: there is no step" "in words"
sed "s|$T/list|$T/none|" "$T/millrace.yaml" > "$T/wrong.yaml"
"$BIN/enrich" --config "$T/wrong.yaml" --check 2> "$T/err"
ok $(($? == 0)) "and a data file that is not there"
like "$(cat "$T/err")" "$T/none: No such file" "in words"

send u1 m1
send bad-user m2
start enrich "$BIN/enrich" --config "$T/millrace.yaml" --bus "log:$T"
wait_for 20 came m1
ok $? "an event passes"
is "$(row m1 | jq -r .ip)" "192.0.2.0" "its address truncated"
user=$(row m1 | jq -r .user_id)
is "${#user}" 64 "its user a pseudonym"

# A data file is replaced.
printf 'bad-user\nu1\n' | replace "$T/list"
wait_for 20 logged "$T/list is new"
ok $? "a new list is noticed"
like "$(grep event=steps "$T/enrich.log" | tail -1)" 'steps="ids time context page json suppress privacy" logic=[0-9a-f]+ before=[0-9a-f]+' \
  "both hashes are in the log"
send u1 m3
send u2 m4
wait_for 20 came m4
is "$(row m3)" "" "u1 is suppressed now"
ok $([ "$(row m1 | jq .logic)" != "$(row m4 | jq .logic)" ]; echo $?) "logic is another"

# One that is no good, and a better one.
echo "short" | replace "$T/keys"
wait_for 20 logged "kept the old: .*a key has 16 to 256 bytes"
ok $? "a bad key file is refused, with words"
send u2 m5
wait_for 20 came m5
is "$(row m5 | jq -r .user_id)" "$(row m4 | jq -r .user_id)" "the old keys stay in force"
printf '2026-01-01T00:00:00Z another-key-for-it-all\n' | replace "$T/keys"
wait_for 20 logged "$T/keys is new$\|$T/keys is new\"$"
send u2 m6
wait_for 20 came m6
ok $([ "$(row m6 | jq -r .user_id)" != "$(row m4 | jq -r .user_id)" ]; echo $?) "new keys, other pseudonyms"

# Settings at SIGHUP.
settings hide | replace "$T/millrace.yaml"
kill -HUP "${tap_pid[enrich]}"
wait_for 20 logged "kept the old settings: .*'hide' is not keep, truncate or drop"
ok $? "SIGHUP: wrong settings are refused, with words"
settings drop | replace "$T/millrace.yaml"
kill -HUP "${tap_pid[enrich]}"
wait_for 20 logged "new settings in force"
send u2 m7
wait_for 20 came m7
is "$(row m7 | jq -c .ip)" null "SIGHUP: new settings"
stop enrich
like "$(tail -2 "$T/enrich.log")" "in=7 out=5 bad=0 duplicate=0 filtered=2 pending=0" "the ledger"
done_testing
