#!/bin/bash
# enrich_plan.t - the official JSON Schema tests of draft 7 for what tracking plans support
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

suite=build/jsonsuite
.ci/install jsonsuite "$suite"
ok $? "the JSON Schema Test Suite is there"
python3 tests/json_suite.py "$suite/draft7" | "$TESTBIN/enrich_json_schema_test" lines > "$T/all"
required() { grep -v "$(printf '\t')optional/" "$T/all"; }
count() { grep -c "^$1" || true; }
echo "# required: $(required | count pass) pass, $(required | count fail) fail," \
  "$(required | count refused) refused when the schema is read"
echo "# optional: $(grep optional/ "$T/all" | count pass) pass," \
  "$(grep optional/ "$T/all" | count fail) fail, $(grep optional/ "$T/all" | count refused) refused"
grep ^refused "$T/all" | cut -f1 | sort | uniq -c | sed 's/^/# /'
is "$(required | grep ^fail)" "" "no required test fails"
ok $(($(required | count pass) < 840)) "and over 840 pass"
is "$(required | grep ^refused | cut -f1 | grep -vE ' [$](ref|id): | array_of_schemas: ')" "" \
  "none is refused but for references to other documents and ids"
is "$(grep "^fail$(printf '\t')optional/" "$T/all" | grep -vE 'content.json|ECMA 262 .*matches')" "" \
  "of the optional ones only content and Unicode white space fail"
done_testing
