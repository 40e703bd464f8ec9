"""The servers that tests of the client stand on treat conditions as docs/dependencies.md says."""

import concurrent.futures
import os
import signal
import sys
import unittest

import botocore.exceptions

import certificates
import servers

RACERS = 8
STALE = '"00000000000000000000000000000000"'


def told(call, **arguments):
    """200 and so on; with S3's code where it is refused."""
    try:
        call(**arguments)
        return 200
    except botocore.exceptions.ClientError as error:
        code = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return code, error.response["Error"]["Code"]


class Bucket:
    """A server with a bucket, and one object in it."""

    def make(self, server):
        self.server, self.client = server, server.client()
        self.client.create_bucket(Bucket="bucket")
        self.put("key", b"first")

    def put(self, key, body, client=None, **more):
        return told((client or self.client).put_object, Bucket="bucket", Key=key, Body=body, **more)

    def body(self, key, **more):
        return self.client.get_object(Bucket="bucket", Key=key, **more)["Body"].read()

    def tag(self, key):
        return self.client.head_object(Bucket="bucket", Key=key)["ETag"]

    def races(self, clients, rounds):
        """In each, whose object is there, and what each racer was told."""
        with concurrent.futures.ThreadPoolExecutor(RACERS) as pool:
            for at in range(rounds):
                answers = list(pool.map(lambda racer, at=at: self.put(
                    f"race-{at}", b"%d" % racer, clients[racer % len(clients)], IfNoneMatch="*"),
                    range(RACERS)))
                yield int(self.body(f"race-{at}")), answers

    def check_one_winner(self, clients, rounds=10):
        for winner, answers in self.races(clients, rounds):
            self.assertEqual(answers.count(200), 1, answers)
            self.assertEqual(answers[winner], 200)
            self.assertEqual(set(answers) - {200}, {(412, "PreconditionFailed")})

    def complete(self, key, **more):
        upload = self.client.create_multipart_upload(Bucket="bucket", Key=key)["UploadId"]
        tag = self.client.upload_part(Bucket="bucket", Key=key, UploadId=upload, PartNumber=1,
                                      Body=b"part")["ETag"]
        return told(self.client.complete_multipart_upload, Bucket="bucket", Key=key, UploadId=upload,
                    MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]}, **more)

    def check_wrong_key_is_refused(self):
        self.assertEqual(self.put("key", b"x", self.server.client(aws_secret_access_key="wrong")),
                         (403, "SignatureDoesNotMatch"))

    def check_pages(self):
        keys = sorted(f"page/{n:02}" for n in range(7))
        for key in keys:
            self.put(key, b"x")
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket="bucket", Prefix="page/", PaginationConfig={"PageSize": 3})
        self.assertEqual([[row["Key"] for row in page["Contents"]] for page in pages],
                         [keys[0:3], keys[3:6], keys[6:7]])


class Rgw(Bucket, unittest.TestCase):
    """Honest on a plain PUT, and only there."""

    def test_conditions_and_losses(self):
        port2 = servers.free_port()
        self.make(servers.Rgw(self, PORT2=port2))
        self.assertEqual(self.put("key", b"x", IfNoneMatch="*"), (412, "PreconditionFailed"))
        self.assertEqual(self.body("key"), b"first")
        tag = self.tag("key")
        # This version compares If-Match as it stands, with its quotes.
        self.assertEqual(self.put("key", b"x", IfMatch=tag), (412, "PreconditionFailed"))
        self.assertEqual(self.put("key", b"x", IfMatch=STALE.strip('"')), (412, "PreconditionFailed"))
        self.assertEqual(self.put("gone", b"x", IfMatch=tag), (412, "PreconditionFailed"))
        self.assertEqual(self.put("key", b"second", IfMatch=tag.strip('"')), 200)
        self.check_one_winner([self.client, self.server.client(port2)])
        self.assertEqual(self.complete("key", IfNoneMatch="*"), 200)  # it is passed over
        self.assertEqual(self.body("key"), b"part")
        self.check_wrong_key_is_refused()
        self.check_pages()
        self.server.kill()  # a gateway: the objects are elsewhere
        self.assertEqual(self.server.client(port2).get_object(Bucket="bucket", Key="key")[
            "ResponseMetadata"]["HTTPStatusCode"], 200)
        self.server.again()
        self.assertEqual(self.body("key"), b"part")


