#!/usr/bin/env python3
# usage: tests/e2e/tcp_test.py PROGRAM PRODUCER [Class[.case]]
"""Rows over TCP: what producers are told, what counts, and what a kill -9 leaves."""

import collections
import glob
import json
import os
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = ""
PRODUCER = ""  # docs/examples/producer.c
PATIENCE_S = 30
PIPE_BYTES = 1 << 20  # what a job says while a test waits for something else fits
DONE, FAILED, FENCED = 0, 1, 6
MEMORY_BYTES = 1 << 30
LARGE, PUSHERS = b"x" * 32_000, 64  # a row of each: 2 MB

JOB = """
[job]
name       = "pushed"
partitions = 2
dir        = "data"
[source]
kind    = "tcp"
listen  = "127.0.0.1:{port}"
columns = ["key u64", "amount i64", "mark nullable u32", "note nullable string"]
{source}
[key]
columns = ["key"]
[[aggregate]]
as = "rows"
op = "count"
[[aggregate]]
as = "sum"
op = "sum"
column = "amount"
[[aggregate]]
as = "marks"
op = "count"
column = "mark"
[sink]
kind = "file"
path = "out"
[state]
budget = "192MiB"
[checkpoint]
every = "{every}"
keep  = 2
"""


def in_memory():
    """A folder for folders: what disks do is not what is tested, and they may be slow."""
    there = os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > MEMORY_BYTES
    return "/dev/shm" if there else None


