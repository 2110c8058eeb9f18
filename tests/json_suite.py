#!/usr/bin/env python3
"""json_suite - the official JSON Schema tests of draft 7, one case a line: NAME TAB SCHEMA TAB DATA TAB VALID

usage: json_suite.py SUITE/tests/draft7 [PART..]
"""
# SPDX-License-Identifier: Apache-2.0
import json
import pathlib
import sys


class Digits(float):
    """A number that is printed as it was read."""

    def __new__(cls, text):
        self = super().__new__(cls, text)
        self.text = text
        return self

    def __repr__(self):
        return self.text


def dump(value):
    if isinstance(value, Digits):
        return value.text
    if isinstance(value, dict):
        return "{" + ",".join(json.dumps(k) + ":" + dump(v) for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dump, value)) + "]"
    return json.dumps(value)


root = pathlib.Path(sys.argv[1])
for path in sorted(root.glob("*.json")) + sorted(root.glob("optional/*.json")):
    groups = json.loads(path.read_text(), parse_float=Digits, parse_int=Digits)
    for group in groups:
        for test in group["tests"]:
            name = f"{path.relative_to(root)}: {group['description']}: {test['description']}"
            print(name.replace("\t", " "), dump(group["schema"]), dump(test["data"]),
                  "yes" if test["valid"] else "no", sep="\t")
