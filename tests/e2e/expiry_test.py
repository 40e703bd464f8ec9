#!/usr/bin/env python3
# usage: tests/e2e/expiry_test.py PROGRAM [Class[.case]]
"""[state] ttl: which keys are there, by event time and by the clock, in sink and query."""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import expiring

PROGRAM = ""
SEED = int(os.environ.get("CST_SEED", "1"))

CLOCK = """
[job]
name       = "by-the-clock"
partitions = 1
[source]
kind    = "file"
path    = "rows.csv"
format  = "csv"
columns = ["key u64"]
follow  = true
[key]
columns = ["key"]
[[aggregate]]
as = "rows"
op = "count"
[sink]
kind = "file"
path = "out"
[state]
store  = "{store}"
budget = "64MiB"
ttl    = "{ttl}"
[checkpoint]
every = "20ms"
"""


class Folders(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="cst-expiry-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def job(self, **settings):
        print(f"seed {SEED}")
        return expiring.Expiring(PROGRAM, self.folder, SEED, **settings)

    def check(self, job):
        wanted = job.alive()
        self.assertEqual(job.queried(), wanted)
        released, deletes = job.released()
        self.assertEqual(released, wanted)
        return deletes


class EventTime(Folders):
    def test_a_key_is_there_until_the_watermark_passes_its_time(self):
        job = self.job()
        deletes = 0
        for _ in range(5):
            job.add_round(rows=3000, keys=4000)
            job.finish()
            deletes = self.check(job)
        self.assertGreater(deletes, 0)
        self.assertLess(len(job.alive()), len(job.keys))

    def test_keys_expire_also_where_each_run_has_another_number_of_partitions(self):
        job = self.job()
        deletes = 0
        for partitions in (2, 4, 3, 1):
            job.configure(partitions=partitions)
            job.add_round(rows=2000, keys=3000)
            job.finish()
            deletes = self.check(job)
        self.assertGreater(deletes, 0)

    def test_a_single_key_is_asked_for(self):
        job = self.job()
        for _ in range(3):
            job.add_round(rows=300, keys=400)
            job.finish()
        dead = next(key for key in job.keys if not job.is_alive(key))
        live = next(key for key in job.keys if job.is_alive(key))
        self.assertEqual(job.queried("--key", str(dead)), {})
        self.assertEqual(job.queried("--key", str(live)), {live: job.alive()[live]})

    def test_another_number_of_partitions_keeps_the_same_keys(self):
        job = self.job()
        for partitions in (2, 4, 3):
            job.configure(partitions=partitions)
            job.add_round(rows=1500, keys=2000)
            job.finish()
            self.check(job)

    def test_another_ttl_is_another_state(self):
        job = self.job()
        job.add_round(rows=10, keys=10)
        job.finish()
        job.configure(ttl=expiring.TTL_S + 1)
        process = job.start("--until-caught-up")
        self.assertNotEqual(process.wait(60), 0)
        with open(job.path("log"), encoding="utf-8") as log:
            said = log.read()
        self.assertIn("CST_JOB_MISMATCH", said)
        self.assertIn("kept for 100s by at", said)
        self.assertIn("kept for 101s by at", said)


class Killed(Folders):
    def kill(self, job):
        draw = random.Random(SEED)
        for _ in range(3):
            job.add_round(rows=6000, keys=4000)
            for _ in range(3):
                process = job.start()
                try:
                    process.wait(0.4 * draw.random())
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                process.wait()
            job.finish()
            self.check(job)

    def test_runs_that_are_killed_leave_the_same_keys(self):
        self.kill(self.job())

    def test_so_they_do_on_disk(self):
        self.kill(self.job(store="lmdb:rows-on-disk", budget="32MiB"))


class OnDisk(Folders):
    def test_keys_on_disk_go_like_those_in_memory(self):
        job = self.job(store="lmdb:rows-on-disk", budget="32MiB")
        deletes = 0
        for _ in range(4):
            job.add_round(rows=3000, keys=4000)
            job.finish()
            deletes = self.check(job)
        self.assertGreater(deletes, 0)
        self.assertLess(len(job.alive()), len(job.keys))

    def test_they_do_where_each_run_has_another_store_and_number_of_partitions(self):
        job = self.job()
        for store, partitions in (("lmdb:a", 2), ("hash:", 4), ("lmdb:a", 3), ("lmdb:b", 3)):
            job.configure(store=store, partitions=partitions)
            job.add_round(rows=1500, keys=2000)
            job.finish()
            self.check(job)


class Simulated(Folders):
    def test_a_simulated_card_keeps_the_same_keys(self):
        job = self.job(device="sim:", partitions=1, every="50ms")
        for _ in range(3):
            job.add_round(rows=150, keys=200)
            job.finish()
            self.check(job)


class Clock(Folders):
    def path(self, *names):
        return os.path.join(self.folder, *names)

    def configure(self, ttl="300ms", store="hash:"):
        with open(self.path("job.toml"), "w", encoding="utf-8") as file:
            file.write(CLOCK.format(ttl=ttl, store=store))
        self.write(0)

    def write(self, count):
        with open(self.path("rows.csv"), "a", encoding="utf-8") as file:
            file.writelines(f"{key}\n" for key in range(count))

    def start(self, *options):
        with open(self.path("log"), "a", encoding="utf-8") as log:
            return subprocess.Popen([PROGRAM, "run", self.path("job.toml"), "--json", *options],
                                    stdout=log, stderr=log)

    def lines(self):
        rows = []
        out = self.path("out")
        for name in sorted(os.listdir(out)) if os.path.isdir(out) else []:
            if name.startswith("temp-"):
                continue
            with open(os.path.join(out, name), encoding="utf-8") as file:
                rows += [json.loads(line) for line in file]
        return rows

    def queried(self):
        text = subprocess.run([PROGRAM, "query", self.path("job.toml"), "--json"],
                              stdout=subprocess.PIPE, text=True, check=True).stdout
        return [row for row in map(json.loads, text.splitlines()) if "key" in row]

    def wait_for(self, what, holds):
        end = time.monotonic() + 60
        while not holds():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.02)

    def go_without_rows(self, store):
        self.configure(store=store)
        process = self.start()
        self.write(100)
        self.wait_for("delete lines", lambda: {row["key"] for row in self.lines()
                                               if row["_op"] == "delete"} == set(range(100)))
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), 0)
        self.assertEqual(self.queried(), [])

    def test_keys_go_though_no_row_comes(self):
        self.go_without_rows("hash:")

    def test_so_do_keys_on_disk(self):
        self.go_without_rows("lmdb:rows-on-disk")

    def test_the_time_between_two_runs_counts(self):
        self.configure(ttl="1s")
        self.write(100)
        self.assertEqual(self.start("--until-caught-up").wait(60), 0)
        self.assertEqual(len(self.queried()), 100)
        time.sleep(1.1)
        self.assertEqual(self.start("--until-caught-up").wait(60), 0)
        self.assertEqual(self.queried(), [])
        self.assertEqual([row["_op"] for row in self.lines()], ["upsert"] * 100 + ["delete"] * 100)


def main():
    global PROGRAM
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)


if __name__ == "__main__":
    main()