class Client:
    """One connection, a line at a time."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
        self.input = b""

    def send(self, *lines):
        for line in lines:
            if not isinstance(line, (bytes, str)):
                line = json.dumps(line)
            self.socket.sendall(line if isinstance(line, bytes) else line.encode() + b"\n")

    def is_told(self, seconds):
        """Whether there is a line to read, or the end, within so long."""
        ready = select.poll()  # of any descriptor, where select takes 1,024
        ready.register(self.socket, select.POLLIN)
        while b"\n" not in self.input:
            if not ready.poll(seconds * 1000):
                return False
            more = self.socket.recv(65536)
            if not more:
                return True
            self.input += more
        return True

    def read(self):
        if not self.is_told(PATIENCE_S):
            raise TimeoutError(f"nothing within {PATIENCE_S} s")
        line, _, self.input = self.input.partition(b"\n")
        return json.loads(line) if line else None

    def hello(self, producer):
        self.send({"producer": producer})
        return self.read()["next"]

    def rows(self, first, count, key=1):
        self.send(b"".join(b'{"seq":%d,"row":{"key":%d,"amount":%d}}\n' % (seq, key, seq)
                           for seq in range(first, first + count)))

    def until_ack(self, seq):
        while True:
            told = self.read()
            if told is None or "ack" not in told:
                raise AssertionError(f"{told} in place of an acknowledgement of {seq}")
            if told["ack"] >= seq:
                return

    def close(self):
        self.socket.close()


class Jobs(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="cst-tcp-", dir=in_memory())
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.processes = []
        self.clients = []
        self.addCleanup(self.end_all)

    def end_all(self):
        for client in self.clients:
            client.close()
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()

    def job(self, source="", every="20ms", port=0, name="job.toml"):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(JOB.format(source=source, every=every, port=port))

    def start(self, *options, name="job.toml", descriptors=None):
        limit = ["prlimit", f"--nofile={descriptors}:{descriptors}"] if descriptors else []
        process = subprocess.Popen([*limit, PROGRAM, "run", name, "--json", *options],
                                   cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   pipesize=PIPE_BYTES)
        self.processes.append(process)
        return process

    def address(self, process):
        for line in process.stdout:
            told = json.loads(line)
            if told["event"] == "listening":
                return told["address"]
        raise AssertionError(process.stderr.read().decode())

    def serve(self, *options, name="job.toml"):
        process = self.start(*options, name=name)
        return process, self.address(process)

    def client(self, address):
        self.clients.append(Client(address))
        return self.clients[-1]

    def finish(self, process, status=DONE):
        process.send_signal(signal.SIGTERM)
        out, err = process.stdout.read(), process.stderr.read()
        self.assertEqual(process.wait(PATIENCE_S), status, err)
        self.said = err.decode()
        return [json.loads(line) for line in out.splitlines()]

    def catch_up(self):
        process = self.start("--until-caught-up")
        _, err = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, DONE, err)

    def wait_for(self, what):
        end = time.monotonic() + PATIENCE_S
        while not what():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.005)

    def results(self):
        """{key: (rows, sum, marks)} of the sink."""
        last = {}
        for part in sorted(glob.glob(os.path.join(self.folder, "out", "[0-9]*.ndjson"))):
            with open(part, encoding="utf-8") as file:
                for line in file:
                    row = json.loads(line)
                    last[row["key"]] = (row["rows"], row["sum"], row["marks"])
        return last

    def query(self):
        """{key: (rows, sum, marks)} of the newest checkpoint."""
        out = subprocess.run([PROGRAM, "query", "job.toml", "--json"], cwd=self.folder, check=True,
                             stdout=subprocess.PIPE).stdout
        return {row["key"]: (row["rows"], row["sum"], row["marks"])
                for row in map(json.loads, out.splitlines()) if "key" in row}

    def metric(self, lines, name):
        values = [line["metrics"] for line in lines if line["event"] == "metrics"]
        return values[-1].get(name)


def memory_of(process):
    """Bytes that it has in memory."""
    with open(f"/proc/{process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def total(count):
    return count * (count + 1) // 2


class Answers(Jobs):
    def test_rows_are_acknowledged_and_count_once_however_often_they_come(self):
        self.job()
        process, address = self.serve()
        client = self.client(address)
        self.assertEqual(client.hello("a"), 1)
        client.rows(1, 100)
        client.until_ack(100)
        client.rows(51, 100)  # half of them again
        client.until_ack(150)
        again = self.client(address)
        self.assertEqual(again.hello("a"), 151)
        self.assertEqual(again.read(), {"ack": 150})
        lines = self.finish(process)
        self.catch_up()
        self.assertEqual(self.results(), {1: (150, total(150), 0)})
        self.assertEqual(self.metric(lines, "constellation_push_repeated_rows_total"), 50)

    def test_a_newer_connection_of_a_producer_closes_the_older(self):
        self.job()
        process, address = self.serve()
        older, newer = self.client(address), self.client(address)
        older.hello("a")
        older.rows(1, 10)
        older.until_ack(10)
        self.assertEqual(newer.hello("a"), 11)
        told = older.read()
        self.assertEqual((told["error"], told["seq"]), ("CST_PRODUCER_REPLACED", 0))
        self.assertIsNone(older.read())
        newer.rows(11, 1)
        newer.until_ack(11)
        self.finish(process)

    def test_without_an_id_rows_count_as_often_as_they_come(self):
        self.job()
        process, address = self.serve()
        for _ in range(2):
            client = self.client(address)
            client.rows(1, 20)
            client.until_ack(20)
        self.finish(process)
        self.catch_up()
        self.assertEqual(self.results(), {1: (40, 2 * total(20), 0)})

    def test_with_ack_checkpoint_an_answer_comes_behind_the_commit(self):
        self.job('ack = "checkpoint"', every="100_000 rows")
        process, address = self.serve()
        client = self.client(address)
        client.hello("a")
        client.rows(1, 5)
        client.until_ack(5)  # nobody sends more: the checkpoint comes all the same
        self.assertEqual(self.results(), {1: (5, total(5), 0)})
        process.kill()
        process.wait()
        for file in glob.glob(os.path.join(self.folder, "data/wal/*")):
            os.unlink(file)  # the machine is lost, the store is not
        process, address = self.serve()
        client = self.client(address)
        self.assertEqual(client.hello("a"), 6)
        self.assertEqual(client.read(), {"ack": 5})
        client.rows(1, 7)
        client.until_ack(7)
        self.finish(process)
        self.assertEqual(self.results(), {1: (7, total(7), 0)})

    def test_a_client_that_has_sent_all_may_end_its_side_and_is_answered(self):
        self.job()
        process, address = self.serve()
        client = self.client(address)
        client.hello("a")
        client.rows(1, 30)
        client.send(b'{"seq":31,"row":{"key":1,')  # half a line is none
        client.socket.shutdown(socket.SHUT_WR)
        client.until_ack(30)
        self.assertIsNone(client.read())
        self.finish(process)

    def test_an_address_in_use_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.job(port=port)
            process = self.start()
            _, err = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, FAILED)
        self.assertIn(f"listening on 127.0.0.1:{port}: Address already in use", err.decode())


BAD_LINES = [
    (b'{"seq":4', "CST_SOURCE_RECORD", 4, "a comma or the object's end"),
    (b"seq", "CST_SOURCE_RECORD", 0, "no JSON object"),
    (b'{"seq":4,"row":{"key":1,"amount":1}} x', "CST_SOURCE_RECORD", 4, "text behind"),
    (b'{"seq":4,"seq":4,"row":{"key":1,"amount":1}}', "CST_SOURCE_RECORD", 4, "seq stands there twice"),
    (b'{"seq":4,"row":{"key":1,"key":1,"amount":1}}', "CST_SOURCE_RECORD", 4, "key stands there twice"),
    (b'{"seq":4,"row":{"key":"x","amount":1}}', "CST_SOURCE_RECORD", 4, "column key"),
    (b'{"seq":4,"row":{"key":-1,"amount":1}}', "CST_SOURCE_RECORD", 4, "column key"),
    (b'{"seq":4,"row":{"key":18446744073709551616,"amount":1}}', "CST_SOURCE_RECORD", 4, "column key"),
    (b'{"seq":4,"row":{"key":1}}', "CST_SOURCE_RECORD", 4, "column amount is missing"),
    (b'{"seq":4,"row":{"key":1,"amount":1,"note":"\xff"}}', "CST_SOURCE_RECORD", 4, "column note"),
    (b'{"seq":4,"row":[1]}', "CST_SOURCE_RECORD", 4, "row is an object"),
    (b'{"row":{"key":1,"amount":1}}', "CST_SOURCE_RECORD", 0, "seq is missing"),
    (b'{"seq":4}', "CST_SOURCE_RECORD", 4, "row is missing"),
    (b'{"seq":9223372036854775808,"row":{"key":1,"amount":1}}', "CST_SOURCE_RECORD", 0, "whole number"),
    (b'{"seq":4.0,"row":{"key":1,"amount":1}}', "CST_SOURCE_RECORD", 0, "whole number"),
    (b'{"seq":4,"row":{"key":1,"amount":1},"more":1}', "CST_SOURCE_RECORD", 4, "was expected"),
    (b'{"producer":"b"}', "CST_SOURCE_RECORD", 0, "first line"),
    (b'{"seq":6,"row":{"key":1,"amount":1}}', "CST_PRODUCER_GAP", 6, "4 was expected"),
    (b'{"seq":4,"row":{"key":1,"note":"' + b"x" * 2000 + b'"}}', "CST_LIMIT", 0, "1024 bytes"),
]


class BadInput(Jobs):
    def test_bad_lines_are_answered_and_harm_nobody_else(self):
        self.job('line_max = "1KiB"')
        process, address = self.serve()
        good = self.client(address)
        good.hello("good")
        for number, (line, code, seq, why) in enumerate(BAD_LINES):
            with self.subTest(line=line[:60]):
                client = self.client(address)
                self.assertEqual(client.hello(f"bad-{number}"), 1)
                client.rows(1, 3, key=2)
                client.send(line + b"\n")
                told = client.read()
                if told == {"ack": 3}:
                    told = client.read()
                self.assertEqual((told["error"], told["seq"]), (code, seq), told)
                self.assertIn(why, told["message"])
                self.assertIsNone(client.read())
                good.rows(number + 1, 1)
                good.until_ack(number + 1)
        lines = self.finish(process)
        self.catch_up()
        count = len(BAD_LINES)
        self.assertEqual(self.results(), {1: (count, total(count), 0), 2: (3 * count, 6 * count, 0)})
        codes = collections.Counter(code for _, code, _, _ in BAD_LINES)
        for code, times in codes.items():
            name = f'constellation_push_refusals_total{{code="{code}"}}'
            self.assertEqual(self.metric(lines, name), times)

    def test_first_lines_that_are_none_are_refused(self):
        self.job()
        process, address = self.serve()
        for line in (b'{"producer":""}', b'{"producer":"a b"}', b'{"producer":7}',
                     b'{"producer":"' + b"x" * 65 + b'"}', b'{"producer":"a","seq":1}'):
            with self.subTest(line=line[:40]):
                client = self.client(address)
                client.send(line + b"\n")
                self.assertEqual(client.read()["error"], "CST_SOURCE_RECORD")
                self.assertIsNone(client.read())
        client = self.client(address)
        client.hello("new")
        client.rows(7, 1)
        self.assertEqual(client.read()["error"], "CST_PRODUCER_EXPIRED")
        self.finish(process)

    def test_a_refused_row_leaves_nothing_in_the_next_one(self):
        self.job()
        process, address = self.serve()
        bad, good = self.client(address), self.client(address)
        bad.hello("bad")
        good.hello("good")
        bad.send({"seq": 1, "row": {"key": 1, "mark": None, "amount": "x"}})
        self.assertEqual(bad.read()["error"], "CST_SOURCE_RECORD")
        good.send({"seq": 1, "row": {"key": 1, "amount": 1, "mark": 7}})
        good.until_ack(1)
        self.finish(process)
        self.catch_up()
        self.assertEqual(self.results(), {1: (1, 1, 1)})

    def test_too_many_connections_and_resets_are_borne(self):
        self.job("connections_max = 3")
        process, address = self.serve()
        clients = [self.client(address) for _ in range(3)]
        clients[0].hello("a")
        one_more = self.client(address)
        self.assertEqual(one_more.read()["error"], "CST_LIMIT")
        clients[1].send(b'{"seq":1,"row":{')
        clients[1].socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        clients[1].close()  # in the middle of a line, with a reset
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:  # its place is free then
            client = self.client(address)
            client.send({"producer": "b"})
            if "next" in (client.read() or {}):
                break
        clients[0].rows(1, 3)
        clients[0].until_ack(3)
        self.finish(process)

    def test_a_forgotten_producer_is_told_so(self):
        self.job("producers_max = 2")
        process, address = self.serve()
        for name in ("a", "b", "c"):
            client = self.client(address)
            self.assertEqual(client.hello(name), 1)
            client.rows(1, 5)
            client.until_ack(5)
            client.close()
            self.clients.remove(client)
        process.kill()
        process.wait()
        process, address = self.serve()  # the log says who is forgotten
        client = self.client(address)
        self.assertEqual(client.hello("a"), 1)
        client.rows(6, 1)
        self.assertEqual(client.read()["error"], "CST_PRODUCER_EXPIRED")
        held = [self.client(address) for _ in range(2)]
        for client, name in zip(held, ("b", "c")):  # who was refused made nobody be forgotten
            self.assertEqual(client.hello(name), 6)
        client = self.client(address)
        self.assertEqual(client.hello("d"), 1)
        client.rows(1, 1)
        self.assertEqual(client.read()["error"], "CST_LIMIT")
        self.finish(process)


class Full(Jobs):
    def store_breaks(self):
        """Nothing can be written to it: no checkpoint commits, and the job goes on."""
        store = os.path.join(self.folder, "data/checkpoints")
        os.rename(os.path.join(store, ".tmp"), os.path.join(store, ".away"))
        os.symlink(".tmp", os.path.join(store, ".tmp"))

    def store_heals(self):
        store = os.path.join(self.folder, "data/checkpoints")
        os.unlink(os.path.join(store, ".tmp"))
        os.rename(os.path.join(store, ".away"), os.path.join(store, ".tmp"))

    def pusher(self, address, number):
        """A producer and a key of its own; and its next row."""
        client = self.client(address)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        return client, client.hello(f"p{number}")

    def large_rows(self, client, number, first, last):
        client.send(b"".join(b'{"seq":%d,"row":{"key":%d,"amount":%d,"note":"%s"}}\n'
                             % (seq, number, seq, LARGE) for seq in range(first, last + 1)))

    def is_full(self, address):
        client = Client(address)
        client.send({"producer": "probe"})
        told = client.read()
        client.close()
        return told.get("error") == "CST_WAL_FULL"

    def begin(self, source):
        """A job with a checkpoint, whose store breaks then; what fills its log."""
        self.job(source)
        process, address = self.serve()
        client = self.client(address)
        client.hello("first")
        client.rows(1, 1, key=PUSHERS)
        client.until_ack(1)
        self.wait_for(self.results)
        self.store_breaks()
        return process, address, [self.pusher(address, n)[0] for n in range(PUSHERS)]

    def fill(self, clients, address, rows):
        """Each sends until the log takes no more, or it has sent so many; how many it has sent."""
        sent = 0
        while sent < rows:
            for number, client in enumerate(clients):
                self.large_rows(client, number, sent + 1, sent + 4)
            sent += 4
            for client in clients:
                acked = 0
                while acked < sent:
                    if client.is_told(0.1):
                        acked = client.read()["ack"]
                    elif self.is_full(address):
                        return sent
        return sent

    def until_all_are_safe(self, address, number, client, sent):
        while True:
            told = client.read()
            if told == {"ack": sent}:
                return
            if "error" in told:  # it waited for too long
                self.assertEqual(told["error"], "CST_WAL_FULL")
                self.wait_for(lambda: not self.is_full(address))
                client, first = self.pusher(address, number)
                self.large_rows(client, number, first, sent)

    def test_a_full_log_is_said_and_has_room_again_behind_a_checkpoint(self):
        process, address, clients = self.begin('wal_max = "128MiB"')
        sent = self.fill(clients, address, 100)
        self.assertLess(sent, 100)
        self.store_heals()
        for number, client in enumerate(clients):
            self.until_all_are_safe(address, number, client, sent)
        lines = self.finish(process)
        self.assertIn("producers_slowed", self.said)
        self.assertGreater(self.metric(lines, "constellation_push_stalled_seconds_total"), 0)
        self.assertGreater(
            self.metric(lines, 'constellation_push_refusals_total{code="CST_WAL_FULL"}'), 0)
        self.assertLess(self.metric(lines, "constellation_wal_used_bytes"), 64 << 20)
        self.assertEqual(self.results(), {PUSHERS: (1, 1, 0)} | {
            number: (sent, total(sent), 0) for number in range(PUSHERS)})

    def test_a_log_that_is_full_of_what_a_checkpoint_has_takes_rows_again(self):
        process, address, clients = self.begin("")
        self.assertEqual(self.fill(clients, address, 72), 72)
        self.store_heals()
        wanted = {PUSHERS: (1, 1, 0)} | {n: (72, total(72), 0) for n in range(PUSHERS)}
        self.wait_for(lambda: self.results() == wanted)
        process.kill()
        process.wait()
        self.job('wal_max = "128MiB"')
        process, address = self.serve()
        client = self.client(address)
        self.assertEqual(client.hello("first"), 2)
        self.assertEqual(client.read(), {"ack": 1})
        client.rows(2, 1, key=PUSHERS)  # and nobody sends more
        client.until_ack(2)
        self.finish(process)
        self.catch_up()
        self.assertEqual(self.results(), wanted | {PUSHERS: (2, 3, 0)})


class Bounds(Jobs):
    def test_thousands_of_connections_are_answered_and_one_more_is_told_so(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        count = min(2000, hard - 300)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 300), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        self.job(f"connections_max = {count}")
        process, address = self.serve()
        before = memory_of(process)
        clients = []
        for number in range(count):
            clients.append(self.client(address))
            clients[-1].send({"producer": f"p{number}"})
        one_more = self.client(address)
        self.assertEqual(one_more.read()["error"], "CST_LIMIT")
        for client in clients:
            client.rows(1, 2)
        for client in clients:
            self.assertEqual(client.read(), {"next": 1})
            client.until_ack(2)
        for client in clients:
            client.send(b'{"seq":3,"row":{"key":1,')  # half a line of each is held
        self.assertLess(memory_of(process) - before, count * 8192 + (64 << 20))
        for client in clients:
            client.send(b'"amount":3}}\n')
        for client in clients:
            client.until_ack(3)
        lines = self.finish(process)
        self.assertEqual(
            self.metric(lines, 'constellation_push_refusals_total{code="CST_LIMIT"}'), 1)
        self.catch_up()
        self.assertEqual(self.results(), {1: (3 * count, 6 * count, 0)})

    def test_connections_leave_the_job_the_descriptors_that_it_needs(self):
        self.job()
        process = self.start(descriptors=128)
        address = self.address(process)
        told = []
        for number in range(140):
            client = self.client(address)
            client.send({"producer": f"p{number}"})
            told.append(client.read())
        refused = [line for line in told if "error" in line]
        self.assertEqual(told[:32], [{"next": 1}] * 32)
        self.assertEqual({line["error"] for line in refused}, {"CST_LIMIT"})
        self.clients[0].rows(1, 7)
        self.clients[0].until_ack(7)
        self.wait_for(lambda: self.results() == {1: (7, total(7), 0)})  # it opens files
        lines = self.finish(process)
        self.assertIn("connections_fewer", self.said)
        self.assertEqual(self.metric(lines, "constellation_store_errors_total"), 0)
        self.assertEqual(
            self.metric(lines, 'constellation_push_refusals_total{code="CST_LIMIT"}'), len(refused))

    def test_halves_of_lines_take_no_more_memory_than_all_may(self):
        self.job('line_max = "4MiB"')
        process, address = self.serve()
        good = self.client(address)
        good.hello("good")
        before = memory_of(process)
        refused = 0
        half = b'{"seq":1,"row":{"key":2,"amount":1,"note":"' + b"x" * 4_190_000
        for number in range(40):  # each is held in 8 MiB: 32 of them fit
            client = self.client(address)
            client.hello(f"bad-{number}")
            client.send(half)
        self.wait_for(lambda: any(client.is_told(0) for client in self.clients[1:]))
        for client in self.clients[1:]:
            if client.is_told(0):
                self.assertEqual(client.read()["error"], "CST_LIMIT")
                refused += 1
        self.assertLess(memory_of(process) - before, 300 << 20)
        good.rows(1, 1)
        good.until_ack(1)
        lines = self.finish(process)
        self.assertGreaterEqual(
            self.metric(lines, 'constellation_push_refusals_total{code="CST_LIMIT"}'), refused)
        self.catch_up()
        self.assertEqual(self.results(), {1: (1, 1, 0)})


def frames_of(path):
    """(offset, position, whether it is a mark, payload) of a log's file."""
    with open(path, "rb") as file:
        data = file.read()
    at = 256
    while at + 24 <= len(data):
        crc, size, position, _, form, _, _ = struct.unpack_from("<IIQHBBI", data, at)
        if crc == 0:
            return
        yield at, position, form == 2, data[at + 24:at + 24 + size]
        at += 24 + (size + 7) // 8 * 8


