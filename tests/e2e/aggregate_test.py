#!/usr/bin/env python3
# usage: tests/e2e/aggregate_test.py PROGRAM EXAMPLE_AGGREGATE EXAMPLE_DEVICE_STREAM
"""What the examples aggregate, row by row beside sums made here from the generator's text."""

import csv
import io
import os
import subprocess
import sys
import tempfile
import unittest

PROGRAM = AGGREGATE = DEVICE_STREAM = ""
ROWS = 100_000


def run(*command, status=0):
    """Runs a command; returns its stdout, having checked the exit status."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if result.returncode != status:
        raise AssertionError(f"{command}: exit status {result.returncode}, wanted {status}\n"
                             f"{result.stderr.decode(errors='replace')}")
    return result.stdout.decode()


def expected(rows):
    """auction: (bids, cents, highest), from `generate bids` as CSV."""
    totals = {}
    text = run(PROGRAM, "generate", "bids", "--rows", str(rows), "--seed", "1", "--format", "csv")
    for row in csv.DictReader(io.StringIO(text)):
        auction, price = int(row["auction"]), int(row["price"])
        bids, cents, highest = totals.get(auction, (0, 0, 0))
        totals[auction] = (bids + 1, cents + price, max(highest, price))
    return totals


def seen(text):
    """The same, from what an example prints; no auction may come twice."""
    totals = {}
    for line in text.splitlines():
        auction, bids, cents, highest = map(int, line.split(","))
        assert auction not in totals, auction
        totals[auction] = (bids, cents, highest)
    return totals


class Aggregate(unittest.TestCase):
    """docs/examples/aggregate.c: written by one process, restored by another."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def test_a_new_process_restores_the_same_sums(self):
        run(AGGREGATE, "write", self.folder.name, str(ROWS))
        self.assertEqual(seen(run(AGGREGATE, "read", self.folder.name)), expected(ROWS))

    def test_few_rows_leave_empty_epochs(self):
        run(AGGREGATE, "write", self.folder.name, "3")
        self.assertEqual(seen(run(AGGREGATE, "read", self.folder.name)), expected(3))

    def test_a_damaged_segment_is_refused(self):
        run(AGGREGATE, "write", self.folder.name, "5000")
        name = os.path.join(self.folder.name, sorted(os.listdir(self.folder.name))[4])
        with open(name, "r+b") as file:
            file.seek(1000)
            byte = file.read(1)
            file.seek(1000)
            file.write(bytes([byte[0] ^ 1]))
        self.assertEqual(run(AGGREGATE, "read", self.folder.name, status=1), "")

    def test_a_missing_segment_is_refused(self):
        run(AGGREGATE, "write", self.folder.name, "5000")
        names = sorted(os.listdir(self.folder.name))
        os.remove(os.path.join(self.folder.name, names[3]))
        self.assertEqual(run(AGGREGATE, "read", self.folder.name, status=1), "")


class DeviceStream(unittest.TestCase):
    """docs/examples/device_stream.c: the same sums on every device."""

    def test_every_device_gives_the_sums(self):
        wanted = expected(ROWS)
        for uri in ("cpu:", "cpu:scalar", "cpu:?worker=1", "fault:cpu:?worker=1&delay=5"):
            with self.subTest(uri=uri):
                self.assertEqual(seen(run(DEVICE_STREAM, uri, str(ROWS))), wanted)

    def test_a_lost_device_is_an_error(self):
        run(DEVICE_STREAM, "fault:cpu:?worker=1&fail=7", str(ROWS), status=1)
        run(DEVICE_STREAM, "tpu:0", status=1)


if __name__ == "__main__":
    DEVICE_STREAM, AGGREGATE, PROGRAM = sys.argv.pop(3), sys.argv.pop(2), sys.argv.pop(1)
    unittest.main()
