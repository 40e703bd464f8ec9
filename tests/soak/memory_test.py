#!/usr/bin/env python3
# usage: tests/soak/memory_test.py PROGRAM [--seconds N] [--data FILE]
"""A job at full rate whose store fails for 3 tenths of the time: rows go on, memory stays flat, it
commits again afterwards, and the result is right. --data adds what was seen to a file of lines
that scripts/bench-plot draws."""

import argparse
import json
import os
import re
import sys
import time

import soak

MIB = 1 << 20
KEYS = 50_000
SECONDS = 30
EVERY_MS = (500, 1000)  # least and most
EPOCHS_MAX = 4
BUDGET_BYTES = 1024 * MIB
DISK_BYTES = 512 * MIB
RECORD_BYTES = 64  # header 16, key 8, three aggregates, to the next 32
LONG_SECONDS = 300  # from here on one part of the time is compared with the other
IDLE_SECONDS = 0.2  # of processor time: with less nobody can tell whether rows went on
FAILING = ((0.2, 0.4), (0.7, 0.8))  # of the time; in 10 minutes longer than any deadline
WARM = 0.1
SLACK = 1.1
STRIPE_ROWS = 8192

JOB = f"""# Written by tests/soak.
[job]
name       = "soak"
partitions = 2
dir        = "data"
[source]
kind = "generator"
name = "orders"
keys = {KEYS}
skew = 0
[key]
columns = ["customer"]
[[aggregate]]
as = "rows"
op = "count"
[[aggregate]]
as = "orders"
op = "sum"
column = "order"
[[aggregate]]
as = "last"
op = "max"
column = "order"
[state]
budget = "{BUDGET_BYTES // MIB}MiB"
[checkpoint]
store = "file:disk"
every = "{{every_ms}}ms"
keep  = 2
epochs_max = {EPOCHS_MAX}
"""


def stripe_orders(stripe, stripes, row):
    """(rows, sum of their orders, the greatest) of a stripe up to `row`: an order is a row's number
    from 1 on, and blocks of rows are dealt out to the stripes in turn."""
    rows, total, last = 0, 0, 0
    for first in range(stripe * STRIPE_ROWS, row, stripes * STRIPE_ROWS):
        end = min(first + STRIPE_ROWS, row)
        rows += end - first
        total += (first + 1 + end) * (end - first) // 2
        last = end
    return rows, total, last


def wanted(job):
    """The same of all stripes, as far as the newest checkpoint has read them."""
    store = "file:" + job.path("disk")
    manifest = job.call("checkpoints", "show", str(job.done["last_checkpoint"]), store)[0]
    parts = []
    for name, offset, _, _ in manifest["splits"]:
        offset = json.loads(offset)
        parts.append(stripe_orders(int(re.search(r"\d+$", name).group()), offset["stripes"],
                                   offset["row"]))
    return sum(p[0] for p in parts), sum(p[1] for p in parts), max(p[2] for p in parts)


def check_result(job):
    rows = [row for row in job.call("query", job.path("job.toml")) if "customer" in row]
    got = (sum(row["rows"] for row in rows), sum(row["orders"] for row in rows),
           max(row["last"] for row in rows))
    if got != wanted(job) or len(rows) != KEYS:
        raise soak.Failure(f"rows, sum and last of {len(rows)} keys are {got}, not {wanted(job)}")
    return got[0]


def watch(job, seconds):
    """Samples with their time in front; the store fails when it is its time."""
    began, samples, failing = None, [], False
    for sample in job.samples():
        now = time.monotonic()
        began = began or now
        at = (now - began) / seconds
        samples.append(dict(sample, at=now - began))
        wants = any(first <= at < last for first, last in FAILING)
        if wants != failing:
            (job.disk.fail if wants else job.disk.mend)(job.process)
            failing = wants
        if at >= 1:
            return samples
    raise soak.Failure(f"it ended early, with status {job.process.wait()}:\n{job.log()}")


def between(samples, first, last, seconds):
    return [sample for sample in samples if first * seconds <= sample["at"] < last * seconds]