class Sync(Jobs):
    def log(self):
        path, = glob.glob(os.path.join(self.folder, "data/wal/*.wal"))
        return path

    def durable(self):
        """Below which position the newest mark says that every record is synced."""
        return max((struct.unpack("<Q", payload)[0]
                    for _, _, is_mark, payload in frames_of(self.log()) if is_mark), default=0)

    def test_what_is_written_is_synced_in_time_though_nothing_more_comes(self):
        self.job('sync = "10ms"')
        process, address = self.serve("--log-level", "info")
        client = self.client(address)
        client.hello("a")
        client.rows(1, 7)
        client.until_ack(7)
        self.wait_for(lambda: self.durable() > 0)
        self.wait_for(lambda: self.results() == {1: (7, total(7), 0)})
        self.finish(process)
        self.assertIn("wal_loss_window", self.said)

    def test_a_machine_that_dies_takes_what_was_not_synced_and_no_checkpoint_has_it(self):
        self.job('sync = "1s"')
        process, address = self.serve()
        client = self.client(address)
        client.hello("a")
        client.rows(1, 5)
        client.until_ack(5)
        self.wait_for(self.results)
        self.wait_for(lambda: self.durable() > 0)
        durable = self.durable()
        began = time.monotonic()
        client.rows(6, 5)
        client.until_ack(10)  # it is written
        in_checkpoint = self.query()
        process.kill()
        process.wait()
        lost = time.monotonic() - began < 0.9  # else it was synced meanwhile
        if lost:
            self.assertEqual(in_checkpoint, {1: (5, total(5), 0)})
            os.truncate(self.log(), next(at for at, position, is_mark, _ in frames_of(self.log())
                                         if not is_mark and position >= durable))
        process, address = self.serve()
        client = self.client(address)
        first = client.hello("a")
        self.assertEqual(first, 6 if lost else 11)
        client.rows(first, 21 - first)
        client.until_ack(20)
        self.finish(process)
        self.catch_up()
        self.assertEqual(self.results(), {1: (20, total(20), 0)})


