#!/usr/bin/env python3
# usage: tests/e2e/run_test.py PROGRAM [Class[.case]]
"""constellation run: jobs as people start, stop, kill and restart them, and what comes out."""

import csv
import glob
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = ""
ROWS = 400_000
DONE, FAILED, INPUT, DEVICE, FENCED = 0, 1, 3, 5, 6
PATIENCE_S = 60
PIPE_BYTES = 1 << 20  # what a job says while a test waits for something else fits

JOB = """
[job]
name       = "bids-per-auction"
partitions = {partitions}
dir        = "deep/below/data"
[source]
kind = "generator"
name = "bids"
{rows}
event_time = "at"
watermark  = "2s"
[key]
columns = ["auction"]
[[aggregate]]
as = "bids"
op = "count"
[[aggregate]]
as = "cents"
op = "sum"
column = "price"
[[aggregate]]
as = "highest"
op = "max"
column = "price"
[sink]
kind = "file"
path = "results/of/it"
[state]
budget = "512MiB"
[checkpoint]
every = "{every}"
fold  = {fold}
keep  = 3
"""


# Of a job that has no end: fewer rows than it could, for somebody counts them.
UNHURRIED = """
[device]
batch_rows = 64
"""


def generated_text(rows):
    """Rows of the generator, by the program's other verb."""
    return subprocess.run([PROGRAM, "generate", "bids", "--rows", str(rows), "--format", "csv",
                           "--quiet"], check=True, stdout=subprocess.PIPE, text=True).stdout


def generated(rows):
    return csv.DictReader(io.StringIO(generated_text(rows)))


def expected(rows):
    sums = {}
    lines = csv.reader(io.StringIO(generated_text(rows)))
    names = next(lines)
    auction, price = names.index("auction"), names.index("price")
    for row in lines:
        cents = int(row[price])
        bids, total, highest = sums.get(row[auction], (0, 0, 0))
        sums[row[auction]] = (bids + 1, total + cents, max(highest, cents))
    return sums


class Jobs(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="cst-run-")
        self.addCleanup(self.folder.cleanup)
        self.running = []
        self.addCleanup(self.end_all)

    def end_all(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def job(self, rows=ROWS, partitions=2, every="50ms", fold='"auto"', more=""):
        count = f"rows = {rows}" if rows else ""
        with open(os.path.join(self.folder.name, "job.toml"), "w", encoding="utf-8") as file:
            file.write(JOB.format(rows=count, partitions=partitions, every=every, fold=fold) + more)

    def start(self, *options):
        process = subprocess.Popen([PROGRAM, "run", "job.toml", *options], cwd=self.folder.name,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   pipesize=PIPE_BYTES)
        self.running.append(process)
        return process

    def finish(self, process, status=DONE):
        out, err = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, status, err)
        return out, err

    def run_json(self, *options):
        out, _ = self.finish(self.start("--json", *options))
        return [json.loads(line) for line in out.splitlines()]

    def manifests(self):
        return glob.glob(os.path.join(self.folder.name, "deep/below/data/checkpoints/checkpoints",
                                      "*", "manifest-*"))

    def wait_for(self, what):
        deadline = time.monotonic() + PATIENCE_S
        while not what():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def parts(self):
        return sorted(os.listdir(os.path.join(self.folder.name, "results/of/it")))

    def result(self):
        """The last line of each key; parts sort by epoch."""
        last = {}
        for part in self.parts():
            self.assertRegex(part, r"^\d{20}-\d{5}\.ndjson$")
            path = os.path.join(self.folder.name, "results/of/it", part)
            with open(path, encoding="utf-8") as file:
                for line in file:
                    row = json.loads(line)
                    last[str(row["auction"])] = (row["bids"], row["cents"], row["highest"])
        return last

    def check_result(self, rows=ROWS):
        self.check_equal(self.result(), expected(rows))

    def check_equal(self, result, wanted):
        """A few of the keys that differ: there are a hundred thousand."""
        wrong = [(key, result.get(key), wanted.get(key)) for key in sorted({*result, *wanted})
                 if result.get(key) != wanted.get(key)]
        self.assertEqual((len(wrong), wrong[:5]), (0, []))


