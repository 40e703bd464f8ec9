"""A job in a folder of its own, for tests that kill the program: its rows, its runs, its results."""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
RUN_SECONDS_MAX = 120  # a run that is not killed ends long before
PART = re.compile(r"\d{20}-\d{5}\.ndjson")  # {epoch}-{partition}
HEADER = "id,amount,key,mix\n"  # not in the job's order
FIELDS = ("rows", "ids", "mixes", "low", "high")


class Failure(Exception):
    """What a test found; its text says where to look."""


def operator_text(settings):
    return f'[[operator]]\nlibrary = "{settings["operator"]}"' if settings["operator"] else ""


def unaligned_text(settings):
    return f'unaligned_after = "{settings["unaligned"]}"' if settings["unaligned"] else ""


def device_text(settings):
    if not settings["device"]:
        return ""
    return "\n".join((f'uri = "{settings["device"]}"', f'policy = "{settings["policy"]}"',
                      'timeout = "300ms"', 'return_after = "50ms"'))


def source_text(settings):
    if settings["ack"]:
        return f"""kind    = "tcp"
listen  = "127.0.0.1:0"
ack     = "{settings["ack"]}"
columns = ["key {settings["key"]}", "id u64", "mix u64", "amount i64"]
{settings["tls"]}"""
    return f"""kind    = "file"
path    = "rows"
format  = "{settings["format"]}"
columns = ["key {settings["key"]}", "id u64", "mix u64", "amount i64"]
follow  = {"true" if settings["follow"] else "false"}
{"header  = true" if settings["header"] else ""}"""


def job_text(settings):
    """The job file: `settings` has what differs between jobs."""
    return f"""# Written by tests/crash.
[job]
name       = "{settings["name"]}"
partitions = {settings["partitions"]}

[source]
{source_text(settings)}
{operator_text(settings)}

[key]
columns = ["key"]

[[aggregate]]
as = "rows"
op = "count"
[[aggregate]]
as = "ids"
op = "sum"
column = "id"
[[aggregate]]
as = "mixes"
op = "sum"
column = "mix"
[[aggregate]]
as = "low"
op = "min"
column = "amount"
[[aggregate]]
as = "high"
op = "max"
column = "amount"

[sink]
kind = "file"
path = "out"

[state]
store  = "{settings["state"]}"
budget = "{settings["budget"]}"

[device]
batch_rows = {settings["batch_rows"]}
{device_text(settings)}

[checkpoint]
store = "{settings["store"]}"
every = "{settings["every"]}"
fold  = {settings["fold"]}
keep  = {settings["keep"]}
epochs_max = {settings["epochs_max"]}
{unaligned_text(settings)}
"""


