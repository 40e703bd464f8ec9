"""What the S3 tests start: servers, the proxy, the hostile server; each ends with the test."""

import ctypes
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
INSTALLED = os.environ.get("CST_S3_SERVERS", os.path.join(HERE, "../../build/s3"))
PATIENCE_S = 60


def with_us():
    """In a child before its program: it ends when we do, kill -9 included."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Talker:
    """A program of ours that prints its port first."""

    def __init__(self, test, program, *arguments):
        self.process = subprocess.Popen([os.path.join(HERE, program), *arguments], text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        test.addCleanup(self.end)
        line = self.process.stdout.readline()
        if not line.strip().isdecimal():
            raise AssertionError(f"{program} said '{line}'")
        self.port = int(line)

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Proxy(Talker):
    """tests/s3/proxy; say() commands it."""

    def __init__(self, test, port, *rules):
        path = os.path.join(folder(test), "control")
        super().__init__(test, "proxy", "--control", path, f"127.0.0.1:{port}", *rules)
        self.one_at_a_time = threading.Lock()
        self.control = socket.socket(socket.AF_UNIX)
        self.control.connect(path)
        self.lines = self.control.makefile("r")
        test.addCleanup(self.control.close)
        test.addCleanup(self.lines.close)

    def say(self, line):
        with self.one_at_a_time:
            self.control.sendall(line.encode() + b"\n")
            answer = self.lines.readline().strip()
        if not answer.startswith("ok"):
            raise AssertionError(f"'{line}': '{answer}'")
        return answer[3:]

    def stats(self):
        return json.loads(self.say("stats"))


class Nginx:
    """TLS and HTTP/2 in front of a server; GOAWAY after so many requests of a connection."""

    def __init__(self, test, upstream, pem, requests):
        self.folder, self.port = folder(test), free_port()
        with open(os.path.join(HERE, "nginx.conf.in"), encoding="utf-8") as file:
            text = file.read()
        for name, value in (("DIR", self.folder), ("UPSTREAM", upstream), ("PEM", pem),
                            ("PORT", self.port), ("REQUESTS", requests)):
            text = text.replace(f"@{name}@", str(value))
        path = os.path.join(self.folder, "nginx.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        self.process = subprocess.Popen(["nginx", "-c", path, "-e", self.folder + "/error.log"],
                                        stdin=subprocess.DEVNULL, preexec_fn=with_us)
        test.addCleanup(self.end)
        deadline = time.monotonic() + PATIENCE_S
        while not listens(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("nginx did not come up")
            time.sleep(0.01)

    def end(self):
        self.process.kill()
        self.process.wait()

    def requests(self):
        """[protocol, connection, method, status, target] of each."""
        with open(os.path.join(self.folder, "access.log"), encoding="utf-8") as file:
            return [line.split() for line in file]


class Front(Talker):
    """tests/s3/front, in our Python, which has what it needs."""

    def __init__(self, test, upstream, pem, streams, *rules):
        self.log = os.path.join(folder(test), "log")
        super().__init__(test, sys.executable, "-B", os.path.join(HERE, "front"), pem, str(upstream),
                         self.log, str(streams), *rules)

    def requests(self):
        with open(self.log, encoding="utf-8") as file:
            return [json.loads(line) for line in file]


def folder(test):
    """One of the test's own, which goes with it."""
    made = tempfile.mkdtemp(prefix="cst-s3-", dir="/tmp")
    test.addCleanup(shutil.rmtree, made, True)
    return made


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return True
    except OSError:
        return False


