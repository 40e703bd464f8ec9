#!/usr/bin/env python3
# usage: tests/s3/restore_test.py PROGRAM [Class[.case]]
"""tests/s3/restore.py gives the rows that the program's query gives, from the objects of its store alone;
and refuses whatever differs from what was written."""

import json
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
import restore  # noqa: E402
import stages_test  # noqa: E402
import windows_test  # noqa: E402

KINDS = """
[job]
name       = "kinds"
partitions = {partitions}
dir        = "data"
[source]
kind = "file"
path = "rows"
format = "ndjson"
columns = ["s nullable string", "d decimal128(2)", "t timestamp", "n i32", "f nullable f64", "b bool"]
[key]
columns = ["s desc", "d", "t desc", "n", "b"]
[[aggregate]]
as = "rows"
op = "count"
[[aggregate]]
as = "sum"
op = "sum"
column = "f"
[[aggregate]]
as = "last"
op = "last"
column = "n"
[sink]
kind = "file"
path = "out"
[checkpoint]
every = "1h"
fold  = 4
keep  = 5
"""


class Memory:
    """The objects of a store, to be changed."""

    def __init__(self, folder):
        store = restore.FileStore(folder)
        self.objects = {name: store.get(name) for name in store.names("")}

    def names(self, prefix):
        return sorted(name for name in self.objects if name.startswith(prefix + "/"))

    def get(self, name):
        if name not in self.objects:
            raise restore.Damaged(f"{name}: No such object")
        return self.objects[name]


class Case(stages_test.Stages):
    """Jobs, from there; none of its tests."""
    store = "data/checkpoints"

    def restored(self, stage, cid=0):
        named = []
        checkpoint = restore.Checkpoint(restore.store_of("file:" + self.path(self.store)), cid,
                                        named)
        its = checkpoint.stages[stage - 1]
        rows = checkpoint.rows(stage)
        return [restore.key_values(its.columns, key) + restore.value_values(its.program, value)
                for key, value in sorted(rows.items())], named

    def check_same(self, stage=1, *options, cid=0):
        """Column for column, of all rows in their order; what a window's row has beside goes."""
        rows, named = self.restored(stage, cid)
        lines = [json.loads(line) for line in self.call(
            "query", "job.toml", "--quiet", *options).splitlines()]
        for line in lines:
            line.pop("_op")
            line.pop("window_end", None)
        width = len(lines[0]) if lines else 0  # what a job keeps for itself lies behind
        self.assertEqual([row[:width] for row in rows], [
            [windows_test.microseconds(value) if type(number) is int
             and isinstance(value, str) else value for value, number in zip(line.values(), row)]
            for line, row in zip(lines, rows)])  # what is aggregated of a time is a number
        self.assertEqual(len(rows), len(lines))
        return rows, named

    def checkpoints(self):
        lines = self.call("checkpoints", "list", "--json", "file:data/checkpoints").splitlines()
        return [line["id"] for line in map(json.loads, lines) if "id" in line]


for inherited in dir(stages_test.Stages):
    if inherited.startswith("test_"):
        setattr(Case, inherited, None)  # unittest passes over what cannot be called


