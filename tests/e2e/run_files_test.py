#!/usr/bin/env python3
# usage: tests/e2e/run_files_test.py PROGRAM [Class[.case]]
"""constellation run: rows of files, also of those that are wrong, grow, or end in the middle of a line."""

import json
import os
import shutil
import signal
import subprocess

import run_jobs
from run_jobs import Jobs, INPUT


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
        lines = subprocess.run([run_jobs.PROGRAM, "query", "job.toml"], cwd=self.folder.name, check=True,
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
        lines = subprocess.run([run_jobs.PROGRAM, "query", "job.toml"], cwd=self.folder.name, check=True,
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


if __name__ == "__main__":
    run_jobs.main()
