#!/bin/bash
# flow_sink_s3.t - objects on an S3 server: none lost, none twice, through kill -9, lost answers and replays
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

in=log:$T/data/enriched
mkdir -p "$T/destinations" "$T/s3"
touch "$T/millrace.yaml"
"$TESTBIN/tool_enriched" "$in" 3000 0 2 > "$T/made"
.ci/install s3 > "$T/install.log" 2>&1
echo none > "$T/mode"
start s3 node tests/s3/server.js build/s3 "$T/s3" "$T/port" "$T/mode"
wait_for 20 test -s "$T/port"
ok $? 'the S3 server starts'
bucket() {
  printf '%s\n' 'type: s3' "endpoint: http://127.0.0.1:$(cat "$T/port")" 'path_style: yes' 'bucket: events' \
    'access_key: S3RVER' 'secret_key: env:S3KEY' "prefix: $1/" 'start: first' \
    'retry_min: 20ms' 'retry_max: 100ms' "${@:2}" > "$T/destinations/$1.yaml"
}
export S3KEY=S3RVER
sink() {
  timeout 60 "$BIN/sink" --in "$in" --bad "log:$T/data/bad?partition=2+" --config "$T/millrace.yaml" \
    --allow-host 127.0.0.1 "$@" 2>> "$T/sink.log"
}
# What s3rver keeps of an object is a file NAME._S3rver_object
names() { (cd "$T/s3/events/$1" 2> /dev/null && ls | sed -n 's/\._S3rver_object$//p'); }
lines() {
  for name in $(names "$1"); do
    case $name in
      *.gz) zcat "$T/s3/events/$1/$name._S3rver_object" ;;
      *) cat "$T/s3/events/$1/$name._S3rver_object" ;;
    esac
  done
}
counts() { lines "$1" | jq -r .message_id | sort > "$T/ids"; echo "$(wc -l < "$T/ids") $(sort -u "$T/ids" | wc -l)"; }

# What arrives
bucket plain 'format: jsonl' 'batch_size: 400'
sink --to plain --until-end
is "$?:$(counts plain)" '0:3000 3000' 'all arrive, once each'
"$BIN/sink" --in "$in" --to "file:$T/files" --no-nulls --until-end 2> /dev/null
is "$(lines plain | sort | cmp - <(cat "$T"/files/*.jsonl | sort) 2>&1)" '' 'the lines are the file sink'\''s, byte for byte'
like "$(names plain | head -1)" '^enriched-0-0{20}-0{17}[0-9]{3}\.jsonl$' 'names are as the file sink'\''s'
is "$(names plain | awk -F'[-.]' '{ if (p[$2] != "" && p[$2] + 1 != $3 + 0) print; p[$2] = $4 + 0 }')" '' \
  'within a run no offset is left out of the names'
sink --to plain --until-end --state "$T/other"
is "$?:$(counts plain)" '0:3000 3000' 'again from the start: nothing twice'
bucket packed 'batch_size: 1000'
sink --to packed --until-end
is "$?:$(counts packed):$(names packed | grep -c 'jsonl.gz$')" '0:3000 3000:4' 'gzip'

# A large object goes in parts
bucket large 'format: jsonl' 'part_bytes: 5m' 'map: .pad = ("x" * 6000)'
sink --to large --until-end
is "$?:$(counts large):$(names large | wc -l)" '0:3000 3000:2' 'two objects of 9 MB in parts of 5 MB'
bucket largelost 'format: jsonl' 'part_bytes: 5m' 'map: .pad = ("x" * 6000)'
echo 3:lost > "$T/mode"
sink --to largelost --until-end
is "$?:$(counts largelost):$(names largelost | wc -l)" '0:3000 3000:2' 'and when answers are lost'

# Answers that are lost, refused, cut
for mode in 503 lost reset; do
  echo 3:$mode > "$T/mode"
  bucket m$mode 'batch_size: 100'
  sink --to m$mode --until-end
  is "$?:$(counts m$mode)" '0:3000 3000' "$mode, every third time: none lost, none twice"
done

# kill -9
echo 5:lost > "$T/mode"
bucket killed 'batch_size: 50' 'batch_wait: 50ms' 'rate: 1500'
for n in 1 2 3 4 5; do
  start killed "$BIN/sink" --in "$in" --bad "log:$T/data/bad?partition=2+" --config "$T/millrace.yaml" \
    --allow-host 127.0.0.1 --to killed
  wait_for 10 eval "[ \$(names killed | wc -l) -ge $((n * 8)) ]"
  stop killed KILL
done
sink --to killed --until-end
is "$?:$(counts killed)" '0:3000 3000' '5 kills: none lost, none twice'
echo none > "$T/mode"

# Setup
S3KEY=wrong sink --to plain --until-end --state "$T/wrong"
is "$?" 78 'a wrong key ends it'
like "$(tail -5 "$T/sink.log")" 'SignatureDoesNotMatch' 'and is said'
bucket nowhere
sed -i 's/bucket: events/bucket: nobucket/' "$T/destinations/nowhere.yaml"
sink --to nowhere --until-end
is "$?" 78 'no such bucket: a setup error'
like "$(tail -5 "$T/sink.log")" 'NoSuchBucket' 'and is said'
bucket odd 'region: a b'
sink --to odd --until-end
is "$?" 65 'a region that is none'
done_testing
