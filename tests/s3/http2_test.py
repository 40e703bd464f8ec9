#!/usr/bin/env python3
# usage: tests/s3/http2_test.py PROGRAM [Class[.case]]
"""A job whose store speaks HTTP/2: on nginx in front of a Ceph gateway, and on a server of ours in front
of it that refuses, resets and loses streams."""

import collections
import os
import sys
import types
import unittest

import bids
import certificates
import servers

STREAMS = 4
REQUESTS = 100  # of a connection, then it is left
LARGE = 300_000  # keys, whose checkpoint goes in parts of 8 MiB


class Http2(bids.Job):
    rows = 300_000

    @classmethod
    def setUpClass(cls):
        of_class = types.SimpleNamespace(addCleanup=cls.addClassCleanup)
        cls.gateway, pems = servers.Rgw(of_class), servers.folder(of_class)
        certificates.authority(pems, "ours")
        certificates.signed(pems, "front", "ours")
        cls.pem, cls.ca = certificates.both(pems, "front"), os.path.join(pems, "ours.pem")

    def setUp(self):
        self.begin(self.gateway)
        for key in self.keys():
            self.client.delete_object(Bucket="state", Key=key)

    def secure(self, front, more="&http=2"):
        return self.uri(f"https://127.0.0.1:{front.port}", f"&ca={self.ca}{more}")

    def test_a_job_behind_nginx_is_killed_and_goes_on(self):
        front = servers.Nginx(self, self.server.port, self.pem, REQUESTS)
        self.store = self.secure(front)
        process = self.run_job()
        self.until_a_checkpoint(process)
        process.kill()
        process.communicate()
        self.finish()
        requests = front.requests()
        self.assertEqual({request[0] for request in requests}, {"HTTP/2.0"})
        connections = collections.Counter(request[1] for request in requests)
        self.assertEqual(max(connections.values()), REQUESTS)  # of one that was left, as nginx said
        self.assertGreater(len(requests), 10 * len(connections))
        self.call("checkpoints", "list", self.secure(front, ""))  # without being asked for it
        self.assertEqual({request[0] for request in front.requests()[len(requests):]}, {"HTTP/1.1"})

    def test_streams_that_break_cost_no_row(self):
        front = servers.Front(self, self.server.port, self.pem, STREAMS, "%131 goaway", "%113 leave",
                              "%101 cut", "%61 reset", "%53 lose", "%29 refuse")
        self.ends(self.run_job(store=self.secure(front)))
        self.check()
        requests = front.requests()
        self.assertEqual(max(request["under_way"] for request in requests), STREAMS)
        self.assertLessEqual({"goaway", "leave", "cut", "reset", "lose", "refuse"},
                             {request["action"] for request in requests})
        self.assertTrue([request for request in requests if request["action"] == "lose" and
                         request["asked"].startswith("PUT ")])

    def test_a_stream_that_stands_still_holds_no_other_up(self):
        """Of a part of 8 MiB the server takes a first one, and no more for a while."""
        front = servers.Front(self, self.server.port, self.pem, STREAMS, "partNumber=2 stall")
        self.write_uniform(f"keys = {LARGE}, rows = {2 * LARGE}", 1, 'checkpoint = {every = "1h"}')
        self.ends(self.run_job(store=self.secure(front)))
        requests = front.requests()
        stalled = [request for request in requests if request["action"] == "stalled"]
        self.assertTrue(stalled)
        for still in stalled:
            self.assertTrue([one for one in requests if one["connection"] == still["connection"] and
                             still["from"] < one["to"] < still["to"]])
        self.assertIn("good", self.call("checkpoints", "verify", self.uri()))


if __name__ == "__main__":
    bids.PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
