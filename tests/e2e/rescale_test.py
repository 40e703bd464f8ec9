#!/usr/bin/env python3
# usage: tests/e2e/rescale_test.py PROGRAM [Class[.case]]
"""A job that goes on as another one: with other partitions it may, with other keys it must not."""

import glob
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = ""
PATIENCE_S = 60
PIPE_BYTES = 1 << 20  # what a job says while a test waits for something else fits
DONE, INPUT, DAMAGED, FENCED = 0, 3, 4, 6
PART = re.compile(r"^(\d{20})-(\d{5})\.ndjson$")

JOB = """
[job]
name       = "{name}"
partitions = {partitions}
dir        = "data"
[source]
kind    = "file"
path    = "rows"
format  = "ndjson"
columns = {columns}
follow  = {follow}
event_time = "at"
[key]
columns = {key}
{more}
[[aggregate]]
as = "n"
op = "count"
[[aggregate]]
as = "sum"
op = "sum"
column = "value"
[[aggregate]]
as = "low"
op = "min"
column = "value"
[[aggregate]]
as = "high"
op = "{high}"
column = "value"
[[aggregate]]
as = "last"
op = "last"
column = "value"
[sink]
kind = "file"
path = "out"
[state]
budget = "512MiB"
[checkpoint]
every = "{every}"
fold  = {fold}
keep  = {keep}
"""

SETTINGS = {"name": "rescale", "partitions": 2, "follow": "false", "every": "20ms", "fold": 2,
            "keep": 50, "columns": '["key string", "value i64", "at timestamp"]', "key": '["key"]',
            "more": "key_bytes_max = 32",
            "high": "max"}


class Jobs(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="cst-rescale-")
        self.addCleanup(self.folder.cleanup)
        self.draw = random.Random(self.id())
        self.rows = []  # (key, value), in the order of their file
        self.parts_before = {}
        self.running = []
        self.addCleanup(self.end_all)
        os.mkdir(self.path("rows"))

    def end_all(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def path(self, *names):
        return os.path.join(self.folder.name, *names)

    def job(self, **settings):
        with open(self.path("job.toml"), "w", encoding="utf-8") as file:
            file.write(JOB.format(**dict(SETTINGS, **settings)))

    def append(self, count):
        """Rows for three files; a key is in one of them alone, so that `last` has an order."""
        lines = [[], [], []]
        for _ in range(count):
            number = int(2000 * self.draw.random() ** 2)
            value = self.draw.randint(-10**9, 10**9)
            self.rows.append((f"key-{number}", value))
            lines[number % 3].append(json.dumps({"key": f"key-{number}", "value": value,
                                                 "at": len(self.rows)}) + "\n")
        for number, some in enumerate(lines):
            with open(self.path("rows", f"part-{number}.ndjson"), "a", encoding="utf-8") as file:
                file.write("".join(some))

    def expected(self):
        results = {}
        for key, value in self.rows:
            n, total, low, high, _ = results.get(key, (0, 0, value, value, value))
            results[key] = (n + 1, total + value, min(low, value), max(high, value), value)
        return results

    def start(self, *options):
        process = subprocess.Popen([PROGRAM, "run", "job.toml", "--json", *options],
                                   cwd=self.folder.name, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, pipesize=PIPE_BYTES)
        self.running.append(process)
        return process

    def finish(self, process, status=DONE):
        out, err = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, status, err)
        return [json.loads(line) for line in out.splitlines()], err

    def run_all(self):
        return self.finish(self.start("--until-caught-up"))

    def call(self, *arguments):
        result = subprocess.run([PROGRAM, *arguments], cwd=self.folder.name, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        self.assertEqual(result.returncode, DONE, result.stderr)
        return result.stdout

    def parts(self):
        """The sink's parts in order; those that were there are what they were."""
        names = sorted(os.listdir(self.path("out")))
        now = {name: (os.stat(self.path("out", name)).st_ino, os.path.getsize(self.path("out", name)))
               for name in names}
        for name, before in self.parts_before.items():
            self.assertEqual(now.get(name), before, name)
        self.parts_before = now
        return names

    def result(self, repeats=False):
        """The last line of each key, whose counts only ever grow, unless rows were let out twice."""
        last = {}
        for name in self.parts():
            self.assertRegex(name, PART)
            with open(self.path("out", name), encoding="utf-8") as file:
                for line in file:
                    row = json.loads(line)
                    self.assertEqual(row.pop("_op"), "upsert")
                    fields = tuple(row[field] for field in ("n", "sum", "low", "high", "last"))
                    if not repeats:
                        self.assertLess(last.get(row["key"], (0,))[0], fields[0], name)
                    last[row["key"]] = fields
        return last

    def queried(self, *options):
        rows = map(json.loads, self.call("query", "job.toml", "--json", *options).splitlines())
        return {row["key"]: tuple(row[field] for field in ("n", "sum", "low", "high", "last"))
                for row in rows if "key" in row}

    def check(self):
        wanted = self.expected()
        self.assertTrue(self.result() == wanted)
        self.assertTrue(self.queried() == wanted)
        self.call("checkpoints", "verify", "file:data/checkpoints")

    def manifests(self):
        return glob.glob(self.path("data/checkpoints/checkpoints/*/manifest-*"))

    def wait_for(self, what):
        deadline = time.monotonic() + PATIENCE_S
        while not what():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)


