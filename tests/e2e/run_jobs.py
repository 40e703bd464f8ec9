"""Jobs of generated bids in a folder of their own, and what comes out of them, for tests of constellation run."""

import csv
import glob
import io
import json
import os
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

    def need(self, uri):
        """Skips the test in a build that has no such device; the machine has to have what its driver is."""
        text = subprocess.run([PROGRAM, "device", "list", "--json"], check=True, text=True,
                              stdout=subprocess.PIPE).stdout
        device, = [row for row in map(json.loads, text.splitlines()) if row["uri"] == uri]
        if not device["available"]:
            self.assertRegex(device["text"], "this build|Build it")
            self.skipTest(device["text"])

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


def main():
    """The cases of the file that was started, as its arguments say."""
    global PROGRAM
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main(module="__main__", verbosity=2)