def check_goes_on(samples, done, seconds):
    """While the store fails, rows go on and changes wait; before it fails again they are committed.
    A partition that is paused would hold rows up; another process on its core does so, too."""
    for first, last in FAILING:
        inside = between(samples, first, last, seconds)
        ran = inside[-1]["cpu_seconds"] - inside[0]["cpu_seconds"] > IDLE_SECONDS
        if any(sample["paused"] for sample in inside) or \
                ran and inside[0]["rows"] >= inside[-1]["rows"]:
            raise soak.Failure(f"rows stopped while the store failed: {inside[-1]}")
        after = between(samples, last, 2, seconds)
        if inside[0]["store_errors_total"] >= after[0]["store_errors_total"]:
            raise soak.Failure(f"the store did not fail: {inside[-1]}")
        until = min([at for at, _ in FAILING if at > last] or [2]) * seconds
        behind = [sample["checkpoints"] for sample in after if sample["at"] < until]
        behind += [done["checkpoints"]] if last == FAILING[-1][1] else []
        if max(behind) <= inside[-1]["checkpoints"]:
            raise soak.Failure(f"the store was well at {last * seconds:.0f} s, and nothing was "
                               f"committed: {samples[-1]}")


def check_memory(samples, seconds):
    """Its own memory (files that a fold has mapped are the system's to take back) is no more than
    when it was warm, the changes that may wait, and two epochs: the open one, and one that is being
    released. In a long run the later part takes no more than the earlier one."""
    warm = max(sample["RssAnon"] for sample in between(samples, WARM, FAILING[0][0], seconds))
    bound = SLACK * (warm + (EPOCHS_MAX + 2) * KEYS * RECORD_BYTES)
    most = max(sample["RssAnon"] for sample in between(samples, WARM, 2, seconds))
    if most > bound:
        raise soak.Failure(f"{most / MIB:.0f} MiB, {bound / MIB:.0f} at most")
    earlier, later = (max(sample["RssAnon"] for sample in between(samples, first, last, seconds))
                      for first, last in ((WARM, FAILING[0][1]), (FAILING[0][1], 2)))
    if seconds >= LONG_SECONDS and later > SLACK * earlier:
        raise soak.Failure(f"{later / MIB:.0f} MiB, and {earlier / MIB:.0f} before")
    return warm, most, bound


def keep(name, samples, seconds, bound):
    """What was seen, as one line of a benchmark's."""
    series = {"memory": "RssAnon", "with mapped files": "VmRSS",
              "tables and changes": "used_bytes",
              "changes not committed": "staged_bytes"}
    line = {"bench": "soak.memory", "params": {"seconds": seconds, "keys": KEYS},
            "unit": "bytes",
            "seconds": [round(sample["at"], 1) for sample in samples],
            "series": {words: [sample[field] for sample in samples]
                       for words, field in series.items()},
            "counts": {words: [sample[words] for sample in samples]
                       for words in ("rows", "checkpoints")},
            "bands": {"the store fails": [[first * seconds, last * seconds]
                                          for first, last in FAILING]},
            "bound": int(bound)}
    with open(name, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def run(job, options):
    job.start()
    samples = watch(job, options.seconds)
    job.stop()
    rows = check_result(job)
    check_goes_on(samples, job.done, options.seconds)
    warm, most, bound = check_memory(samples, options.seconds)
    if options.data:
        keep(options.data, samples, options.seconds, bound)
    print(f"memory: {options.seconds} s, {job.disk.kind} for 3 tenths of them: {rows} rows, "
          f"{job.done['checkpoints']} checkpoints, {warm / MIB:.0f} MiB when warm, "
          f"{most / MIB:.0f} at most, {bound / MIB:.0f} allowed")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--data")
    options = parser.parse_args()
    soak.alone()
    every_ms = max(EVERY_MS[0], min(EVERY_MS[1], options.seconds * 1000 // 300))
    job = soak.Job(os.path.abspath(options.program), JOB.format(every_ms=every_ms), DISK_BYTES)
    try:
        run(job, options)
    except soak.Failure as failure:
        print(f"memory: {failure}", file=sys.stderr)
        sys.exit(1)
    finally:
        job.close()


if __name__ == "__main__":
    main()
