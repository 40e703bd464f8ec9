"""A job whose keys expire by event time, its rows, and which of its keys are alive: computed here."""

import json
import os
import random
import subprocess

SECOND = 1_000_000
TTL_S = 100
ROUND_S = 60  # less than the TTL: within a round no key expires between two of its rows
FILES = 2

JOB = """
[job]
name       = "expiring"
partitions = {partitions}
[source]
kind       = "file"
path       = "rows"
format     = "csv"
columns    = ["key u64", "id u64", "at timestamp"]
event_time = "at"
follow     = {follow}
[key]
columns = ["key"]
[[aggregate]]
as = "rows"
op = "count"
[[aggregate]]
as = "ids"
op = "sum"
column = "id"
[sink]
kind = "file"
path = "out"
[state]
store  = "{store}"
budget = "{budget}"
ttl    = "{ttl}s"
[device]
uri = "{device}"
batch_rows = {batch_rows}
[checkpoint]
every = "{every}"
fold  = 2
keep  = 2
"""


def text_of(seconds):
    minutes = int(seconds) // 60
    return f"2026-01-01 {minutes // 60:02}:{minutes % 60:02}:{seconds % 60:09.6f}"


class Expiring:
    """Folder: job.toml, rows/, out/, data/. `keys` is what the rows say: {key: [rows, ids, time]}."""

    def __init__(self, program, folder, seed, **settings):
        self.program, self.folder = program, folder
        self.draw = random.Random(seed)
        self.settings = dict({"partitions": 2, "ttl": TTL_S, "device": "cpu:", "batch_rows": 64,
                              "store": "hash:", "budget": "256MiB",
                              "every": "10ms", "follow": "false"}, **settings)
        self.now = self.watermark = 0.0
        self.keys = {}
        os.makedirs(self.path("rows"), exist_ok=True)
        self.configure()

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def configure(self, **settings):
        self.settings.update(settings)
        with open(self.path("job.toml"), "w", encoding="utf-8") as file:
            file.write(JOB.format(**self.settings))

    def is_alive(self, key):
        return key in self.keys and self.keys[key][2] + self.settings["ttl"] > self.watermark

    def add_round(self, rows, keys):
        """Rows of one minute, in order. A key that was dead before them begins anew; one that could
        die among them gets no row where it might."""
        lines = [[] for _ in range(FILES)]
        begin = self.now
        times = sorted(round(begin + self.draw.random() * ROUND_S, 6) for _ in range(rows))
        for time in times:
            key, ident = self.draw.randrange(keys), self.draw.getrandbits(40)
            if self.is_alive(key) and self.keys[key][2] + self.settings["ttl"] <= time:
                continue
            count, ids, _ = self.keys[key] if self.is_alive(key) else (0, 0, 0)
            self.keys[key] = (count + 1, ids + ident, time)
            lines[key % FILES].append(f"{key},{ident},{text_of(time)}\n")
        self.now = begin + ROUND_S
        for number in range(FILES):  # the watermark is the least of both
            key = keys + number
            count, ids, _ = self.keys[key] if self.is_alive(key) else (0, 0, 0)
            self.keys[key] = (count + 1, ids + 1, self.now)
            lines[number].append(f"{key},1,{text_of(self.now)}\n")
            with open(self.path("rows", f"part-{number}.csv"), "a", encoding="utf-8") as file:
                file.writelines(lines[number])
        self.settle()

    def settle(self):
        """All that is written will have been read: the watermark is at its end."""
        self.watermark = self.now

    def start(self, *options, fault=None):
        environment = {name: value for name, value in os.environ.items() if name != "CST_FAULT"}
        if fault:
            environment["CST_FAULT"] = fault
        with open(self.path("log"), "a", encoding="utf-8") as log:
            return subprocess.Popen([self.program, "run", self.path("job.toml"), "--json", *options],
                                    stdout=log, stderr=log, env=environment)

    def finish(self):
        process = self.start("--until-caught-up")
        status = process.wait(60)
        if status != 0:
            with open(self.path("log"), encoding="utf-8") as log:
                raise AssertionError(f"status {status}: {log.read()[-2000:]}")

    # ---- Results ----

    def alive(self):
        return {key: state[:2] for key, state in self.keys.items() if self.is_alive(key)}

    def queried(self, *options):
        text = subprocess.run([self.program, "query", self.path("job.toml"), "--json", *options],
                              stdout=subprocess.PIPE, text=True, check=not options).stdout
        rows = [json.loads(line) for line in text.splitlines()]
        return {row["key"]: (row["rows"], row["ids"]) for row in rows if "key" in row}

    def released(self):
        """{key: fields}: each part's lines in their order, a delete line takes the key away."""
        results, deletes = {}, 0
        for name in sorted(os.listdir(self.path("out"))):
            with open(self.path("out", name), encoding="utf-8") as file:
                for line in file:
                    row = json.loads(line)
                    if row["_op"] == "delete":
                        deletes += 1
                        results.pop(row["key"], None)
                    else:
                        results[row["key"]] = (row["rows"], row["ids"])
        return results, deletes
