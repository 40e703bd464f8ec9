#!/usr/bin/env python3
# usage: tests/crash/expected.py FOLDER [operator] > RESULTS.ndjson
# What a job of tests/crash makes of the CSV and NDJSON files in FOLDER, by other means: it shares no
# code with the program. One line a key, keys ascending. With `operator` rows pass crash_operator.c.
import json
import os
import sys

NAMES = ["key", "id", "mix", "amount"]


def rows(path):
    names = NAMES
    with open(path, encoding="utf-8", newline="") as file:
        for line in file:
            if not line.endswith("\n"):
                return  # a torn last line is not written yet
            if not path.endswith(".csv"):
                row = json.loads(line)
            elif "key" in (fields := line.rstrip("\r\n").split(",")):
                names = fields  # a header
                continue
            else:
                row = {name: int(field) if name != "key" or field.isdigit() else field
                       for name, field in zip(names, fields)}
            yield [row[name] for name in NAMES]


results = {}
for file_name in sorted(os.listdir(sys.argv[1])):
    for key, ident, mix, amount in rows(os.path.join(sys.argv[1], file_name)):
        if "operator" in sys.argv[2:]:
            if ident % 8 == 0:
                continue
            amount *= 2
        rows_seen, ids, mixes, low, high = results.get(key, (0, 0, 0, amount, amount))
        results[key] = (rows_seen + 1, ids + ident, mixes + mix, min(low, amount), max(high, amount))
for key, values in sorted(results.items()):
    print(json.dumps({"key": key, **dict(zip(["rows", "ids", "mixes", "low", "high"], values))}))
