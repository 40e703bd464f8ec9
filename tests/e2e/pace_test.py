#!/usr/bin/env python3
# usage: tests/e2e/pace_test.py PROGRAM
"""[checkpoint] every = "auto": checkpoints that come by themselves, and what a recovery would take."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

PROGRAM = ""

JOB = """
[job]
name       = "pace"
partitions = 2
[source]
kind = "generator"
name = "uniform"
keys = 100_000
[key]
columns = ["key"]
[[aggregate]]
as = "n"
op = "count"
[state]
budget = "256MiB"
[checkpoint]
every           = "auto"
recovery_target = "300ms"
"""


class Pace(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="cst-pace-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        with open(os.path.join(self.folder, "job.toml"), "w", encoding="utf-8") as file:
            file.write(JOB)

    def run_until(self, checkpoints):
        """Kills a run that has committed so many: (newest checkpoint, estimate of a recovery)."""
        process = subprocess.Popen([PROGRAM, "run", "job.toml", "--json"], cwd=self.folder,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        newest = 0
        with process.stdout:
            for event in map(json.loads, process.stdout):
                if event["event"] == "progress" and event["checkpoints"] >= checkpoints:
                    newest = event["last_checkpoint"]
                if event["event"] == "metrics" and newest:
                    estimate = event["metrics"]["constellation_recovery_estimate_seconds"]
                    break
        process.kill()
        process.wait()
        return newest, estimate

    def test_checkpoints_come_by_themselves_and_the_next_run_stands_on_them(self):
        newest, estimate = self.run_until(2)
        self.assertGreater(estimate, 0)
        later, estimate = self.run_until(1)
        self.assertGreater(later, newest)
        self.assertGreater(estimate, 0)


def main():
    global PROGRAM
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)


if __name__ == "__main__":
    main()
