#!/usr/bin/env python3
# usage: tests/s3/job_test.py PROGRAM [Class[.case]]
"""A job of examples/ with its checkpoints on real S3 servers, while it, they and what lies between them
fail."""

import json
import os
import signal
import sys
import unittest

import bids
import certificates
import restore
import servers


class Kills(bids.Job):
    def test_the_job_and_the_gateway_are_killed_in_turn(self):
        self.begin(servers.Rgw(self))
        process = self.run_job()
        self.until_a_checkpoint(process)
        process.kill()
        process.communicate()
        self.assertEqual(process.returncode, -9)
        process = self.run_job()
        self.until_a_checkpoint(process)
        self.server.kill()
        self.server.again()
        process.communicate(timeout=servers.PATIENCE_S)  # it goes on, or says that it cannot
        self.finish()


class Reads(bids.Job):
    rows = 3000  # the reader is written in Python throughout

    def test_boto3_reads_a_checkpoint(self):
        self.begin(servers.Rgw(self))
        asked = self.finish()
        os.environ.update(AWS_ACCESS_KEY_ID=self.server.access_key,
                          AWS_SECRET_ACCESS_KEY=self.server.secret_key)
        named = []
        checkpoint = restore.Checkpoint(restore.store_of(self.store), 0, named)
        its = checkpoint.stages[0]
        read = [restore.key_values(its.columns, key) + restore.value_values(its.program, value)
                for key, value in sorted(checkpoint.rows(1).items())]
        lines = [json.loads(line) for line in asked.splitlines()]
        self.assertEqual([row[:3] for row in read],
                         [[line["auction"], line["bids"], line["highest"]] for line in lines])
        self.assertGreater(len(named), 3)


class Faults(bids.Job):
    """Answers that are lost, requests that come twice, connections that break."""

    def test_a_bad_network_costs_no_row(self):
        self.begin(servers.Rgw(self))
        proxy = servers.Proxy(self, self.server.port, "%3 cut down 0", "%5 reset up 2000", "%7 echo",
                              "%11 forestall", "%13 cut down 300")
        self.ends(self.run_job(store=self.uri(f"http://127.0.0.1:{proxy.port}", "&connections=4")))
        self.check()


class Tls(bids.Job):
    """Over TLS, by a certificate of an authority of one's own."""
    rows = 200_000

    def server_with_tls(self):
        self.pems = servers.folder(self)
        certificates.authority(self.pems, "ours")
        certificates.authority(self.pems, "others")
        certificates.signed(self.pems, "gateway", "ours")
        pem = certificates.both(self.pems, "gateway")
        port = servers.free_port()
        self.secure = f"https://127.0.0.1:{port}"
        return servers.Rgw(self, TLS_PORT=port, TLS_PEM=pem)

    def test_only_a_server_that_is_vouched_for_is_spoken_to(self):
        self.begin(self.server_with_tls())
        store = self.uri(self.secure, "&ca=" + os.path.join(self.pems, "{}.pem"))
        self.ends(self.run_job(store=store.format("ours")))
        self.call("checkpoints", "list", store.format("ours"))
        for place in (self.uri(self.secure), store.format("others"), store.format("no-such")):
            self.assertIn("CST_TLS", self.call("checkpoints", "list", place, status=bids.FAILED))


class Owners(bids.Job):
    """Two folders, as two machines have them, and one prefix."""
    rows = 1_000_000_000  # it does not end before the other has come

    def test_a_takeover_fences_the_first_one_off(self):
        self.begin(servers.Rgw(self))
        os.mkdir(os.path.join(self.folder, "second"))
        self.write("second/job.toml")
        first = self.run_job()
        self.until_a_checkpoint(first)
        second = self.run_job(more=["--takeover"], folder="second")
        self.ends(first, bids.FENCED)
        second.send_signal(signal.SIGINT)
        self.ends(second)


class Versity(bids.Job):
    def test_the_job_and_the_server_are_killed_in_turn(self):
        self.begin(servers.Versity(self))
        self.found_by_check("go with a CRC32C, which is checked", "also when an upload is completed",
                            "many are deleted at once")
        process = self.run_job()
        self.until_a_checkpoint(process)
        self.server.kill()
        process.kill()
        process.communicate()
        self.server.again()
        self.finish()


class Refused(bids.Job):
    def is_refused(self, server, why):
        self.begin(server)
        said = self.call("run", "job.toml", "--checkpoint-store", self.store, status=bids.REFUSED)
        self.assertRegex(said, why)
        self.assertEqual(said.lower().count("use a "), 1, said)
        print(said.strip())
        self.assertEqual(self.manifests(), set())


class S3rver(Refused):
    def test_a_server_that_lies_is_refused(self):
        self.is_refused(servers.S3rver(self), "If-None-Match")


class Swift(Refused):
    def test_a_server_with_several_winners_of_a_race_is_refused(self):
        self.is_refused(servers.Swift(self), "race-[0-9]+: two writers won one race")

    def test_a_server_without_conditions_is_refused(self):
        self.is_refused(servers.SwiftRefuses(self), "PUT probe/.*/alone: 501 NotImplemented: ")


if __name__ == "__main__":
    bids.PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
