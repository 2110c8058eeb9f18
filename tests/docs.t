#!/bin/bash
# docs.t - every option and metric stands in a man page, and every man page has its sections
# SPDX-License-Identifier: Apache-2.0
. tests/tap.sh

programs=$(ls */main.c | sed 's|/main.c||')
for program in $programs; do
  page=docs/man/$program.8
  [ -f "$page" ]
  ok $? "$program has a man page" || continue
  plain=$(sed 's/\\-/-/g; s/\\f[BIRP]//g' "$page" 2> /dev/null)
  options=$("$BIN/$program" --help | sed -n 's/^ *--\([a-z0-9-]*\).*/\1/p')
  [ -n "$options" ]
  ok $? "$program --help lists options"
  missing=""
  for option in $options; do
    grep -q -e "--$option\b" <<< "$plain" || missing="$missing --$option"
  done
  is "$missing" "" "$program.8 has every option of --help"
  missing=""
  for metric in $(grep -ho '"millrace_[a-z_]*"' "$program"/*.c | tr -d '"' | sort -u); do
    grep -q "$metric" <<< "$plain" || missing="$missing $metric"
  done
  is "$missing" "" "$program.8 has every metric of its sources"
  missing=""
  for section in NAME SYNOPSIS DESCRIPTION OPTIONS EXAMPLES "EXIT STATUS" SIGNALS FILES; do
    grep -qE "^\.SH \"?$section\"?" "$page" 2> /dev/null || missing="$missing/$section"
  done
  is "$missing" "" "$program.8 has its sections"
done
shared=$(grep -ho '"millrace_[a-z_]*"' lib/*.c | tr -d '"' | sort -u)
missing=""
for metric in $shared; do
  grep -rqs "$metric" docs/ || missing="$missing $metric"
done
is "$missing" "" "metrics of lib stand in docs/"
done_testing