class Rescale(Jobs):
    def test_two_become_four_become_three_with_equal_results(self):
        before = None
        seen = {}
        for partitions in (2, 4, 3):
            self.append(20000)
            self.job(partitions=partitions)
            lines, err = self.run_all()
            rescaled = [line for line in lines if line["event"] == "rescaled"]
            if before:
                self.assertEqual([(line["from"], line["to"]) for line in rescaled],
                                 [(before, partitions)])
                self.assertGreater(rescaled[0]["bytes_read"], 0)
            else:
                self.assertEqual(rescaled, [])
            self.check()
            newest = json.loads(self.call("checkpoints", "list", "file:data/checkpoints",
                                          "--json").splitlines()[-1])
            seen[newest["id"]] = self.expected()
            before = partitions
            self.assertEqual(err, "")
        for ident, wanted in seen.items():  # also of the other numbers
            self.assertTrue(self.queried("--as-of", str(ident)) == wanted, ident)
        numbers = {}
        for name in self.parts():
            epoch, partition = PART.match(name).groups()
            numbers.setdefault(int(partition), []).append(int(epoch))
        self.assertEqual(sorted(numbers), [0, 1, 2, 3])

    def test_killed_between_the_changes_it_loses_and_repeats_nothing(self):
        for partitions in (2, 4, 3, 1, 5):
            self.append(5000)
            self.job(partitions=partitions, follow="true")
            process = self.start()
            time.sleep(0.3 * self.draw.random())
            self.append(5000)
            time.sleep(0.2 * self.draw.random())
            process.kill()
            process.wait()
        self.job(partitions=3)
        self.run_all()
        self.check()

    def test_a_stopped_owner_of_the_old_number_is_fenced_off(self):
        self.append(5000)
        self.job(follow="true")
        first = self.start()
        self.wait_for(self.manifests)
        first.send_signal(signal.SIGSTOP)
        self.append(5000)
        self.job(partitions=4, follow="true")
        second = self.start("--takeover")
        there = len(self.manifests())
        self.wait_for(lambda: len(self.manifests()) > there)
        first.send_signal(signal.SIGCONT)
        _, err = self.finish(first, FENCED)
        self.assertIn("CST_FENCED", err)
        second.send_signal(signal.SIGINT)
        self.finish(second)
        self.append(100)
        self.job(partitions=3)
        self.run_all()
        self.check()

    def test_back_behind_the_change_its_parts_stay_and_their_names_are_not_used_again(self):
        self.append(5000)
        self.job()
        self.run_all()
        first = set(self.parts())
        self.append(5000)
        self.job(partitions=4)
        lines, _ = self.run_all()
        epoch = [line["epoch"] for line in lines if line["event"] == "rescaled"][0]
        self.assertTrue(set(self.parts()) - first)
        damaged = glob.glob(self.path("data/checkpoints/checkpoints/*/*", f"delta-{epoch}"))
        for path in damaged:
            with open(path, "r+b") as file:
                head = file.read(16)
                if head[14] != 3:  # the fulls that the new partitions began with
                    continue
                file.seek(500)
                file.write(b"damage")
        _, err = self.finish(self.start("--until-caught-up"), DAMAGED)
        self.assertIn("CST_CHECKPOINT_REPEATS", err)
        self.finish(self.start("--until-caught-up", "--accept-repeats"))
        self.assertTrue(self.queried() == self.expected())
        self.assertTrue(self.result(repeats=True) == self.expected())
        self.append(1000)
        self.job(partitions=3)
        self.run_all()
        self.assertTrue(self.queried() == self.expected())
        self.assertTrue(self.result(repeats=True) == self.expected())

    def test_the_change_is_committed_at_once_however_seldom_barriers_are(self):
        self.append(1000)
        self.job()
        self.run_all()
        for partitions, every in ((4, "1h"), (3, "auto")):
            self.job(partitions=partitions, follow="true", every=every)
            there = len(self.manifests())
            process = self.start()
            self.wait_for(lambda: len(self.manifests()) > there)
            process.kill()
            process.wait()
        self.job(partitions=3)
        lines, _ = self.run_all()
        self.assertNotIn("rescaled", [line["event"] for line in lines])
        self.check()

    def test_the_last_number_stays_when_nothing_new_comes(self):
        self.append(3000)
        self.job()
        self.run_all()
        self.job(partitions=4)
        lines, _ = self.run_all()
        self.assertEqual(lines[-1]["checkpoints"], 1)
        lines, _ = self.run_all()
        self.assertNotIn("rescaled", [line["event"] for line in lines])
        self.assertEqual(lines[-1]["checkpoints"], 0)
        self.check()