class Rows(Case):
    def kinds(self, partitions=2):
        with open(self.path("job.toml"), "w", encoding="utf-8") as file:
            file.write(KINDS.format(partitions=partitions))

    def add(self, part, count=60):
        with open(self.path("rows", f"{part:03}"), "w", encoding="utf-8") as file:
            for n in range(part * 7, part * 7 + count):
                row = {"s": [None, "", "a\x00b", "äé", "long" * 6][n % 5], "d": f"{n % 3 - 1}.25",
                       "t": n % 4 * 10**15 - 5, "n": n % 6 - 3, "f": [None, -0.5, 1e300][n % 3],
                       "b": n % 2 == 0}
                file.write(json.dumps(row) + "\n")

    def test_every_type_of_key_through_deltas_folds_and_other_partitions(self):
        seen = set()
        for part, partitions in enumerate((2, 2, 2, 2, 3, 1)):
            self.kinds(partitions)
            self.add(part)
            self.run_job()
            _, named = self.check_same()
            seen |= {name.split("/")[-1].split("-")[0] for name in named} \
                | {name.split("/")[0] for name in named}
            if part == 2:
                self.call("checkpoints", "fold", "--offline", "file:data/checkpoints")
        self.assertLessEqual({"manifest", "delta", "folds", "meta"}, seen)
        ids = self.checkpoints()
        self.assertGreater(len(ids), 2)
        for cid in ids:
            self.check_same(1, "--as-of", str(cid), cid=cid)
        self.call("checkpoints", "verify", "file:data/checkpoints")

    def test_windows_and_sessions_that_are_open(self):
        for part in range(3):
            self.write(f"{part}", [(key, amount, at + part * 10**8)
                                   for key, amount, at in self.drawn(part, 300)])
            for number, settings in enumerate((
                    {"window": 'hopping = ["10s", "5s"]', "latest": "last"},
                    {"window": 'session = "10s"', "latest": "max"})):
                self.then, self.store = "", f"data{number}/checkpoints"
                self.configure_apart(number, **settings)
                self.run_job()
                rows, _ = self.check_same()
                self.assertGreater(len(rows), 10)

    def test_both_stages_also_where_rows_are_between(self):
        for part in range(4):
            self.write(f"{part}", [(key, amount, at + part * 10**8)
                                   for key, amount, at in self.drawn(part, 2000)])
            self.configure(window='tumbling = "10s"', batch_rows=64,
                           every='10ms"\nunaligned_after = "0s')
            self.run_job()
            self.check_same(2)
            rows, _ = self.check_same(1, "--stage", "1")
            self.assertGreater(len(rows), 10)
        self.call("checkpoints", "verify", "file:data/checkpoints")

    def test_a_change_of_any_byte_is_noticed(self):
        for part in range(3):
            self.kinds(1)
            self.add(part, 8)
            self.run_job()
            if part == 1:
                self.call("checkpoints", "fold", "--offline", "file:data/checkpoints")
        store, named = Memory(self.path("data/checkpoints")), []
        checkpoint = restore.Checkpoint(store, 0, named)
        wanted = checkpoint.rows(1)
        kinds = {}  # an entry of each kind of command, a segment of each kind, the manifest
        for name in named:
            good = store.objects[name]
            kinds.setdefault((good[:8], good[52] if name.startswith("meta/") else good[14]), name)
        self.assertEqual(len({name.split("/")[0] for name in kinds.values()}), 3)
        for name in kinds.values():
            good = store.objects[name]
            use = self.reading(checkpoint, name, good)
            restore.read_object(store, name, [], use)
            for at in sorted({*range(min(130, len(good))), *range(max(0, len(good) - 130), len(good)),
                              *range(0, len(good), len(good) // 40)}):
                store.objects[name] = good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1:]
                with self.assertRaisesRegex(restore.Damaged, name, msg=f"byte {at}"):
                    restore.read_object(store, name, [], use)
            for cut in (0, 1, len(good) // 2, len(good) - 1):
                store.objects[name] = good[:cut]
                self.check_refused(store)
            del store.objects[name]
            self.check_refused(store, wanted)
            store.objects[name] = good

    @staticmethod
    def reading(checkpoint, name, good):
        """What reads an object of its kind."""
        if name.startswith("meta/"):
            _, incarnation, index = name.split("/")
            return lambda data: restore.entry(restore.Machine(), data, int(incarnation, 16), int(index))
        if "manifest-" in name:
            return lambda data: checkpoint.parsed(name, restore.crc32c(good), data)
        return restore.Segment

    def check_refused(self, store, wanted=None):
        try:
            rows = restore.Checkpoint(store, 0, []).rows(1)
        except restore.Damaged:
            return
        self.assertIsNotNone(wanted, "damage was not noticed")
        self.assertNotEqual(rows, wanted)


class Metadata(unittest.TestCase):
    def test_golden_commands_lead_to_golden_states(self):
        machine, states = restore.Machine(), 0
        with open(os.path.join(HERE, "../vectors/meta.txt"), encoding="utf-8") as file:
            lines = [line.strip().split(" | ") for line in file if " | " in line]
        index = 0
        for line in lines:
            if line[0] == "entry":
                index = int(line[2])
                restore.entry(machine, bytes.fromhex(line[3]), int(line[1], 16), index)
            elif line[0] == "state" and index:
                state = restore.Machine()
                state.load(bytes.fromhex(line[1]), 1, index)
                self.assertEqual({**vars(state), "aborted": 0}, {**vars(machine), "aborted": 0})
                states += 1
        self.assertGreater(states, 3)


if __name__ == "__main__":
    windows_test.PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
