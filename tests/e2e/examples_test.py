#!/usr/bin/env python3
# usage: tests/e2e/examples_test.py PROGRAM OPERATOR [CLASS...]
"""Each job of examples/ is run, and its sink and its state compared with what a few lines of
Python, which share no code with it, compute from the same rows."""

import datetime
import decimal
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

EXAMPLES = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))), "examples")
PROGRAM = ""
OPERATOR = ""
ROWS = 200_000
EPOCH = datetime.datetime(1970, 1, 1)


def run(*arguments, status=0, folder=None):
    result = subprocess.run([PROGRAM, *arguments], cwd=folder, check=False,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if result.returncode != status:
        raise AssertionError(f"{arguments}: exit status {result.returncode}, wanted {status}\n"
                             f"{result.stderr.decode(errors='replace')}")
    return result.stdout.decode()


def generate(name, rows, seed=1):
    text = run("generate", name, "--rows", str(rows), "--seed", str(seed), "--format", "ndjson")
    return text, [json.loads(line) for line in text.splitlines()]


def moment(microseconds):
    return (EPOCH + datetime.timedelta(microseconds=microseconds)).strftime(
        "%Y-%m-%dT%H:%M:%S.%fZ")


class Example(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = holder.name

    def job(self, name):
        shutil.copy(os.path.join(EXAMPLES, name), self.folder)
        return os.path.join(self.folder, name)

    def sink(self, name, keys):
        """The last line of each key: parts sort by epoch, and a key is in one partition."""
        last = {}
        parts = sorted(glob.glob(os.path.join(self.folder, "out", name, "*.ndjson")))
        self.assertTrue(parts)
        for part in parts:
            with open(part, encoding="utf-8") as file:
                for line in file:
                    row = json.loads(line)
                    last[tuple(row[key] for key in keys)] = line
        return last

    def compare(self, job, name, keys, wanted):
        """`wanted`: rows by key. State and sink hold them, in the same words."""
        lines = run("query", job).splitlines(keepends=True)
        rows = [json.loads(line) for line in lines]
        got = {tuple(row[key] for key in keys): row for row in rows}
        for row in got.values():
            self.assertEqual(row.pop("_op"), "upsert")
        self.assertEqual(len(got), len(rows))
        self.assertEqual(got, wanted)
        sink = self.sink(name, keys)
        self.assertEqual({key: json.loads(line) for key, line in sink.items()},
                         {key: dict(row, _op="upsert") for key, row in wanted.items()})
        self.assertEqual(set(sink.values()), set(lines))
        return lines


class Bids(Example):
    def test_bids_are_counted_and_the_highest_kept(self):
        job = self.job("bids.toml")
        run("run", job, "--rows", str(ROWS), "--until-caught-up")
        wanted = {}
        for row in generate("bids", ROWS)[1]:
            one = wanted.setdefault((row["auction"],), {"auction": row["auction"], "bids": 0,
                                                        "highest": 0, "last_at": 0})
            one["bids"] += 1
            one["highest"] = max(one["highest"], row["price"])
            one["last_at"] = max(one["last_at"], row["at"])
        for row in wanted.values():
            row["last_at"] = moment(row["last_at"])
        lines = self.compare(job, "bids", ["auction"], wanted)
        auctions = [json.loads(line)["auction"] for line in lines]
        self.assertEqual(auctions, sorted(auctions))
        self.assertEqual(run("query", job, "--key", str(auctions[7])), lines[7])
        self.assertEqual(run("query", job, "--prefix", str(auctions[7])), lines[7])
        self.assertEqual(run("query", job, "--key", "18446744073709551615", status=1), "")
        done = json.loads(run("query", job, "--json").splitlines()[-1])
        self.assertEqual((done["event"], done["rows"]), ("done", len(lines)))
        self.assertEqual(run("query", job, "--as-of", str(done["checkpoint"])), "".join(lines))
        run("query", job, "--as-of", "999999", status=4)


class Orders(Example):
    def test_two_files_meet_in_every_partition(self):
        job = self.job("orders.toml")
        wanted = {}
        os.mkdir(os.path.join(self.folder, "orders"))
        for seed, name in enumerate(["berlin", "madrid"], 1):
            text, rows = generate("orders", ROWS // 2, seed)
            with open(os.path.join(self.folder, "orders", name + ".ndjson"), "w",
                      encoding="utf-8") as file:
                file.write(text)
            for row in rows:
                if row["quantity"] == 0:
                    continue
                amount = decimal.Decimal(str(row["amount"]))
                one = wanted.setdefault((row["customer"],), {
                    "customer": row["customer"], "orders": 0, "spent": decimal.Decimal(0),
                    "largest": amount, "last_at": 0})
                one["orders"] += 1
                one["spent"] += amount
                one["largest"] = max(one["largest"], amount)
                one["last_at"] = max(one["last_at"], row["at"])
        for row in wanted.values():
            row.update(spent=f"{row['spent']:.2f}", largest=f"{row['largest']:.2f}",
                       last_at=moment(row["last_at"]))
        run("run", job, "--until-caught-up")
        self.compare(job, "orders", ["customer"], wanted)


class Windows(Example):
    SIZE = 1_000_000
    LATENESS = 100_000
    STRIPE_ROWS = 8192

    def test_each_window_has_its_bids_once(self):
        job = self.job("windows.toml")
        wanted, latest = {}, [0, 0]
        for number, row in enumerate(generate("bids", ROWS)[1]):
            start = row["at"] // self.SIZE * self.SIZE
            stripe = number // self.STRIPE_ROWS % 2
            latest[stripe] = max(latest[stripe], row["at"])
            one = wanted.setdefault((row["auction"], start), {
                "auction": row["auction"], "window_start": moment(start),
                "window_end": moment(start + self.SIZE), "bids": 0, "highest": 0,
                "_op": "upsert"})
            one["bids"] += 1
            one["highest"] = max(one["highest"], row["price"])
        run("run", job, "--rows", str(ROWS // 2), "--until-caught-up")
        run("run", job, "--rows", str(ROWS), "--until-caught-up")
        watermark = min(latest) - self.LATENESS
        parts = sorted(glob.glob(os.path.join(self.folder, "out", "windows", "*.ndjson")))
        closed = []
        for part in parts:
            with open(part, encoding="utf-8") as file:
                closed += [json.loads(line) for line in file]
        still = [json.loads(line) for line in run("query", job).splitlines()]
        self.assertTrue(closed)

        def of(over):
            return sorted(json.dumps(row) for (_, start), row in wanted.items()
                          if (start + self.SIZE <= watermark) == over)

        self.assertEqual(sorted(map(json.dumps, closed)), of(True))
        self.assertEqual(sorted(map(json.dumps, still)), of(False))
        self.assertEqual(os.listdir(os.path.join(self.folder, "out", "late")), [])
        key = f"{still[0]['auction']},{still[0]['window_start']}"
        self.assertEqual(json.loads(run("query", job, "--key", key)), still[0])


class TwoStages(Example):
    SIZE = 1_000_000
    LATENESS = 100_000
    STRIPE_ROWS = 8192

    def test_each_closed_window_counts_once(self):
        job = self.job("two-stages.toml")
        windows, latest = {}, [0, 0]
        for number, row in enumerate(generate("bids", ROWS)[1]):
            start = row["at"] // self.SIZE * self.SIZE
            stripe = number // self.STRIPE_ROWS % 2
            latest[stripe] = max(latest[stripe], row["at"])
            bids, highest = windows.get((start, row["auction"]), (0, 0))
            windows[start, row["auction"]] = (bids + 1, max(highest, row["price"]))
        wanted = {}
        watermark = min(latest) - self.LATENESS
        for (start, _), (bids, highest) in windows.items():
            if start + self.SIZE > watermark:
                continue
            one = wanted.setdefault((moment(start),), {
                "window_start": moment(start), "auctions": 0, "bids": 0, "most": 0, "highest": 0})
            one["auctions"] += 1
            one["bids"] += bids
            one["most"] = max(one["most"], bids)
            one["highest"] = max(one["highest"], highest)
        run("run", job, "--rows", str(ROWS // 2), "--until-caught-up")
        run("run", job, "--rows", str(ROWS), "--until-caught-up")
        self.compare(job, "two-stages", ["window_start"], wanted)
        still = run("query", job, "--stage", "1").splitlines()
        self.assertEqual(len(still), sum(start + self.SIZE > watermark for start, _ in windows))


class Sessions(Example):
    GAP = 20_000
    LATENESS = 100_000
    STRIPE_ROWS = 8192
    ROWS = ROWS // 4

    def test_each_session_has_its_bids_once(self):
        job = self.job("sessions.toml")
        latest, bids = [0, 0], {}
        for number, row in enumerate(generate("bids", self.ROWS)[1]):
            stripe = number // self.STRIPE_ROWS % 2
            latest[stripe] = max(latest[stripe], row["at"])
            bids.setdefault(row["auction"], []).append((row["at"], row["price"]))
        run("run", job, "--rows", str(self.ROWS // 2), "--until-caught-up")
        run("run", job, "--rows", str(self.ROWS), "--until-caught-up")
        wanted, surely_closed, surely_open = [], set(), set()
        for auction, mine in bids.items():
            mine.sort()
            first = 0
            for i in range(1, len(mine) + 1):
                if i < len(mine) and mine[i][0] - mine[i - 1][0] < self.GAP:
                    continue
                end = mine[i - 1][0] + self.GAP
                line = json.dumps({
                    "auction": auction, "window_start": moment(mine[first][0]),
                    "window_end": moment(end), "bids": i - first,
                    "highest": max(price for _, price in mine[first:i]), "_op": "upsert"})
                wanted.append(line)
                # A stripe that is at its end holds the watermark back no more.
                if end <= min(latest) - self.LATENESS:
                    surely_closed.add(line)
                elif end > max(latest) - self.LATENESS:
                    surely_open.add(line)
                first = i
        closed = []
        for part in sorted(glob.glob(os.path.join(self.folder, "out", "sessions", "*.ndjson"))):
            with open(part, encoding="utf-8") as file:
                closed += [json.loads(line) for line in file]
        still = [json.loads(line) for line in run("query", job).splitlines()]
        self.assertTrue(closed)
        self.assertTrue(any(row["bids"] > 1 for row in closed))
        self.assertTrue(surely_open)
        self.assertTrue(sorted(map(json.dumps, closed + still)) == sorted(wanted))
        self.assertLessEqual(surely_closed, set(map(json.dumps, closed)))
        self.assertLessEqual(surely_open, set(map(json.dumps, still)))
        self.assertEqual(os.listdir(os.path.join(self.folder, "out", "late-bids")), [])
        key = f"{still[0]['auction']},{still[0]['window_start']}"
        self.assertEqual(json.loads(run("query", job, "--key", key)), still[0])


class BigState(Example):
    def test_rows_on_disk_outlive_a_kill(self):
        job = self.job("big-state.toml")
        rows = ROWS // 2
        with open(job, encoding="utf-8") as file:
            text = file.read()
        self.assertIn('every = "2s"', text)
        with open(job, "w", encoding="utf-8") as file:
            file.write(text.replace('every = "2s"', 'every = "20ms"'))
        process = subprocess.Popen([PROGRAM, "run", job, "--rows", str(rows), "--quiet"],
                                   stdout=subprocess.DEVNULL)
        manifests = os.path.join(self.folder, "data", "big-state", "checkpoints", "checkpoints",
                                 "*", "manifest-*")
        deadline = time.monotonic() + 60
        while not glob.glob(manifests):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        process.kill()
        process.wait()
        done = json.loads(run("run", job, "--rows", str(rows), "--until-caught-up",
                              "--json").splitlines()[-1])
        self.assertGreater(done["recovered_from"], 0)
        self.assertEqual(done["totals"]["aggregates"]["rows"], rows)
        wanted = {}
        text = run("generate", "uniform", "--rows", str(rows), "--keys", "10000000",
                   "--format", "ndjson")
        for row in map(json.loads, text.splitlines()):
            one = wanted.setdefault((row["key"],), {"key": row["key"], "rows": 0, "sum": 0,
                                                    "highest": 0})
            one["rows"] += 1
            one["sum"] += row["value"]
            one["highest"] = max(one["highest"], row["value"])
        self.compare(job, "big-state", ["key"], wanted)


class LocalTime(Example):
    def test_a_step_of_ones_own_gives_the_key(self):
        job = self.job("local_time.toml")
        shutil.copy(OPERATOR, self.folder)
        run("run", job, "--rows", str(ROWS), "--until-caught-up")
        wanted = {}
        for row in generate("bids", ROWS)[1]:
            local = EPOCH + datetime.timedelta(microseconds=row["at"], hours=1)
            key = (local.strftime("%Y-%m-%d"), local.hour)
            one = wanted.setdefault(key, {"local_day": key[0], "local_hour": key[1], "bids": 0,
                                          "turnover": 0})
            one["bids"] += 1
            one["turnover"] += row["price"]
        self.compare(job, "local_time", ["local_day", "local_hour"], wanted)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    PROGRAM = os.path.abspath(sys.argv[1])
    OPERATOR = os.path.abspath(sys.argv[2])
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=1)
