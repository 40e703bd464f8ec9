#!/usr/bin/env python3
# usage: tests/s3_store/store_test.py PROGRAM CONFORMANCE [CLASS…]
# The store s3: on a Ceph gateway that the test starts: the cases of every object store, and jobs that
# lose their process, their server or their place.
"""Checkpoints in S3, with a real server on loopback."""

import datetime
import hashlib
import hmac
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), os.path.join(os.path.dirname(HERE), "s3")]
import certificates  # noqa: E402
import servers  # noqa: E402

RGW = os.path.join(os.path.dirname(HERE), "s3", "rgw")
PROGRAM, CONFORMANCE = "", ""
PATIENCE_S = 60
DONE, FAILED, FENCED, REFUSED = 0, 1, 6, 7

JOB = """
[job]
name       = "bids-in-s3"
partitions = 2
dir        = "data"
[source]
kind       = "generator"
name       = "bids"
rows       = {rows}
event_time = "at"
watermark  = "2s"
[key]
columns = ["auction"]
[[aggregate]]
as = "bids"
op = "count"
[[aggregate]]
as = "highest"
op = "max"
column = "price"
[sink]
kind = "file"
path = "out"
[checkpoint]
every = "{every}"
keep  = 3
"""


def put_bucket(endpoint, name, access, secret):
    """PUT /name, signed; Amazon's manual calls this Signature Version 4."""
    now = datetime.datetime.now(datetime.timezone.utc)
    day, moment = now.strftime("%Y%m%d"), now.strftime("%Y%m%dT%H%M%SZ")
    host, empty = endpoint.split("://")[1], hashlib.sha256(b"").hexdigest()
    names = "host;x-amz-content-sha256;x-amz-date"
    canonical = (f"PUT\n/{name}\n\nhost:{host}\nx-amz-content-sha256:{empty}\n"
                 f"x-amz-date:{moment}\n\n{names}\n{empty}")
    scope = f"{day}/us-east-1/s3/aws4_request"
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    request = urllib.request.Request(f"{endpoint}/{name}", method="PUT", headers={
        "x-amz-content-sha256": empty, "x-amz-date": moment,
        "Authorization": f"AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={names}, "
                         f"Signature={signature}"})
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        assert answer.status == 200


