#!/usr/bin/env python3
# usage: tests/soak/budget_test.py PROGRAM
"""Keys that need ten times the memory budget, and expire: sources pause and resume, the process
stays below its memory limit, and each row is in the results once."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time

MIB = 1 << 20
BUDGET = 64 * MIB
KEYS = 750_000              # a table of that budget holds about 70,000 such keys
SLACK = 1.05                # the budget may be exceeded so far
BESIDE = 64 * MIB           # what is no table: the program, channels, buffers of uploads and sinks
LIMIT = 320 * MIB           # the kernel gives no more: stacks and what is not touched count, too
SECONDS_MAX = 240
PAUSES_MIN = 2              # of which each ended: the job went on to its last row

JOB = """# Written by tests/soak.
[job]
name       = "budget"
partitions = 1
[source]
kind    = "file"
path    = "rows.csv"
format  = "csv"
columns = ["key string", "id u64"]
[key]
columns = ["key"]
key_bytes_max = 248
[[aggregate]]
as = "rows"
op = "count"
[[aggregate]]
as = "ids"
op = "sum"
column = "id"
{more}
[sink]
kind = "file"
path = "out"
[state]
budget = "{budget}MiB"
ttl    = "1s"
[device]
batch_rows = 256
[checkpoint]
every = "200ms"
keep  = 1
"""
# Entries that are as wide as they may be.
MORE = "".join(f'[[aggregate]]\nas = "m{i}"\nop = "max"\ncolumn = "id"\n' for i in range(13))


def write_job(folder):
    with open(os.path.join(folder, "job.toml"), "w", encoding="utf-8") as file:
        file.write(JOB.format(more=MORE, budget=BUDGET // MIB))
    with open(os.path.join(folder, "rows.csv"), "w", encoding="utf-8") as file:
        file.writelines(f"key-{number},{number}\n" for number in range(KEYS))


def limit():
    # What may be written counts, wherever it lies: private pages, the heap.
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))


def memory_of(process):
    try:
        with open(f"/proc/{process.pid}/status", encoding="utf-8") as file:
            fields = dict(line.split(":", 1) for line in file)
        return int(fields["RssAnon"].split()[0]) * 1024
    except (KeyError, FileNotFoundError, ProcessLookupError):
        return 0  # it has ended


def run(program, folder):
    """What the run said of itself, and how much memory it had at most."""
    seen = {"table": 0, "process": 0, "pauses": 0, "starved": 0, "expired_keys": 0}
    with open(os.path.join(folder, "log"), "w", encoding="utf-8") as log:
        with subprocess.Popen([program, "run", "job.toml", "--json", "--until-caught-up"],
                              cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True,
                              preexec_fn=limit) as process:
            for event in map(json.loads, process.stdout):
                seen["process"] = max(seen["process"], memory_of(process))
                if event["event"] == "progress":
                    seen["table"] = max(seen["table"], event["used_bytes"])
                    seen["starved"] += event["starved"]
                elif event["event"] == "metrics":
                    for name in ("pauses", "expired_keys"):
                        seen[name] = event["metrics"].get(
                            f'constellation_{name}_total{{partition="0"}}', 0)
                elif event["event"] == "done":
                    seen["rows"] = event["rows"]
    seen["status"] = process.returncode
    return seen


def check_results(folder):
    """Each key has been released with its one row, or, if it came and went in one checkpoint, as
    gone; none otherwise."""
    upserts, deletes = set(), set()
    out = os.path.join(folder, "out")
    for name in sorted(os.listdir(out)):
        with open(os.path.join(out, name), encoding="utf-8") as file:
            for line in file:
                number = int(line[len('{"key":"key-'):line.index('"', len('{"key":"'))])
                if line.endswith('"_op":"delete"}\n'):
                    deletes.add(number)
                    continue
                if f',"rows":1,"ids":{number},' not in line or number in upserts:
                    sys.exit(f"budget: {name}: {line.strip()}")
                upserts.add(number)
    missing = KEYS - len(upserts | deletes)
    if missing or not upserts or not deletes:
        sys.exit(f"budget: {missing} of {KEYS} rows are missing; {len(upserts)} upserts, "
                 f"{len(deletes)} deletes")


def main():
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="cst-budget-") as folder:
        write_job(folder)
        begun = time.monotonic()
        seen = run(program, folder)
        seconds = time.monotonic() - begun
        print(f"{seen['rows'] if 'rows' in seen else 'no'} rows in {seconds:.1f} s, "
              f"{seen['pauses']} pauses, {seen['expired_keys']} keys expired, table at most {seen['table'] / BUDGET:.3f} of the "
              f"budget, process {seen['process'] / MIB:.0f} MiB", flush=True)
        with open(os.path.join(folder, "log"), encoding="utf-8") as log:
            said = log.read()
        if seen["status"] != 0 or seen.get("rows") != KEYS:
            sys.exit(f"budget: the job ended with {seen['status']}: {said[-2000:]}")
        if seen["pauses"] < PAUSES_MIN or "memory_budget_near" not in said:
            sys.exit(f"budget: {seen['pauses']} pauses: {said[-2000:]}")
        if seen["starved"] or "memory_budget_too_small" in said:
            sys.exit("budget: it said that a pause would never end")
        if seen["table"] > BUDGET * SLACK or seen["process"] > BUDGET * SLACK + BESIDE:
            sys.exit("budget: that is too much memory")
        check_results(folder)


if __name__ == "__main__":
    main()
