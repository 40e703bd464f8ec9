#!/usr/bin/env python3
# usage: tests/soak/streams_test.py PROGRAM [--seconds N] [--data FILE]
"""Rows that producers push at a steady rate, in windows that open and close: memory, log and store
stay as large as they were, the store holds at most three times the live state, and every row is in
its window once. --data adds what was seen to a file of lines that scripts/bench-plot draws."""

import argparse
import calendar
import functools
import json
import os
import select
import socket
import sys
import threading
import time

import soak

MIB = 1 << 20
PRODUCERS = 4
KEYS = 1_500  # a producer's, in every window
WINDOW_S = 10  # one begins every second
LATE_S = 1
RATE = 300  # rows a second and producer: each key twice a window
HELPING_S = 0.05
RECORD_BYTES = 64  # header 16, key and window 16, two aggregates, to the next 32
TIMES_MAX, TIMES_MAX_SHORT = 3, 4  # a short run has others beside it, and gc is later
SECONDS = 24
WARM = 0.5  # of the time: the log has been cut, the first windows are closed
LONG_SECONDS = 300  # from here on one part of the time is compared with the other
SLACK = 1.1
EVENT_US = 1_767_225_600_000_000
DISK_BYTES = 512 * MIB
END_S = 60

JOB = """# Written by tests/soak.
[job]
name       = "soak"
partitions = 2
dir        = "data"
[source]
kind       = "tcp"
listen     = "127.0.0.1:{port}"
columns    = ["key u64", "amount i64", "at timestamp"]
event_time = "at"
watermark  = "{late}s"
idle       = "30s"
[key]
columns = ["key"]
[window]
hopping = ["{window}s", "1s"]
[[aggregate]]
as = "rows"
op = "count"
[[aggregate]]
as = "sum"
op = "sum"
column = "amount"
[sink]
kind = "file"
path = "out"
[checkpoint]
store = "file:disk"
every = "250ms"
keep  = 1
unaligned_after = "1s"
"""


class Producer:
    """Row n has amount n, and is 1 / RATE seconds later than row n - 1."""

    def __init__(self, address, number):
        self.number = number
        self.sent = self.acked = 0
        self.ended = threading.Event()
        self.trouble = None
        self.socket = socket.create_connection(address, timeout=END_S)
        self.socket.sendall(b'{"producer":"soak-%d"}\n' % number)
        self.told = b""
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def key(self, row):
        return self.number * KEYS + row % KEYS

    def put(self, until):
        rows = range(self.sent + 1, until + 1)
        at = EVENT_US
        self.socket.sendall("".join(
            f'{{"seq":{n},"row":{{"key":{self.key(n)},"amount":{n},'
            f'"at":{at + n * 1_000_000 // RATE}}}}}\n' for n in rows).encode())
        self.sent = until

    def hear(self, seconds):
        if not select.select([self.socket], [], [], seconds)[0]:
            return
        told = self.socket.recv(65536)
        if not told:
            raise soak.Failure("the connection was closed")
        *lines, self.told = (self.told + told).split(b"\n")
        for line in map(json.loads, lines):
            if "error" in line:
                raise soak.Failure(f"a row was refused: {line}")
            self.acked = line.get("ack", self.acked)

    def run(self):
        began = time.monotonic()
        try:
            while not self.ended.is_set():
                due = int((time.monotonic() - began) * RATE)
                if due > self.sent:
                    self.put(due)
                self.hear(HELPING_S)
            last = time.monotonic() + END_S
            while self.acked < self.sent:
                if time.monotonic() > last:
                    raise soak.Failure(f"row {self.acked + 1} is not acknowledged")
                self.hear(1)
        except (OSError, ValueError, soak.Failure) as trouble:
            self.trouble = trouble

    def end(self):
        self.ended.set()
        self.thread.join()
        self.socket.close()
        if self.trouble:
            raise soak.Failure(f"producer {self.number}: {self.trouble}")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def connect(port, number):
    last = time.monotonic() + END_S
    while True:
        try:
            return Producer(("127.0.0.1", port), number)
        except ConnectionRefusedError:
            if time.monotonic() > last:
                raise
            time.sleep(0.05)


def bytes_below(folder):
    found = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                found += os.stat(os.path.join(place, name)).st_size
            except FileNotFoundError:
                pass  # it went meanwhile
    return found


def watch(job, seconds):
    """Samples with their time in front, and what log and store held then."""
    began, samples = None, []
    for sample in job.samples():
        began = began or time.monotonic()
        samples.append(dict(sample, at=time.monotonic() - began, stored=bytes_below(job.path("disk")),
                            log=bytes_below(job.path("data")),
                            files=len(os.listdir(f"/proc/{job.process.pid}/fd"))))
        if samples[-1]["at"] >= seconds:
            return samples
    raise soak.Failure(f"it ended early, with status {job.process.wait()}:\n{job.log()}")


