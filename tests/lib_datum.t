#!/bin/bash
# lib_datum.t - datums and schemas next to fastavro's, and yesterday's data with today's schemas
# SPDX-License-Identifier: Apache-2.0
.ci/install pyvenv build/venv >&2 || { echo "Bail out! no fastavro"; exit 1; }
exec build/venv/bin/python tests/datum.py "${BUILD:-build}/test/tool_datum"
