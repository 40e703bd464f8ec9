#!/usr/bin/env python3
# usage: tests/e2e/windows_test.py PROGRAM [Class[.case]]
"""Windowed jobs: each key and window or session has one line, which equals what a few lines of Python make of
the same rows; however the job is cut, stopped and started again."""

import datetime
import glob
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = ""
DONE, INPUT = 0, 3
PATIENCE_S = 60
EPOCH = datetime.datetime(1970, 1, 1)
SECOND = 1_000_000

JOB = """
[job]
name       = "{name}"
partitions = {partitions}
dir        = "data"
[source]
kind = "file"
path = "rows"
format = "ndjson"
columns = ["key {key}", "amount nullable {amount}", "at timestamp"]
follow = {follow}
event_time = "at"
watermark  = "{watermark}"
idle       = "{idle}"
[key]
columns = ["key"]
[window]
{window}
[[aggregate]]
as = "rows"
op = "count"
[[aggregate]]
as = "total"
op = "sum"
column = "amount"
[[aggregate]]
as = "least"
op = "min"
column = "amount"
[[aggregate]]
as = "latest"
op = "{latest}"
column = "amount"
[sink]
kind = "file"
path = "out"
[state]
budget = "512MiB"
[device]
batch_rows = {batch_rows}
[checkpoint]
every = "{every}"
fold  = {fold}
keep  = 2
"""


def microseconds(text):
    moment = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")
    return (moment - EPOCH) // datetime.timedelta(microseconds=1)


def windows_of(at, size, hop):
    """The starts of the windows that hold the time."""
    last = at // hop * hop
    return range(last - size + hop, last + hop, hop)


def folded(rows, size, hop):
    """{(key, start): (rows, total, least, latest)}; rows in the order in which they are applied."""
    results = {}
    for key, amount, at in rows:
        for start in windows_of(at, size, hop):
            count, total, least, latest = results.get((key, start), (0, None, None, None))
            if amount is not None:
                total = amount if total is None else total + amount
                least = amount if least is None else min(least, amount)
                latest = amount
            results[key, start] = (count + 1, total, least, latest)
    return results


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = holder.name
        self.settings = {"name": "windows", "partitions": 2, "key": "u64", "follow": "false",
                         "watermark": "2s", "idle": "100ms", "window": 'tumbling = "10s"',
                         "batch_rows": 256, "every": "20ms", "fold": 3, "amount": "f64",
                         "latest": "last"}
        self.size = self.hop = 10 * SECOND
        os.mkdir(self.path("rows"))

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def configure(self, **settings):
        self.settings.update(settings)
        with open(self.path("job.toml"), "w", encoding="utf-8") as file:
            file.write(JOB.format(**self.settings))

    def configure_apart(self, number, **settings):
        """A job beside others of the test: the same rows, data and results of its own."""
        self.configure(**settings)
        with open(self.path("job.toml"), encoding="utf-8") as file:
            text = file.read()
        text = text.replace('dir        = "data"', f'dir = "data{number}"')
        text = text.replace('path = "out"', f'path = "out{number}"')
        with open(self.path("job.toml"), "w", encoding="utf-8") as file:
            file.write(text)

    def write(self, name, rows):
        with open(self.path("rows", name), "a", encoding="utf-8") as file:
            for key, amount, at in rows:
                file.write(json.dumps({"key": key, "amount": amount, "at": at}) + "\n")

    def call(self, *arguments, status=DONE):
        result = subprocess.run([PROGRAM, *arguments], cwd=self.folder, text=True, check=False,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE_S)
        self.assertEqual(result.returncode, status, result.stderr)
        return result.stdout if status == DONE else result.stderr

    def run_job(self, status=DONE):
        return self.call("run", "job.toml", "--until-caught-up", "--json", status=status)

    def lines(self, folder):
        """Of a folder of parts, in their order."""
        out = []
        for part in sorted(glob.glob(self.path(folder, "[0-9]*.ndjson"))):
            with open(part, encoding="utf-8") as file:
                text = file.read()
            self.assertTrue(text, part)  # a part without lines is none
            out += [json.loads(line) for line in text.splitlines()]
        return out

    def results(self, lines):
        """As `folded` has them; none comes twice."""
        out = {}
        for line in lines:
            start, end = microseconds(line["window_start"]), microseconds(line["window_end"])
            self.assertEqual(end - start, self.size)
            self.assertEqual(list(line), ["key", "window_start", "window_end", "rows", "total",
                                          "least", "latest", "_op"])
            self.assertNotIn((line["key"], start), out)
            out[line["key"], start] = (line["rows"], line["total"], line["least"], line["latest"])
        return out

    def queried(self):
        lines = map(json.loads, self.call("query", "job.toml", "--json").splitlines())
        return self.results([{name: value for name, value in line.items() if name != "event"}
                             for line in lines if "key" in line])


