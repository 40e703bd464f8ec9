#!/usr/bin/env python3
# usage: tests/e2e/device_test.py PROGRAM [Class[.case]]
"""constellation run on devices that fail: what comes out is what the processor gives."""

import json
import os
import shutil
import subprocess

import run_jobs
from run_jobs import Jobs, DEVICE

EVERY = "1500 rows"


class Lost(Jobs):
    """A first checkpoint on the processor, copied: from there on all runs cut and name alike."""

    ROWS = 4_500

    def setUp(self):
        super().setUp()
        self.base = os.path.join(self.folder.name, "base")
        self.at = None
        os.mkdir(self.base)

    def begin(self, partitions=1):
        self.partitions = partitions
        self.enter("base", "")
        self.finish(self.start("--quiet", "--rows", "1500"))
        wanted = self.copy("wanted", "")
        self.finish(self.start("--quiet"))
        return wanted

    def enter(self, name, section):
        self.at = os.path.join(self.folder.name, name)
        with open(os.path.join(self.at, "job.toml"), "w", encoding="utf-8") as file:
            file.write(run_jobs.JOB.format(rows=f"rows = {self.ROWS}", partitions=self.partitions,
                                           every=EVERY, fold='"auto"')
                       + f"[device]\nbatch_rows = 64\n{section}\n")

    def copy(self, name, section):
        shutil.copytree(self.base, os.path.join(self.folder.name, name))
        self.enter(name, section)
        return name

    def start(self, *options):
        process = subprocess.Popen([run_jobs.PROGRAM, "run", "job.toml", *options], cwd=self.at,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   pipesize=run_jobs.PIPE_BYTES)
        self.running.append(process)
        return process

    def output(self, name):
        """Each part's lines; with one partition in their order."""
        folder = os.path.join(self.folder.name, name, "results/of/it")
        parts = {}
        for part in os.listdir(folder):
            with open(os.path.join(folder, part), "rb") as file:
                lines = file.read().splitlines(keepends=True)
            parts[part] = lines if self.partitions == 1 else sorted(lines)
        return parts

    def lost(self, wanted, uri, section):
        """A run that loses its device; its last line and what it logged."""
        name = self.copy(f"run-{len(self.running)}", f'uri = "{uri}"\n{section}')
        out, err = self.finish(self.start("--json", "--log-level", "info"))
        self.assertEqual(self.output(name), self.output(wanted), uri)
        done = json.loads(out.splitlines()[-1])
        self.assertGreater(done["device_faults"], 0, uri)
        self.assertIn("error device_lost", err)
        self.assertIn("device_recovered checkpoint=", err)
        self.assertGreater(done["device_recovery_seconds"], 0)
        return done, err


class Faults(Lost):
    def test_each_fault_leaves_the_output_of_the_processor(self):
        wanted = self.begin()
        for kind in ("fail_submit", "drop", "checksum", "flip"):
            done, err = self.lost(wanted, f"fault:cpu:?{kind}=30",
                                  'policy = "stay"\ntimeout = "100ms"')
            self.assertEqual(done["device_faults"], 1)
            self.assertTrue(done["device_away"])
            self.assertIn(f'device="fault:cpu:?{kind}=30"', err)
            self.assertIn("worker 0: ", err)


class Threads(Lost):
    def test_so_it_does_with_partitions_on_threads_of_the_devices(self):
        wanted = self.begin(partitions=2)
        for kind in ("fail", "reset"):
            self.lost(wanted, f"fault:cpu:?worker=1&{kind}=40", 'policy = "stay"')


class Policies(Lost):
    def test_a_device_that_comes_back_again_and_again_leaves_it_too(self):
        wanted = self.begin()
        done, err = self.lost(wanted, "fault:cpu:?fail=30", 'return_after = "10ms"')
        self.assertEqual(done["device_returns"], err.count("device_returned"))
        self.assertEqual(done["device_faults"], err.count("device_lost"))

    def test_a_run_that_is_to_stop_with_its_device_goes_on_from_what_was_committed(self):
        wanted = self.begin()
        name = self.copy("stopped", 'uri = "fault:cpu:?checksum=30"\npolicy = "stop"')
        _, err = self.finish(self.start("--quiet"), DEVICE)
        self.assertIn("fault:cpu:?checksum=30: a completion with a wrong checksum", err)
        self.assertIn("CST_DEVICE_LOST", err)
        self.finish(self.start("--quiet", "--device", "cpu:"))
        self.assertEqual(self.output(name), self.output(wanted))

    def test_a_card_that_is_missing_at_a_start_is_said_by_check_and_stood_in_for(self):
        wanted = self.begin()
        self.lost(wanted, "fault:cpu:?fail_open=1", 'policy = "stay"')
        said = subprocess.run([run_jobs.PROGRAM, "check", "job.toml"], cwd=self.at, check=True,
                              stdout=subprocess.PIPE, text=True).stdout
        self.assertIn("not there now: open fails by fail_open. A run begins on cpu:", said)


class Simulated(Lost):
    def setUp(self):
        super().setUp()
        self.need("sim:")

    def test_a_simulated_card_that_fails_leaves_the_output_of_the_processor(self):
        wanted = self.begin()
        for uri in ("fault:sim:?drop=30", "sim:?error=slverr&error_after=4000"):
            done, _ = self.lost(wanted, uri, 'policy = "stay"\ntimeout = "300ms"')
            self.assertEqual(done["device_faults"], 1)


if __name__ == "__main__":
    run_jobs.main()