class Store(unittest.TestCase):
    """A gateway of its own, and a bucket."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="cst-s3-store-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.server = os.path.join(self.folder, "rgw")
        self.addCleanup(subprocess.run, [RGW, "stop", self.server], check=True)
        lines = subprocess.run([RGW, "start", self.server, "0"], check=True, text=True,
                               stdout=subprocess.PIPE, timeout=2 * PATIENCE_S,
                               env={**os.environ, "RGW_OWNER": str(os.getpid()),
                                    **self.server_environment()}).stdout
        values = dict(line.split("=", 1) for line in lines.split("\n") if "=" in line)
        self.endpoint = values["S3_ENDPOINT"]
        self.secure = values.get("S3_ENDPOINT_TLS")
        self.environment = {**os.environ, "HOME": self.folder, "AWS_REGION": "us-east-1",
                            "AWS_ACCESS_KEY_ID": values["S3_ACCESS_KEY"],
                            "AWS_SECRET_ACCESS_KEY": values["S3_SECRET_KEY"]}
        put_bucket(self.endpoint, "state", values["S3_ACCESS_KEY"], values["S3_SECRET_KEY"])

    def server_environment(self):
        return {}

    def uri(self, prefix=""):
        return f"s3://state{prefix}?endpoint={self.endpoint}"

    def job(self, name, rows=3_000_000, every="100ms"):
        """A folder of its own with a job in it."""
        folder = os.path.join(self.folder, name)
        os.mkdir(folder)
        with open(os.path.join(folder, "job.toml"), "w", encoding="utf-8") as file:
            file.write(JOB.format(rows=rows, every=every))
        return folder

    def start(self, folder, store, *more):
        with open(os.path.join(folder, "log"), "a", encoding="utf-8") as log:
            return subprocess.Popen([PROGRAM, "run", "job.toml", "--checkpoint-store", store,
                                     "--log-level", "info", *more], cwd=folder, text=True,
                                    env=self.environment, stdin=subprocess.DEVNULL,
                                    stdout=subprocess.DEVNULL, stderr=log)

    def log(self, folder):
        with open(os.path.join(folder, "log"), encoding="utf-8") as file:
            return file.read()

    def run_whole(self, folder, store, *more):
        process = self.start(folder, store, *more)
        self.assertEqual(process.wait(PATIENCE_S), DONE, self.log(folder))

    def program(self, *words):
        result = subprocess.run([PROGRAM, *words], env=self.environment, text=True, check=False,
                                capture_output=True, timeout=PATIENCE_S)
        self.assertEqual(result.returncode, DONE, result.stderr)
        return result.stdout

    def state(self, folder, store):
        return sorted(self.program("query", os.path.join(folder, "job.toml"), "--checkpoint-store",
                                   store).split("\n"))

    def commits(self, store):
        """How many checkpoints the store has now; 0: no metadata yet."""
        result = subprocess.run([PROGRAM, "checkpoints", "list", store], env=self.environment,
                                text=True, check=False, capture_output=True, timeout=PATIENCE_S)
        if result.returncode != DONE:
            return 0
        return max([int(line.split()[0]) for line in result.stdout.split("\n")
                    if line.split() and line.split()[0].isdecimal()] or [0])

    def wait_for_commits(self, process, store, count, folder):
        deadline = time.monotonic() + PATIENCE_S
        while self.commits(store) < count:
            self.assertIsNone(process.poll(), self.log(folder))
            self.assertLess(time.monotonic(), deadline, "no checkpoint commits")


class Conformance(Store):
    """The store keeps what object.h promises."""

    def test_the_cases_of_every_object_store(self):
        result = subprocess.run([CONFORMANCE], text=True, check=False, capture_output=True,
                                timeout=PATIENCE_S,
                                env={**self.environment, "CST_S3_STORE": self.uri()})
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)


class Check(Store):
    """`check` asks the store, and says what is wrong with it."""

    def check(self, store):
        path = os.path.join(self.job(str(len(os.listdir(self.folder)))), "job.toml")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text + f'store = "{store}"\n')
        return subprocess.run([PROGRAM, "check", path], env=self.environment, text=True,
                              check=False, capture_output=True, timeout=PATIENCE_S)

    def test_keys_and_bucket_are_checked(self):
        result = self.check(self.uri("/checked"))
        self.assertEqual(result.returncode, DONE, result.stderr)
        self.assertIn("\nrights ", result.stdout)
        for found in ("If-Match for etags without quotes", "passed over when an upload is completed",
                      "are signed, which is checked", "many are deleted at once"):
            self.assertIn(found, result.stdout)
        result = self.check(f"s3://no-such-bucket/p?endpoint={self.endpoint}")
        self.assertEqual(result.returncode, REFUSED)
        self.assertIn("Make the bucket", result.stderr)
        self.environment["AWS_SECRET_ACCESS_KEY"] = "another"
        result = self.check(self.uri("/checked"))
        self.assertEqual(result.returncode, REFUSED)
        self.assertIn("s3:PutObject", result.stderr)


class Kills(Store):
    """Of a job that is killed again and again, no row is lost or counted twice."""

    def test_a_killed_job_ends_as_one_that_was_not(self):
        folder, store = self.job("killed", rows=2_000_000), self.uri("/killed")
        seen = 0
        for _ in range(2):
            process = self.start(folder, store)
            self.wait_for_commits(process, store, seen + 2, folder)
            process.kill()
            process.wait()
            seen = self.commits(store)
        self.run_whole(folder, store)
        whole = self.job("whole", rows=2_000_000)
        files = "file:" + os.path.join(self.folder, "files")
        self.run_whole(whole, files)
        self.assertEqual(self.state(folder, store), self.state(whole, files))
        self.assertIn("good", self.program("checkpoints", "verify", store))
        self.assertIn("store_proved", self.log(folder))


class Gateway(Store):
    """A server that dies and comes again costs no row."""

    def test_a_killed_server_holds_a_job_up_and_nothing_more(self):
        folder, store = self.job("held", rows=2_000_000), self.uri("/held")
        process = self.start(folder, store)
        self.wait_for_commits(process, store, 2, folder)
        with open(os.path.join(self.server, "gateway1.pid"), encoding="ascii") as file:
            os.kill(int(file.read()), signal.SIGKILL)
        subprocess.run([RGW, "gateway", self.server], check=True, stdout=subprocess.DEVNULL,
                       timeout=PATIENCE_S)
        self.assertEqual(process.wait(PATIENCE_S), DONE, self.log(folder))
        whole = self.job("whole", rows=2_000_000)
        files = "file:" + os.path.join(self.folder, "files")
        self.run_whole(whole, files)
        self.assertEqual(self.state(folder, store), self.state(whole, files))


class Faults(Store):
    """Answers that are lost, requests that come twice, connections that break."""

    def test_a_bad_network_costs_no_row(self):
        proxy = servers.Proxy(self, int(self.endpoint.rsplit(":", 1)[1]), "%3 cut down 0",
                              "%5 reset up 2000", "%7 echo", "%11 forestall", "%13 cut down 300")
        folder = self.job("faulty", rows=1_000_000)
        store = f"s3://state/faulty?endpoint=http://127.0.0.1:{proxy.port}&connections=4"
        self.run_whole(folder, store)
        whole = self.job("whole", rows=1_000_000)
        files = "file:" + os.path.join(self.folder, "files")
        self.run_whole(whole, files)
        self.assertEqual(self.state(folder, self.uri("/faulty")), self.state(whole, files))
        self.assertIn("good", self.program("checkpoints", "verify", self.uri("/faulty")))


class Tls(Store):
    """Over TLS, by a certificate of an authority of one's own."""

    def server_environment(self):
        certificates.authority(self.folder, "ours")
        certificates.authority(self.folder, "others")
        certificates.signed(self.folder, "gateway", "ours")
        pem = os.path.join(self.folder, "both.pem")
        with open(pem, "w", encoding="ascii") as both:
            for name in ("gateway.pem", "gateway.key"):
                with open(os.path.join(self.folder, name), encoding="ascii") as one:
                    both.write(one.read())
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return {"RGW_TLS_PORT": str(free.getsockname()[1]), "RGW_TLS_PEM": pem}

    def list(self, authority):
        store = f"s3://state/tls?endpoint={self.secure}"
        if authority:
            store += "&ca=" + os.path.join(self.folder, authority)
        return subprocess.run([PROGRAM, "checkpoints", "list", store], env=self.environment,
                              text=True, check=False, capture_output=True, timeout=PATIENCE_S)

    def test_only_a_server_that_is_vouched_for_is_spoken_to(self):
        folder = self.job("secure", rows=200_000)
        self.run_whole(folder, f"s3://state/tls?endpoint={self.secure}&ca="
                               + os.path.join(self.folder, "ours.pem"))
        self.assertEqual(self.list("ours.pem").returncode, DONE)
        for authority in (None, "others.pem", "no-such.pem"):
            result = self.list(authority)
            self.assertEqual(result.returncode, FAILED)
            self.assertIn("CST_TLS", result.stderr)


class Owners(Store):
    """Two folders, as two machines have them, and one prefix."""

    def test_a_takeover_fences_the_first_one_off(self):
        first, second = self.job("first", rows=60_000_000), self.job("second", rows=60_000_000)
        store = self.uri("/owned")
        process = self.start(first, store)
        self.wait_for_commits(process, store, 2, first)
        other = self.start(second, store, "--takeover")
        self.assertEqual(process.wait(PATIENCE_S), FENCED, self.log(first))
        other.send_signal(signal.SIGINT)
        self.assertEqual(other.wait(PATIENCE_S), DONE, self.log(second))


if __name__ == "__main__":
    PROGRAM, CONFORMANCE = sys.argv[1], sys.argv[2]
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