def drawn(seed, count, keys=50, seconds=100, disorder=SECOND, text=False):
    """Rows whose times rise, but for `disorder`."""
    draw = random.Random(seed)
    rows = []
    for i in range(count):
        at = i * seconds * SECOND // count - draw.randrange(disorder)
        key = draw.randrange(keys)
        amount = None if draw.random() < 0.1 else draw.uniform(-1, 1) * 10 ** draw.randrange(9)
        rows.append((f"key {key}" if text else key, amount, at))
    return rows


class Windows(Case):
    def test_tumbling_windows_are_what_python_says(self):
        rows = drawn(1, 5000)
        self.write("a", rows)
        self.configure(window='tumbling = "10s"\nat_end = "close"')
        self.run_job()
        self.assertEqual(self.results(self.lines("out")), folded(rows, self.size, self.hop))
        self.assertEqual(self.queried(), {})

    def test_hopping_windows_are_what_python_says(self):
        rows = drawn(2, 4000, text=True)
        self.write("a", rows)
        self.size, self.hop = 10 * SECOND, 2 * SECOND
        self.configure(key="string", window='hopping = ["10s", "2s"]\nat_end = "close"')
        self.run_job()
        self.assertEqual(self.results(self.lines("out")), folded(rows, self.size, self.hop))

    def test_however_a_job_is_cut_its_windows_are_the_same(self):
        rows = drawn(3, 4000)
        self.write("a", rows)
        wanted = folded(rows, self.size, self.hop)
        window = 'tumbling = "10s"\nat_end = "close"'
        cuts = ({"every": "1h"}, {"every": "10ms", "fold": 1}, {"every": "100 rows"},
                {"every": "777 rows", "partitions": 3, "batch_rows": 64},
                {"every": '10ms"\nunaligned_after = "0s'})
        for number, settings in enumerate(cuts):
            with self.subTest(settings):
                self.configure_apart(number, window=window, **settings)
                self.run_job()
                self.assertEqual(self.results(self.lines(f"out{number}")), wanted)

    def test_open_windows_wait_for_the_next_run(self):
        self.check_runs((2, 2, 2))

    def test_open_windows_wait_also_for_another_number_of_partitions(self):
        self.check_runs((2, 4, 3))

    def check_runs(self, partitions):
        """A third of the rows a run."""
        rows = drawn(4, 6000)
        closed = {}
        for part in range(3):
            self.configure(partitions=partitions[part])
            self.write("a", rows[part * 2000:(part + 1) * 2000])
            self.run_job()
            so_far = rows[:(part + 1) * 2000]
            watermark = max(at for _, _, at in so_far) - 2 * SECOND
            wanted = folded(so_far, self.size, self.hop)
            closed = {at: row for at, row in wanted.items() if at[1] + self.size <= watermark}
            self.assertEqual(self.results(self.lines("out")), closed)
            self.assertEqual(self.queried(),
                             {at: row for at, row in wanted.items() if at not in closed})
        self.assertTrue(closed)

    def test_many_windows_close_at_once(self):
        rows = [(key, float(key), key % 11 * SECOND) for key in range(20_000)]
        self.write("a", rows)
        self.size, self.hop = 4 * SECOND, SECOND
        self.configure(watermark="100s", window='hopping = ["4s", "1s"]\nat_end = "close"')
        self.run_job()
        self.assertEqual(self.results(self.lines("out")), folded(rows, self.size, self.hop))


