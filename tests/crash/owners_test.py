#!/usr/bin/env python3
# usage: tests/crash/owners_test.py PROGRAM
"""Two runs of one job: one of them works, and the other says why it does not."""

import json
import os
import signal
import subprocess
import sys
import time
import unittest

import jobs

PROGRAM = ""
PATIENCE_SECONDS = 30
FENCED = 6


class Owners(unittest.TestCase):
    def setUp(self):
        self.job = jobs.Job(PROGRAM, self.id(), {"keys": 200})
        self.processes = []
        self.job.append(5000)

    def tearDown(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.job.remove()

    def start(self, *options):
        self.processes.append(self.job.start(*options))
        return self.processes[-1]

    def wait_for(self, what, condition):
        end = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            self.assertLess(time.monotonic(), end, f"{what} did not come: {self.log()}")
            time.sleep(0.005)

    def log(self):
        with open(self.job.path("log"), encoding="utf-8") as file:
            return file.read()[-4000:]

    def wait_for_parts(self, more):
        before = len(self.job.released_parts())
        def grown():
            self.job.append(100)
            return len(self.job.released_parts()) >= before + more
        self.wait_for(f"{more} more parts", grown)

    def ends_with(self, process, status):
        try:
            self.assertEqual(process.wait(PATIENCE_SECONDS), status, self.log())
        except subprocess.TimeoutExpired:
            self.fail(f"it did not end: {self.log()}")

    def test_a_second_run_is_refused_while_the_first_lives(self):
        first = self.start()
        self.wait_for_parts(2)
        second = self.start()
        self.ends_with(second, 1)
        self.assertIn("CST_JOB_RUNNING", self.log())
        self.wait_for_parts(2)
        first.send_signal(signal.SIGINT)  # a final checkpoint, and the end
        self.ends_with(first, 0)
        self.job.configure(follow=False)
        self.job.finish()
        self.job.check()

    def test_a_run_after_a_killed_one_needs_no_takeover(self):
        first = self.start()
        self.wait_for_parts(2)
        first.kill()
        first.wait()
        self.job.configure(follow=False)
        self.job.finish()
        self.job.check()

    def test_a_takeover_fences_the_first_off(self):
        first = self.start()
        self.wait_for_parts(2)
        second = self.start("--takeover")
        self.ends_with(first, FENCED)
        self.wait_for_parts(3)
        second.send_signal(signal.SIGINT)
        self.ends_with(second, 0)
        self.job.configure(follow=False)
        self.job.finish()
        self.job.check()

    def test_a_stopped_run_that_wakes_after_a_takeover_commits_nothing(self):
        first = self.start()
        self.wait_for_parts(2)
        first.send_signal(signal.SIGSTOP)
        self.job.append(5000)
        self.job.configure(follow=False)
        self.job.finish("--takeover")
        self.job.check_results()
        commits = self.committed()
        first.send_signal(signal.SIGCONT)
        self.ends_with(first, FENCED)
        self.job.check()
        self.assertEqual(self.committed(), commits)

    def test_a_run_after_one_that_was_killed_in_a_fold_folds_at_once(self):
        for fault in ("fold_leased:1:kill", "fold_uploaded:1:kill", "fold_registered:1:kill"):
            process = self.job.start(fault=fault)
            self.processes.append(process)
            def ended():
                self.job.append(100)
                return process.poll() is not None
            self.wait_for(fault, ended)
            self.ends_with(process, -signal.SIGKILL)
        self.job.configure(follow=False)
        self.job.finish()
        self.job.check()

    def test_a_run_stopped_at_each_step_of_a_commit_commits_nothing_afterwards(self):
        for step in ("upload_before", "upload_middle", "upload_after", "commit_before_guard",
                     "commit_before_manifest", "commit_after_manifest", "meta_append",
                     "release_part", "sink_temporary", "file_linked"):
            with self.subTest(step):
                self.job.remove()
                self.job = jobs.Job(PROGRAM, self.id() + step, {"keys": 200})
                self.job.append(5000)
                # Behind the claim: who is stopped before it is a newcomer when he wakes.
                process = self.job.start(fault=f"{step}:{60 if step == 'file_linked' else 4}:stop")
                self.processes.append(process)
                def stopped():
                    self.job.append(100)
                    with open(f"/proc/{process.pid}/stat", encoding="utf-8") as file:
                        return file.read().rpartition(") ")[2][0] == "T"
                self.wait_for(step, stopped)
                self.job.configure(follow=False)
                self.job.finish("--takeover")
                self.job.check_results()
                parts, commits = self.job.released_parts(), self.committed()
                process.send_signal(signal.SIGCONT)
                self.ends_with(process, FENCED)
                self.assertEqual((self.job.released_parts(), self.committed()), (parts, commits))
                self.job.check()

    def committed(self):
        """The ids of the checkpoints there are. Whoever lives may end a deletion that was decided."""
        status, out, err = self.job.call("checkpoints", "list",
                                         "file:" + self.job.path("checkpoints"), "--json")
        self.assertEqual(status, 0, err)
        checkpoints = [json.loads(line) for line in out.splitlines()]
        return [each["id"] for each in checkpoints if each["state"] != "deleting"]


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
