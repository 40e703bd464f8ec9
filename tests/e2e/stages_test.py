#!/usr/bin/env python3
# usage: tests/e2e/stages_test.py PROGRAM [Class[.case]]
"""Jobs with a second stage of keyed state: what it makes of the rows of closed windows equals what a few lines
of Python make of the same rows; however the job is cut, stopped and started again."""

import glob
import json
import os
import random
import subprocess
import sys
import time
import unittest

import tcp_jobs
import windows_test
from windows_test import SECOND, folded, microseconds

MISMATCH = 3  # another job's state


def then(column, *aggregates, window=None):
    """A second stage by that column; an aggregate is its name, and what it is made of."""
    text = f'[then.key]\ncolumns = ["{column}"]\n'
    if window:
        text += f"[then.window]\n{window}\n"
    for name, op, *source in aggregates:
        text += f'[[then.aggregate]]\nas = "{name}"\nop = "{op}"\n'
        text += "".join(f'column = "{of}"\n' for of in source)
    return text


BY_WINDOW = then("window_start desc", ("keys", "count"), ("rows", "sum", "rows"),
                 ("total", "sum", "total"), ("ends", "max", "window_end"))
BY_KEY_AND_WINDOW = then("key", ("windows", "count"), ("rows", "sum", "rows"),
                         ("least", "min", "least"), window="{window}")


def plus(a, b):
    return b if a is None else a if b is None else a + b


def gathered(windows, size):
    """{start: (keys, rows, total, end)} of {(key, start): ...}."""
    out = {}
    for (_, start), (rows, total, _, _) in windows.items():
        keys, rows_all, total_all, _ = out.get(start, (0, 0, None, None))
        out[start] = (keys + 1, rows_all + rows, plus(total_all, total), start + size)
    return out


def windowed(windows, size, then_size, then_hop):
    """{(key, start of the second stage): (windows, rows, least)}; a row's time is in front of its window's end."""
    out = {}
    for (key, start), (rows, _, least, _) in windows.items():
        for then_start in windows_test.windows_of(start + size - 1, then_size, then_hop):
            count, rows_all, least_all = out.get((key, then_start), (0, 0, None))
            leasts = [value for value in (least, least_all) if value is not None]
            out[key, then_start] = (count + 1, rows_all + rows, min(leasts, default=None))
    return out


