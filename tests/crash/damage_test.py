#!/usr/bin/env python3
# usage: tests/crash/damage_test.py PROGRAM
"""Damaged stores and refusing disks: a typed error that names the place, or exact results; never a
row dropped in silence."""

import os
import random
import resource
import shutil
import subprocess
import sys
import unittest

import jobs

PROGRAM = ""
CONFIGURATION, DAMAGED, REFUSED = 3, 4, 7
FILE_BYTES_MAX = 4096   # of the disk that is full
ROOM_BYTES = 64 << 10   # of another, beside what the store holds


def flip(path, draw):
    with open(path, "r+b") as file:
        data = bytearray(file.read())
        at = draw.randrange(len(data))
        data[at] ^= 1 << draw.randrange(8)
        file.seek(0)
        file.write(data)


def cut(path, draw):
    os.truncate(path, draw.randrange(os.path.getsize(path)))


def empty(path, _):
    os.truncate(path, 0)


def remove(path, _):
    os.unlink(path)


class Damage(unittest.TestCase):
    """Every object of a store, damaged, one at a time."""

    @classmethod
    def setUpClass(cls):
        cls.job = jobs.Job(PROGRAM, "damage", {"keys": 100, "every": "500 rows", "fold": 3,
                                               "keep": 3, "batch_rows": 64})
        for _ in range(3):
            cls.job.append(4000)
            cls.job.configure(follow=False)
            cls.job.finish()
        cls.job.check()
        cls.job.append(600)  # what a run after the damage has to add
        cls.kept = cls.job.folder + "-kept"
        shutil.copytree(cls.job.folder, cls.kept)

    @classmethod
    def tearDownClass(cls):
        cls.job.remove()
        shutil.rmtree(cls.kept)

    def restore(self):
        for name in ("checkpoints", "out"):
            shutil.rmtree(self.job.path(name))
            shutil.copytree(os.path.join(self.kept, name), self.job.path(name))
        self.job.parts = {}
        self.job.released_parts()

    def objects(self):
        top = os.path.join(self.kept, "checkpoints")
        for folder, folders, names in os.walk(top):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in names:
                if not name.startswith("."):
                    yield os.path.relpath(os.path.join(folder, name), top)

    def run_damaged(self, name, what):
        """True: refused by name. False: it did not matter, or was found and gone round."""
        process = self.job.start("--until-caught-up")
        status = process.wait(jobs.RUN_SECONDS_MAX)
        if status == 0:
            self.job.check_results()  # the older checkpoints may stay damaged
            return False
        with open(self.job.path("log"), encoding="utf-8") as file:
            said = file.read().rpartition("--- run")[2]
        self.assertEqual(status, DAMAGED, f"{what} {name}: {said}")
        self.assertIn("CST_", said)
        self.job.released_parts()  # unchanged
        return True

    def test_a_damaged_object_is_named_or_gone_round(self):
        refused = {}
        for number, name in enumerate(sorted(self.objects())):
            for damage in (flip, (cut, empty, remove)[number % 3]):
                what = damage.__name__
                with self.subTest(name=name, damage=what):
                    self.restore()
                    damage(self.job.path("checkpoints", name), random.Random(name + what))
                    kind = name.split("/")[0]
                    refused.setdefault(kind, []).append(self.run_damaged(name, what))
        # Where nothing was ever refused, nothing was ever looked at.
        self.assertTrue(any(refused["checkpoints"]), refused)
        self.assertTrue(any(refused["meta"]), refused)

    def test_verify_finds_every_damaged_object_that_is_needed(self):
        status, out, err = self.job.call("checkpoints", "verify",
                                         "file:" + os.path.join(self.kept, "checkpoints"))
        self.assertEqual(status, 0, out + err)
        found = 0
        for name in sorted(self.objects()):
            if "/delta-" not in name and "manifest-" not in name and not name.startswith("folds/"):
                continue
            self.restore()
            flip(self.job.path("checkpoints", name), random.Random(name))
            status, out, err = self.job.call("checkpoints", "verify",
                                             "file:" + self.job.path("checkpoints"))
            self.assertIn(status, (0, DAMAGED), out + err)
            found += status == DAMAGED
        self.assertGreater(found, 3)

    def test_a_store_of_another_job_is_refused(self):
        self.restore()
        other = jobs.Job(PROGRAM, "other", {"name": "other", "follow": False})
        try:
            shutil.copytree(self.job.path("checkpoints"), other.path("checkpoints"))
            other.append(1000)
            process = other.start("--until-caught-up")
            self.assertEqual(process.wait(jobs.RUN_SECONDS_MAX), CONFIGURATION)
            with open(other.path("log"), encoding="utf-8") as file:
                self.assertIn("CST_JOB_MISMATCH", file.read())
            self.assertEqual(other.released_parts(), [])
        finally:
            other.remove()


