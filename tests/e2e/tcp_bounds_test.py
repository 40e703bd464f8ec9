#!/usr/bin/env python3
# usage: tests/e2e/tcp_bounds_test.py PROGRAM PRODUCER [Class[.case]]
"""Rows over TCP at the bounds of what there is: a full log, many clients, little memory."""

import os
import resource
import socket

import tcp_jobs
from tcp_jobs import Client, Jobs, memory_of, total

LARGE, PUSHERS = b"x" * 32_000, 64  # a row of each: 2 MB


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
        self.catch_up()  # what was safe in the log when it ended
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


if __name__ == "__main__":
    tcp_jobs.main()