def check_flat(samples, seconds):
    warm = [sample for sample in samples if sample["at"] >= WARM * seconds]
    most = max(warm, key=lambda sample: sample["stored"])
    live_bytes = max(sample["keys"] for sample in warm) * RECORD_BYTES
    times_max = TIMES_MAX if seconds >= LONG_SECONDS else TIMES_MAX_SHORT
    if most["stored"] > times_max * live_bytes:
        raise soak.Failure(f"{most['stored']} bytes are stored, "
                           f"{most['stored'] / live_bytes:.2f} times the live state: {most}")
    earlier = [sample for sample in warm if sample["at"] < (1 + WARM) / 2 * seconds]
    later = warm[len(earlier):]
    for what in ("RssAnon", "log", "stored", "files"):
        before, then = (max(sample[what] for sample in part) for part in (earlier, later))
        if seconds >= LONG_SECONDS and then > SLACK * before:
            raise soak.Failure(f"{what} is {then}, and was {before} in the earlier half")
    return {what: max(sample[what] for sample in warm) for what in ("RssAnon", "log", "stored")} | \
        {"live": live_bytes}


def wanted(producers, key, start):
    """(rows, sum) of a key in the window that starts then."""
    producer = producers[key // KEYS]
    first = max(1, start * RATE)
    end = min(producer.sent + 1, (start + WINDOW_S) * RATE)
    first += (key - first) % KEYS  # the first one of the key; every KEYS-th is
    rows = len(range(first, end, KEYS))
    return [rows, rows * first + KEYS * (rows * (rows - 1) // 2)]


@functools.cache
def seconds_of(text):
    """A window's start, in seconds behind the first row's."""
    parsed = time.strptime(text.partition(".")[0], "%Y-%m-%dT%H:%M:%S")
    return calendar.timegm(parsed) - EVENT_US // 1_000_000


def take(producers, seen, line, what):
    """A line, or a row of a window that is open, which nobody has had before."""
    text, key = line["window_start"], line["key"]
    start = seconds_of(text)
    keys = seen.setdefault(start, bytearray(PRODUCERS * KEYS))
    if keys[key] or wanted(producers, key, start) != [line["rows"], line["sum"]]:
        raise soak.Failure(f"{what}: {line} is wrong, or there twice")
    keys[key] = 1


def check_windows(job, producers):
    """Every line is right and there once; windows that have none yet are open."""
    seen, lines = {}, 0
    for name in sorted(os.listdir(job.path("out"))):
        with open(job.path("out", name), encoding="utf-8") as file:
            for line in file:
                take(producers, seen, json.loads(line), name)
                lines += 1
    for row in job.call("query", job.path("job.toml")):
        if "key" in row:
            take(producers, seen, row, "open")
    for start in range(1 - WINDOW_S, max(p.sent for p in producers) // RATE + 1):
        for key in range(PRODUCERS * KEYS):
            if wanted(producers, key, start)[0] > 0 and not seen.get(start, {key: 0})[key]:
                raise soak.Failure(f"key {key} of the window at {start} s is missing")
    return lines


def keep(name, samples, seconds, live_bytes):
    line = {"bench": "soak.streams", "unit": "bytes",
            "params": {"seconds": seconds, "rows_a_second": PRODUCERS * RATE,
                       "keys": PRODUCERS * KEYS},
            "seconds": [round(sample["at"], 1) for sample in samples],
            "series": {words: [sample[field] for sample in samples] for words, field in
                       (("memory", "RssAnon"), ("stored", "stored"), ("log", "log"))},
            "bound": TIMES_MAX * live_bytes}
    with open(name, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def run(job, port, options):
    producers = []
    job.start()
    try:
        producers += [connect(port, number) for number in range(PRODUCERS)]
        samples = watch(job, options.seconds)
    finally:
        for producer in producers:
            producer.ended.set()
    for producer in producers:
        producer.end()
    job.stop()
    most = check_flat(samples, options.seconds)
    lines = check_windows(job, producers)
    if options.data:
        keep(options.data, samples, options.seconds, most["live"])
    print(f"streams: {options.seconds} s, {sum(p.sent for p in producers)} rows, {lines} lines of "
          f"windows, {job.done['checkpoints']} checkpoints; at most {most['RssAnon'] / MIB:.0f} MiB "
          f"of memory, {most['log'] / MIB:.1f} of log, {most['stored'] / most['live']:.2f} times the "
          f"live state stored")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--data")
    options = parser.parse_args()
    soak.alone()
    port = free_port()
    text = JOB.format(port=port, late=LATE_S, window=WINDOW_S)
    job = soak.Job(os.path.abspath(options.program), text, DISK_BYTES)
    try:
        run(job, port, options)
    except soak.Failure as failure:
        print(f"streams: {failure}", file=sys.stderr)
        sys.exit(1)
    finally:
        job.close()


if __name__ == "__main__":
    main()