class Body(unittest.TestCase):
    """The newest of two checkpoints has a wrong bit between header and footer, which are whole: it
    is met while the state is restored."""

    def setUp(self):
        self.job = jobs.Job(PROGRAM, "body", {"keys": 500, "every": "1h", "follow": False})
        for _ in range(2):  # a run takes one checkpoint, at its end
            self.seen = set(self.job.released_parts())
            self.job.append(4000)
            self.job.finish()
        self.job.check()
        deltas = [os.path.join(folder, name)
                  for folder, _, names in os.walk(self.job.path("checkpoints", "checkpoints"))
                  for name in names if name == "delta-2"]
        with open(max(deltas), "r+b") as file:  # of the last partition
            file.seek(os.path.getsize(file.name) // 2)
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 4]))

    def tearDown(self):
        self.job.remove()

    def run_again(self, *options):
        process = self.job.start("--until-caught-up", *options)
        status = process.wait(jobs.RUN_SECONDS_MAX)
        with open(self.job.path("log"), encoding="utf-8") as file:
            return status, file.read().rpartition("--- run")[2]

    def test_a_damaged_body_whose_output_nobody_saw_is_gone_back_behind(self):
        for name in set(self.job.released_parts()) - self.seen:
            os.unlink(self.job.path("out", name))
        self.job.parts = {}
        status, said = self.run_again()
        self.assertEqual(status, 0, said)
        self.assertIn("checkpoint 2 was not used: ", said)
        self.job.check_results()

    def test_a_damaged_body_whose_output_was_seen_stops_the_job(self):
        status, said = self.run_again()
        self.assertEqual(status, DAMAGED, said)
        self.assertNotIn("nother checkpoint. Use another", said)  # its advice, once
        self.assertIn("CST_CHECKPOINT_REPEATS", said)
        self.assertIn("--accept-repeats", said)
        self.job.released_parts()  # unchanged
        status, said = self.run_again("--accept-repeats")
        self.assertEqual(status, 0, said)
        self.assertEqual(self.job.queried(), self.job.expected())


