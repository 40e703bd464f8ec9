#!/usr/bin/env python3
# usage: tests/e2e/compat_test.py PROGRAM [Class[.case]]
"""Stores that earlier versions wrote (tests/vectors/stores): this one reads them and goes on from them.
What a later version would write it refuses."""

import csv
import glob
import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

VECTORS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vectors")
sys.dont_write_bytecode = True
sys.path.insert(0, VECTORS)
from make_segments import crc32c  # noqa: E402

PROGRAM = ""
DONE, DAMAGED = 0, 4
STORES = sorted(os.path.basename(path)[:-4]
                for path in glob.glob(os.path.join(VECTORS, "stores", "*.txt")))


def objects(name):
    """Of a golden store: {name: bytes}."""
    found, data, left = {}, None, 0
    with open(os.path.join(VECTORS, "stores", name + ".txt"), encoding="ascii") as file:
        for line in file:
            if line.startswith("#"):
                continue
            if line.startswith("object "):
                _, text, size = line.split()
                data, left = bytearray(), int(size)
                found[text] = data
                continue
            count, word = line.split(" | ")
            data += int(count) * bytes.fromhex(word)
            assert len(data) <= left
    return found


class Compat(unittest.TestCase):
    maxDiff = None

    def unpack(self, name):
        folder = tempfile.TemporaryDirectory(prefix="cst-compat-")
        self.addCleanup(folder.cleanup)
        self.folder, self.name = folder.name, name
        for text, data in objects(name).items():
            path = os.path.join(self.folder, "store", text)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)
        self.job()

    def job(self, **changes):
        with open(os.path.join(VECTORS, "stores", self.name + ".toml"), encoding="utf-8") as file:
            text = file.read()
        for before, after in changes.values():
            self.assertIn(before, text)
            text = text.replace(before, after)
        with open(os.path.join(self.folder, "job.toml"), "w", encoding="utf-8") as file:
            file.write(text)

    def call(self, *arguments, status=DONE):
        result = subprocess.run([PROGRAM, *arguments], cwd=self.folder, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        self.assertEqual(result.returncode, status, result.stderr)
        return result.stdout, result.stderr

    def golden(self):
        with open(os.path.join(VECTORS, "stores", self.name + ".ndjson"), encoding="utf-8") as file:
            return file.read()

    def expected(self, rows):
        """{auction: (bids, cents, highest)}: of the generator's rows, by other means."""
        text, _ = self.call("generate", "bids", "--keys", "24", "--rows", str(rows), "--format",
                            "csv", "--quiet")
        results = {}
        for row in csv.DictReader(io.StringIO(text)):
            bids, cents, highest = results.get(int(row["auction"]), (0, 0, 0))
            price = int(row["price"])
            results[int(row["auction"])] = (bids + 1, cents + price, max(highest, price))
        return results

    def queried(self):
        text, _ = self.call("query", "job.toml", "--quiet")
        return {row["auction"]: (row["bids"], row["cents"], row["highest"])
                for row in map(json.loads, text.splitlines())}

    def test_every_store_is_verified_and_gives_its_results(self):
        self.assertIn("first", STORES)
        for name in STORES:
            with self.subTest(name):
                self.unpack(name)
                self.call("checkpoints", "verify", "file:store")
                self.assertEqual(self.call("query", "job.toml", "--quiet")[0], self.golden())
                self.assertEqual(self.queried(), self.expected(30000))

    def test_a_job_goes_on_from_every_store_also_with_other_partitions(self):
        for name in STORES:
            for partitions in (2, 4):
                with self.subTest(name=name, partitions=partitions):
                    self.unpack(name)
                    self.job(partitions=("partitions = 2", f"partitions = {partitions}"))
                    self.call("run", "job.toml", "--rows", "50000", "--until-caught-up", "--quiet")
                    self.assertEqual(self.queried(), self.expected(50000))
                    self.call("checkpoints", "verify", "file:store")

    def newest(self, pattern):
        return sorted(glob.glob(os.path.join(self.folder, "store", pattern)))[-1]

    def test_metadata_of_a_newer_version_is_refused_and_nothing_is_written(self):
        self.unpack("first")
        path = self.newest("meta/*/*")
        with open(path, "r+b") as file:
            entry = bytearray(file.read())
            struct.pack_into("<I", entry, 8, 2)
            struct.pack_into("<I", entry, 36, crc32c(bytes(entry[:36])))
            file.seek(0)
            file.write(entry)
        there = sorted(os.listdir(os.path.dirname(path)))
        for arguments in (("run", "job.toml", "--quiet"), ("query", "job.toml"),
                          ("checkpoints", "list", "file:store")):
            _, err = self.call(*arguments, status=DAMAGED)
            self.assertIn("CST_META_VERSION", err)
        self.assertEqual(sorted(os.listdir(os.path.dirname(path))), there)

    def test_segments_of_a_newer_version_are_refused_and_named(self):
        self.unpack("first")
        for path in glob.glob(os.path.join(self.folder, "store", "folds/*/*")):
            with open(path, "r+b") as file:
                head = bytearray(file.read(128))
                struct.pack_into("<I", head, 8, 2)
                struct.pack_into("<I", head, 124, crc32c(bytes(head[:124])))
                file.seek(0)
                file.write(head)
        for verb in ("run", "query"):
            _, err = self.call(verb, "job.toml", "--quiet", status=DAMAGED)
            self.assertIn("folds/", err)
            self.assertIn("a segment of a newer version", err)


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
