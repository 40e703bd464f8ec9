#!/usr/bin/env python3
# usage: tests/e2e/tcp_log_test.py PROGRAM PRODUCER [Class[.case]]
"""Rows over TCP and their log: when it is synced, and what a kill -9 leaves."""

import glob
import os
import re
import signal
import struct
import time

import tcp_jobs
from tcp_jobs import DONE, FENCED, Jobs, PATIENCE_S, total


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


if __name__ == "__main__":
    tcp_jobs.main()
