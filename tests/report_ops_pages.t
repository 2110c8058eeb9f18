#!/bin/bash
# report_ops_pages.t - Destinations, Sources, Health and Messages in a real browser, on a running millrace
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh
.ci/install sdks || { echo "Bail out! playwright cannot be installed"; exit 69; }

home=$T/home
mkdir -p "$home/destinations" "$home/geo"
start stub python3 tests/stub.py "$T/stub" "$T/requests" "$T/mode"
echo poison > "$T/mode"
wait_for 20 test -s "$T/stub"
perl tests/mmdb.pl "$home/geo"
mv "$home/geo/flat4.mmdb" "$home/geo/dbip-city-ipv4.mmdb"
cat > "$home/millrace.yaml" << EOF
bus: log:data
sources:
  - name: web
    write_key: k1
collect: {listen: '127.0.0.1:0'}
aggregate: {http: '127.0.0.1:0'}
report: {listen: '127.0.0.1:0'}
sink: {allow_host: [127.0.0.1], flush_after: 300ms}
enrich: {geoip: geo/dbip-city-ipv4.mmdb}
EOF
start up "$BIN/millrace" up --config "$home/millrace.yaml"
wait_for 20 test -s "$home/data/report.port" -a -s "$home/data/collect.port" -a -s "$home/data/aggregate.port"
echo "battery staple" | "$BIN/report" passwd "$T/passwords" bob viewer
start watched "$BIN/report" --config "$home/millrace.yaml" --dir "$home" --bus "log:$home/data" --sinks data/sinks \
  --aggregate "$(cat "$home/data/aggregate.port")" --password-file "$T/passwords" --listen 127.0.0.1:0 --port-file "$T/watched"
wait_for 20 test -s "$T/watched"
timeout 200 node tests/report_ops_pages.js "http://$(cat "$home/data/report.port")" "http://$(cat "$home/data/collect.port")" \
  "http://127.0.0.1:$(cat "$T/stub")" "$T" "http://$(cat "$T/watched")"
status=$?
stop watched
stop up
stop stub
[ $status = 0 ] && rm -rf "$T"
exit $status