class Time(Jobs):
    def windows(self):
        """{(key, start in seconds): (rows, sum)} of windows that went out, each of them once."""
        return self.parts("out")

    def parts(self, folder):
        found = {}
        for part in sorted(glob.glob(os.path.join(self.folder, folder, "[0-9]*.ndjson"))):
            with open(part, encoding="utf-8") as file:
                for line in file:
                    row = json.loads(line)
                    at = row["key"], row["window_start"]
                    self.assertNotIn(at, found)
                    found[at] = row["rows"], row["sum"]
        return found

    def test_an_idle_producer_holds_no_window_open_and_none_opens_again_behind_a_kill(self):
        self.job('event_time = "at"\nidle = "100ms"\nsplits = 2')
        path = os.path.join(self.folder, "job.toml")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        text = text.replace('"note nullable string"]', '"note nullable string", "at timestamp"]')
        text = text.replace("[sink]", '[window]\ntumbling = "10s"\nlate = "side"\n'
                            'side = "aside"\n[sink]')
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

        def says(client, seq, key, second):
            client.send({"seq": seq, "row": {"key": key, "amount": seq, "at": second * 1_000_000}})
            client.until_ack(seq)

        def window(key, second):
            return key, f"1970-01-01T00:00:{second:02}.000000Z"

        process, address = self.serve()
        one, two = self.client(address), self.client(address)
        one.hello("shop-1")  # of the first split
        two.hello("shop-3")  # of the second
        says(two, 1, 2, 5)
        says(one, 1, 1, 5)
        says(one, 2, 1, 30)  # and nothing more of the second
        self.wait_for(lambda: len(self.windows()) == 2)
        process.kill()
        process.wait()
        process, address = self.serve()
        two = self.client(address)
        self.assertEqual(two.hello("shop-3"), 2)
        says(two, 2, 2, 6)  # its window is closed
        says(two, 3, 2, 35)
        says(two, 4, 2, 59)  # the first split has no rows in this run
        self.wait_for(lambda: len(self.windows()) == 4)
        self.finish(process)
        self.assertEqual(self.windows(), {window(1, 0): (1, 1), window(2, 0): (1, 1),
                                          window(1, 30): (1, 2), window(2, 30): (1, 3)})
        self.assertEqual(self.parts("aside"), {window(2, 0): (1, 2)})


