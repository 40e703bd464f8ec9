#!/usr/bin/env python3
# usage: tests/e2e/long_keys_test.py PROGRAM [Class[.case]]
"""Jobs whose device takes keys of up to 16 bytes alone: the longer ones stay with the processor."""

import os
import random
import re

import run_jobs
from run_files_test import Files
from run_jobs import INPUT

# Encoded, a text takes two bytes more.
LENGTHS = (1, 13, 14, 15, 38)
SHORT_BYTES_MAX = 14
KEYS = 400


def rows_drawn(count, seed):
    """Keys around the limit and far from it."""
    numbers = random.Random(seed)
    rows = []
    for _ in range(count):
        number = numbers.randrange(KEYS)
        text = f"{number:03}".ljust(LENGTHS[number % len(LENGTHS)], "k") if number >= 10 else str(number)
        rows.append((text, numbers.randrange(1000)))
    return rows


def are_long(rows):
    return [key for key, _ in rows if len(key) > SHORT_BYTES_MAX]


class Edited(Files):
    def edit(self, pattern, text):
        path = os.path.join(self.folder.name, "job.toml")
        with open(path, encoding="utf-8") as file:
            edited, count = re.subn(pattern, text, file.read())
        self.assertEqual(count, 1)
        with open(path, "w", encoding="utf-8") as file:
            file.write(edited)


class Apart(Edited):
    """A device that is the processor, with the limit of a card."""

    URI = "fault:cpu:?key_bytes=16"
    ROWS = 20_000

    def begin(self):
        self.files(every="50ms", more="follow = true")
        self.edit(r"\[job\]\n", "[job]\ntotals = true\n")
        self.edit(r"\[checkpoint\]\n", '[state]\nbudget = "512MiB"\n[checkpoint]\n')

    def run_on(self, device, *options):
        return self.run_json("--device", device, "--until-caught-up", *options)[-1]

    def check(self, done, rows, long_rows):
        """What the job says and has; `long_rows`: what this run applied to long keys."""
        self.assertEqual(self.state(), self.wanted(*rows))
        self.assertEqual(self.rows(), self.wanted(*rows))
        self.assertEqual(done["keys"], len(self.wanted(*rows)))
        self.assertEqual(done["totals"]["aggregates"],
                         {"n": len(rows), "sum": sum(value for _, value in rows)})
        self.assertEqual(done["long_key_rows"], long_rows)
        self.assertEqual(done["device_faults"], 0)
        if long_rows:
            self.assertEqual(done["long_keys"], len(set(are_long(rows))))

    def test_what_comes_out_is_what_the_processor_gives(self):
        rows = rows_drawn(self.ROWS, 1)
        self.begin()
        self.append("a", *rows)
        self.check(self.run_on(self.URI), rows, len(are_long(rows)))

    def test_killed_in_mid_run_it_goes_on_from_there_on_any_device(self):
        rows, devices = [], (self.URI, "cpu:", self.URI, self.URI, "cpu:")
        self.begin()
        for turn, device in enumerate(devices):
            more = rows_drawn(self.ROWS // len(devices), turn)
            process = self.start("--quiet", "--device", device)
            self.append("a", *more[:len(more) // 2])
            rows += more[:len(more) // 2]
            self.wait_for(lambda: self.rows_or_none() == self.wanted(*rows) or
                          process.poll() is not None)
            self.append("a", *more[len(more) // 2:])
            rows += more[len(more) // 2:]
            process.kill()
            process.communicate()
        done = self.run_on(self.URI)
        self.assertGreater(done["recovered_from"], 0)
        self.check(done, rows, done["long_key_rows"])
        self.assertEqual(self.run_on("cpu:")["long_keys"], 0)
        self.assertEqual(self.state(), self.wanted(*rows))

    def test_another_number_of_partitions_finds_the_keys_of_both(self):
        rows = rows_drawn(self.ROWS // 3, 7)
        self.begin()
        for partitions, device in ((2, self.URI), (3, "cpu:"), (1, self.URI)):
            self.edit("partitions = .", f"partitions = {partitions}")
            self.append("a", *rows)
            done = self.run_on(device)
        self.assertEqual(self.state(), self.wanted(*rows * 3))
        self.assertEqual(done["long_keys"], len(set(are_long(rows))))


class Simulated(Apart):
    URI = "sim:"
    ROWS = 3_000

    def setUp(self):
        super().setUp()
        self.need("sim:")


class Refused(Edited):
    """What has no table of the processor's beside the device's."""

    def test_keys_that_are_all_too_long_are_refused_with_their_length(self):
        self.files(a=[("k", 1)])
        self.edit('"key string"', '"key uuid", "more u64"')
        self.edit(r'\[key\]\ncolumns = \["key"\]', '[key]\ncolumns = ["key", "more"]')
        _, err = self.finish(self.start("--device", Apart.URI), INPUT)
        self.assertIn("takes keys of up to 16 bytes, [key] has some of 24: run the job with --device "
                      "cpu:. (CST_KEY_TOO_LONG)", err)

    def test_so_are_those_of_windows(self):
        self.files(a=[("k", 1)])
        self.edit('"value u64"', '"value u64", "at timestamp"')
        self.edit(r"(format = .*)", r'\1\nevent_time = "at"')
        self.edit(r"\[sink\]", '[window]\ntumbling = "1s"\n[sink]')
        _, err = self.finish(self.start("--device", Apart.URI), INPUT)
        self.assertIn("[key] has some of 64, 8 of them when their window begins", err)


if __name__ == "__main__":
    run_jobs.main()
