#!/usr/bin/env python3
# usage: tests/crash/windows_test.py PROGRAM [--kills N] [--seed S] [--parallel N]
# Windowed jobs, killed with -9 at named steps and at random moments (30 kills), a few rows of each far
# too late. PROGRAM has fault points (the debug preset). Each key and window has one line; with the late
# rows that were set aside it makes what the rows make by other means, each of them once. Of sessions each
# row is in one line or set aside, and rows that were in time are in one line if they are near each other.
"""Kill -9 with windows: each line once, nothing lost."""

import argparse
import concurrent.futures
import json
import os
import random
import sys
import time

import jobs
import kills_test

KILLS_A_SCENARIO = 10
SECOND = 1_000_000
LATENESS = 500_000
LATE_CHANCE = 0.02


def job_text(settings):
    return jobs.job_text(settings).replace(
        '"amount i64"]', '"amount i64", "at timestamp"]\nevent_time = "at"\nwatermark = "500ms"\n'
        'idle = "1h"').replace(
        "[sink]", f'[window]\n{settings["window"]}\nlate = "side"\nside = "aside"\n'
        f'at_end = "{settings["at_end"]}"\n[sink]')


class WindowsJob(jobs.Job):
    """Its rows have a time, which rises, but for some."""

    def __init__(self, program, seed, settings):
        self.now = 0
        self.rows_all = []
        self.aside = {}
        self.strays = set()
        super().__init__(program, seed, settings)

    def configure(self, **settings):
        self.settings.update(settings)
        with open(self.path("job.toml"), "w", encoding="utf-8") as file:
            file.write(job_text(self.settings))

    def row(self):
        self.now += self.draw.randrange(self.settings.get("step", 2 * SECOND // 1000))
        at = self.now - self.draw.randrange(LATENESS // 2)
        if self.draw.random() < LATE_CHANCE:
            at = self.draw.randrange(self.now)
        row = {"key": int(self.settings["keys"] * self.draw.random() ** 3), "at": at,
               "id": self.draw.getrandbits(40), "mix": self.draw.getrandbits(40),
               "amount": self.draw.randint(-10**6, 10**6)}
        if at < self.now - LATENESS:
            self.strays.add(row["id"])
        self.rows_all.append(row)
        return json.dumps(row) + "\n"

    def expected(self):
        """{(key, start): fields}, of rows in all of their windows."""
        size, hop = self.settings["size"], self.settings["hop"]
        results = {}
        for row in self.rows_all:
            last = row["at"] // hop * hop
            for start in range(last - size + hop, last + hop, hop):
                add(results, (row["key"], start), (1, row["id"], row["mix"], row["amount"],
                                                   row["amount"]))
        return results

    def parts_of(self, folder, before):
        there = os.listdir(self.path(folder)) if os.path.isdir(self.path(folder)) else []
        names = sorted(name for name in there if jobs.PART.fullmatch(name))
        now = {}
        for name in names:
            status = os.stat(self.path(folder, name))
            now[name] = (status.st_ino, status.st_size, status.st_mtime_ns)
        for name, seen in before.items():
            if now.get(name) != seen:
                raise jobs.Failure(f"part {folder}/{name} was {seen}, is {now.get(name, 'gone')}")
        before.clear()
        before.update(now)
        return names

    def released_parts(self):
        self.parts_of("aside", self.aside)
        return self.parts_of("out", self.parts)

    def lines(self, folder, names):
        for name in names:
            with open(self.path(folder, name), encoding="utf-8") as file:
                for line in file:
                    row = json.loads(line)
                    yield ((row["key"], row["window_start"]),
                           tuple(row[field] for field in jobs.FIELDS))

    def check_commits(self):
        """No window has two lines."""
        seen = set()
        for at, _ in self.lines("out", self.released_parts()):
            if at in seen:
                raise jobs.Failure(f"{at} has two lines")
            seen.add(at)

    def check_results(self):
        self.check_commits()
        if not self.settings["hop"]:
            self.check_sessions()
            return
        size = self.settings["size"]
        got, aside = {}, 0
        for at, fields in self.lines("out", self.released_parts()):
            add(got, at, fields)
        for at, fields in self.lines("aside", sorted(self.aside)):
            add(got, at, fields)
            aside += 1
        wanted = {(key, moment(start)): fields for (key, start), fields in self.expected().items()}
        differing = sorted(at for at in set(got) | set(wanted) if got.get(at) != wanted.get(at))
        if differing:
            at = differing[0]
            raise jobs.Failure(f"{len(differing)} of {len(wanted)} windows of {size} us differ, as "
                               f"{at}: {got.get(at)}, wanted {wanted.get(at)}")
        if not aside:
            raise jobs.Failure("no row was late")
        self.check_empty()

    def check_empty(self):
        status, out, err = self.call("query", self.path("job.toml"))
        if status != 0 or out:
            raise jobs.Failure(f"query: status {status}, {err.strip()}: {out[:200]}")

    def check_sessions(self):
        """Each row is set aside, if it was far too late, or in the line around its time."""
        rows = {(row["key"], moment(row["at"]), (1, row["id"], row["mix"], row["amount"],
                                                 row["amount"])): row for row in self.rows_all}
        aside = list(self.lines("aside", sorted(self.aside)))
        for at, fields in aside:
            row = rows.pop((*at, fields), None)
            if row is None or row["id"] not in self.strays:
                raise jobs.Failure(f"{at} {fields} was set aside: {row}")
        if not aside:
            raise jobs.Failure("no row was late")
        by_key = {}
        for row in sorted(rows.values(), key=lambda row: row["at"]):
            by_key.setdefault(row["key"], []).append(row)
        spans = {}
        for (key, start), end, fields in self.spans("out", self.released_parts()):
            spans.setdefault(key, []).append((start, end, fields))
        for key in set(by_key) | set(spans):
            self.check_key(key, by_key.get(key, []), sorted(spans.get(key, [])))
        self.check_empty()

    def spans(self, folder, names):
        for name in names:
            with open(self.path(folder, name), encoding="utf-8") as file:
                for line in file:
                    row = json.loads(line)
                    yield ((row["key"], row["window_start"]), row["window_end"],
                           tuple(row[field] for field in jobs.FIELDS))

    def check_key(self, key, rows, spans):
        """Its rows by time, and its lines by start."""
        gap = self.settings["size"]
        got, near = [], None
        for start, end, fields in spans:
            mine = [row for row in rows if start <= moment(row["at"]) < end
                    and moment(row["at"] + gap) <= end]
            made = {}
            for row in mine:
                add(made, key, (1, row["id"], row["mix"], row["amount"], row["amount"]))
            times = [row["at"] for row in mine]
            if (made.get(key) != fields or moment(times[0]) != start
                    or moment(times[-1] + gap) != end
                    or any(b - a >= gap for a, b in zip(times, times[1:]))):
                raise jobs.Failure(f"key {key}, {start} to {end}: {fields}, wanted "
                                   f"{made.get(key)} of {times}")
            in_time = [row["at"] for row in mine if row["id"] not in self.strays]
            if near is not None and in_time and in_time[0] - near < gap:
                raise jobs.Failure(f"key {key}, {start}: two lines of rows in time at {near} and "
                                   f"{in_time[0]}")
            near = in_time[-1] if in_time else near
            got += mine
        if got != rows:
            raise jobs.Failure(f"key {key}: {len(got)} of {len(rows)} rows are in its lines")


def add(results, at, fields):
    rows, ids, mixes, low, high = results.get(at, (0, 0, 0, fields[3], fields[4]))
    results[at] = (rows + fields[0], ids + fields[1], mixes + fields[2], min(low, fields[3]),
                   max(high, fields[4]))


def moment(microseconds):
    seconds, rest = divmod(microseconds, SECOND)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:06d}Z"


def scenario(options, points, tally, index):
    draw = random.Random(f"{options.seed}:windows:{index}")
    size, hop, window = ((SECOND, SECOND, 'tumbling = "1s"'),
                         (4 * SECOND, 2 * SECOND, 'hopping = ["4s", "2s"]'),
                         (SECOND // 5, 0, 'session = "200ms"'))[index % 3]
    every = draw.choice(("10ms", "20ms", "500 rows"))
    unaligned = "0s" if "rows" not in every and index // 3 % 2 else None
    job = WindowsJob(options.program, f"rows:{options.seed}:{index}", {
        "partitions": draw.choice((1, 2, 3)), "batch_rows": draw.choice((64, 512)),
        "every": every, "unaligned": unaligned, "fold": draw.choice((1, 2, 3)),
        "keep": draw.choice((1, 2)), "files": draw.choice((1, 2)), "keys": draw.choice((20, 2000)),
        "budget": "256MiB", "window": window, "size": size, "hop": hop, "at_end": "keep"})
    def kill_all():
        for kill in range(KILLS_A_SCENARIO):
            step = draw.choice(points) if kill % 2 else None
            fault = f"{step}:{draw.randint(1, 4)}:kill" if step else None
            kills_test.one_kill(job, draw, tally, step, fault)

    return judged(job, index, kill_all, 2000)


def judged(job, index, kill_all, rows_more):
    """What is wrong with the results behind all kills, some more rows and the end; None: nothing."""
    try:
        kill_all()
        job.append(rows_more)
        job.configure(follow=False, at_end="close")
        job.finish()
        job.check()
    except jobs.Failure as failure:
        return f"scenario {index}: {failure}\n  job    {job.folder}"
    job.remove()
    return None


def run_scenarios(name, options, one, kills_each, steps, good):
    """`one` for every kills_each kills, at the fault points whose names begin so. 1: something was
    lost."""
    points = [point for point in kills_test.fault_points(options.program)
              if point.startswith(steps)]
    kills_test.NAMED_SECONDS_MAX = 0.5  # or the kill is at another moment
    tally = kills_test.Tally()
    print(f"{name}: seed {options.seed}", flush=True)
    with concurrent.futures.ThreadPoolExecutor(options.parallel) as pool:
        count = -(-options.kills // kills_each)
        failures = [said for said in pool.map(
            lambda index: one(options, points, tally, index), range(count)) if said]
    print(f"{name}: {tally.kills} kills, {sum(tally.steps.values())} at named steps")
    print("\n".join(failures) or f"{name}: {good}")
    return 1 if failures else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=os.path.abspath)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parallel", type=int, default=4)
    options = parser.parse_args()
    # Those that every run passes, soon.
    steps = ("commit_", "upload_", "release_", "recovery_restore", "recovery_manifest", "sink_")
    return run_scenarios("windows", options, scenario, KILLS_A_SCENARIO, steps, "each line once")


if __name__ == "__main__":
    sys.exit(main())
