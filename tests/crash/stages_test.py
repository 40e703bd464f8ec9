#!/usr/bin/env python3
# usage: tests/crash/stages_test.py PROGRAM [--kills N] [--seed S]
# Jobs with a second stage of keyed state, with checkpoints that are aligned and that are not, killed with -9 at
# named steps and at random moments, between runs of other numbers of partitions; a few rows of each far too late. PROGRAM has fault points (the debug preset).
# What the second stage has, with the late rows that were set aside, is what the rows make by other means, each
# of them once.
"""Kill -9 between two stages: nothing lost, nothing repeated."""

import argparse
import json
import os
import random
import sys

import jobs
import kills_test
import windows_test
from windows_test import SECOND, add, judged, moment, run_scenarios

KILLS_A_SCENARIO = 8
# The second stage stands still for a moment: rows are on their way to it when it is cut.
LAGS = "then_taken:{n}:wait"
BEFORE = {"then_replayed": LAGS + ",then_committed:1:kill"}
WITH = {"then_stored": LAGS, "then_committed": LAGS}
THEN_SIZE = 4 * SECOND

AGGREGATES = "".join(f'[[then.aggregate]]\nas = "{name}"\nop = "{op}"\ncolumn = "{name}"\n' for name, op in (
    ("rows", "sum"), ("ids", "sum"), ("mixes", "sum"), ("low", "min"), ("high", "max")))
BY_START = '[then.key]\ncolumns = ["window_start"]\n' + AGGREGATES
WINDOWS = f'[then.key]\ncolumns = ["key"]\n[then.window]\ntumbling = "{THEN_SIZE // SECOND}s"\n' + AGGREGATES


class StagesJob(windows_test.WindowsJob):
    """Its results are by the windows' start, or by key and a window of the second stage."""

    def configure(self, **settings):
        super().configure(**settings)
        with open(self.path("job.toml"), "a", encoding="utf-8") as file:
            file.write(self.settings["then"])

    def place(self, key, start):
        """Where a row of a closed window counts."""
        if self.settings["then"] == BY_START:
            return moment(start)
        time = start + self.settings["size"] - 1
        return key, moment(time // THEN_SIZE * THEN_SIZE)

    def results(self, names):
        """Of the sink: the last line of each key; of a window there is one."""
        results = {}
        for (key, start), fields in self.named_lines("out", names):
            at = start if key is None else (key, start)
            before = results.get(at)
            if before and (key is not None or before[0] >= fields[0]):
                raise jobs.Failure(f"{at}: {fields} follows {before}")
            results[at] = fields
        return results

    def named_lines(self, folder, names):
        for name in names:
            with open(self.path(folder, name), encoding="utf-8") as file:
                for line in file:
                    row = json.loads(line)
                    yield ((row.get("key"), row["window_start"]),
                           tuple(row[field] for field in jobs.FIELDS))

    def check_commits(self):
        self.results(self.released_parts())

    def check_results(self):
        wanted, got = {}, self.results(self.released_parts())
        starts = {moment(start): start for _, start in self.expected()}
        aside = list(self.lines("aside", sorted(self.aside)))
        for (key, start), fields in self.expected().items():
            add(wanted, self.place(key, start), fields)
        for (key, start), fields in aside:
            add(got, self.place(key, starts[start]), fields)
        differing = sorted((at for at in set(got) | set(wanted) if got.get(at) != wanted.get(at)), key=str)
        if differing:
            at = differing[0]
            raise jobs.Failure(f"{len(differing)} of {len(wanted)} results differ, as {at}: "
                               f"{got.get(at)}, wanted {wanted.get(at)}")
        if not aside:
            raise jobs.Failure("no row was late")
        status, out, err = self.call("query", self.path("job.toml"), "--stage", "1")
        if status != 0 or out:
            raise jobs.Failure(f"query --stage 1: status {status}, {err.strip()}: {out[:200]}")


def scenario(options, points, tally, index):
    draw = random.Random(f"{options.seed}:stages:{index}")
    size, hop, window = ((SECOND, SECOND, 'tumbling = "1s"'),
                         (2 * SECOND, SECOND, 'hopping = ["2s", "1s"]'))[index % 2]
    unaligned = ("0s", None, "2ms")[index % 3]
    job = StagesJob(options.program, f"rows:{options.seed}:{index}", {
        "partitions": draw.choice((1, 2, 3)), "batch_rows": draw.choice((64, 512)),
        "every": "10ms" if unaligned else draw.choice(("10ms", "500 rows")), "unaligned": unaligned,
        "fold": draw.choice((1, 2, 3)), "keep": 1,
        "files": draw.choice((1, 2)), "keys": draw.choice((20, 2000)), "budget": "512MiB",
        "window": window, "size": size, "hop": hop, "at_end": "keep",
        "then": (BY_START, WINDOWS)[index % 2]})
    points = sorted(points, key=lambda name: name not in BEFORE and name not in WITH)

    def kill_all():
        for kill in range(KILLS_A_SCENARIO):
            step = points[(index + kill - 1) % len(points)] if kill % 2 else None
            if kill % 3 == 2:
                job.configure(partitions=draw.choice((1, 2, 3)))
            fault = f"{step}:{draw.randint(1, 4)}:kill" if step else None
            before = {name: job.settings[name] for name in ("every", "unaligned")}
            if step in BEFORE or step in WITH:
                job.configure(every="10ms", unaligned="0s")
            if step in BEFORE:
                kills_test.one_kill(job, draw, tally, "then_committed", BEFORE[step].format(n=draw.randint(1, 6)))
                fault = f"{step}:1:kill"
            elif step in WITH:
                fault = WITH[step].format(n=draw.randint(1, 6)) + f",{step}:1:kill"
            elif step and draw.random() < 0.5:  # behind a checkpoint that was aborted
                fault = f"upload_middle:{draw.randint(1, 4)}:fail,{fault}"
            kills_test.one_kill(job, draw, tally, step, fault)
            job.configure(**before)

    return judged(job, index, kill_all, 1000)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=os.path.abspath)
    parser.add_argument("--kills", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parallel", type=int, default=2)
    options = parser.parse_args()
    steps = ("then_", "commit_", "upload_after", "release_part", "rescale_full")
    return run_scenarios("stages", options, scenario, KILLS_A_SCENARIO, steps,
                         "nothing lost, nothing repeated")


if __name__ == "__main__":
    sys.exit(main())
