#!/usr/bin/env python3
# usage: tests/s3/faults_test.py PROGRAM [Class[.case]]
"""A job on tests/s3/hostile, which answers wrong on cue: it gets over that or says what is wrong, and in
the end nothing is lost, nothing half there."""

import json
import os
import sys
import time
import unittest
import urllib.request

import bids
import servers

REFUSALS = 3
DAMAGED = 4
SOME_PARTS = 1_000_000  # keys, whose first checkpoint goes in parts


class Hostile(servers.Server):
    def __init__(self, test, *options):
        super().__init__(test)
        self.talker = servers.Talker(test, "hostile", *options)
        self.port = self.talker.port

    def say(self, method, path, body=None):
        request = urllib.request.Request(f"{self.endpoint}/-/{path}", method=method,
                                         data=body.encode() if body else None)
        with urllib.request.urlopen(request, timeout=servers.PATIENCE_S) as answer:
            return answer.read()

    def cue(self, **fields):
        self.say("POST", "cue", json.dumps(fields))

    def requests(self):
        return json.loads(self.say("GET", "requests"))


class Faults(bids.Job):
    rows = 100_000

    def begin_hostile(self, *options):
        self.hostile = Hostile(self, *options)
        self.begin(self.hostile)

    def test_wrong_answers_in_the_middle_are_got_over(self):
        self.begin_hostile()
        for cue in ({"answer": "html", "path": "/delta-"},              # 200, and nothing was written
                    {"answer": "html", "path": "/manifest-", "done": True},
                    {"answer": "storm", "path": "/manifest-", "skip": 1, "times": 3},
                    {"answer": "storm", "path": "/meta/", "skip": 2, "done": True},
                    {"answer": "bomb", "path": "/delta-", "skip": 2},
                    {"answer": "deep", "path": "/meta/", "skip": 3},
                    {"answer": "slowdown", "path": "/delta-", "skip": 3, "times": 3},
                    {"answer": "garbage", "path": "/manifest-", "skip": 2},
                    {"answer": "conflict", "path": "/meta/", "skip": 4},
                    {"answer": "skewed", "path": "/delta-", "skip": 4}):
            self.hostile.cue(method="PUT", **cue)
        for cue in ({"answer": "html", "query": "list-type", "skip": 30},
                    {"cut": 5, "path": "/meta/", "skip": 5}, {"reset": 5, "path": "/meta/", "skip": 9},
                    {"length": 3, "path": "/meta/", "skip": 12}):
            self.hostile.cue(method="GET", **cue)
        self.finish()
        used = {request["cue"] for request in self.hostile.requests()} - {None}
        self.assertGreater(len(used), 10, used)

    def test_bytes_that_change_on_their_way_are_damage_and_named(self):
        self.begin_hostile()
        self.ends(self.run_job())
        for name in ("/manifest-", "/delta-", "meta/"):
            with self.subTest(name):
                self.hostile.cue(method="GET", path=name, times=0, flip=40)
                said = self.call("checkpoints", "verify", self.store, status=DAMAGED)
                self.assertIn(name, said)
                self.hostile.say("DELETE", "cue")
        self.call("checkpoints", "verify", self.store)

    def refuses_for_a_while(self, answer, code):
        """All writes of checkpoints, behind the first one."""
        self.begin_hostile()
        self.write(rows=40 * self.rows)
        process = self.run_job()
        self.until_a_checkpoint(process)
        self.until_a_checkpoint(process)  # the one before is committed now
        self.hostile.cue(method="PUT", path="/(checkpoints|meta)/", times=0, answer=answer)
        deadline = time.monotonic() + servers.PATIENCE_S
        while sum(request["cue"] is not None for request in self.hostile.requests()) < REFUSALS:
            self.assertLess(time.monotonic(), deadline)
            self.assertIsNone(process.poll())
            time.sleep(0.05)
        self.hostile.say("DELETE", "cue")
        err = process.communicate(timeout=servers.PATIENCE_S)[1]
        self.assertEqual(process.returncode, bids.DONE, err)
        self.assertIn(code, err)
        self.check(40 * self.rows)

    def test_a_bucket_that_is_deleted_under_a_job_is_named(self):
        self.refuses_for_a_while("no_bucket", "NoSuchBucket")

    def test_a_disk_of_the_server_that_is_full_is_named(self):
        self.refuses_for_a_while("full", "CST_IO")

    def test_a_clock_that_is_off_by_an_hour_is_the_servers_matter(self):
        self.begin_hostile()
        self.hostile.say("POST", "clock", "3600")
        self.finish()

    def test_keys_that_end_in_the_middle_of_an_upload_are_fetched_anew(self):
        self.begin_hostile()
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            del self.environment[name]
        self.environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = self.server.endpoint + "/container"
        self.write_uniform(f"keys = {SOME_PARTS}, rows = {2 * SOME_PARTS}", 1,
                           'checkpoint = {every = "1h"}')
        self.hostile.cue(method="PUT", query="partNumber", skip=1, answer="expired")
        self.ends(self.run_job())
        tokens = [request["headers"].get("x-amz-security-token") for request in self.hostile.requests()
                  if "partNumber" in request["query"]]
        self.assertEqual(len(set(tokens)), 2, tokens)
        self.assertIn("good", self.call("checkpoints", "verify", self.store))

    def test_a_redirect_in_a_loop_is_given_up(self):
        self.begin_hostile()
        self.hostile.cue(method="GET", times=0, answer="redirect_loop")
        said = self.call("checkpoints", "list", self.store, status=bids.REFUSED)
        self.assertIn("CST_OBJECT_DENIED", said)
        self.assertLess(len(self.hostile.requests()), 8)

    def test_a_host_that_has_no_address_is_unavailable(self):
        self.begin_hostile()
        said = self.call("checkpoints", "list", self.uri("http://no-such-host.invalid:80"),
                         status=bids.FAILED)
        self.assertIn("CST_OBJECT_UNAVAILABLE", said)
        self.assertIn("Could not resolve host: no-such-host.invalid", said)
        self.assertEqual(said.count("s3://"), 1, said)  # told once where


if __name__ == "__main__":
    bids.PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
