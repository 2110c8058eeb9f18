#!/bin/bash
# schemas.t - rules for schemas/*.avsc that no parser of ours checks
#
# A field that version 1 did not have needs a default, a nested record its own ("default": {..}):
# our reader would do with its leaves', other Avro readers (fastavro, Java) would not.
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

cat > "$T/check.py" << 'END'
import json, sys
def fields(schema, path=""):
    for field in schema["fields"]:
        yield path + field["name"], field
        if isinstance(field["type"], dict) and field["type"]["type"] == "record":
            yield from fields(field["type"], path + field["name"] + ".")
old = {name for name, _ in fields(json.load(open(sys.argv[1])))}
for name, field in fields(json.load(open(sys.argv[2]))):
    if name not in old and "default" not in field:
        print(f'{name} is new and has no "default"')
END
new() { python3 "$T/check.py" "schemas/history/$1-1.avsc" "$2"; }

for file in schemas/*.avsc; do
  topic=$(basename "$file" .avsc)
  is "$(new "$topic" "$file")" "" "$topic: what is new has a default"
done
python3 - > "$T/nested.avsc" << 'END'
import json
schema = json.load(open("schemas/enriched.avsc"))
leaf = {"name": "colour", "type": ["null", "string"], "default": None}
schema["fields"].append({"name": "paint", "type": {"type": "record", "name": "Paint", "fields": [leaf]}})
print(json.dumps(schema))
END
is "$(new enriched "$T/nested.avsc")" 'paint is new and has no "default"' \
  "a nested record without its own default is found"
done_testing
