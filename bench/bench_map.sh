#!/bin/bash
# bench_map.sh - mapping to file, webhook and Mixpanel, next to Segment's own Mixpanel mapping in the same run
#
#   bench/bench_map.sh [BUILD] [CALLS]
#
# The calls are the track calls of tests/oracle/events.js: context of a browser or an app, a few properties, two products in
# a third of them. Ours begins with the enriched record's bytes, theirs with the call's JSON; both end with request bodies.
# SPDX-License-Identifier: Apache-2.0
set -eu
cd "$(dirname "$0")/.."
build=${1:-${BUILD:-build}}
calls=${2:-40000}
t=$(mktemp -d "${TMPDIR:-/tmp}/millrace-bench-XXXXXX")
trap 'rm -rf "$t"' EXIT
.ci/install oracle
node tests/oracle/events.js "$calls" 11 | grep '"type":"track"' > "$t/calls"
"$build/bin/collect" --stdin --out "log:$t/data/collected" < "$t/calls" 2> "$t/log"
"$build/bin/enrich" --in "log:$t/data/collected" --out "log:$t/data/enriched" --until-end 2> "$t/log"
mkdir "$t/destinations"
printf '%s\n' 'type: mixpanel' 'token: t' 'secret: s' > "$t/destinations/mixpanel.yaml"
printf '%s\n' 'type: webhook' 'url: https://example.com/' 'secret: s' 'batch_size: 200' > "$t/destinations/webhook.yaml"
printf '%s\n' 'type: amplitude' 'api_key: t' > "$t/destinations/amplitude.yaml"
echo "# $(wc -l < "$t/calls") track calls, $(($(wc -c < "$t/calls") / $(wc -l < "$t/calls"))) bytes each"
"$build/bench/bench_map" "log:$t/data/enriched" "$t" file webhook mixpanel amplitude
node bench/map_peers.js build/oracle "$t/calls"
