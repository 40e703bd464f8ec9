"""Jobs that producers push rows to, and their clients, for tests of rows over TCP."""

import glob
import json
import os
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = ""
PRODUCER = ""  # docs/examples/producer.c
PATIENCE_S = 30
PIPE_BYTES = 1 << 20  # what a job says while a test waits for something else fits
DONE, FAILED, FENCED = 0, 1, 6
MEMORY_BYTES = 1 << 30

JOB = """
[job]
name       = "pushed"
partitions = 2
dir        = "data"
[source]
kind    = "tcp"
listen  = "127.0.0.1:{port}"
columns = ["key u64", "amount i64", "mark nullable u32", "note nullable string"]
{source}
[key]
columns = ["key"]
[[aggregate]]
as = "rows"
op = "count"
[[aggregate]]
as = "sum"
op = "sum"
column = "amount"
[[aggregate]]
as = "marks"
op = "count"
column = "mark"
[sink]
kind = "file"
path = "out"
[state]
budget = "192MiB"
[checkpoint]
every = "{every}"
keep  = 2
"""


def in_memory():
    """A folder for folders: what disks do is not what is tested, and they may be slow."""
    there = os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > MEMORY_BYTES
    return "/dev/shm" if there else None


class Client:
    """One connection, a line at a time."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
        self.input = b""

    def send(self, *lines):
        for line in lines:
            if not isinstance(line, (bytes, str)):
                line = json.dumps(line)
            self.socket.sendall(line if isinstance(line, bytes) else line.encode() + b"\n")

    def is_told(self, seconds):
        """Whether there is a line to read, or the end, within so long."""
        ready = select.poll()  # of any descriptor, where select takes 1,024
        ready.register(self.socket, select.POLLIN)
        while b"\n" not in self.input:
            if not ready.poll(seconds * 1000):
                return False
            more = self.socket.recv(65536)
            if not more:
                return True
            self.input += more
        return True

    def read(self):
        if not self.is_told(PATIENCE_S):
            raise TimeoutError(f"nothing within {PATIENCE_S} s")
        line, _, self.input = self.input.partition(b"\n")
        return json.loads(line) if line else None

    def hello(self, producer):
        self.send({"producer": producer})
        return self.read()["next"]

    def rows(self, first, count, key=1):
        self.send(b"".join(b'{"seq":%d,"row":{"key":%d,"amount":%d}}\n' % (seq, key, seq)
                           for seq in range(first, first + count)))

    def until_ack(self, seq):
        while True:
            told = self.read()
            if told is None or "ack" not in told:
                raise AssertionError(f"{told} in place of an acknowledgement of {seq}")
            if told["ack"] >= seq:
                return

    def close(self):
        self.socket.close()


class Jobs(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="cst-tcp-", dir=in_memory())
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.processes = []
        self.clients = []
        self.addCleanup(self.end_all)

    def end_all(self):
        for client in self.clients:
            client.close()
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()

    def job(self, source="", every="20ms", port=0, name="job.toml"):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(JOB.format(source=source, every=every, port=port))

    def start(self, *options, name="job.toml", descriptors=None):
        limit = ["prlimit", f"--nofile={descriptors}:{descriptors}"] if descriptors else []
        process = subprocess.Popen([*limit, PROGRAM, "run", name, "--json", *options],
                                   cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   pipesize=PIPE_BYTES)
        self.processes.append(process)
        return process

    def address(self, process):
        for line in process.stdout:
            told = json.loads(line)
            if told["event"] == "listening":
                return told["address"]
        raise AssertionError(process.stderr.read().decode())

    def serve(self, *options, name="job.toml"):
        process = self.start(*options, name=name)
        return process, self.address(process)

    def client(self, address):
        self.clients.append(Client(address))
        return self.clients[-1]

    def finish(self, process, status=DONE):
        process.send_signal(signal.SIGTERM)
        out, err = process.stdout.read(), process.stderr.read()
        self.assertEqual(process.wait(PATIENCE_S), status, err)
        self.said = err.decode()
        return [json.loads(line) for line in out.splitlines()]

    def catch_up(self):
        process = self.start("--until-caught-up")
        _, err = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, DONE, err)

    def wait_for(self, what):
        end = time.monotonic() + PATIENCE_S
        while not what():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.005)

    def results(self):
        """{key: (rows, sum, marks)} of the sink."""
        last = {}
        for part in sorted(glob.glob(os.path.join(self.folder, "out", "[0-9]*.ndjson"))):
            with open(part, encoding="utf-8") as file:
                for line in file:
                    row = json.loads(line)
                    last[row["key"]] = (row["rows"], row["sum"], row["marks"])
        return last

    def query(self):
        """{key: (rows, sum, marks)} of the newest checkpoint."""
        out = subprocess.run([PROGRAM, "query", "job.toml", "--json"], cwd=self.folder, check=True,
                             stdout=subprocess.PIPE).stdout
        return {row["key"]: (row["rows"], row["sum"], row["marks"])
                for row in map(json.loads, out.splitlines()) if "key" in row}

    def metric(self, lines, name):
        values = [line["metrics"] for line in lines if line["event"] == "metrics"]
        return values[-1].get(name)


def memory_of(process):
    """Bytes that it has in memory."""
    with open(f"/proc/{process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def total(count):
    return count * (count + 1) // 2


def main():
    """The cases of the program that was started, as its arguments say."""
    global PROGRAM, PRODUCER
    PROGRAM = os.path.abspath(sys.argv[1])
    PRODUCER = os.path.abspath(sys.argv[2])
    unittest.main(module="__main__", argv=[sys.argv[0], *sys.argv[3:]])