class Kills(Jobs):
    def test_producers_that_send_again_after_kills_count_once(self):
        self.job()
        wanted, acked = 3000, 0
        for turn in range(4):
            process, address = self.serve()
            client = self.client(address)
            first = client.hello("a")
            self.assertGreater(first, acked)
            count = min(900, wanted - first + 1)
            client.rows(first, count)
            if client.is_told(0.02 * turn):
                acked = max(acked, client.read().get("ack", 0))
            process.kill()
            process.wait()
        process, address = self.serve()
        client = self.client(address)
        first = client.hello("a")
        self.assertGreater(first, acked)
        client.rows(first, wanted - first + 1)
        client.until_ack(wanted)
        process.kill()
        process.wait()
        self.catch_up()
        self.assertEqual(self.results(), {1: (wanted, total(wanted), 0)})

    def test_rows_go_on_into_another_number_of_partitions(self):
        self.job()
        wanted = {}
        for partitions in (2, 3, 1):
            path = os.path.join(self.folder, "job.toml")
            with open(path, encoding="utf-8") as file:
                text = re.sub("partitions = [0-9]", f"partitions = {partitions}", file.read())
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            process, address = self.serve()
            for key in range(1, 9):
                client = self.client(address)
                first = client.hello(f"p{key}")
                self.assertEqual(first, wanted.get(key, 0) + 1)
                client.rows(first, 50, key)
                client.until_ack(first + 49)
                wanted[key] = first + 49
            self.wait_for(lambda: set(self.results()) == set(wanted))
            process.kill()
            process.wait()
        self.catch_up()
        self.assertEqual(self.results(), {key: (count, total(count), 0)
                                          for key, count in wanted.items()})

    def test_a_log_that_is_gone_is_an_error_where_rows_were_acknowledged_by_it(self):
        self.job()
        process, address = self.serve()
        client = self.client(address)
        client.hello("a")
        client.rows(1, 10)
        client.until_ack(10)
        self.wait_for(self.results)
        self.finish(process)
        for file in glob.glob(os.path.join(self.folder, "data/wal/*")):
            os.unlink(file)
        process = self.start()
        _, err = process.communicate(timeout=PATIENCE_S)
        self.assertNotEqual(process.returncode, DONE)
        self.assertIn("CST_WAL_GAP", err.decode())

    def test_a_stopped_owner_that_wakes_up_acknowledges_nothing(self):
        self.job()
        first, address = self.serve()
        client = self.client(address)
        client.hello("a")
        client.rows(1, 10)
        client.until_ack(10)
        first.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, first.pid, os.WSTOPPED | os.WNOWAIT)  # else it may take them yet
        client.rows(11, 10)
        second, other = self.serve("--takeover")
        mine = self.client(other)
        self.assertEqual(mine.hello("a"), 11)
        self.assertEqual(mine.read(), {"ack": 10})
        first.send_signal(signal.SIGCONT)
        told = client.read()
        self.assertEqual(told["error"], "CST_FENCED")
        self.assertEqual(first.wait(PATIENCE_S), FENCED)
        mine.rows(11, 10)
        mine.until_ack(20)
        self.finish(second)
        self.catch_up()
        self.assertEqual(self.results(), {1: (20, total(20), 0)})


