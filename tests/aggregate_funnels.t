#!/bin/bash
# aggregate_funnels.t - funnels, retention, lifecycle, stickiness, sessions, paths, through all programs
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh
export BIN
python3 tests/aggregate_funnels.py "$T"
status=$?
[ $status = 0 ] && rm -rf "$T"
exit $status
