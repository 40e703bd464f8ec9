#!/usr/bin/env python3
# usage: tests/soak/stored_test.py PROGRAM [--seconds N] [--data FILE]
"""A job over a fixed range of keys, at a steady rate, with many checkpoints: what its store holds
stays within three times the live state, folds and gc going. --data adds what was seen to a file of
lines that scripts/bench-plot draws."""

import argparse
import json
import os
import random
import sys
import threading
import time

import soak

KEYS = 100_000
PARTITIONS = 2
RECORD_BYTES = 64  # header 16, key 8, two aggregates, to the next 32
LIVE_BYTES = KEYS * RECORD_BYTES  # a full of all of it has at least so many
TIMES_MAX = 3
SECONDS = 20
PAUSE_SECONDS = 0.02  # between two helpings of rows
ROWS_A_PAUSE = 100
LOOK_SECONDS = 0.1  # at the store
DISK_BYTES = 64 << 20
CHECKPOINTS_A_SECOND_MIN = 2  # of the twenty that there are on a machine of its own

JOB = f"""# Written by tests/soak.
[job]
name       = "soak"
partitions = {PARTITIONS}
dir        = "data"
[source]
kind    = "file"
path    = "rows.csv"
format  = "csv"
columns = ["key u64", "id u64"]
follow  = true
[key]
columns = ["key"]
[[aggregate]]
as = "rows"
op = "count"
[[aggregate]]
as = "ids"
op = "sum"
column = "id"
[checkpoint]
store = "file:disk"
every = "50ms"
"""


class Rows:
    """Every key once, then some of them again and again, until it is told to end."""

    def __init__(self, path, seed):
        self.file = open(path, "a", encoding="utf-8")  # closed by end
        self.draw = random.Random(seed)
        self.count = self.ids = 0
        self.ended = threading.Event()
        self.writer = threading.Thread(target=self.write)
        self.put(range(KEYS))
        self.writer.start()

    def put(self, keys):
        first = self.count + 1
        lines = [f"{key},{number}\n" for number, key in enumerate(keys, first)]
        self.count += len(lines)
        self.ids += (first + self.count) * len(lines) // 2
        self.file.write("".join(lines))
        self.file.flush()

    def write(self):
        while not self.ended.wait(PAUSE_SECONDS):
            self.put([self.draw.randrange(KEYS) for _ in range(ROWS_A_PAUSE)])

    def end(self):
        self.ended.set()
        self.writer.join()
        self.file.close()


def stored_bytes(folder):
    """{kind: bytes} of all objects; a half-written one is none."""
    found = {"checkpoints": 0, "folds": 0, "meta": 0}
    for kind in found:
        for place, _, names in os.walk(os.path.join(folder, kind)):
            for name in names:
                try:
                    found[kind] += os.stat(os.path.join(place, name)).st_size
                except FileNotFoundError:
                    pass  # gc was faster
    return found


class Looks:
    """At the store, on a thread of its own, from the first fold of every partition on."""

    def __init__(self, job):
        self.job = job
        self.seen = []  # (seconds, bytes)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.look)
        self.thread.start()

    def folded(self):
        return sum(len(names) for _, _, names in os.walk(self.job.path("disk", "folds")))

    def look(self):
        while self.folded() < PARTITIONS and not self.ended.wait(LOOK_SECONDS):
            pass
        began = time.monotonic()
        while not self.ended.wait(LOOK_SECONDS):
            found = stored_bytes(self.job.path("disk"))
            self.seen.append(dict(found, at=time.monotonic() - began, sum=sum(found.values())))

    def end(self):
        self.ended.set()
        self.thread.join()
        return self.seen


def watch(job, seconds):
    """The last sample of `seconds` behind the first fold, and what the store held meanwhile."""
    looks = Looks(job)
    try:
        for sample in job.samples():
            if looks.seen and looks.seen[-1]["at"] >= seconds:
                return sample, looks.end()
    finally:
        looks.end()
    raise soak.Failure(f"it ended early, with status {job.process.wait()}:\n{job.log()}")


def check(job, rows, sample, seen, seconds):
    most = max(seen, key=lambda look: look["sum"])
    if most["sum"] > TIMES_MAX * LIVE_BYTES:
        raise soak.Failure(f"{most['sum']} bytes are stored, {most['sum'] / LIVE_BYTES:.2f} times "
                           f"the live state, after {most['at']:.0f} s: {most}")
    if sample["checkpoints"] < CHECKPOINTS_A_SECOND_MIN * seconds:
        raise soak.Failure(f"only {sample['checkpoints']} checkpoints in {seconds} s")
    keys = [row for row in job.call("query", job.path("job.toml")) if "key" in row]
    got = (len(keys), sum(row["rows"] for row in keys), sum(row["ids"] for row in keys))
    if got != (KEYS, rows.count, rows.ids):
        raise soak.Failure(f"keys, rows and ids are {got}, not {(KEYS, rows.count, rows.ids)}")
    return most["sum"]


def keep(name, seen, seconds):
    """What was seen, as one line of a benchmark's; looks are thinned out to one a second."""
    some = [look for look, after in zip(seen, seen[1:]) if int(after["at"]) > int(look["at"])]
    line = {"bench": "soak.stored", "params": {"seconds": seconds, "keys": KEYS}, "unit": "bytes",
            "seconds": [round(look["at"], 1) for look in some],
            "series": {words: [look[field] for look in some] for words, field in
                       (("stored", "sum"), ("deltas and manifests", "checkpoints"),
                        ("fulls", "folds"), ("metadata", "meta"))},
            "bound": TIMES_MAX * LIVE_BYTES}
    with open(name, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def run(job, options):
    rows = Rows(job.path("rows.csv"), options.seed)
    try:
        job.start()
        sample, seen = watch(job, options.seconds)
    finally:
        rows.end()
    job.stop()
    job.start("--until-caught-up")  # the rows that it was stopped in front of
    job.end()
    most = check(job, rows, sample, seen, options.seconds)
    if options.data:
        keep(options.data, seen, options.seconds)
    print(f"stored: {options.seconds} s, {sample['checkpoints']} checkpoints, {rows.count} rows: "
          f"{most / LIVE_BYTES:.2f} times the live state at most, "
          f"{sum(look['sum'] for look in seen) / len(seen) / LIVE_BYTES:.2f} in the mean")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data")
    options = parser.parse_args()
    soak.alone()
    job = soak.Job(os.path.abspath(options.program), JOB, DISK_BYTES)
    try:
        run(job, options)
    except soak.Failure as failure:
        print(f"stored: {failure} (--seed {options.seed})", file=sys.stderr)
        sys.exit(1)
    finally:
        job.close()


if __name__ == "__main__":
    main()