class RgwLoad(Bucket, unittest.TestCase):
    """It sheds load, and hangs while its store does; it speaks TLS."""

    def test_load_and_tls(self):
        certificates.authority(pems := servers.folder(self), "gateway")
        pem = certificates.both(pems, "gateway")
        tls_port = servers.free_port()
        self.make(servers.Rgw(self, TLS_PORT=tls_port, TLS_PEM=pem, MAX_REQUESTS=1))
        secure = self.server.client(endpoint_url=f"https://127.0.0.1:{tls_port}", verify=pem)
        self.assertEqual(secure.get_object(Bucket="bucket", Key="key")["Body"].read(), b"first")
        with concurrent.futures.ThreadPoolExecutor(RACERS) as pool:
            os.kill(self.server.pid("osd"), signal.SIGSTOP)  # what is asked now waits
            asked = [pool.submit(self.put, f"load-{n}", b"x") for n in range(RACERS)]
            done, waits = concurrent.futures.wait(asked, 20, "FIRST_COMPLETED")
            os.kill(self.server.pid("osd"), signal.SIGCONT)
            self.assertIn((503, "SlowDown"), {one.result() for one in done})
            self.assertGreater(len(waits), 0)
            self.assertEqual({one.result() for one in asked} - {(503, "SlowDown")}, {200})


class Versity(Bucket, unittest.TestCase):
    """Honest everywhere; its objects outlive a kill -9."""

    def test_conditions_and_losses(self):
        self.make(servers.Versity(self))
        self.assertEqual(self.put("key", b"x", IfNoneMatch="*"), (412, "PreconditionFailed"))
        self.assertEqual(self.body("key"), b"first")
        self.assertEqual(self.put("key", b"x", IfMatch=STALE), (412, "PreconditionFailed"))
        self.assertEqual(self.put("gone", b"x", IfMatch=STALE), (404, "NoSuchKey"))
        self.assertEqual(self.put("key", b"second", IfMatch=self.tag("key")), 200)
        self.assertEqual(self.put("key", b"third", IfMatch=self.tag("key").strip('"')), 200)
        self.check_one_winner([self.client])
        self.assertEqual(self.complete("key", IfNoneMatch="*"), (412, "PreconditionFailed"))
        self.assertEqual(self.complete("new", IfNoneMatch="*"), 200)
        self.check_wrong_key_is_refused()
        self.check_pages()
        self.server.kill()
        self.server.again()
        self.assertEqual((self.body("key"), self.body("new")), (b"third", b"part"))


class S3rver(Bucket, unittest.TestCase):
    """Lies: every condition is answered with 200, and written over."""

    def test_conditions_are_passed_over(self):
        self.make(servers.S3rver(self))
        self.assertEqual(self.put("key", b"second", IfNoneMatch="*"), 200)
        self.assertEqual(self.body("key"), b"second")
        self.assertEqual(self.put("key", b"third", IfMatch=STALE), 200)
        self.assertEqual(self.body("key"), b"third")
        self.assertEqual(self.complete("key", IfNoneMatch="*"), 200)
        self.assertEqual(self.put("key", b"x", self.server.client(aws_secret_access_key="wrong")),
                         200)
        for _, answers in self.races([self.client], 2):
            self.assertEqual(answers, [200] * RACERS)


class Swift(Bucket, unittest.TestCase):
    """Conditions hold for one writer after the other, or are refused."""

    def test_a_race_has_several_winners(self):
        self.make(servers.Swift(self))
        self.assertEqual(self.put("key", b"x", IfNoneMatch="*"), (412, "PreconditionFailed"))
        self.assertEqual(self.body("key"), b"first")
        self.assertEqual(self.put("key", b"x", IfMatch=STALE), (501, "NotImplemented"))
        self.assertGreater(max(answers.count(200) for _, answers in self.races([self.client], 10)), 1)
        self.check_wrong_key_is_refused()
        self.check_pages()
        self.server.kill()
        self.server.again()
        self.assertEqual(self.body("key"), b"first")

    def test_an_older_one_refuses_conditions(self):
        self.make(servers.SwiftRefuses(self))
        for condition in ({"IfNoneMatch": "*"}, {"IfMatch": STALE}):
            self.assertEqual(self.put("key", b"x", **condition), (501, "NotImplemented"))
            self.assertEqual(self.put("new", b"x", **condition), (501, "NotImplemented"))
        self.assertEqual(self.body("key"), b"first")
        self.assertEqual(self.complete("new", IfNoneMatch="*"), 200)
        self.check_wrong_key_is_refused()


if __name__ == "__main__":
    unittest.main(verbosity=2)
