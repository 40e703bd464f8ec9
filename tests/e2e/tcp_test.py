#!/usr/bin/env python3
# usage: tests/e2e/tcp_test.py PROGRAM PRODUCER [Class[.case]]
"""Rows over TCP: what producers are told, what counts, and the producers of the examples."""

import collections
import glob
import json
import os
import socket
import subprocess
import sys
import time

import tcp_jobs
from tcp_jobs import FAILED, Jobs, PATIENCE_S, ROOT, total


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
        producer = subprocess.Popen([tcp_jobs.PRODUCER, address, "shop-1", str(rows)],
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
                producer = subprocess.Popen([tcp_jobs.PRODUCER, address, "shop-1", str(rows)],
                                            stdout=subprocess.PIPE, text=True)
        out, _ = producer.communicate(timeout=PATIENCE_S)
        self.assertEqual((producer.returncode, out), (0, f"{rows} rows are acknowledged\n"))
        again = subprocess.run([tcp_jobs.PRODUCER, address, "shop-1", "7"], stdout=subprocess.PIPE,
                               text=True, check=True, timeout=PATIENCE_S)
        self.assertEqual(again.stdout, f"{rows} rows are acknowledged\n")
        process.kill()
        process.wait()
        process = self.start("--until-caught-up", name="tcp.toml")
        process.communicate(timeout=PATIENCE_S)
        out = subprocess.run([tcp_jobs.PROGRAM, "query", "tcp.toml"], cwd=self.folder, check=True,
                             stdout=subprocess.PIPE).stdout
        got = {row["auction"]: (row["bids"], row["highest"])
               for row in map(json.loads, out.splitlines())}
        self.assertEqual(got, {key: (rows // 100, rows - 100 + key if key else rows)
                               for key in range(100)})

    def test_the_example_job_and_its_producer(self):
        self.example(0)
        rows = subprocess.run([tcp_jobs.PROGRAM, "generate", "bids", "--rows", "5000", "--format", "ndjson"],
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
        out = subprocess.run([tcp_jobs.PROGRAM, "query", "tcp.toml"], cwd=self.folder, check=True,
                             stdout=subprocess.PIPE).stdout
        got = {row["auction"]: (row["bids"], row["highest"])
               for row in map(json.loads, out.splitlines())}
        self.assertEqual(got, wanted)


if __name__ == "__main__":
    tcp_jobs.main()
