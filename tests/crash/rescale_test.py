#!/usr/bin/env python3
# usage: tests/crash/rescale_test.py PROGRAM
"""Killed at every step of the way to another number of partitions, and then sent to a third one."""

import os
import signal
import sys
import unittest

import jobs

PROGRAM = ""

# (partitions, where the run is killed), one run after the other.
WAYS = {
    "at_each_step_of_the_change": [
        (2, "commit_after_command:2:kill"),   # committed, nothing released
        (4, "rescale_command:1:kill"),
        (3, "rescale_full:2:kill"),           # two fulls of three
        (4, "rescale_spread:1:kill"),
        (1, "recovery_release:1:kill"),       # of the two
        (4, "recovery_restore:2:kill"),
        (4, "commit_before_manifest:1:kill"),  # and nothing of the new number is committed yet
        (2, "claim_after:1:kill"),            # back: no change, but for the metadata
    ],
    "with_candidates_of_the_new_number": [
        (2, "release_part:1:kill"),
        (3, "commit_after_manifest:1:kill"),  # the first of three is whole, and not committed
        (4, "adopt_before_command:1:kill"),
        (1, "adopt_after_command:1:kill"),    # committed as three
        (2, "commit_after_command:1:kill"),   # out of these three
        (3, "release_after:1:kill"),
    ],
    "with_folds_and_garbage_behind_it": [
        (2, "fold_uploaded:1:kill"),
        (3, "fold_registered:2:kill"),
        (2, "fold_leased:1:kill"),
        (4, "gc_retired:1:kill"),
        (3, "gc_deleting:2:kill"),
    ],
}


class Rescale(unittest.TestCase):
    def way(self, name, unaligned=None):
        job = jobs.Job(PROGRAM, name, {"keys": 500, "fold": 1, "keep": 1, "every": "10ms",
                                       "budget": "256MiB", "unaligned": unaligned})
        for partitions, fault in WAYS[name]:
            job.append(3000)
            job.configure(partitions=partitions)
            process = job.start(fault=fault)
            for _ in range(3000):  # rows for one more checkpoint after the other
                if process.poll() is not None:
                    break
                job.append(200)
                job.wait(process, 0.02)
            else:
                process.kill()
                process.wait()
                self.fail(f"{partitions} partitions: {fault} was not reached: {job.folder}")
            self.assertEqual(process.returncode, -signal.SIGKILL, f"{fault}: {job.folder}")
            job.check_commits()
        job.append(100)
        job.configure(partitions=3, follow=False)
        job.finish()
        job.check()
        job.remove()


for case in WAYS:
    setattr(Rescale, "test_" + case, lambda self, case=case: self.way(case))
setattr(Rescale, "test_from_unaligned_checkpoints", lambda self: self.way("at_each_step_of_the_change", "0s"))


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
