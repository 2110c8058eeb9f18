#!/bin/bash
# bench_agent.sh - our user agent parser next to ua-parser-js, the reference implementation and Python's
#
# The list is npm's user-agents: 10,000 visits, about 950 different agents, each once. All parse each
# agent anew; those by uap-core's rules have the same file. CPU time, the best of the rounds.
# SPDX-License-Identifier: Apache-2.0
set -eu
cd "$(dirname "$0")/.."
build=${1:-${BUILD:-build}}
rules=/usr/share/uap-core/regexes.yaml
t=$(mktemp -d "${TMPDIR:-/tmp}/millrace-bench-XXXXXX")
trap 'rm -rf "$t"' EXIT
.ci/install peers
npm=$PWD/build/peers
node -e '
const fs = require("fs"), zlib = require("zlib");
const dir = process.argv[1] + "/node_modules/user-agents/dist/";
const file = fs.readdirSync(dir).find((name) => /^user-agents\.json/.test(name));
const bytes = fs.readFileSync(dir + file);
const rows = JSON.parse(/gz$/.test(file) ? zlib.gunzipSync(bytes) : bytes);
console.log([...new Set(rows.map((row) => row.userAgent))].join("\n"));' "$npm" > "$t/list"
"$build/bench/bench_agent" "$t/list" "$rules"
node bench/agent_peers.js "$t/list" "$npm" "$rules"
/usr/bin/python3 - "$t/list" <<'EOF'
import sys, time
from ua_parser import user_agent_parser as p
texts = [line.rstrip('\n') for line in open(sys.argv[1])]
start = time.process_time()
for text in texts:
    getattr(p, '_PARSE_CACHE', {}).clear()
    p.Parse(text)
each = (time.process_time() - start) * 1e9 / len(texts)
print('%-28s %9.0f ns each %9.4f M/s and core' % ('python3-ua-parser', each, 1e3 / each))
EOF