class Disk(unittest.TestCase):
    """Disks that refuse for a while: afterwards the job goes on, and nothing is lost."""

    def setUp(self):
        self.job = jobs.Job(PROGRAM, self.id(), {"keys": 500, "follow": False})
        self.job.append(3000)
        self.job.finish()

    def tearDown(self):
        self.job.remove()

    def said(self):
        with open(self.job.path("log"), encoding="utf-8") as file:
            return file.read().rpartition("--- run")[2]

    def mend(self):
        self.job.append(100)
        self.job.finish()
        self.job.check()

    def test_files_that_may_not_grow(self):
        def small(limit):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        self.job.append(3000)
        log = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        small(FILE_BYTES_MAX)
        try:
            with open(self.job.path("log"), "w", encoding="utf-8"):
                pass
            process = self.job.start("--until-caught-up")
        finally:
            small(log)
        try:
            self.assertGreater(process.wait(3), 0)
        except jobs.subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.mend()

    def fail_each(self, step):
        """The call fails once; where that is not got over, the run says what and where."""
        for n in range(1, 8):
            process = self.job.start("--until-caught-up", fault=f"{step}:{n}:fail")
            status = process.wait(jobs.RUN_SECONDS_MAX)
            self.assertGreaterEqual(status, 0)
            if status > 0:
                self.assertIn('"code":"CST_', self.said())
            self.mend()

    def test_a_failed_sync_of_an_object_loses_nothing(self):
        self.fail_each("file_temporary")

    def test_a_failed_sync_of_a_folder_loses_nothing(self):
        self.fail_each("file_linked")

    def test_a_store_that_cannot_be_written_is_refused(self):
        place = self.job.path("checkpoints")
        os.rename(place, place + "-kept")
        with open(place, "w", encoding="utf-8"):
            pass  # a file where the folder should be
        self.job.append(100)
        process = self.job.start("--until-caught-up")
        self.assertGreater(process.wait(jobs.RUN_SECONDS_MAX), 0)
        self.assertIn('"code":"CST_', self.said())
        os.unlink(place)
        os.rename(place + "-kept", place)
        self.mend()


class Mounts(unittest.TestCase):
    """File systems that are full or read-only, in a mount namespace of the run's own."""

    def setUp(self):
        if subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"],
                          stderr=subprocess.DEVNULL, check=False).returncode != 0:
            self.skipTest("this machine lets nobody mount; Disk has the files that may not grow")
        self.job = jobs.Job(PROGRAM, self.id(), {"keys": 5000, "follow": False})
        self.job.append(3000)
        self.job.finish()
        self.job.append(30000)

    def tearDown(self):
        self.job.remove()

    def run_mounted(self, script):
        """`script` mounts something over "$store" and calls "$@", which lives for 10 s; its log."""
        with open(self.job.path("log"), "w", encoding="utf-8") as log:
            status = subprocess.run(
                ["unshare", "-rm", "sh", "-c", "store=$1; shift; " + script, "sh",
                 self.job.path("checkpoints"), "timeout", "-s", "KILL", "10", PROGRAM, "run",
                 self.job.path("job.toml"), "--json", "--until-caught-up"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False).returncode
        self.assertNotEqual(status, 0)
        with open(self.job.path("log"), encoding="utf-8") as log:
            return log.read()

    def mend(self):
        self.job.append(100)
        self.job.finish()
        self.job.check()

    def test_a_full_disk_is_named_and_nothing_is_lost(self):
        held = sum(-(-os.path.getsize(os.path.join(folder, name)) // 4096) * 4096
                   for folder, _, names in os.walk(self.job.path("checkpoints")) for name in names)
        said = self.run_mounted('cp -a "$store" "$store-kept" && '
                                f'mount -t tmpfs -o size={held + ROOM_BYTES} none "$store" && '
                                'cp -a "$store-kept/." "$store" && { "$@"; status=$?; '
                                'rm -rf "$store-kept"; cp -a "$store" "$store-kept"; exit $status; }')
        self.assertIn("CST_IO", said)
        self.assertIn("No space left", said)
        self.assertRegex(said, r'constellation_errors_total{step=\\"\w+\\",code=\\"CST_IO\\"}":[1-9]')
        self.assertIn('constellation_upload_seconds{partition=\\"1\\"}":{"count":', said)
        self.assertIn('constellation_reader_lag{reader=\\"0\\"}', said)
        shutil.rmtree(self.job.path("checkpoints"))
        os.rename(self.job.path("checkpoints-kept"), self.job.path("checkpoints"))
        self.mend()

    def test_a_read_only_store_is_refused(self):
        said = self.run_mounted('mount --bind "$store" "$store" && '
                                'mount -o remount,ro,bind "$store" && "$@"')
        self.assertIn('"code":"CST_', said)
        self.assertIn("Read-only file system", said)
        self.mend()


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