class Stages(windows_test.Case):
    def setUp(self):
        super().setUp()
        self.then = BY_WINDOW
        self.settings.update(amount="i64", every="10ms")

    def configure(self, **settings):
        super().configure(**settings)
        with open(self.path("job.toml"), "a", encoding="utf-8") as file:
            file.write(self.then)

    def drawn(self, seed, count, keys=50, seconds=100, text=False):
        draw = random.Random(seed)
        rows = []
        for i in range(count):
            at = i * seconds * SECOND // count - draw.randrange(SECOND)
            key = draw.randrange(keys)
            amount = None if draw.random() < 0.3 else draw.randint(-10**9, 10**9)
            rows.append((f"key {key}" if text else key, amount, at))
        return rows

    def last_lines(self, folder="out"):
        """Of each window: a later line replaces the one before it."""
        out = {}
        for line in self.lines(folder):
            self.assertEqual(list(line), ["window_start", "keys", "rows", "total", "ends", "_op"])
            out[microseconds(line["window_start"])] = (
                line["keys"], line["rows"], line["total"], microseconds(line["ends"]))
        return out

    def asked(self):
        lines = [json.loads(line) for line in self.call("query", "job.toml").splitlines()]
        starts = [line["window_start"] for line in lines]
        self.assertEqual(starts, sorted(starts, reverse=True))  # by the key, which is descending
        return {microseconds(line["window_start"]): (
            line["keys"], line["rows"], line["total"], microseconds(line["ends"])) for line in lines}

    def windowed_lines(self, folder="out"):
        out = {}
        for line in self.lines(folder):
            at = line["key"], microseconds(line["window_start"])
            self.assertNotIn(at, out)  # a window has one line
            out[at] = (line["windows"], line["rows"], line["least"])
        return out

    def test_windows_are_gathered_by_their_start(self):
        rows = self.drawn(1, 4000)
        self.write("a", rows[::2])
        self.write("b", rows[1::2])
        self.configure(window='tumbling = "10s"\nat_end = "close"', partitions=3)
        self.run_job()
        wanted = gathered(folded(rows, self.size, self.hop), self.size)
        self.assertEqual(self.last_lines(), wanted)
        self.assertEqual(self.asked(), wanted)
        self.assertEqual(self.call("query", "job.toml", "--stage", "1"), "")
        self.call("checkpoints", "verify", "file:data/checkpoints")

    def test_windows_of_windows_have_one_line_each(self):
        rows = self.drawn(2, 3000, text=True)
        self.write("a", rows)
        self.size, self.hop = 10 * SECOND, 5 * SECOND
        self.then = BY_KEY_AND_WINDOW.format(window='hopping = ["40s", "20s"]')
        self.configure(key="string", window='hopping = ["10s", "5s"]\nat_end = "close"')
        self.run_job()
        self.assertEqual(self.windowed_lines(), windowed(
            folded(rows, self.size, self.hop), self.size, 40 * SECOND, 20 * SECOND))

    def test_sessions_are_counted_by_key(self):
        draw = random.Random(3)
        rows, wanted, at = [], {}, 0
        for _ in range(2000):
            at += draw.randrange(SECOND)
            rows.append((draw.randrange(20), draw.randrange(100), at))
        for key in range(20):
            mine = [row for row in rows if row[0] == key]
            starts = [i for i, row in enumerate(mine) if i == 0 or row[2] - mine[i - 1][2] >= 10 * SECOND]
            spans = [mine[a:b] for a, b in zip(starts, starts[1:] + [len(mine)])]
            wanted[key] = (len(spans), sum(len(span) for span in spans), max(len(span) for span in spans))
        self.write("a", rows)
        self.then = then("key", ("sessions", "count"), ("all", "sum", "rows"),
                         ("longest", "max", "rows"))
        self.configure(window='session = "10s"\nat_end = "close"', latest="max")
        self.run_job()
        got = [json.loads(line) for line in self.call("query", "job.toml").splitlines()]
        self.assertEqual({line["key"]: (line["sessions"], line["all"], line["longest"])
                          for line in got}, wanted)

    def test_however_a_job_is_cut_its_results_are_the_same(self):
        rows = self.drawn(4, 3000)
        self.write("a", rows)
        self.write("b", [(key, amount, at + 7) for key, amount, at in rows])
        both = rows + [(key, amount, at + 7) for key, amount, at in rows]
        wanted = windowed(folded(both, self.size, self.hop), self.size, 20 * SECOND, 20 * SECOND)
        self.then = BY_KEY_AND_WINDOW.format(window='tumbling = "20s"')
        cuts = ({"every": "1h"}, {"every": "10ms", "fold": 1, "partitions": 1},
                {"every": "777 rows", "partitions": 3, "batch_rows": 64},
                {"every": '10ms"\nunaligned_after = "0s', "partitions": 2},
                {"every": '10ms"\nunaligned_after = "5ms', "partitions": 3},
                {"every": '10ms"\nalign_rows_max = 3\nunaligned_after = "0s', "partitions": 2})
        for number, settings in enumerate(cuts):
            with self.subTest(settings):
                self.configure_apart(number, window='tumbling = "10s"\nat_end = "close"', **settings)
                self.run_job()
                self.assertEqual(self.windowed_lines(f"out{number}"), wanted)

    def test_runs_of_other_numbers_of_partitions_go_on(self):
        """A third of the rows a run; what is open in the first stage waits."""
        rows = self.drawn(5, 4500)
        for part, partitions in enumerate((2, 4, 3)):
            self.configure(partitions=partitions)
            so_far = rows[:(part + 1) * 1500]
            self.write("a", so_far[part * 1500:])
            self.run_job()
            windows = folded(so_far, self.size, self.hop)
            watermark = max(at for _, _, at in so_far) - 2 * SECOND
            closed = {at: row for at, row in windows.items() if at[1] + self.size <= watermark}
            self.assertEqual(self.asked(), gathered(closed, self.size))
            self.assertEqual(self.last_lines(), gathered(closed, self.size))
            lines = self.call("query", "job.toml", "--stage", "1").splitlines()
            self.assertEqual(self.results([json.loads(line) for line in lines]),
                             {at: row for at, row in windows.items() if at not in closed})
        self.call("checkpoints", "verify", "file:data/checkpoints")

    def kill_behind_rows(self, *options):
        """Behind the first manifest of the run with stored rows, if it comes to one before it ends."""
        before = self.with_rows()
        with subprocess.Popen([windows_test.PROGRAM, "run", "job.toml", "--until-caught-up", "--quiet", *options],
                              cwd=self.folder, stdout=subprocess.DEVNULL) as running:
            end = time.monotonic() + windows_test.PATIENCE_S
            while running.poll() is None and time.monotonic() < end and not self.with_rows() - before:
                time.sleep(0.001)
            running.kill()

    def with_rows(self):
        """The ids of checkpoints that have a manifest, and an object of rows."""
        def ids(*names):
            found = glob.glob(self.path("data", "checkpoints", "checkpoints", "*", *names))
            return {name.split(os.sep)[len(self.path("data", "checkpoints", "checkpoints").split(os.sep))]
                    for name in found}
        return ids("manifest-*") & ids("*", "rows-*")

    def test_killed_between_checkpoints_that_are_not_aligned_it_counts_each_row_once(self):
        rows = self.drawn(8, 40000, keys=2000)
        self.write("a", rows[::2])
        self.write("b", rows[1::2])
        self.size = self.hop = SECOND
        for partitions in (2, 3, 1):
            self.configure(partitions=partitions, window='tumbling = "1s"\nat_end = "close"', batch_rows=64,
                           every='10ms"\nunaligned_after = "0s')
            self.kill_behind_rows()
        self.run_job()
        wanted = gathered(folded(rows, self.size, self.hop), self.size)
        self.assertEqual(self.last_lines(), wanted)
        self.assertEqual(self.asked(), wanted)
        self.call("checkpoints", "verify", "file:data/checkpoints")

    def test_both_stages_are_on_the_simulated_card_also_behind_a_kill(self):
        sim, = [json.loads(line) for line in self.call("device", "list", "--json").splitlines() if '"sim:"' in line]
        if not sim["available"]:
            self.skipTest(sim["text"])
        rows = self.drawn(9, 1500)
        self.write("a", rows)
        self.configure(window='tumbling = "10s"\nat_end = "close"', batch_rows=64,
                       every='10ms"\nunaligned_after = "0s')
        self.kill_behind_rows("--device", "sim:")
        out = self.call("run", "job.toml", "--until-caught-up", "--json", "--device", "sim:")
        self.assertTrue(json.loads(out.splitlines()[-1])["simulated"])
        wanted = gathered(folded(rows, self.size, self.hop), self.size)
        self.assertEqual(self.last_lines(), wanted)
        self.assertEqual(self.asked(), wanted)

    def test_rows_of_a_producer_come_once_to_the_second_stage_through_kills(self):
        rows = self.drawn(10, 3000)
        self.configure(window='tumbling = "10s"\nat_end = "close"', name="pushed")
        with open(self.path("job.toml"), encoding="utf-8") as file:
            text = file.read()
        text = text.replace('kind = "file"\npath = "rows"\nformat = "ndjson"',
                            'kind = "tcp"\nlisten = "127.0.0.1:0"', 1)
        with open(self.path("job.toml"), "w", encoding="utf-8") as file:
            file.write(text.replace("follow = false\n", ""))
        for told in (1000, 1800, 3000):
            self.push(rows, told)
        self.run_job()
        wanted = gathered(folded(rows, self.size, self.hop), self.size)
        self.assertEqual(self.last_lines(), wanted)
        self.assertEqual(self.asked(), wanted)

    def push(self, rows, told):
        """From the first row that no run has, until `told` are acknowledged; then the run is killed."""
        with subprocess.Popen([windows_test.PROGRAM, "run", "job.toml", "--json"], cwd=self.folder, text=True,
                              stdout=subprocess.PIPE) as running:
            try:
                heard = (json.loads(line) for line in running.stdout)
                client = tcp_jobs.Client(next(at["address"] for at in heard if at["event"] == "listening"))
                first = client.hello("shop") - 1
                for at in range(first, len(rows), 100):
                    client.send(*({"seq": seq + 1, "row": dict(zip(("key", "amount", "at"), rows[seq]))}
                                  for seq in range(at, min(at + 100, len(rows)))))
                    if at + 100 > told:
                        break
                client.until_ack(told)
                client.close()
            finally:
                running.kill()

    def test_another_second_stage_is_another_job(self):
        self.write("a", self.drawn(6, 200))
        self.configure()
        self.run_job()
        then = self.then
        for changed, said in (("", "put its [then] back"),
                              (then.replace('op = "max"', 'op = "min"'), "ends = min(window_end")):
            self.then = changed
            self.configure()
            error = self.run_job(status=MISMATCH)
            self.assertIn("CST_JOB_MISMATCH", error)
            self.assertIn(said, error)
        self.then = then
        self.configure()
        self.run_job()

    def test_a_second_stage_is_not_given_to_a_job_of_one(self):
        self.write("a", self.drawn(7, 200))
        then, self.then = self.then, ""
        self.configure()
        self.run_job()
        self.then = then
        self.configure()
        self.assertIn("leave its [then] out", self.run_job(status=MISMATCH))