class Late(Case):
    def late_total(self, text):
        metrics = [json.loads(line) for line in text.splitlines()]
        last = [line["metrics"] for line in metrics if line["event"] == "metrics"][-1]
        return sum(value for name, value in last.items()
                   if name.startswith("constellation_rows_late_total"))

    def first(self, **settings):
        """Windows up to 40 s are closed behind it."""
        self.configure(**settings)
        rows = [(key, 1.0, second * SECOND) for key in range(3) for second in (5, 15, 38, 49)]
        self.write("a", rows)
        self.run_job()
        return rows

    def test_late_rows_are_dropped_and_counted(self):
        rows = self.first()
        before = self.lines("out")
        late = [(1, 9.0, 5 * SECOND), (2, 9.0, -1), (7, 9.0, 39_999_999)]
        good = [(1, 2.0, 40 * SECOND), (7, 2.0, 70 * SECOND)]
        self.write("b", late + good)
        self.assertEqual(self.late_total(self.run_job()), len(late))
        wanted = folded(rows + good, self.size, self.hop)
        lines = self.lines("out")
        self.assertEqual(lines[:len(before)], before)
        closed = {at: row for at, row in wanted.items() if at[1] + self.size <= 68 * SECOND}
        self.assertEqual(self.results(lines), closed)

    def test_late_rows_are_set_aside(self):
        rows = self.first(window='tumbling = "10s"\nlate = "side"\nside = "aside/late"')
        late = [(1, 9.0, 5 * SECOND), (1, None, 5 * SECOND), (7, 9.5, 39_999_999)]
        self.write("b", late + [(1, 2.0, 70 * SECOND)])
        self.run_job()
        wanted = folded(rows + [(1, 2.0, 70 * SECOND)], self.size, self.hop)
        closed = {at: row for at, row in wanted.items() if at[1] + self.size <= 68 * SECOND}
        self.assertEqual(self.results(self.lines("out")), closed)
        aside = [(line["key"], microseconds(line["window_start"]), line["rows"], line["total"])
                 for line in self.lines("aside/late")]
        self.assertEqual(sorted(aside, key=str),
                         sorted([(1, 0, 1, 9.0), (1, 0, 1, None), (7, 30 * SECOND, 1, 9.5)],
                                key=str))
        self.call("checkpoints", "verify", "file:data/checkpoints")
        self.run_job()  # nothing comes twice
        self.assertEqual(len(self.lines("aside/late")), len(late))

    def test_a_row_may_be_late_for_some_of_its_windows(self):
        self.size, self.hop = 20 * SECOND, 10 * SECOND
        rows = self.first(window='hopping = ["20s", "10s"]')
        # Closed up to 47 s: [20, 40) is closed, [30, 50) is not.
        self.write("b", [(1, 3.0, 35 * SECOND), (1, 3.0, 90 * SECOND)])
        self.assertEqual(self.late_total(self.run_job()), 1)
        wanted = folded(rows + [(1, 3.0, 90 * SECOND)], self.size, self.hop)
        count, total, _, _ = wanted[1, 30 * SECOND]
        wanted[1, 30 * SECOND] = (count + 1, total + 3.0, 1.0, 3.0)
        closed = {at: row for at, row in wanted.items() if at[1] + self.size <= 88 * SECOND}
        self.assertEqual(self.results(self.lines("out")), closed)

    def test_what_was_closed_at_the_end_stays_closed(self):
        self.first(window='tumbling = "10s"\nat_end = "close"')
        before = self.lines("out")
        self.write("b", [(1, 3.0, 900 * SECOND)])
        self.assertEqual(self.late_total(self.run_job()), 1)
        self.assertEqual(self.lines("out"), before)


