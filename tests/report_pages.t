#!/bin/bash
# report_pages.t - the dashboard's pages in a real browser, on the demo shop's data: numbers on screen next to the
# API's and the generator's truth. PAGES= chooses some; SHOTS= is where the pictures go (build/shots);
# DOCS=1 makes those of README.md anew.
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh
.ci/install sdks || { echo "Bail out! playwright cannot be installed"; exit 69; }

dir=$T/shop
timeout 120 "$BIN/millrace" demo --dir "$dir" --users 1500 --seed 1 --no-live > "$T/demo.log" 2>&1 ||
  { sed 's/^/# /' "$T/demo.log"; echo "Bail out! no shop"; exit 70; }
# Ports that are free, and no second report; what the shop has, collect keeps on taking.
sed -i 's/\(127.0.0.1\):[0-9]*/\1:0/' "$dir/millrace.yaml"
echo "correct horse" | "$BIN/report" passwd "$dir/passwords" edna editor
echo "battery staple" | "$BIN/report" passwd "$dir/passwords" vera viewer
start up "$BIN/millrace" up --config "$dir/millrace.yaml"
wait_for 30 test -s "$dir/data/aggregate.port"
wait_for 30 test -s "$dir/data/collect.port"
total=$(jq .total "$dir/truth.json")
ready() { curl -sS "http://$(cat "$dir/data/aggregate.port")/v1/status" | jq -e ".events == $total"; }
wait_for 30 ready || { echo "Bail out! aggregate has not $total events"; exit 70; }
export BIN
# shellcheck disable=SC2086
timeout 400 node tests/report_pages.js "$dir" ${PAGES:-segmentation saved funnels retention people shape live access}
status=$?
grep 'event=exit.*name=.*signal=' "$T/up.log" && { echo "# a program ended by itself"; status=1; }
stop up
[ $status = 0 ] && rm -rf "$T"
exit $status