class Example(Jobs):
    def example(self, port):
        with open(os.path.join(ROOT, "examples/tcp.toml"), encoding="utf-8") as file:
            text = file.read().replace("127.0.0.1:7000", f"127.0.0.1:{port}")
        with open(os.path.join(self.folder, "tcp.toml"), "w", encoding="utf-8") as file:
            file.write(text)

    def test_the_producer_in_c_outlives_kills_of_the_job_and_its_own(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.example(port)
        rows, process, killed = 60_000, None, 0
        process, address = self.serve(name="tcp.toml")
        producer = subprocess.Popen([PRODUCER, address, "shop-1", str(rows)],
                                    stdout=subprocess.PIPE, text=True)
        while producer.poll() is None and killed < 3:
            time.sleep(0.05)
            process.kill()
            process.wait()
            killed += 1
            if killed == 2:  # a new one goes on where the job is
                producer.kill()
                producer.communicate()
            process, address = self.serve(name="tcp.toml")
            if killed == 2:
                producer = subprocess.Popen([PRODUCER, address, "shop-1", str(rows)],
                                            stdout=subprocess.PIPE, text=True)
        out, _ = producer.communicate(timeout=PATIENCE_S)
        self.assertEqual((producer.returncode, out), (0, f"{rows} rows are acknowledged\n"))
        again = subprocess.run([PRODUCER, address, "shop-1", "7"], stdout=subprocess.PIPE,
                               text=True, check=True, timeout=PATIENCE_S)
        self.assertEqual(again.stdout, f"{rows} rows are acknowledged\n")
        process.kill()
        process.wait()
        process = self.start("--until-caught-up", name="tcp.toml")
        process.communicate(timeout=PATIENCE_S)
        out = subprocess.run([PROGRAM, "query", "tcp.toml"], cwd=self.folder, check=True,
                             stdout=subprocess.PIPE).stdout
        got = {row["auction"]: (row["bids"], row["highest"])
               for row in map(json.loads, out.splitlines())}
        self.assertEqual(got, {key: (rows // 100, rows - 100 + key if key else rows)
                               for key in range(100)})

    def test_the_example_job_and_its_producer(self):
        self.example(0)
        rows = subprocess.run([PROGRAM, "generate", "bids", "--rows", "5000", "--format", "ndjson"],
                              check=True, stdout=subprocess.PIPE).stdout
        for _ in range(2):
            process, address = self.serve(name="tcp.toml")
            for _ in range(2):
                subprocess.run([sys.executable, os.path.join(ROOT, "examples/producer.py"), address,
                                "shop-1"], input=rows, check=True, timeout=PATIENCE_S)
            process.kill()
            process.wait()
        process = self.start("--until-caught-up", name="tcp.toml")
        process.communicate(timeout=PATIENCE_S)
        wanted = {}
        for row in map(json.loads, rows.splitlines()):
            bids, highest = wanted.get(row["auction"], (0, 0))
            wanted[row["auction"]] = (bids + 1, max(highest, row["price"]))
        out = subprocess.run([PROGRAM, "query", "tcp.toml"], cwd=self.folder, check=True,
                             stdout=subprocess.PIPE).stdout
        got = {row["auction"]: (row["bids"], row["highest"])
               for row in map(json.loads, out.splitlines())}
        self.assertEqual(got, wanted)


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv[1])
    PRODUCER = os.path.abspath(sys.argv[2])
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