def answers(port):
    """Whether an HTTP server answers there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
        return True
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class Server:
    """An S3 server: where it is, and whose keys it takes."""
    access_key, secret_key, region = "testaccesskey", "testsecretkey0123456789", "us-east-1"

    def __init__(self, test):
        self.folder = folder(test)
        self.test, self.port = test, free_port()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method, path):
        """The body of a good answer, by curl: for who does without boto3."""
        return subprocess.run(
            ["curl", "-sSf", "--aws-sigv4", f"aws:amz:{self.region}:s3", "--user",
             f"{self.access_key}:{self.secret_key}", "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD",
             "-X", method, self.endpoint + path],
            check=True, stdout=subprocess.PIPE, text=True, timeout=PATIENCE_S).stdout

    def client(self, port=None, **more):
        """boto3's, which asks once and gives up."""
        import boto3  # the other programs here do without
        import botocore.config
        options = {"aws_access_key_id": self.access_key, "aws_secret_access_key": self.secret_key,
                   "endpoint_url": f"http://127.0.0.1:{port or self.port}", **more}
        return boto3.client(
            "s3", region_name=self.region,
            config=botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=PATIENCE_S,
                                          s3={"addressing_style": "path"}), **options)


class Program(Server):
    """One process, which keeps objects in a folder: they outlive it."""

    def __init__(self, test):
        super().__init__(test)
        self.process = None
        self.again()

    def command(self):
        raise NotImplementedError

    def again(self):
        environment = {**os.environ, "ROOT_ACCESS_KEY": self.access_key,
                       "ROOT_SECRET_KEY": self.secret_key}
        self.process = subprocess.Popen(self.command(), env=environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
                                        preexec_fn=with_us)
        self.test.addCleanup(self.kill)
        deadline = time.monotonic() + PATIENCE_S
        while not answers(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{self.command()[0]} did not come up")
            time.sleep(0.02)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Versity(Program):
    """tests/s3/install's versitygw: honest, an implementation of its own."""

    def command(self):
        return [os.path.join(INSTALLED, "versitygw"), "--port", f"127.0.0.1:{self.port}", "--quiet",
                "--keep-alive", "posix", self.folder]


class S3rver(Program):
    """tests/s3/install's s3rver: it knows no conditions, and writes."""
    access_key = secret_key = "S3RVER"

    def command(self):
        node = shutil.which("node") or os.path.join(INSTALLED, "npm-env/bin/node")
        return [node, os.path.join(INSTALLED, "s3rver/node_modules/s3rver/bin/s3rver.js"), "-d",
                self.folder, "-a", "127.0.0.1", "-p", str(self.port), "--silent"]


class Swift(Program):
    """tests/s3/swift: it honours If-None-Match, and lets two racers win."""
    access_key, secret_key = "test:tester", "testing"
    modules = ""

    def client(self, port=None, **more):
        """One whose requests have a connection each: behind a refusal of a body that nobody sent,
        the server closes without having said so."""
        made = super().client(port, **more)
        made.meta.events.register(
            "before-send.s3", lambda request, **_: request.headers.update({"Connection": "close"}))
        return made

    def command(self):
        return ["env", "PYTHONPATH=" + self.modules, os.path.join(INSTALLED, "swift/bin/python"),
                "-B", os.path.join(HERE, "swift"), self.folder, str(self.port)]


class SwiftRefuses(Swift):
    """An older one, which answers 501 to conditions."""
    modules = os.path.join(INSTALLED, "swift/refuses")


class Rgw(Server):
    """tests/s3/rgw; options are its environment. kill() and again() are of a gateway alone."""

    def __init__(self, test, **options):
        super().__init__(test)
        self.folder = os.path.join(self.folder, "rgw")
        environment = {**os.environ, "RGW_OWNER": str(os.getpid()),
                       **{"RGW_" + name: str(value) for name, value in options.items()}}
        test.addCleanup(self.do, "stop")
        said = subprocess.run([os.path.join(HERE, "rgw"), "start", self.folder, "0"],
                              env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
        self.port = int(re.search(r"^S3_ENDPOINT=.*:(\d+)$", said, re.M)[1])

    def do(self, verb, *more):
        subprocess.run([os.path.join(HERE, "rgw"), verb, self.folder, *more], check=True)

    def pid(self, name):
        with open(os.path.join(self.folder, name + ".pid"), encoding="utf-8") as file:
            return int(file.read())

    def kill(self, gateway=1):
        os.kill(self.pid(f"gateway{gateway}"), signal.SIGKILL)
        while answers(self.port):
            time.sleep(0.01)

    def again(self, gateway=1):
        self.do("gateway", str(gateway))