class Job:
    """Folder: job.toml, rows/ (the source), out/ (the sink), checkpoints/ (the store)."""

    def __init__(self, program, seed, settings=None):
        self.program = program
        self.draw = random.Random(seed)
        self.folder = tempfile.mkdtemp(prefix="cst-crash-")
        self.settings = dict({"name": "crash", "partitions": 2, "format": "ndjson", "key": "u64", "follow": True,
                              "budget": "128MiB", "batch_rows": 1024, "every": "10ms", "fold": 3,
                              "keep": 2, "epochs_max": 4, "files": 2, "keys": 2000, "header": False,
                              "operator": None, "state": "hash:", "ack": None, "tls": "",
                              "unaligned": None, "device": None, "policy": "return",
                              "store": "file:checkpoints"},
                             **(settings or {}))
        self.environment = {}  # of its runs, beside ours
        self.store = "file:" + self.path("checkpoints")
        self.rows_count = 0
        self.torn = {}   # file: what its last line still lacks
        self.parts = {}  # what the sink has released: name: (inode, size, time)
        os.mkdir(self.path("rows"))
        self.configure()
        self.append(0)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def configure(self, **settings):
        self.settings.update(settings)
        with open(self.path("job.toml"), "w", encoding="utf-8") as file:
            file.write(job_text(self.settings))

    def remove(self):
        shutil.rmtree(self.folder)

    # ---- Rows ----

    def row(self):
        # Few keys take most rows; ids are unique but for one pair in millions of jobs.
        key = int(self.settings["keys"] * self.draw.random() ** 3)
        ident, mix = self.draw.getrandbits(40), self.draw.getrandbits(40)
        amount = self.draw.randint(-10**6, 10**6)
        if self.settings["key"] == "string":
            key = f"key-{key}"
        if self.settings["header"]:
            return f"{ident},{amount},{key},{mix}\n"
        if self.settings["format"] == "csv":
            return f"{key},{ident},{mix},{amount}\n"
        return json.dumps({"key": key, "id": ident, "mix": mix, "amount": amount}) + "\n"

    def append(self, count, tear=False):
        """Adds rows to each file; `tear` leaves the last line of one cut in the middle."""
        files = self.settings["files"]
        for number in range(files):
            name = self.path("rows", f"part-{number}.{self.settings['format']}")
            begin = HEADER if self.settings["header"] and not os.path.exists(name) else ""
            text = begin + self.torn.pop(name, "") + "".join(self.row() for _ in range(count // files))
            if tear and number == 0 and len(text) > 1:
                cut = self.draw.randrange(1, min(20, len(text)))
                self.torn[name] = text[-cut:]
                text = text[:-cut]
            with open(name, "a", encoding="utf-8") as file:
                file.write(text)
        self.rows_count += count // files * files

    # ---- Runs ----

    def start(self, *options, fault=None):
        environment = {**os.environ, **self.environment}
        environment.pop("CST_FAULT", None)
        if fault:
            environment["CST_FAULT"] = fault
        with open(self.path("log"), "a", encoding="utf-8") as log:
            log.write(f"--- run {' '.join(options)} CST_FAULT={fault or ''}\n")
            log.flush()
            return subprocess.Popen(
                [self.program, "run", self.path("job.toml"), "--json", *options],
                stdout=log, stderr=log, env=environment, start_new_session=True)

    @staticmethod
    def wait(process, seconds):
        """At most so long, for the process's end."""
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass

    def finish(self, *options):
        """Runs until everything is in, without disturbance."""
        process = self.start("--until-caught-up", *options)
        try:
            status = process.wait(RUN_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            raise Failure(f"the last run did not catch up in {RUN_SECONDS_MAX} s") from None
        if status != 0:
            raise Failure(f"the last run ended with status {status}")

    def call(self, *arguments):
        """Another verb: (status, stdout, stderr)."""
        result = subprocess.run([self.program, *arguments], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, timeout=RUN_SECONDS_MAX,
                                check=False, env={**os.environ, **self.environment})
        return result.returncode, result.stdout, result.stderr

    def times_logged(self, event):
        """In all its runs."""
        with open(self.path("log"), encoding="utf-8") as log:
            return sum(f" {event} " in line for line in log)

    def temporaries(self):
        """Objects that are being written, and what killed writers left."""
        try:
            return set(os.listdir(self.path("checkpoints", ".tmp")))
        except FileNotFoundError:
            return set()

    def litter(self):
        """What no run may leave in the store when it has ended well."""
        return self.temporaries()

    @staticmethod
    def undisturbed():
        """While it lasts nothing but its own processes is killed."""
        return contextlib.nullcontext()

    @staticmethod
    def may_end(process):
        """Whether a run that was to be killed may have ended so."""
        return process.returncode == -signal.SIGKILL

    def committed_partitions(self):
        """Of the newest checkpoint; 0: there is none, or it cannot be told."""
        status, out, _ = self.call("checkpoints", "list", self.store, "--json")
        return json.loads(out.splitlines()[-1])["partitions"] if status == 0 and out else 0

    # ---- Results ----

    def expected(self):
        """{key: fields}, by expected.py."""
        text = subprocess.run([sys.executable, os.path.join(HERE, "expected.py"),
                               self.path("rows"),
                               "operator" if self.settings["operator"] else ""], stdout=subprocess.PIPE, text=True,
                              check=True).stdout
        return {row["key"]: tuple(row[field] for field in FIELDS)
                for row in map(json.loads, text.splitlines())}

    def released_parts(self):
        """Parts of the sink in order of their epochs; they never change or go."""
        there = os.listdir(self.path("out")) if os.path.isdir(self.path("out")) else []
        names = sorted(name for name in there if PART.fullmatch(name))
        now = {}
        for name in names:
            status = os.stat(self.path("out", name))
            now[name] = (status.st_ino, status.st_size, status.st_mtime_ns)
        for name, before in self.parts.items():
            if now.get(name) != before:
                raise Failure(f"released part {name} was {before}, is {now.get(name, 'gone')}")
        self.parts = now
        return names

    def released(self):
        """{key: fields} of the sink: the last line of a key. A key's rows only ever grow: a line
        that was released twice, or late, shows."""
        results = {}
        for name in self.released_parts():
            with open(self.path("out", name), encoding="utf-8") as file:
                for line in file:
                    row = json.loads(line)
                    fields = tuple(row[field] for field in FIELDS)
                    before = results.get(row["key"])
                    if row["_op"] != "upsert" or (before and before[0] >= fields[0]):
                        raise Failure(f"{name}: {line.strip()} follows {before}")
                    results[row["key"]] = fields
        return results

    def queried(self):
        """{key: fields} of the newest checkpoint."""
        status, out, err = self.call("query", self.path("job.toml"), "--json")
        if status != 0:
            raise Failure(f"query: status {status}: {err.strip()}")
        rows = [json.loads(line) for line in out.splitlines()]
        return {row["key"]: tuple(row[field] for field in FIELDS)
                for row in rows if "key" in row}

    def check_commits(self):
        """Nothing was released that is not committed."""
        released = self.released()
        committed = self.queried() if released else {}
        for key, fields in released.items():
            if key not in committed or committed[key][0] < fields[0]:
                raise Failure(f"key {key}: {fields} was released, {committed.get(key)} committed")

    def check(self):
        """The results are right, the store is sound, and nothing was left lying about."""
        self.check_results()
        status, _, err = self.call("checkpoints", "verify", self.store)
        if status != 0:
            raise Failure(f"checkpoints verify: status {status}: {err.strip()}")
        left = [name for name in os.listdir(self.path("out")) if not PART.fullmatch(name)]
        if left:
            raise Failure(f"the sink's folder holds {left}")
        if self.litter():
            raise Failure(f"the store still holds the uploads {self.litter()}")

    def check_results(self):
        """Sink and state equal what expected.py says."""
        wanted = self.expected()
        for what, got in (("sink", self.released()), ("query", self.queried())):
            if got == wanted:
                continue
            differing = sorted((key for key in set(got) | set(wanted)
                                if got.get(key) != wanted.get(key)), key=str)
            key = differing[0]
            raise Failure(f"{what}: {len(differing)} of {len(wanted)} keys differ, as {key}: "
                          f"{got.get(key)}, wanted {wanted.get(key)}")