class Refused(Jobs):
    def setUp(self):
        super().setUp()
        self.append(2000)
        self.job()
        self.run_all()

    def refused(self, code, *texts, **settings):
        """With what it was, what it is, and what is left to do; and nothing is changed by it."""
        self.job(**settings)
        _, err = self.finish(self.start("--until-caught-up"), INPUT)
        for text in (code, "another store", *texts):
            self.assertIn(text, err)
        self.job()
        self.run_all()
        self.check()

    def test_keys_of_another_type(self):
        self.refused("CST_JOB_MISMATCH", "by key string: n", "by key nullable string: n",
                     columns='["key nullable string", "value i64", "at timestamp"]')

    def test_other_key_columns(self):
        self.refused("CST_JOB_MISMATCH", "by key string: n", "by value i64: n", key='["value"]',
                     more="")

    def test_longer_keys(self):
        self.refused("CST_JOB_MISMATCH", "keys of up to 32 bytes", "not of 40",
                     more="key_bytes_max = 40")

    def test_a_key_column_more(self):
        self.refused("CST_JOB_MISMATCH", "by key string: n", "by key string, value i64: n",
                     key='["key", "value"]')

    def test_other_aggregates(self):
        self.refused("CST_JOB_MISMATCH", "high = max(value i64)", "high = sum(value i64)",
                     high="sum")

    def test_another_job(self):
        self.refused("CST_JOB_MISMATCH", 'job "rescale"', '"others"', name="others")

    def test_also_with_other_partitions(self):
        self.refused("CST_JOB_MISMATCH", "high = min(value i64)", high="min", partitions=4)

    def test_too_many_partitions(self):
        self.job(partitions=129)
        _, err = self.finish(self.start(), INPUT)
        self.assertIn("partitions is 1 to 128, not 129", err)


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
