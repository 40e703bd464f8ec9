"""What the S3 tests start: servers, the proxy, the hostile server; each ends with the test."""

import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
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
        folder = tempfile.mkdtemp(prefix="cst-proxy-")
        test.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "control")
        super().__init__(test, "proxy", "--control", path, f"127.0.0.1:{port}", *rules)
        self.control = socket.socket(socket.AF_UNIX)
        self.control.connect(path)
        self.lines = self.control.makefile("r")
        test.addCleanup(self.control.close)
        test.addCleanup(self.lines.close)

    def say(self, line):
        self.control.sendall(line.encode() + b"\n")
        answer = self.lines.readline().strip()
        if not answer.startswith("ok"):
            raise AssertionError(f"'{line}': '{answer}'")
        return answer[3:]
