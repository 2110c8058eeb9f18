#!/bin/bash
# sink_vendor_interop.t - what is sent to vendors against what Segment's own destinations send for the same calls
#
# 1,400 varied calls go through collect and enrich; sink --dry-run prints the requests. The same calls go through npm's
# @segment/action-destinations, unmodified. Both must be equal, but for what tests/oracle/compare.js undoes by name.
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh
.ci/install oracle > "$T/install.log" 2>&1
ok $? 'the official destinations are there'
seed=7 calls=1400
echo "# seed $seed"
mkdir -p "$T/destinations"
touch "$T/millrace.yaml"
kind() { printf '%s\n' "type: $1" 'start: first' "${@:2}" > "$T/destinations/$1.yaml"; }
kind mixpanel 'token: TOKENTOKEN' 'secret: SECRETSECRET'
kind amplitude 'api_key: TOKENTOKEN'
kind ga4 'measurement_id: G-1' 'api_secret: SECRETSECRET' 'types: [track, page]'
kind customerio 'site_id: s' 'api_key: SECRETSECRET'
kind posthog 'api_key: SECRETSECRET' 'types: [track, page, screen, identify]'
kind slack 'url: https://hooks.slack.com/services/T/B/X' 'types: [track]' 'missing: empty' \
  'text: "*{{ event }}* of {{ user_id }}: {{ properties.total }} {{ properties.currency }}"'

node tests/oracle/events.js $calls $seed > "$T/calls"
"$BIN/collect" --stdin --out "log:$T/data/collected" < "$T/calls" 2> "$T/collect.log"
"$BIN/enrich" --in "log:$T/data/collected" --out "log:$T/data/enriched" --bad "log:$T/data/bad?partition=1" \
  --until-end 2> "$T/enrich.log"
ok $? 'the calls are enriched'

for kind in mixpanel amplitude ga4 customerio posthog slack; do
  node tests/oracle/vendor.js build/oracle $kind < "$T/calls" > "$T/theirs.$kind" &
  "$BIN/sink" --in "log:$T/data/enriched" --config "$T/millrace.yaml" --to $kind --dry-run \
    > "$T/ours.$kind" 2> "$T/sink.$kind.log"
  wait $!
  node tests/oracle/compare.js $kind "$T/calls" "$T/ours.$kind" "$T/theirs.$kind" > "$T/said.$kind"
  ok $? "$(head -1 "$T/said.$kind")"
  tail -n +2 "$T/said.$kind"
  n=$(sed -n 's/.*: \([0-9]*\) of .*/\1/p' "$T/said.$kind")
  [ "${n:-0}" -ge 200 ]
  ok $? "$kind: at least 200"
done
done_testing
