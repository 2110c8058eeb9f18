#!/bin/bash
# aggregate_conformance.t - the numbers that the semantics of questions promise, through all programs
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh
export BIN
python3 tests/aggregate_conformance.py "$T"
status=$?
[ $status = 0 ] && rm -rf "$T"
exit $status
