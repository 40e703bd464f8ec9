#!/usr/bin/env python3
# usage: tests/crash/expected.py FOLDER [operator] > RESULTS.ndjson
# What a job of tests/crash makes of the CSV and NDJSON files in FOLDER, by other means: it shares no
# code with the program. One line a key, keys ascending. With `operator` rows pass crash_operator.c.
import json
import os
import sys


def rows(path):
    names = ["key", "id", "mix", "amount"]
    with open(path, encoding="utf-8", newline="") as file:
        for line in file:
            if not line.endswith("\n"):
                return  # a torn last line is not written yet
            if path.endswith(".csv"):
                fields = line.rstrip("\r\n").split(",")
                if "key" in fields:  # a header
                    names = fields
                    continue
                row = dict(zip(names, fields))
                key = row["key"]
                yield (int(key) if key.isdigit() else key, int(row["id"]), int(row["mix"]),
                       int(row["amount"]))
            else:
                row = json.loads(line)
                yield row["key"], row["id"], row["mix"], row["amount"]


def main():
    results = {}
    for name in sorted(os.listdir(sys.argv[1])):
        for key, ident, mix, amount in rows(os.path.join(sys.argv[1], name)):
            if "operator" in sys.argv[2:]:
                if ident % 8 == 0:
                    continue
                amount *= 2
            seen = results.setdefault(key, [0, 0, 0, amount, amount])
            seen[0] += 1
            seen[1] += ident
            seen[2] += mix
            seen[3] = min(seen[3], amount)
            seen[4] = max(seen[4], amount)
    for key, (count, ids, mixes, low, high) in sorted(results.items()):
        print(json.dumps({"key": key, "rows": count, "ids": ids, "mixes": mixes, "low": low,
                          "high": high}))


main()
