#!/usr/bin/env python3
# usage: tests/crash/expiry_test.py PROGRAM [--seed S]
# Kills a job whose keys expire at named steps of base/fault_point.h, and at random moments: after
# each kill a run catches up, and sink and query hold the keys that are alive by its rows, no other.
# PROGRAM has fault points (the debug preset).
"""Kill -9 while keys expire: none comes back, none goes early."""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import expiring  # pylint: disable=wrong-import-position

ROWS, KEYS = 1500, 2000
KILL_SECONDS_MAX = 2.0  # a named step comes within, or the time decides
STEPS = ("upload_middle:3", "commit_after_manifest:2", "commit_after_command:3", "release_part:2",
         "recovery_restore:1", "fold_registered:1", "gc_deleting:1", None)
STORES = ("hash:", "lmdb:rows-on-disk")  # by turns: each run goes on from the other's checkpoint


def killed_run(job, draw, step):
    """Whether the step was reached."""
    process = job.start(fault=f"{step}:kill" if step else None)
    try:
        process.wait(KILL_SECONDS_MAX if step else 0.2 + 0.4 * draw.random())
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return False
    if process.returncode != -signal.SIGKILL:
        sys.exit(f"expiry: a run that was to be killed at {step} ended with {process.returncode}")
    return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("CST_SEED", "1")))
    options = parser.parse_args()
    points = subprocess.run([options.program, "version", "--fault-points"], stdout=subprocess.PIPE,
                            text=True, check=True).stdout.split()
    steps = [step for step in STEPS if step is None or step.split(":")[0] in points]
    draw = random.Random(options.seed)
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="cst-crash-expiry-") as folder:
        job = expiring.Expiring(os.path.abspath(options.program), folder, options.seed,
                                follow="true", every="200 rows")
        reached = 0
        for number, step in enumerate(steps):
            job.configure(store=STORES[(options.seed + number // 2) % len(STORES)])
            job.add_round(ROWS, KEYS)
            reached += killed_run(job, draw, step)
            job.finish()
            wanted = job.alive()
            released, deletes = job.released()
            for what, got in (("sink", released), ("query", job.queried())):
                if got != wanted:
                    key = next(key for key in sorted(set(got) | set(wanted))
                               if got.get(key) != wanted.get(key))
                    sys.exit(f"expiry: after {step}, {what}: key {key}: {got.get(key)}, "
                             f"wanted {wanted.get(key)}")
        if reached < len(steps) / 2 or deletes == 0:
            sys.exit(f"expiry: {reached} of {len(steps)} steps were reached, {deletes} keys went")
        print(f"{len(steps)} kills, {reached} at their step; {len(job.keys)} keys, "
              f"{len(wanted)} alive, {deletes} delete lines")


if __name__ == "__main__":
    main()
