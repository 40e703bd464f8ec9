"""A running job, watched once a second: what it says of itself, and what the system says of it."""

import json
import mmap
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

END_SECONDS_MAX = 120  # from the request to stop until the process is gone
SILENCE_SECONDS_MAX = 240  # between two lines of progress
FILL_SECONDS = 0.02  # what the job frees of a full disk is taken away again so soon
FILL_BYTES = 16 << 20


class Failure(Exception):
    """What a soak found."""


def alone():
    """Starts this program again where it may mount a file system of its own, if it may."""
    if os.environ.get("CST_SOAK_ALONE"):
        return
    environment = dict(os.environ, CST_SOAK_ALONE="1")
    tried = subprocess.run(["unshare", "-rm", "true"], stderr=subprocess.DEVNULL, check=False)
    if tried.returncode == 0:
        os.execvpe("unshare", ["unshare", "-rm", sys.executable, "-B", *sys.argv], environment)


class Disk:
    """A folder on a disk that can be full: a small file system of its own, filled up; where none
    may be mounted, files that may not grow."""

    def __init__(self, folder, size_bytes):
        self.folder = folder
        os.mkdir(folder)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "soak", folder]
        self.mounted = bool(os.environ.get("CST_SOAK_ALONE")) and subprocess.run(
            command, stderr=subprocess.DEVNULL, check=False).returncode == 0
        self.kind = "a full tmpfs" if self.mounted else "files that may not grow"
        self.full = threading.Event()
        self.lock = threading.Lock()  # of the ballast, once it is full
        self.ended = False
        self.filler = threading.Thread(target=self.fill, daemon=True)
        if self.mounted:
            self.filler.start()

    def take(self):
        """What is free goes into the ballast."""
        block = FILL_BYTES
        with open(os.path.join(self.folder, "ballast"), "ab") as ballast:
            while block >= mmap.PAGESIZE:
                try:
                    os.posix_fallocate(ballast.fileno(), os.fstat(ballast.fileno()).st_size, block)
                except OSError:
                    block //= 2

    def fill(self):
        """While it is to be full, it is kept so."""
        while self.full.wait() and not self.ended:
            with self.lock:
                if self.full.is_set():
                    self.take()
            time.sleep(FILL_SECONDS)

    def fail(self, process):
        if self.mounted:
            self.take()
        else:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        self.full.set()

    def mend(self, process):
        with self.lock:
            self.full.clear()
        if self.mounted:
            os.truncate(os.path.join(self.folder, "ballast"), 0)
        else:
            unlimited = resource.RLIM_INFINITY
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))

    def close(self):
        self.ended = True
        self.full.set()
        if self.mounted:
            self.filler.join()
            subprocess.run(["umount", self.folder], check=True)


class Job:
    """A job in a folder of its own: job.toml, and its checkpoints on a disk that may be small."""

    def __init__(self, program, text, disk_bytes):
        self.program = program
        self.folder = tempfile.mkdtemp(prefix="cst-soak-")
        self.disk = Disk(self.path("disk"), disk_bytes)
        self.process = None
        self.done = None
        with open(self.path("job.toml"), "w", encoding="utf-8") as file:
            file.write(text)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.disk.close()
        shutil.rmtree(self.folder)

    def start(self, *options):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # inherited: a write says EFBIG
        with open(self.path("log"), "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "run", self.path("job.toml"), "--json", *options],
                stdout=subprocess.PIPE, stderr=log, text=True, restore_signals=False)

    def log(self):
        with open(self.path("log"), encoding="utf-8") as file:
            return "".join(file.readlines()[-20:])

    def system(self):
        """Bytes of memory the process has, with and without files it has mapped; its seconds."""
        fields = {}
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as file:
            for line in file:
                name, _, rest = line.partition(":")
                if name in ("VmRSS", "RssAnon"):
                    fields[name] = int(rest.split()[0]) * 1024
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as file:
            times = file.read().rpartition(")")[2].split()[11:13]  # user, system
        fields["cpu_seconds"] = sum(map(int, times)) / os.sysconf("SC_CLK_TCK")
        return fields

    def lines(self):
        """What it says, until it ends: (event, fields). A job that falls silent is killed."""
        killer = None
        try:
            for line in self.process.stdout:
                if killer:
                    killer.cancel()
                killer = threading.Timer(SILENCE_SECONDS_MAX, self.process.kill)
                killer.start()
                fields = json.loads(line)
                yield fields.pop("event"), fields
        finally:
            if killer:
                killer.cancel()

    def samples(self):
        """One a second: progress, metrics by name (partitions summed), memory."""
        progress = None
        for event, fields in self.lines():
            if event == "progress":
                progress = fields
            elif event == "metrics" and progress:
                try:
                    yield dict(progress, **sums(fields["metrics"]), **self.system())
                except (FileNotFoundError, KeyError):
                    return  # it has ended meanwhile
                progress = None
            elif event == "done":
                self.done = fields

    def stop(self):
        """A final checkpoint and the end; returns what it said last."""
        self.process.send_signal(signal.SIGINT)
        self.end()

    def end(self):
        for event, fields in self.lines():
            if event == "done":
                self.done = fields
        try:
            status = self.process.wait(END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failure(f"it did not end within {END_SECONDS_MAX} s") from None
        if status != 0 or not self.done:
            raise Failure(f"it ended with status {status}:\n{self.log()}")

    def call(self, *arguments):
        """Another verb's lines."""
        result = subprocess.run([self.program, *arguments, "--json"], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, check=False)
        if result.returncode != 0:
            raise Failure(f"{' '.join(arguments)}: status {result.returncode}: "
                          f"{result.stderr.strip()}")
        return [json.loads(line) for line in result.stdout.splitlines()]


def sums(metrics):
    """{name: value}, those of partitions added up."""
    found = {}
    for name, value in metrics.items():
        if isinstance(value, (int, float)):
            name = name.partition("{")[0].removeprefix("constellation_")
            found[name] = found.get(name, 0) + value
    return found
