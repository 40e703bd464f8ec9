"""tests/s3/hostile is a good small S3 without cues, and on cue as bad as the cue says."""

import http.client
import json
import subprocess
import unittest

import servers


class Cues(unittest.TestCase):
    def setUp(self):
        self.server = servers.Talker(self, "hostile")
        self.connection = self.connect()

    def connect(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        self.addCleanup(connection.close)
        return connection

    def ask(self, method, path, body=None, **headers):
        """(status, body, headers), on the connection of the test."""
        self.connection.request(method, path, body,
                                {name.replace("_", "-"): value for name, value in headers.items()})
        answer = self.connection.getresponse()
        return answer.status, answer.read(), answer.headers

    def cue(self, **fields):
        self.assertEqual(self.ask("POST", "/-/cue", json.dumps(fields))[0], 204)

    def test_without_cues_it_keeps_objects(self):
        status, _, headers = self.ask("PUT", "/bucket/a%20b/c", b"first")
        self.assertEqual((status, headers["ETag"]), (200, '"8b04d5e3775d298e78455efc5ca404d5"'))
        self.assertEqual(self.ask("PUT", "/bucket/a%20b/c", b"x", if_none_match="*")[0], 412)
        self.assertEqual(self.ask("PUT", "/bucket/a%20b/c", b"x", if_match='"no"')[0], 412)
        self.assertEqual(self.ask("PUT", "/bucket/a%20b/c", b"second",
                                  if_match=headers["ETag"], x_amz_meta_nonce="7")[0], 200)
        status, body, headers = self.ask("GET", "/bucket/a%20b/c")
        self.assertEqual((status, body, headers["x-amz-meta-nonce"]), (200, b"second", "7"))
        status, body, headers = self.ask("GET", "/bucket/a%20b/c", range="bytes=2-3")
        self.assertEqual((status, body, headers["Content-Range"]), (206, b"co", "bytes 2-3/6"))
        self.assertEqual(self.ask("GET", "/bucket/a%20b/c", range="bytes=6-")[0], 416)
        self.assertEqual(self.ask("HEAD", "/bucket/a%20b/c")[0], 200)
        self.assertEqual(self.ask("DELETE", "/bucket/a%20b/c")[0], 204)
        self.assertEqual(self.ask("GET", "/bucket/a%20b/c")[0], 404)

    def test_without_cues_it_lists_page_by_page(self):
        for name in ("a/1", "a/2", "b", "c/1"):
            self.ask("PUT", "/bucket/" + name, b"x")
        pages = [self.ask("GET", "/bucket?list-type=2&max-keys=2&delimiter=/" + more)[1].decode()
                 for more in ("", "&continuation-token=b")]
        self.assertIn("<Prefix>a/</Prefix>", pages[0])
        self.assertIn("<NextContinuationToken>b</NextContinuationToken>", pages[0])
        self.assertIn("<Prefix>c/</Prefix>", pages[1])
        self.assertIn("<IsTruncated>false</IsTruncated>", pages[1])

    def test_without_cues_parts_become_an_object(self):
        upload = self.ask("POST", "/bucket/big?uploads=")[1].decode()
        upload = upload.split("<UploadId>")[1].split("<")[0]
        tags = [self.ask("PUT", f"/bucket/big?partNumber={n}&uploadId={upload}", b"p" * n)[2]["ETag"]
                for n in (1, 2)]
        text = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag></Part>"
                       for n, tag in enumerate(tags, 1))
        wrong = text.replace(tags[0], '"0"')
        self.assertEqual(self.ask("POST", f"/bucket/big?uploadId={upload}", wrong)[0], 400)
        self.assertEqual(self.ask("POST", f"/bucket/big?uploadId={upload}", text)[0], 200)
        self.assertEqual(self.ask("GET", "/bucket/big")[1], b"ppp")
        self.assertEqual(self.ask("PUT", f"/bucket/big?partNumber=3&uploadId={upload}", b"p")[0],
                         404)

    def test_a_cue_is_for_the_requests_that_it_names(self):
        self.cue(method="PUT", path="^/bucket/marker", skip=1, times=2, answer="slowdown")
        statuses = [self.ask("PUT", f"/bucket/{name}", b"x")[0]
                    for name in ("marker", "other", "marker", "marker", "marker")]
        self.assertEqual(statuses, [200, 200, 503, 503, 200])
        requests = json.loads(self.ask("GET", "/-/requests")[1])
        self.assertEqual([request["cue"] for request in requests], [None, None, 0, 0, None])
        self.assertEqual(self.ask("DELETE", "/-/cue")[0], 204)

    def test_an_effect_may_be_there_and_the_answer_say_otherwise(self):
        self.cue(method="PUT", answer="storm", done=True)
        self.cue(method="PUT", answer="storm")
        self.assertEqual([self.ask("PUT", f"/bucket/{n}", b"x")[0] for n in (1, 2)], [500, 500])
        self.assertEqual(json.loads(self.ask("GET", "/-/objects")[1]), {"/bucket/1": 1})

    def test_named_answers(self):
        for name, status, holds in (
                ("html", 200, b"<html>"), ("bomb", 400, b"&e8;&e8;"), ("deep", 400, b"<Error><Error>"),
                ("region", 301, b"<Region>eu-west-1<"), ("skewed", 403, b"RequestTimeTooSkewed"),
                ("expired", 400, b"ExpiredToken"), ("conflict", 409, b"ConditionalRequestConflict"),
                ("precondition", 412, b"PreconditionFailed"), ("denied", 403, b"AccessDenied"),
                ("full", 507, b"InsufficientCapacity"), ("no_bucket", 404, b"NoSuchBucket"),
                ("garbage", 200, b"\xff\x00"), ("redirect_loop", 307, b"TemporaryRedirect")):
            with self.subTest(name):
                self.cue(answer=name)
                answer = self.ask("GET", "/bucket/key")
                self.assertEqual(answer[0], status)
                self.assertIn(holds, answer[1])
        self.cue(answer="slowdown_after")
        self.assertEqual(self.ask("GET", "/bucket/key")[2]["Retry-After"], "1")
        self.cue(answer="redirect_loop")
        self.assertEqual(self.ask("GET", "/bucket/key?a=b")[2]["Location"],
                         f"http://127.0.0.1:{self.server.port}/bucket/key?a=b")
        self.cue(answer="endless")
        self.connection.request("GET", "/bucket/key")
        self.assertGreater(len(self.connection.getresponse().read(1 << 20)), (1 << 20) - 1)

    def test_bodies_are_cut_flipped_and_misnumbered(self):
        self.ask("PUT", "/bucket/key", b"0123456789")
        self.cue(cut=4)
        self.connection.request("GET", "/bucket/key")
        self.assertRaises(http.client.IncompleteRead, self.connection.getresponse().read)
        self.connection.close()
        self.cue(reset=4)
        self.connection.request("GET", "/bucket/key")
        self.assertRaises((ConnectionResetError, http.client.IncompleteRead),
                          lambda: self.connection.getresponse().read())
        self.connection.close()
        self.cue(flip=3)
        self.assertEqual(self.ask("GET", "/bucket/key")[1], b"0122456789")
        self.cue(length=3)
        self.assertEqual(self.ask("GET", "/bucket/key")[1], b"012")
        self.connection.close()
        self.cue(length=30)
        self.connection.request("GET", "/bucket/key")
        self.assertRaises(http.client.IncompleteRead, self.connection.getresponse().read)

    def test_silence_and_dripping(self):
        self.cue(silent=True)
        self.connection.sock.settimeout(0.1)
        self.assertRaises(TimeoutError, self.ask, "GET", "/bucket/key")
        self.connection = self.connect()
        self.cue(drip=[8, 1], wait=1)
        self.assertEqual(self.ask("GET", "/bucket/key")[0], 404)

    def test_credentials_expire_by_its_clock(self):
        self.assertEqual(self.ask("GET", "/latest/meta-data/iam/security-credentials/")[0], 401)
        token = self.ask("PUT", "/latest/api/token",
                         x_aws_ec2_metadata_token_ttl_seconds="60")[1].decode()
        where = "/latest/meta-data/iam/security-credentials/"
        role = self.ask("GET", where, x_aws_ec2_metadata_token=token)[1].decode()
        given = json.loads(self.ask("GET", where + role, x_aws_ec2_metadata_token=token)[1])
        self.assertEqual(self.ask("PUT", "/b/k", b"", x_amz_security_token=given["Token"])[0], 200)
        self.assertEqual(self.ask("PUT", "/b/k", b"", x_amz_security_token="token-9")[0], 400)
        self.ask("POST", "/-/clock", "3600")
        status, body, _ = self.ask("PUT", "/b/k", b"", x_amz_security_token=given["Token"])
        self.assertEqual((status, b"ExpiredToken" in body), (400, True))
        body = self.ask("POST", "/", "Action=AssumeRoleWithWebIdentity&WebIdentityToken=jwt")[1]
        self.assertIn(b"<SessionToken>token-2</SessionToken>", body)
        self.assertEqual(json.loads(self.ask("GET", "/container")[1])["AccessKeyId"], "KEY3")
        status, body, headers = self.ask("PUT", "/b/k", b"", x_amz_date="20000101T000000Z")
        self.assertEqual((status, b"RequestTimeTooSkewed" in body, "Date" in headers),
                         (403, True, True))

    def test_a_bad_cue_is_refused_by_name(self):
        for cue, named in (('{"stauts":500}', "a cue has no 'stauts'"),
                           ('{"answer":"nice"}', "no answer is called 'nice'")):
            said = subprocess.run([servers.HERE + "/hostile", cue], stderr=subprocess.PIPE, text=True,
                                  check=False)
            self.assertEqual((said.returncode, said.stderr), (1, f"hostile: {named}\n"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
