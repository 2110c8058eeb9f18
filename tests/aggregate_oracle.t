#!/bin/bash
# aggregate_oracle.t - 20,000 random users: trends are what DuckDB says of the same lines
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh
.ci/install pyvenv build/venv >&2 || { echo "Bail out! no DuckDB"; exit 1; }
export BIN
build/venv/bin/python tests/aggregate_oracle.py "$T"
status=$?
[ $status = 0 ] && rm -rf "$T"
exit $status
