#!/usr/bin/env python3
# usage: tests/crash/s3_test.py PROGRAM [--kills N] [--each N] [--seed S] [--parallel N]
#        tests/crash/s3_test.py PROGRAM --seed S --scenario I [--points NAME,NAME]    again
# kills_test.py with the checkpoints in a bucket of a Ceph gateway that the test starts. Between the
# program and the gateway stands tests/s3/proxy, which delays, throttles, cuts, resets, freezes and asks
# twice; the gateway itself is killed with -9 again and again. N kills (6) of the program, at the steps
# of base/fault_point.h that such a job passes, at random moments, and by takeovers from owners that were
# stopped. PROGRAM has fault points (the debug preset).
"""Kill -9 at every step, with checkpoints in S3 behind a bad network: nothing is lost, nothing comes twice."""

import contextlib
import os
import random
import re
import sys
import threading
import time

import jobs
import kills_test

sys.path.insert(0, os.path.join(jobs.HERE, "..", "s3"))
import servers  # noqa: E402

BUCKET = "crash"
FAILED = 1
# What a run may end with while the gateway is away, beside being killed.
AWAY = ("CST_OBJECT_UNAVAILABLE", "CST_OBJECT_AMBIGUOUS", "CST_DEADLINE")
SERVER_LIVES_S = (5.0, 10.0)
CALM_S = (0.3, 1.5)     # between two disturbances of one proxy
FROZEN_S = (0.05, 0.4)


class Cleanups(contextlib.ExitStack):
    """What servers.py wants of a test."""
    addCleanup = contextlib.ExitStack.callback


class Disturber:
    """A thread that does something, again and again, until it is ended."""

    def __init__(self, every, disturb):
        self.every, self.disturb, self.count = every, disturb, 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.ended.wait(random.uniform(*self.every)):
            try:
                self.disturb()
            except OSError:
                return  # what it disturbs is gone: the scenario has failed, and its thread ended
            self.count += 1

    def end(self):
        self.ended.set()
        self.thread.join()


class Gateway:
    """One for all jobs, which dies."""

    def __init__(self, cleanups):
        self.server = servers.Rgw(cleanups)
        self.server.ask("PUT", "/" + BUCKET)
        self.alive = threading.Lock()
        self.killer = Disturber(SERVER_LIVES_S, self.kill)
        cleanups.addCleanup(self.killer.end)

    def kill(self):
        with self.alive:
            self.server.kill()
            self.server.again()


def rules_of(draw):
    """Of each proxy others. What a rule does ends with its connection: the next one has another."""
    return (f"%3 cut down {draw.choice((0, 1, 300, 2000))}",
            f"%5 reset up {draw.choice((0, 100, 2000))}",
            f"%7 delay down {draw.choice((5, 30))}",
            f"%8 delay up {draw.choice((5, 30))}",
            f"%11 throttle up {draw.choice(('20k', '200k'))}",
            "%13 echo", "%17 forestall")


class Job(jobs.Job):
    """Its checkpoints are in the bucket, behind a proxy of its own."""
    made = 0

    def __init__(self, program, seed, settings, gateway):
        draw = random.Random(f"{seed}:network")
        self.gateway, self.cleanups = gateway, Cleanups()
        server = gateway.server
        self.proxy = servers.Proxy(self.cleanups, server.port, *rules_of(draw))
        Job.made += 1
        place = f"s3://{BUCKET}/{Job.made}?endpoint="
        super().__init__(program, seed, {
            **settings, "store": f"{place}http://127.0.0.1:{self.proxy.port}&connections=8"})
        self.store = place + server.endpoint
        self.environment = {"AWS_ACCESS_KEY_ID": server.access_key,
                            "AWS_SECRET_ACCESS_KEY": server.secret_key,
                            "AWS_REGION": server.region}
        self.prefix = f"{Job.made}%2F"  # as it is signed
        self.disturber = Disturber(CALM_S, self.disturb)

    def disturb(self):
        if random.random() < 0.5:
            self.proxy.say("reset")
            return
        self.proxy.say("freeze")
        time.sleep(random.uniform(*FROZEN_S))
        self.proxy.say("thaw")

    def remove(self):
        self.end()
        super().remove()

    def end(self):
        self.disturber.end()
        self.cleanups.close()

    # ---- What differs from a folder ----

    def temporaries(self):
        """Connections with a request that has no answer, and those of killed runs that got none."""
        return set(self.proxy.stats()["unanswered"])

    def litter(self):
        """Uploads that nobody will end; but those of probes, which a kill leaves to a sweep a day later."""
        said = self.gateway.server.ask("GET", f"/{BUCKET}?prefix={self.prefix}&uploads=")
        names = re.findall(r"<Upload>.*?<Key>([^<]*)</Key>", said)
        return [name for name in names if "/probe/" not in name] or None

    @contextlib.contextmanager
    def undisturbed(self):
        with self.gateway.alive:
            yield

    def may_end(self, process):
        if super().may_end(process):
            return True
        with open(self.path("log"), encoding="utf-8") as log:
            said = log.read().rpartition("--- run")[2]
        return process.returncode == FAILED and any(code in said for code in AWAY)


def main():
    options = kills_test.arguments(__doc__, 6, 0)
    # A start takes seconds, since it proves the server; a checkpoint many requests.
    kills_test.NAMED_A_SCENARIO = 2
    kills_test.RECOVERING_A_SCENARIO = kills_test.RANDOM_A_SCENARIO = 1
    kills_test.KILLS_A_SCENARIO = 6  # with the first run's, and the takeover's
    kills_test.RANDOM_SECONDS_MAX, kills_test.NAMED_SECONDS_MAX = 4.0, 15.0
    kills_test.OFTEN = set()
    points = [name for name in kills_test.fault_points(options.program)
              if not name.startswith(("wal_", "push_", "then_", "file_"))]
    with Cleanups() as cleanups:
        gateway = Gateway(cleanups)
        def make(program, seed, settings):
            job = Job(program, seed, settings, gateway)
            cleanups.addCleanup(job.end)
            return job
        options.job = make
        status = kills_test.run(options, points)
    print(f"s3: the gateway was killed {gateway.killer.count} times")
    return status if gateway.killer.count else 1


if __name__ == "__main__":
    sys.exit(main())