class Budget(windows_test.Case):
    def test_above_its_budget_the_second_stage_holds_windows_up_and_loses_none(self):
        """Its changes do not fit: the last checkpoint has to be taken more than once."""
        rows = 450_000
        aggregates = "".join(f'[[then.aggregate]]\nas = "end_{i}"\nop = "max"\ncolumn = "window_end"\n'
                             for i in range(8))
        with open(self.path("job.toml"), "w", encoding="utf-8") as file:
            file.write(f"""
[job]
name = "narrow"
partitions = 2
[source]
kind = "generator"
name = "uniform"
keys = 2_000_000
rows = {rows}
event_time = "at"
watermark = "1h"
[key]
columns = ["key"]
[window]
tumbling = "1h"
at_end = "close"
[[aggregate]]
as = "rows"
op = "count"
[then.key]
columns = ["key"]
[[then.aggregate]]
as = "rows"
op = "sum"
column = "rows"
{aggregates}
[state]
budget = "256MiB"
[device]
batch_rows = 1024
[checkpoint]
every = "1h"
""")
        events = [json.loads(line) for line in self.run_job().splitlines()]
        metrics = [event["metrics"] for event in events if event["event"] == "metrics"][-1]
        for partition in (2, 3):
            self.assertGreater(metrics[f'constellation_pauses_total{{partition="{partition}"}}'], 0)
        self.assertTrue(events[-1]["caught_up"])
        self.assertGreater(events[-1]["checkpoints"], 1)
        lines = self.call("query", "job.toml").splitlines()
        self.assertEqual(sum(json.loads(line)["rows"] for line in lines), rows)
        self.assertEqual(self.call("query", "job.toml", "--stage", "1"), "")


if __name__ == "__main__":
    windows_test.PROGRAM = sys.argv.pop(1)
    unittest.main()