class Idle(Case):
    def wait_for(self, process, what):
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and process.poll() is None:
            if what():
                return
            time.sleep(0.02)
        self.fail(f"it did not come within {PATIENCE_S} s, or the job ended")

    def test_an_idle_input_holds_no_window_open(self):
        self.configure(follow="true")
        self.write("a", [(1, 1.0, 5 * SECOND)])
        self.write("b", [(2, 1.0, 5 * SECOND)])
        with subprocess.Popen([PROGRAM, "run", "job.toml", "--json"], cwd=self.folder,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                self.write("a", [(1, 1.0, 30 * SECOND)])  # and nothing in b any more
                self.wait_for(process, lambda: len(self.lines("out")) == 2)
                self.write("b", [(2, 1.0, 6 * SECOND), (2, 4.0, 29 * SECOND)])  # one is late
                self.wait_for(process, lambda: (2, 20 * SECOND) in self.queried())
                self.write("a", [(1, 1.0, 70 * SECOND)])
                self.wait_for(process, lambda: len(self.lines("out")) == 4)
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(PATIENCE_S)
        self.assertEqual(self.results(self.lines("out")),
                         {(1, 0): (1, 1.0, 1.0, 1.0), (2, 0): (1, 1.0, 1.0, 1.0),
                          (1, 30 * SECOND): (1, 1.0, 1.0, 1.0),
                          (2, 20 * SECOND): (1, 4.0, 4.0, 4.0)})


def sessions_of(rows, gap):
    """{(key, start): (end, rows, total, least, greatest)}: a key's rows by time, cut at gaps."""
    results, by_key = {}, {}
    for key, amount, at in rows:
        by_key.setdefault(key, []).append((at, amount))
    for key, mine in by_key.items():
        mine.sort(key=lambda row: row[0])
        start = last = None
        for at, amount in mine:
            if last is None or at - last >= gap:
                start = at
                results[key, start] = (None, 0, [])
            last = at
            _, count, amounts = results[key, start]
            results[key, start] = (at + gap, count + 1,
                                   amounts + ([] if amount is None else [amount]))
    return {at: (end, count, sum(amounts) if amounts else None, min(amounts, default=None),
                 max(amounts, default=None))
            for at, (end, count, amounts) in results.items()}


class Sessions(Case):
    GAP = 10 * SECOND

    def setUp(self):
        super().setUp()
        self.settings.update(latest="max", window='session = "10s"\nat_end = "close"')

    def drawn(self, seed, count, keys=400, seconds=300):
        """Amounts whose sums are exact in any order."""
        draw = random.Random(seed)
        return [(key, None if amount is None else float(draw.randrange(-10**6, 10**6)), at)
                for key, amount, at in drawn(seed, count, keys=keys, seconds=seconds)]

    def results(self, lines):
        """As `sessions_of` has them; none comes twice."""
        out = {}
        for line in lines:
            self.assertEqual(list(line), ["key", "window_start", "window_end", "rows", "total",
                                          "least", "latest", "_op"])
            at = (line["key"], microseconds(line["window_start"]))
            self.assertNotIn(at, out)
            out[at] = (microseconds(line["window_end"]), line["rows"], line["total"],
                       line["least"], line["latest"])
        return out

    def late_total(self, text):
        metrics = [json.loads(line) for line in text.splitlines()]
        last = [line["metrics"] for line in metrics if line["event"] == "metrics"][-1]
        return sum(value for name, value in last.items()
                   if name.startswith("constellation_rows_late_total"))

    def test_sessions_are_what_python_says_however_a_job_is_cut(self):
        rows = self.drawn(1, 8000)
        self.write("a", rows)
        wanted = sessions_of(rows, self.GAP)
        self.assertGreater(len(wanted), 1000)
        self.assertTrue(any(row[1] > 3 for row in wanted.values()))
        cuts = ({"every": "1h"}, {"every": "10ms", "fold": 1}, {"every": "777 rows"},
                {"every": "100 rows", "partitions": 3, "batch_rows": 64})
        for number, settings in enumerate(cuts):
            with self.subTest(settings):
                self.configure_apart(number, **settings)
                self.run_job()
                self.assertEqual(self.results(self.lines(f"out{number}")), wanted)
                self.assertEqual(self.queried(), {})

    def test_rows_in_any_order_make_the_same_sessions(self):
        rows = [(f"key {key}", amount, at) for key, amount, at in self.drawn(2, 3000)]
        random.Random(2).shuffle(rows)
        self.write("a", rows)
        self.configure(key="string", watermark="1h", every="200 rows")
        self.run_job()
        self.assertEqual(self.results(self.lines("out")), sessions_of(rows, self.GAP))

    def test_open_sessions_wait_for_the_next_run(self):
        self.check_runs((2, 2, 2))

    def test_open_sessions_wait_also_for_another_number_of_partitions(self):
        self.check_runs((2, 4, 3))

    def check_runs(self, partitions):
        """A third of the rows a run."""
        rows = self.drawn(3, 6000)
        for part in range(3):
            self.configure(partitions=partitions[part], window='session = "10s"')
            self.write("a", rows[part * 2000:(part + 1) * 2000])
            self.run_job()
            so_far = rows[:(part + 1) * 2000]
            watermark = max(at for _, _, at in so_far) - 2 * SECOND
            wanted = sessions_of(so_far, self.GAP)
            self.assertEqual(self.results(self.lines("out")),
                             {at: row for at, row in wanted.items() if row[0] <= watermark})
            self.assertEqual(self.queried(),
                             {at: row for at, row in wanted.items() if row[0] > watermark})
            self.call("checkpoints", "verify", "file:data/checkpoints")

    def test_a_row_joins_sessions_of_an_earlier_run(self):
        self.configure(window='session = "10s"', watermark="1h")
        rows = [(1, 1.0, 20 * SECOND), (1, 2.0, 35 * SECOND), (2, 4.0, 20 * SECOND)]
        self.write("a", rows)
        self.run_job()
        self.assertEqual(len(self.queried()), 3)
        more = [(1, 4.0, 28 * SECOND), (2, 8.0, 11 * SECOND)]
        self.write("a", more)
        self.run_job()
        wanted = sessions_of(rows + more, self.GAP)
        self.assertEqual(len(wanted), 2)
        self.assertEqual(self.queried(), wanted)
        line = json.loads(self.call("query", "job.toml", "--key", "2,1970-01-01T00:00:11Z"))
        self.assertEqual((line["rows"], line["window_end"]), (2, "1970-01-01T00:00:30.000000Z"))
        self.assertEqual(len(self.call("query", "job.toml", "--prefix", "1").splitlines()), 1)

    def test_killed_in_the_middle_each_session_has_one_line(self):
        rows = self.drawn(4, 40_000, keys=2000)
        self.write("a", rows)
        self.configure(every="10ms", batch_rows=64)
        for parts in (3, 8, 14):
            with subprocess.Popen([PROGRAM, "run", "job.toml", "--until-caught-up", "--quiet"],
                                  cwd=self.folder, stdout=subprocess.DEVNULL) as process:
                end = time.monotonic() + PATIENCE_S
                while len(glob.glob(self.path("out", "[0-9]*"))) < parts:
                    if process.poll() is not None:
                        break
                    self.assertLess(time.monotonic(), end)
                    time.sleep(0.001)
                process.kill()
        self.run_job()
        self.assertEqual(self.results(self.lines("out")), sessions_of(rows, self.GAP))

    def test_late_rows_are_dropped_or_set_aside(self):
        rows = [(1, 1.0, 5 * SECOND), (2, 1.0, 27 * SECOND), (1, 1.0, 49 * SECOND)]
        late = [(1, 9.0, 14 * SECOND), (2, 9.0, 36_999_999)]  # closed up to 47 s
        good = [(2, 2.0, 37_000_001), (1, 2.0, 59 * SECOND)]
        for kind in ("drop", "side"):
            with self.subTest(kind):
                self.configure(name=kind, window='session = "10s"' + (
                    "" if kind == "drop" else '\nlate = "side"\nside = "aside"'))
                with open(self.path("job.toml"), encoding="utf-8") as file:
                    text = file.read().replace('"data"', f'"data-{kind}"').replace(
                        'path = "out"', f'path = "out-{kind}"').replace('"rows"\nformat',
                                                                      f'"rows-{kind}"\nformat')
                with open(self.path("job.toml"), "w", encoding="utf-8") as file:
                    file.write(text)
                os.mkdir(self.path(f"rows-{kind}"))
                self.write(f"../rows-{kind}/a", rows)
                self.run_job()
                self.write(f"../rows-{kind}/b", late + good)
                self.assertEqual(self.late_total(self.run_job()), len(late))
                wanted = sessions_of(rows + good, self.GAP)
                self.assertEqual(self.results(self.lines(f"out-{kind}")),
                                 {at: row for at, row in wanted.items()
                                  if row[0] <= 57 * SECOND})
        self.assertEqual(self.results(self.lines("aside")), sessions_of(late, self.GAP))
        self.call("checkpoints", "verify", "file:data-side/checkpoints")

    def test_an_idle_input_holds_no_session_open(self):
        self.configure(follow="true", window='session = "10s"')
        self.write("a", [(1, 1.0, 5 * SECOND)])
        self.write("b", [(2, 1.0, 5 * SECOND)])
        with subprocess.Popen([PROGRAM, "run", "job.toml", "--quiet"], cwd=self.folder,
                              stdout=subprocess.DEVNULL) as process:
            try:
                self.write("a", [(1, 1.0, 30 * SECOND)])  # and nothing in b any more
                end = time.monotonic() + PATIENCE_S
                while len(self.lines("out")) < 2 and time.monotonic() < end:
                    time.sleep(0.02)
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(PATIENCE_S)
        closed = {(key, 5 * SECOND): (15 * SECOND, 1, 1.0, 1.0, 1.0) for key in (1, 2)}
        self.assertEqual(self.results(self.lines("out")), closed)

    def test_another_gap_is_another_job_and_a_sum_that_overflows_names_its_key(self):
        self.configure(amount="i64")
        self.write("a", [(7, 2 ** 62, SECOND)])
        self.run_job()
        self.configure(window='session = "11s"')
        self.assertIn("CST_JOB_MISMATCH", self.run_job(status=INPUT))
        self.configure(window='session = "10s"', name="sums")
        os.rename(self.path("data"), self.path("before"))
        os.rename(self.path("out"), self.path("out-before"))
        self.write("a", [(7, 2 ** 62, 20 * SECOND), (7, 0, 11 * SECOND), (7, 0, 10 * SECOND)])
        text = self.run_job(status=INPUT)
        self.assertIn("CST_SUM_OVERFLOW", text)
        self.assertIn("key 7,1970-01-01T00:00:10", text)


class Refused(Case):
    def test_windows_of_another_length_are_another_job(self):
        self.configure()
        self.write("a", drawn(5, 100))
        self.run_job()
        self.configure(window='tumbling = "20s"')
        self.assertIn("CST_JOB_MISMATCH", self.run_job(status=INPUT))

    def test_a_time_beyond_all_windows_names_its_line(self):
        self.configure()
        self.write("a", [(1, 1.0, 0), (1, 1.0, 2 ** 62)])
        text = self.run_job(status=INPUT)
        self.assertIn("CST_SOURCE_RECORD", text)
        self.assertIn("line 2", text)

    def test_too_many_open_windows_end_the_job(self):
        self.configure(watermark="10000s", window='tumbling = "1s"', partitions=1)
        self.write("a", [(1, 1.0, second * SECOND) for second in range(2100)])
        self.assertIn("CST_LIMIT", self.run_job(status=INPUT))


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=1)
