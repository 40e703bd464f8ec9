#!/usr/bin/env python3
# usage: tests/crash/producers_test.py PROGRAM [--seed S] [Class[.case]]
# Producers push rows over TCP, and send again what was not acknowledged, while the program is killed
# at every step of its write-ahead log and of an acknowledgement: a job with its state in memory, one
# with it in LMDB, and a windowed one, in turn by the seed. PROGRAM has fault points (the debug preset).
# At the end sink and state must equal what expected.py computes from what producers had.
"""Rows that producers push, and kills: no acknowledged row is lost, and none counts twice."""

import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(1, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import certificates
import jobs
import windows_test

PROGRAM = ""
SEED = 1
PATIENCE_SECONDS = 60
PRODUCERS = ("shop-1", "shop-2", "shop-3", "shop-5")  # two of each split: none is idle
NAMED_SECONDS_MAX = 3.0  # a step comes within, or the process is killed where it is
WINDOW = 200             # rows that a producer has under way
FENCED = 6
MEMORY_BYTES = 1 << 30
KINDS = ("hash", "lmdb", "windows")
TLS = 'tls_cert = "server.pem"\ntls_key = "server.key"\ntls_clients = "authority.pem"'


class Lost(Exception):
    """An acknowledged row that the job does not have."""


class Producer(threading.Thread):
    """Sends its rows to whoever listens, over as many connections as it takes."""

    def __init__(self, job, number, address, trust):
        super().__init__(daemon=True)
        self.name = PRODUCERS[number]
        self.address = address  # asked for before each connection; None: nobody listens
        self.trust = trust      # of TLS; None: rows go in plain
        self.rows = []
        self.path = job.path("rows", f"part-{number}.ndjson")
        self.acked = 0
        self.ends = threading.Event()
        self.lock = threading.Lock()
        self.failure = None

    def add(self, lines):
        with self.lock:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write("".join(line + "\n" for line in lines))
            self.rows += lines

    def is_done(self):
        with self.lock:
            return self.acked == len(self.rows)

    def run(self):
        while not self.ends.is_set() and not self.failure:
            address = self.address()
            if not address:
                time.sleep(0.005)
                continue
            try:
                self.send_to(address)
            except (OSError, ValueError):
                time.sleep(0.005)  # it died, or closed the connection: again
            except Lost as failure:
                self.failure = failure

    def told(self, line):
        """What a line says; an error ends the connection."""
        if not line:
            raise ConnectionError("closed")
        told = json.loads(line)
        if "error" in told:
            if told["error"] not in ("CST_FENCED", "CST_PRODUCER_REPLACED"):
                raise Lost(f"{self.name}: {told}")
            raise ConnectionError(told["error"])
        return told

    def send_to(self, address):
        host, port = address.rsplit(":", 1)
        connection = socket.create_connection((host, int(port)), timeout=2)
        if self.trust:
            connection = self.trust.wrap_socket(connection, server_hostname=host)
        with connection:
            lines = connection.makefile("rwb")
            lines.write(json.dumps({"producer": self.name}).encode() + b"\n")
            lines.flush()
            number = self.told(lines.readline())["next"]
            if number <= self.acked:
                raise Lost(f"{self.name}: {self.acked} is acknowledged, {number} is expected next")
            while not self.ends.is_set() and self.address() == address:
                with self.lock:
                    rows = self.rows[number - 1:self.acked + WINDOW]
                for row in rows:
                    lines.write(b'{"seq":%d,"row":%s}\n' % (number, row.encode()))
                    number += 1
                lines.flush()
                if self.acked < number - 1:
                    self.acked = max(self.acked, self.told(lines.readline())["ack"])
                elif not rows:
                    select.select([connection], [], [], 0.01)


class Pushes(unittest.TestCase):
    def setUp(self):
        self.draw = random.Random(f"{SEED}:{self.id()}")
        self.current = None
        self.processes = []
        self.producers = []

    def tearDown(self):
        for producer in self.producers:
            producer.ends.set()
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        for producer in self.producers:
            producer.join()
        self.job.remove()

    def open(self, ack, turn, tls=False):
        kind = KINDS[(SEED + turn) % len(KINDS)]
        settings = {"ack": ack, "keys": 50, "keep": 1, "every": "20ms", "batch_rows": 64,
                    "unaligned": "0s" if ack == "wal" else None, "tls": TLS if tls else ""}
        if kind == "windows":
            second = windows_test.SECOND
            settings |= {"window": 'tumbling = "1s"', "size": second, "hop": second,
                         "step": second // 50, "at_end": "keep", "budget": "256MiB"}
            self.job = windows_test.WindowsJob(PROGRAM, f"{SEED}:{self.id()}", settings)
        else:
            settings["state"] = "lmdb:state" if kind == "lmdb" else "hash:"
            self.job = jobs.Job(PROGRAM, f"{SEED}:{self.id()}", settings)
        os.unlink(self.job.path("rows", "part-0.ndjson"))
        trust = None
        if tls:
            certificates.authority(self.job.folder, "authority")
            certificates.signed(self.job.folder, "server", "authority")
            certificates.signed(self.job.folder, "client", "authority")
            trust = certificates.trust(self.job.folder, "authority", "client")
        self.producers = [Producer(self.job, number, lambda: self.current, trust)
                          for number in range(len(PRODUCERS))]
        self.feed(100)
        for producer in self.producers:
            producer.start()

    def feed(self, count):
        for producer in self.producers:
            producer.add([self.job.row().strip() for _ in range(count)])

    def start(self, *options, fault=None):
        """A run, and where it listens, once it does; None: it ended before."""
        before = os.path.getsize(self.job.path("log")) if os.path.exists(self.job.path("log")) else 0
        process = self.job.start(*options, fault=fault)
        self.processes.append(process)
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            with open(self.job.path("log"), encoding="utf-8") as log:
                log.seek(before)
                for line in log:
                    if line.startswith('{"event":"listening"') and line.endswith("\n"):
                        return process, json.loads(line)["address"]
            if process.poll() is not None:
                return process, None
            time.sleep(0.002)
        self.fail(f"a run did not listen: {self.log()}")

    def log(self):
        with open(self.job.path("log"), encoding="utf-8") as file:
            return file.read()[-3000:]

    def wait_for(self, what, condition, seconds=PATIENCE_SECONDS):
        end = time.monotonic() + seconds
        while not condition():
            for producer in self.producers:
                if producer.failure:
                    self.fail(f"{producer.failure}: {self.log()}")
            if time.monotonic() >= end:
                self.fail(f"{what} did not come: {self.log()}")
            time.sleep(0.002)

    def killed_at(self, point, passes):
        process, self.current = self.start(fault=f"{point}:{passes}:kill")
        end = time.monotonic() + NAMED_SECONDS_MAX
        while process.poll() is None and time.monotonic() < end:
            self.feed(5)
            time.sleep(0.01)
        reached = process.poll() is not None
        self.current = None
        if not reached:
            process.kill()
        self.assertEqual(process.wait(), -signal.SIGKILL, self.log())
        return reached

    def finish(self):
        process, self.current = self.start()
        self.wait_for("every acknowledgement", lambda: all(p.is_done() for p in self.producers))
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(PATIENCE_SECONDS), 0, self.log())
        self.current = None
        self.job.configure(at_end="close")  # of windows: no row is left out
        self.job.finish()
        self.job.check()

    def kills(self, ack, turn, points, tls=False):
        self.open(ack, turn, tls)
        missed = [point for point in points
                  if not self.killed_at(point, self.draw.randint(1, 3) if point not in ONCE else 1)]
        self.finish()
        self.assertEqual(missed, [])


ONCE = ("wal_recovered", "wal_file_written", "wal_file_named", "wal_deleting")


class Kills(Pushes):
    def test_at_every_step_of_the_log(self):
        self.kills("wal", 0, ["wal_recovered", "wal_file_written", "wal_file_named", "wal_group",
                              "wal_group_middle", "wal_written", "wal_synced", "wal_deleting"])

    def test_at_every_step_of_an_acknowledgement(self):
        self.kills("wal", 1, ["push_logged", "push_safe", "push_checked", "push_answered",
                              "commit_after_manifest", "commit_after_command"])

    def test_at_steps_of_a_checkpoint_that_acknowledges(self):
        self.kills("checkpoint", 2, ["push_logged", "wal_written", "commit_before_manifest",
                                     "commit_after_command", "push_answered"])

    def test_at_steps_of_rows_over_tls(self):
        self.kills("wal", 0, ["push_logged", "wal_synced", "push_answered"], tls=True)


class Owners(Pushes):
    def stopped_at(self, point, turn):
        self.open("wal", turn)
        first, self.current = self.start(fault=f"{point}:{self.draw.randint(2, 6)}:stop")
        old = self.current

        def stopped():
            self.feed(2)
            return os.waitid(os.P_PID, first.pid, os.WSTOPPED | os.WNOWAIT | os.WNOHANG) is not None
        self.wait_for("the stop", stopped)
        second, self.current = self.start("--takeover")
        self.assertNotEqual(self.current, old)
        self.feed(50)
        self.wait_for("acknowledgements of the second",
                      lambda: all(p.is_done() for p in self.producers))
        first.send_signal(signal.SIGCONT)
        self.assertEqual(first.wait(PATIENCE_SECONDS), FENCED, self.log())
        self.feed(50)
        self.wait_for("more of them", lambda: all(p.is_done() for p in self.producers))
        second.kill()
        second.wait()
        self.current = None
        self.finish()

    def test_a_stop_between_sync_and_the_question_whose_job_it_is(self):
        self.stopped_at("push_safe", 0)

    def test_a_stop_between_that_question_and_the_answer(self):
        self.stopped_at("push_checked", 1)

    def test_a_stop_between_write_and_sync(self):
        self.stopped_at("wal_written", 2)


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv[1])
    arguments = sys.argv[2:]
    if arguments[:1] == ["--seed"]:
        SEED = int(arguments[1])
        del arguments[:2]
    # In memory: kills are of processes, and a disk may be slow.
    if os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > MEMORY_BYTES:
        tempfile.tempdir = "/dev/shm"
    print(f"producers: seed {SEED}", flush=True)
    unittest.main(argv=[sys.argv[0], *arguments])