class Runs(Jobs):
    def test_a_job_ends_when_all_is_read_and_its_output_is_right(self):
        self.job()
        lines = self.run_json()
        done = lines[-1]
        self.assertEqual(done["event"], "done")
        self.assertEqual(done["rows"], ROWS)
        self.assertEqual(done["recovered_from"], 0)
        self.assertTrue(done["caught_up"])
        self.assertGreaterEqual(done["checkpoints"], 1)
        self.assertEqual(done["keys"], len(self.result()))
        metrics = [line["metrics"] for line in lines if line["event"] == "metrics"]
        self.assertIn('constellation_rows_total{partition="1"}', metrics[-1])
        self.check_result()

    def test_a_job_that_is_done_has_nothing_to_do(self):
        self.job()
        self.run_json()
        before = self.parts()
        done = self.run_json("--until-caught-up")[-1]
        self.assertEqual(done["rows"], 0)
        self.assertGreater(done["recovered_from"], 0)
        self.assertEqual(self.parts(), before)

    def test_a_recovery_leaves_a_report(self):
        self.job(rows=ROWS // 2)
        first = self.run_json()
        self.assertNotIn("recovered", [line["event"] for line in first])
        self.job()
        first = self.run_json()  # a newer checkpoint, also where all rows fit into one
        os.truncate(sorted(self.manifests())[-1], 10)
        lines = self.run_json("--accept-repeats")
        report = next(line for line in lines if line["event"] == "recovered")
        self.assertEqual(report["checkpoint"], lines[-1]["recovered_from"])
        self.assertFalse(report["adopted"])
        self.assertGreater(report["objects"], 1)
        self.assertGreater(report["bytes"], 0)
        for phase in ("claim", "read", "restore"):
            self.assertGreater(report[f"{phase}_seconds"], 0, phase)
        self.assertGreaterEqual(report["verify_seconds"], 0)
        self.assertEqual([note["id"] for note in report["skipped"]], [first[-1]["last_checkpoint"]])
        self.assertEqual(report["skipped"][0]["error"], "CST_MANIFEST")
        self.assertIn("manifest-", report["skipped"][0]["text"])

    def test_a_recovery_is_reported_before_the_run_ends(self):
        self.job(rows=None)
        first = self.start("--quiet")
        self.wait_for(self.manifests)
        first.kill()
        first.wait()
        process = self.start("--json")
        for line in process.stdout:
            if json.loads(line)["event"] == "recovered":
                break
        else:
            self.fail("it ended without a report")
        self.assertIsNone(process.poll())

    def test_more_rows_go_on_behind_the_old_ones(self):
        self.job()
        self.run_json("--rows", str(ROWS // 2))
        done = self.run_json()[-1]
        self.assertEqual(done["rows"], ROWS - ROWS // 2)
        self.check_result()

    def test_a_signal_takes_a_last_checkpoint_and_the_job_goes_on_from_it(self):
        self.job(rows=None, more=UNHURRIED)
        process = self.start("--json")
        self.wait_for(self.manifests)
        process.send_signal(signal.SIGINT)
        done = json.loads(self.finish(process)[0].splitlines()[-1])
        self.assertFalse(done["caught_up"])
        self.assertEqual(sum(value[0] for value in self.result().values()), done["rows"])
        total = 2 * done["rows"] + ROWS  # one stripe may be ahead of the other
        again = self.run_json("--rows", str(total))[-1]
        self.assertEqual(again["recovered_from"], done["last_checkpoint"])
        self.assertEqual(again["rows"], total - done["rows"])
        self.check_result(total)

    def test_every_n_rows_gives_that_many_checkpoints(self):
        self.job(every="50_000 rows")
        done = self.run_json()[-1]
        # The cuts are at each split's share; the last checkpoint is the end.
        self.assertIn(done["checkpoints"], range(ROWS // 50_000, ROWS // 50_000 + 3))
        self.check_result()

    def test_one_partition_and_many_give_the_same(self):
        for partitions in (1, 7):
            with self.subTest(partitions):
                self.job(partitions=partitions)
                self.run_json()
                self.check_result()
                self.setUp()

    def test_a_final_table_and_no_progress_on_stdout(self):
        self.job()
        out, _ = self.finish(self.start())
        self.assertIn("all read and committed", out)
        self.assertIn("400,000", out)
        out, err = self.finish(self.start("--quiet"))
        self.assertEqual((out, err), ("", ""))


FILES = """
[job]
name = "files"
partitions = 2
[source]
kind = "file"
path = "rows"
format = "ndjson"
columns = ["key string", "value u64"]
{more}
[key]
columns = ["key"]
[[aggregate]]
as = "n"
op = "count"
[[aggregate]]
as = "sum"
op = "sum"
column = "value"
[sink]
kind = "file"
path = "results/of/it"
[checkpoint]
every = "{every}"
"""


class Files(Jobs):
    """Jobs of small files."""

    def files(self, every="1h", more="", **files):
        with open(os.path.join(self.folder.name, "job.toml"), "w", encoding="utf-8") as file:
            file.write(FILES.format(every=every, more=more))
        for name, rows in files.items():
            self.append(name, *rows)

    def append(self, name, *rows):
        os.makedirs(os.path.join(self.folder.name, "rows"), exist_ok=True)
        with open(os.path.join(self.folder.name, "rows", name), "a", encoding="utf-8") as file:
            file.writelines(row if isinstance(row, str) else
                            json.dumps({"key": row[0], "value": row[1]}) + "\n" for row in rows)

    def rows(self):
        """The last line of each key in the sink."""
        last = {}
        for part in self.parts():
            with open(os.path.join(self.folder.name, "results/of/it", part),
                      encoding="utf-8") as file:
                for line in file:
                    row = json.loads(line)
                    last[row["key"]] = (row["n"], row["sum"])
        return last

    def state(self):
        lines = subprocess.run([PROGRAM, "query", "job.toml"], cwd=self.folder.name, check=True,
                               stdout=subprocess.PIPE, text=True).stdout.splitlines()
        return {row["key"]: (row["n"], row["sum"]) for row in map(json.loads, lines)}

    def wanted(self, *rows):
        sums = {}
        for key, value in rows:
            count, total = sums.get(key, (0, 0))
            sums[key] = (count + 1, total + value)
        return sums

    def parts_or_none(self):
        return self.parts() if os.path.isdir(os.path.join(self.folder.name, "results/of/it")) else []

    def rows_or_none(self):
        try:
            return self.rows()
        except (FileNotFoundError, json.JSONDecodeError):
            return None


COUNTS = """
[job]
name = "counts"
partitions = {partitions}
[source]
kind = "file"
path = "rows.ndjson"
format = "ndjson"
columns = ["key u64", "text nullable string", "bytes nullable binary", "name string", "at timestamp"]
event_time = "at"
{window}
[key]
columns = ["key"]
[[aggregate]]
as = "texts"
op = "count"
column = "text"
[[aggregate]]
as = "blobs"
op = "count"
column = "bytes"
[[aggregate]]
as = "names"
op = "count"
column = "name"
[device]
uri = "{device}"
[state]
budget = "512MiB"
"""


class Counts(Jobs):
    """A count looks at nulls alone, whatever its column is."""

    def counted(self, rows, partitions=2, window="", device="cpu:"):
        with open(os.path.join(self.folder.name, "rows.ndjson"), "w", encoding="utf-8") as file:
            file.writelines(json.dumps(dict(row, at="2026-01-01T00:00:00Z")) + "\n" for row in rows)
        with open(os.path.join(self.folder.name, "job.toml"), "w", encoding="utf-8") as file:
            file.write(COUNTS.format(partitions=partitions, window=window, device=device))
        self.run_json("--until-caught-up")
        lines = subprocess.run([PROGRAM, "query", "job.toml"], cwd=self.folder.name, check=True,
                               stdout=subprocess.PIPE, text=True).stdout.splitlines()
        found = {row["key"]: (row["texts"], row["blobs"], row["names"])
                 for row in map(json.loads, lines)}
        shutil.rmtree(os.path.join(self.folder.name, "data"))
        wanted = {}
        for row in rows:
            seen = (row["text"] is not None, row["bytes"] is not None, True)
            wanted[row["key"]] = tuple(map(sum, zip(wanted.get(row["key"], (0, 0, 0)), seen)))
        self.assertEqual(found, wanted)

    def test_text_and_bytes_are_counted_where_they_are_not_null(self):
        rows = [{"key": n % 37, "text": None if n % 3 == 0 else "x" * (n % 50),
                 "bytes": None if n % 5 else "00ff", "name": f"n{n}"} for n in range(5000)]
        self.counted(rows, partitions=1)
        self.counted(rows, partitions=3)
        self.counted(rows, window='[window]\nhopping = ["10s", "5s"]')
        self.counted(rows[:500], partitions=1, device="sim:")


class BadRows(Files):
    """A row that cannot be taken stops the job; what was committed before stays as it is."""

    def test_a_malformed_record_in_one_file_names_it_and_after_its_repair_all_is_there_once(self):
        good = [(f"k{i % 50}", i) for i in range(5000)]
        bad = '{"key":"k1","value":-7}\n'
        self.files(every="10ms", more="follow = true", a=good, b=good)
        first = self.start("--json")
        self.wait_for(lambda: self.rows_or_none() == self.wanted(*good, *good))
        self.append("a", *good)
        self.append("b", *good, bad, *good)
        out, err = self.finish(first, INPUT)
        self.assertIn("CST_SOURCE_RECORD", err)
        self.assertIn("rows/b, line 10001,", err)
        self.assertIn("column value", err)
        lines = [json.loads(line) for line in out.splitlines()]
        metrics = [line["metrics"] for line in lines if line.get("event") == "metrics"][-1]
        self.assertIn('constellation_inputs_failed_total{partition="0"}', metrics)
        self.assertIn('constellation_barriers_given_up_total{partition="1",why="input_failed"}',
                      metrics)
        # What is there is a whole number of rows of each file, and the sink has no more than that.
        state = self.state()
        self.assertGreaterEqual(sum(n for n, _ in state.values()), 2 * len(good))
        for key, (count, _) in self.rows().items():
            self.assertLessEqual(count, state[key][0])
        path = os.path.join(self.folder.name, "rows", "b")
        with open(path, "r+", encoding="utf-8") as file:  # the same file, in its place
            text = file.read().replace(bad, bad.replace("-7", " 7"))
            file.seek(0)
            file.write(text)
        self.run_json("--until-caught-up")
        wanted = self.wanted(*good, *good, *good, *good, *good, ("k1", 7))
        self.assertEqual(self.rows(), wanted)
        self.assertEqual(self.state(), wanted)

    def test_a_sum_that_overflows_names_its_key_and_the_job_goes_on_without_the_row(self):
        before = [("big", 2**64 - 10), ("small", 1), ("other", 2)]
        behind = [("small", 5), ("big", 3), ("big", 100), ("small", 7)]
        self.files(a=before)
        self.run_json()
        parts = self.parts()
        self.append("a", *behind)
        _, err = self.finish(self.start("--json"), INPUT)
        self.assertIn("CST_SUM_OVERFLOW", err)
        self.assertRegex(err, "partition [01], key big: ")
        # Nothing behind the last checkpoint is committed, and it stops there again.
        self.assertEqual(self.parts(), parts)
        self.assertEqual(self.state(), self.wanted(*before))
        self.finish(self.start("--quiet"), INPUT)
        self.assertEqual(self.state(), self.wanted(*before))
        with open(os.path.join(self.folder.name, "job.toml"), "a", encoding="utf-8") as file:
            file.write('[[filter]]\ncolumn = "value"\nop = "!="\nvalue = 100\n')
        self.run_json()
        wanted = self.wanted(*before, *[row for row in behind if row[1] != 100])
        self.assertEqual(self.rows(), wanted)
        self.assertEqual(self.state(), wanted)


class LongKeys(Files):
    """An encoded key that is longer than the job takes."""

    def test_the_record_is_named_and_the_cure_helps(self):
        good = [("a", 1), ("drop", 5), ("b", 2)]
        long = ("k" * 70, 3)
        self.files(a=good)
        with open(os.path.join(self.folder.name, "job.toml"), "a", encoding="utf-8") as file:
            file.write('[[filter]]\ncolumn = "value"\nop = "!="\nvalue = 5\n')
        self.run_json()
        self.append("a", ("drop", 5), "\n", ("c", 3), long, ("d", 4))
        _, err = self.finish(self.start(), INPUT)
        self.assertRegex(err, "rows/a, line 7, byte [0-9]+: its encoded key has 72 bytes, the job "
                              r"takes 64\. .*\[key\] key_bytes_max = 72 takes it, in a new "
                              r"store\. \(CST_KEY")
        path = os.path.join(self.folder.name, "job.toml")
        with open(path, "r+", encoding="utf-8") as file:
            text = file.read().replace("[key]\n", "[key]\nkey_bytes_max = 72\n")
            text = text.replace("[job]", '[job]\ndir = "new"').replace("results/of", "other")
            file.seek(0)
            file.write(text)
        self.run_json()
        self.assertEqual(self.state(), self.wanted(good[0], good[2], ("c", 3), long, ("d", 4)))


class UnendedLines(Files):
    """The last line of a file has no line end yet when the job comes to it."""

    def test_a_followed_file_keeps_it_for_the_next_run(self):
        self.files(more="follow = true", a=[("ab", 1), '{"key":"cd","va'])
        self.run_json("--until-caught-up")
        self.assertEqual(self.rows(), self.wanted(("ab", 1)))
        self.append("a", 'lue":2}\n', ("ef", 3))
        self.run_json("--until-caught-up")
        self.assertEqual(self.rows(), self.wanted(("ab", 1), ("cd", 2), ("ef", 3)))

    def test_of_a_file_that_is_whole_it_is_a_row_and_cannot_go_on(self):
        first = [("ab", 1), ("cd", 2)]
        self.files(a=[first[0], '{"key":"cd","value":2}'])
        self.run_json("--until-caught-up")
        self.assertEqual(self.rows(), self.wanted(*first))
        self.append("a", "\n", ("ef", 3), '{"key":"gh","value":4}')
        self.run_json()
        behind = self.wanted(*first, ("ef", 3), ("gh", 4))
        self.assertEqual(self.rows(), behind)
        self.append("a", " \n")
        _, err = self.finish(self.start(), INPUT)
        self.assertRegex(err, "rows/a: byte [0-9]+: .* was taken as a row; now it goes on")
        self.assertIn("CST_SOURCE_CHANGED", err)
        self.assertEqual(self.state(), behind)


class CutsByRows(Files):
    """[checkpoint] every = "N rows" where files are followed."""

    def test_files_that_have_no_more_rows_hold_back_nobody(self):
        long = [(f"k{i % 50}", i) for i in range(1000)]
        few = [(f"k{i}", i) for i in range(7)]
        # Readers of a and c, and of b; 50 rows are each file's share.
        self.files(every="150 rows", more="follow = true", a=long, b=few, c=few)
        process = self.start("--json")
        self.wait_for(lambda: self.rows_or_none() == self.wanted(*long, *few, *few))
        self.append("b", *long, *few)
        self.wait_for(lambda: sum(n for n, _ in (self.rows_or_none() or {}).values()) > 1950)
        process.send_signal(signal.SIGINT)  # the rest is less than a share
        self.finish(process)
        self.assertEqual(self.rows(), self.wanted(*long, *long, *few, *few, *few))


class Simulated(Jobs):
    """The same rows on the simulated card and on the processor, killed half-way included."""

    ROWS = 6_000

    def setUp(self):
        super().setUp()
        text = subprocess.run([PROGRAM, "device", "list", "--json"], check=True, text=True,
                              stdout=subprocess.PIPE).stdout
        sim = [json.loads(line) for line in text.splitlines() if '"sim:"' in line][0]
        if not sim["available"]:
            self.skipTest(sim["text"])

    def test_a_card_gives_what_the_processor_gives(self):
        self.job(rows=self.ROWS, every="1s")
        done = self.run_json("--until-caught-up", "--device", "sim:")[-1]
        self.assertEqual(self.result(), expected(self.ROWS))
        self.assertTrue(done["simulated"])
        self.assertEqual(done["clock_mhz"], 300)
        self.assertGreater(done["cycles"], self.ROWS)

    def test_a_card_whose_memory_fails_says_so_and_what_was_committed_goes_on(self):
        self.job(rows=self.ROWS, every="500 rows")
        self.assertGreater(self.run_json("--rows", "2000", "--device", "sim:")[-1]
                           ["checkpoints"], 0)
        for kind, why in (("slverr", "was answered with an error"),
                          ("silent", "it does not answer")):
            device = f"sim:?error={kind}&error_after=4000"
            _, err = self.finish(self.start("--quiet", "--device", device), DEVICE)
            self.assertIn(f"{device}: memory of the ", err)
            self.assertIn(why, err)
            self.assertIn("CST_DEVICE_LOST", err)
        self.assertGreater(self.run_json("--until-caught-up", "--device", "sim:")[-1]
                           ["recovered_from"], 0)
        self.assertEqual(self.result(), expected(self.ROWS))

    def test_killed_half_way_it_goes_on(self):
        self.job(rows=self.ROWS, every="500 rows")
        process = self.start("--device", "sim:")
        self.wait_for(self.manifests)
        process.kill()
        process.communicate()
        self.assertGreater(self.run_json("--until-caught-up", "--device", "sim:")[-1]
                           ["recovered_from"], 0)
        self.assertEqual(self.result(), expected(self.ROWS))


class Totals(Files):
    """[job] totals: what all keys add up to, in progress lines and at the end."""

    def check_totals(self, done, rows):
        state = self.state().values()
        totals = done["totals"]
        self.assertEqual((totals["partitions"], totals["partitions_all"]), (2, 2))
        self.assertEqual(totals["rows"], rows)
        self.assertEqual(totals["aggregates"]["n"], sum(n for n, _ in state))
        if "sum" in totals["overflowed"]:
            self.assertIsNone(totals["aggregates"]["sum"])
            self.assertGreaterEqual(sum(total for _, total in state), 2**64)
        else:
            self.assertEqual(totals["aggregates"]["sum"], sum(total for _, total in state))

    def totals_on(self):
        with open(os.path.join(self.folder.name, "job.toml"), "r+", encoding="utf-8") as file:
            text = file.read().replace("[job]", "[job]\ntotals = true")
            file.seek(0)
            file.write(text)

    def test_they_equal_the_state_after_kills(self):
        rows = [(f"k{i % 999}", i) for i in range(20_000)]
        self.files(every="10ms", more="follow = true", a=rows, b=rows)
        self.totals_on()
        count = 2 * len(rows)
        for _ in range(4):
            process = self.start("--json")
            seen = self.parts_or_none()
            self.append("a", *rows[:5000])
            count += 5000
            self.wait_for(lambda: self.parts_or_none() != seen)
            process.kill()
            process.communicate()
        lines = self.run_json("--until-caught-up")
        self.assertGreater(lines[-1]["recovered_from"], 0)
        self.check_totals(lines[-1], count)
        for line in lines:
            if line["event"] == "progress" and line["totals"]["partitions"] == 2:
                self.assertEqual(line["totals"]["aggregates"]["n"] or 0, line["totals"]["rows"])
        done = self.run_json("--until-caught-up")[-1]  # nothing new: all of it is restored
        self.assertEqual(done["rows"], 0)
        self.check_totals(done, count)
        self.assertEqual(done["totals"]["overflowed"], [])

    def test_a_total_that_overflows_fails_no_row(self):
        rows = [(f"k{i}", 2**63 + i) for i in range(20)]
        self.files(a=rows)
        self.totals_on()
        for _ in range(2):
            done = self.run_json("--until-caught-up")[-1]
            self.assertEqual(done["totals"]["overflowed"], ["sum"])
            self.check_totals(done, len(rows))
        out, _ = self.finish(self.start("--until-caught-up"))
        self.assertRegex(out, "sum +overflowed")
        self.assertEqual(self.rows(), self.wanted(*rows))


class Filters(Jobs):
    def test_rows_that_a_filter_drops_are_not_counted_among_the_rest(self):
        self.job(more='[[filter]]\ncolumn = "price"\nop = ">="\nvalue = "5000"\n')
        done = self.run_json()[-1]
        count, sums = 0, {}
        for row in generated(ROWS):
            price = int(row["price"])
            if price < 5000:
                continue
            count += 1
            bids, cents, highest = sums.get(row["auction"], (0, 0, 0))
            sums[row["auction"]] = (bids + 1, cents + price, max(highest, price))
        self.assertEqual(done["filtered"], ROWS - count)
        self.check_equal(self.result(), sums)


class Kills(Jobs):
    def test_killed_again_and_again_it_loses_and_repeats_nothing(self):
        self.job(rows=3 * ROWS, every="20ms", fold="3")
        kills = 0
        for _ in range(8):
            seen = len(self.manifests())
            process = self.start("--quiet")
            self.wait_for(lambda: len(self.manifests()) > seen or process.poll() is not None)
            if process.poll() is not None:
                break
            process.kill()
            process.wait()
            kills += 1
        done = self.run_json()[-1]
        self.assertGreater(kills, 1)
        self.assertGreater(done["recovered_from"], 0)
        self.check_result(3 * ROWS)


class Owners(Jobs):
    def test_a_second_run_is_refused_while_the_first_lives(self):
        self.job(rows=None)
        first = self.start("--quiet")
        self.wait_for(self.manifests)
        _, err = self.finish(self.start(), FAILED)
        self.assertIn("CST_JOB_RUNNING", err)
        self.assertIn(f"process {first.pid}", err)
        first.send_signal(signal.SIGTERM)
        self.finish(first)

    def test_a_takeover_fences_the_first_off_even_if_it_was_stopped(self):
        self.job(rows=None, more=UNHURRIED)
        first = self.start("--quiet")
        self.wait_for(self.manifests)
        first.send_signal(signal.SIGSTOP)
        second = self.start("--quiet", "--takeover")
        seen = len(self.manifests())
        self.wait_for(lambda: len(self.manifests()) > seen + 2)
        first.send_signal(signal.SIGCONT)
        _, err = self.finish(first, FENCED)
        self.assertIn("CST_FENCED", err)
        second.send_signal(signal.SIGINT)
        self.finish(second)
        rows = sum(value[0] for value in self.result().values())
        total = 2 * rows + ROWS
        self.assertEqual(self.run_json("--rows", str(total))[-1]["rows"], total - rows)
        self.check_result(total)


# A key's record takes 288 bytes, and there are ten budgets of them.
BIG_KEYS = 583_000
BIG_BUDGET_MIB = 16
BIG = """
[job]
name = "big"
partitions = 1
totals = true
[source]
kind = "file"
path = "rows.csv"
format = "csv"
columns = ["key string", "value u64"]
[key]
columns = ["key"]
key_bytes_max = 248
[[aggregate]]
as = "n"
op = "count"
[[aggregate]]
as = "sum"
op = "sum"
column = "value"
[state]
store = "lmdb:state"
budget = "16MiB"
[device]
batch_rows = 1024
[checkpoint]
every = "200ms"
fold = 1000
"""


def memory_of_its_own(process):
    """Bytes of the process that no file is behind."""
    try:
        with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
    except FileNotFoundError:
        pass
    return 0


class OnDisk(Jobs):
    """[state] store = "lmdb:FOLDER"."""

    def place(self, store):
        name = os.path.join(self.folder.name, "job.toml")
        with open(name, encoding="utf-8") as file:
            text = file.read()
        budget = "64MiB" if store.startswith("lmdb") else "512MiB"
        with open(name, "w", encoding="utf-8") as file:
            file.write(re.sub(r"\[state\][^\[]*", f'[state]\nstore = "{store}"\nbudget = "{budget}"\n',
                              text))

    def state(self, *names):
        return glob.glob(os.path.join(self.folder.name, "state", *names))

    def test_killed_again_and_again_it_loses_and_repeats_nothing(self):
        rows = ROWS // 4
        self.job(rows=rows, every="20ms", fold="3")
        self.place("lmdb:state")
        for _ in range(4):
            seen = len(self.manifests())
            process = self.start("--quiet")
            self.wait_for(lambda: len(self.manifests()) > seen or process.poll() is not None)
            process.kill()
            process.wait()
        done = self.run_json()[-1]
        self.assertGreater(done["recovered_from"], 0)
        self.check_result(rows)
        self.assertEqual(sorted(os.path.basename(path).split("-")[0] for path in self.state("*-*")),
                         ["0", "1"])

    def test_a_job_moves_between_memory_and_disk(self):
        rows = ROWS // 20
        for turn, store in enumerate(["hash:", "lmdb:state", "hash:", "lmdb:state"], 1):
            self.job(rows=turn * rows)
            self.place(store)
            self.run_json()
            self.check_result(turn * rows)

    def test_what_is_damaged_or_gone_is_made_anew_and_said(self):
        rows = ROWS // 20
        self.job(rows=rows)
        self.place("lmdb:state")
        self.run_json()
        path, = self.state("0-*", "data.mdb")
        os.truncate(path, os.path.getsize(path) // 2)
        path, = self.state("1-*", "boot")
        os.unlink(path)
        self.job(rows=2 * rows)
        self.place("lmdb:state")
        _, err = self.finish(self.start())
        self.assertEqual(err.count("state_rebuilt"), 2, err)
        self.assertIn("MDB_CORRUPTED", err)
        self.check_result(2 * rows)
        shutil.rmtree(os.path.join(self.folder.name, "state"))
        self.job(rows=3 * rows)
        self.place("lmdb:state")
        self.run_json()
        self.check_result(3 * rows)

    def test_a_folder_of_another_job_is_refused(self):
        self.job(rows=1000)
        self.place("lmdb:state")
        self.run_json()
        with open(os.path.join(self.folder.name, "other.toml"), "w", encoding="utf-8") as file:
            with open(os.path.join(self.folder.name, "job.toml"), encoding="utf-8") as job:
                file.write(job.read().replace("bids-per-auction", "another")
                           .replace("deep/below", "else").replace("results", "elsewhere"))
        process = subprocess.run([PROGRAM, "run", "other.toml"], cwd=self.folder.name, check=False,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(process.returncode, INPUT)
        self.assertIn("CST_JOB_MISMATCH", process.stderr)
        self.assertIn("belongs to job bids-per-auction", process.stderr)

    def test_a_takeover_leaves_the_first_owners_rows_alone(self):
        self.job(rows=None)
        self.place("lmdb:state")
        first = self.start("--quiet")
        self.wait_for(self.manifests)
        first.send_signal(signal.SIGSTOP)
        second = self.start("--quiet", "--takeover")
        seen = len(self.manifests())
        self.wait_for(lambda: len(self.manifests()) > seen + 1)
        self.assertEqual(len(self.state("*-*")), 4)
        first.send_signal(signal.SIGCONT)
        _, err = self.finish(first, FENCED)
        self.assertIn("CST_FENCED", err)
        second.send_signal(signal.SIGINT)
        self.finish(second)
        rows = sum(value[0] for value in self.result().values())
        rows = 2 * rows + 1000  # of two readers one may be far ahead
        self.run_json("--rows", str(rows))
        self.assertEqual(sum(value[0] for value in self.result().values()), rows)
        self.assertEqual(len(self.state("*-*")), 2)

    def test_ten_times_as_many_keys_as_the_budget_holds_fit(self):
        with open(os.path.join(self.folder.name, "job.toml"), "w", encoding="utf-8") as file:
            file.write(BIG)
        with open(os.path.join(self.folder.name, "rows.csv"), "w", encoding="utf-8") as file:
            file.writelines(f"{key:0200d},{key % 1000}\n" for key in range(BIG_KEYS))
            # And again: these come back from the disk.
            file.writelines(f"{key:0200d},7\n" for key in range(0, BIG_KEYS, 10))
        process = self.start("--json", "--until-caught-up")
        most = 0
        while process.poll() is None:
            most = max(most, memory_of_its_own(process))
            time.sleep(0.02)
        out, err = self.finish(process)
        done = json.loads(out.splitlines()[-1])
        self.assertGreater(BIG_KEYS * 288, 10 * BIG_BUDGET_MIB << 20)
        self.assertLess(most, 5 * BIG_BUDGET_MIB << 20, err)
        self.assertEqual(done["totals"]["aggregates"]["n"], BIG_KEYS + len(range(0, BIG_KEYS, 10)))
        self.assertEqual(done["totals"]["aggregates"]["sum"],
                         sum(key % 1000 for key in range(BIG_KEYS))
                         + 7 * len(range(0, BIG_KEYS, 10)))
        for key, wanted in ((400_000, (2, 7)), (400_001, (1, 1))):
            line = subprocess.run([PROGRAM, "query", "job.toml", "--quiet", "--key", f"{key:0200d}"],
                                  cwd=self.folder.name, check=True, stdout=subprocess.PIPE).stdout
            row = json.loads(line)
            self.assertEqual((row["n"], row["sum"]), wanted)


STREAM = """
[job]
name = "stream"
dir  = "data"
[source]
kind = "generator"
name = "bids"
rows = 20000
[key]
columns = ["auction"]
[[aggregate]]
as = "n"
op = "count"
[sink]
kind = "stdout"
"""


class Streams(Jobs):
    """A sink on stdout, and what else the program is given for streams."""

    def setUp(self):
        super().setUp()
        with open(os.path.join(self.folder.name, "job.toml"), "w", encoding="utf-8") as file:
            file.write(STREAM)

    def shell(self, script):
        """(status, stderr) of a script for which "$@" runs the job to its end."""
        result = subprocess.run(["bash", "-c", script, "bash", PROGRAM, "run", "job.toml",
                                 "--until-caught-up"], cwd=self.folder.name, text=True,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        return result.returncode, result.stderr

    def lock_bytes(self):
        return os.path.getsize(os.path.join(self.folder.name, "data", "lock"))

    def test_rows_for_a_closed_stdout_go_nowhere_else(self):
        status, err = self.shell('"$@" >&-')
        self.assertEqual(status, FAILED)
        self.assertIn("sink stdout: Bad file descriptor", err)
        self.assertLess(self.lock_bytes(), 200)
        lines, _ = self.finish(self.start("--quiet"))  # they are still to come
        self.assertEqual(sum(json.loads(line)["n"] for line in lines.splitlines()), 20000)

    def test_words_for_a_closed_stderr_go_nowhere_else(self):
        self.assertEqual(self.shell('"$@" 2>&-')[0], DONE)
        self.assertLess(self.lock_bytes(), 200)

    def test_a_pipe_that_nobody_reads_is_told_of(self):
        status, err = self.shell('"$@" | head -n 2; exit ${PIPESTATUS[0]}')
        self.assertEqual(status, FAILED)
        self.assertIn("sink stdout: Broken pipe", err)

    def test_control_bytes_of_a_name_do_not_reach_the_terminal(self):
        name = "a\033[31m\nb.toml"
        with open(os.path.join(self.folder.name, name), "w", encoding="utf-8") as file:
            file.write("nothing\n")
        for verb in ("run", "check"):
            result = subprocess.run([PROGRAM, verb, name], cwd=self.folder.name, text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
            self.assertEqual(result.returncode, INPUT)
            self.assertIn("a\\x1b[31m\\nb.toml", result.stderr)
            self.assertNotIn("\033", result.stderr)


def main():
    global PROGRAM
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)


if __name__ == "__main__":
    main()
