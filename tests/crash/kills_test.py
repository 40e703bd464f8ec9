#!/usr/bin/env python3
# usage: tests/crash/kills_test.py PROGRAM [--kills N] [--each N] [--seed S] [--parallel N]
#        tests/crash/kills_test.py PROGRAM --seed S --scenario I [--points NAME,NAME]    again
# Kills the real program with -9 while it works, N times (500): at every named step of
# base/fault_point.h at least `each` times (5), and at random moments, most of them while an object
# is being written. PROGRAM has fault points (the debug preset). After a dozen kills a job's last run
# catches up; sink and state must equal what expected.py computes from the same rows.
"""Kill -9 at every step: nothing is lost, nothing comes twice."""

import argparse
import concurrent.futures
import os
import random
import signal
import subprocess
import sys
import threading
import time

import jobs

NAMED_A_SCENARIO = 5
RECOVERING_A_SCENARIO = 2
RANDOM_A_SCENARIO = 12
TAKEOVERS_A_SCENARIO = 1   # two processes die in one, or the first wakes up and is fenced off
KILLS_A_SCENARIO = (NAMED_A_SCENARIO + RECOVERING_A_SCENARIO + RANDOM_A_SCENARIO
                    + TAKEOVERS_A_SCENARIO)
SCENARIOS_KILLS = 200      # some scenario of so many kills has a device that fails
LOOK_CHANCE = 0.15         # that sink and state are compared after a kill
RESCALE_CHANCE = 0.2       # that a run has another number of partitions than the one before
PARTITIONS_MAX = 4
DEVICE_CHANCE = 0.3        # that a scenario's device fails
LONG_KEYS_CHANCE = 0.5     # that it does not take the longer keys, where their lengths differ
STRIDE = 9                 # of the steps of one scenario, in the list of them
PAUSE_SECONDS = 0.02       # between two helpings of rows
RANDOM_SECONDS_MAX = 0.5   # a random moment lies within
UPLOAD_SECONDS_MAX = 1.0   # and then until an object is being written
WAKE_SECONDS_MAX = 0.1     # a stopped owner that woke up lives at most so long
ALIVE_SECONDS_MAX = 60.0   # and a run begins within
NAMED_SECONDS_MAX = 15.0   # a named step comes within, or this time does not count
ROUNDS_MAX = 6             # of further scenarios for steps that came too seldom

# What must have gone before a step is reached: the faults of the run before, and those of the run
# itself in front of the kill.
BEFORE = {
    "adopt_before_command": "commit_after_manifest:{n}:kill",
    "adopt_after_command": "commit_after_manifest:{n}:kill",
    "recovery_release": "commit_after_command:{n}:kill",
}
WITH = {
    "abort_before_command": "upload_middle:{n}:fail",
    "abort_after_command": "upload_middle:{n}:fail",
    "abort_cleaning": "upload_middle:{n}:fail",
}
FIRST = {"claim_after", "adopt_before_command", "adopt_after_command", "recovery_manifest",
         "recovery_restore", "recovery_release", "abort_before_command", "abort_after_command",
         "abort_cleaning", "fold_uploaded", "fold_registered", "meta_snapshot",
         "meta_trim", "rescale_command", "rescale_full", "rescale_spread"}  # these come seldom
RESCALE = {"rescale_command", "rescale_full", "rescale_spread"}
RECOVERY = RESCALE | {"claim_after", "adopt_before_command", "adopt_after_command",
                      "recovery_manifest", "recovery_restore", "recovery_release"}
HURRIED = {"every": "10ms", "unaligned": None, "keys": 20, "state": "hash:"}
TAKEOVER = "takeover"  # a plan's entry beside the steps
FENCED = 6
OFTEN = {"file_temporary", "file_linked", "meta_append"}  # these come many times in a checkpoint


class Tally:
    """What was killed, over all scenarios."""

    def __init__(self):
        self.lock = threading.Lock()
        self.kills = self.uploading = self.recovering = 0
        self.takeovers = self.fenced = 0
        self.devices_lost = 0
        self.steps = {}

    def add(self, step, uploading):
        with self.lock:
            self.kills += 1
            self.uploading += uploading
            self.recovering += step in RECOVERY
            if step:
                self.steps[step] = self.steps.get(step, 0) + 1


    def add_devices(self, lost):
        with self.lock:
            self.devices_lost += lost

    def add_takeover(self, fenced):
        with self.lock:
            self.kills += 1 if fenced else 2
            self.takeovers += 1
            self.fenced += fenced


def fault_points(program):
    """The names of all steps; without them the program is of the wrong build."""
    result = subprocess.run([program, "version", "--fault-points"], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, check=False)
    names = result.stdout.split()
    if result.returncode != 0 or not names:
        sys.exit(f"kills: {program} has no fault points: build the debug preset\n{result.stderr}")
    return names


def settings_of(draw, program):
    """A job that differs from the next one."""
    settings = {
        "partitions": draw.choice((2, 2, 3)),
        "format": draw.choice(("csv", "ndjson")),
        "key": draw.choice(("u64", "string")),
        "batch_rows": draw.choice((64, 512, 4096)),
        "every": draw.choice(("10ms", "20ms", "500 rows", "3000 rows")),
        "fold": draw.choice((1, 2, 3, 5)),
        "keep": draw.choice((1, 2, 3)),
        "epochs_max": draw.choice((1, 2, 4)),
        "files": draw.choice((1, 2, 3)),
        "keys": draw.choice((20, 2000, 10000)),
        "budget": "256MiB",
    }
    settings["header"] = settings["format"] == "csv" and draw.random() < 0.5
    if draw.random() < 0.3:
        settings["operator"] = os.path.join(os.path.dirname(os.path.dirname(program)), "lib",
                                            "libtest.crash_operator.so")
        settings["key"] = "u64"
    settings["state"] = draw.choice(("hash:", "lmdb:state"))
    if "rows" not in settings["every"]:
        settings["unaligned"] = draw.choice((None, "0s", "2ms"))
    if draw.random() < DEVICE_CHANCE:  # it is lost in each run, again and again
        fault = draw.choice(("fail", "drop", "reset", "checksum", "flip", "fail_submit"))
        settings["device"] = f"fault:cpu:?{fault}={draw.choice((20, 60, 250))}"
        if draw.random() < 0.5:
            settings["device"] += "&worker=1"
        settings["policy"] = draw.choice(("return", "stay"))
    if settings["key"] == "string" and draw.random() < LONG_KEYS_CHANCE:
        device = settings.get("device")
        settings["device"] = f"{device}&key_bytes=9" if device else "fault:cpu:?key_bytes=9"
    return settings


def plan_of(draw, index, points, only):
    """The kills of one scenario: (step or None, faults to arm)."""
    # Neighbours in the list get in each other's way: what dies in a fold leaves a lease behind.
    chosen = list(only) if only else [points[(index * NAMED_A_SCENARIO + i) * STRIDE % len(points)]
                      for i in range(NAMED_A_SCENARIO)]
    chosen += draw.sample(sorted(RECOVERY), RECOVERING_A_SCENARIO)
    plan = [[(None, None)] for _ in range(len(chosen) if only else RANDOM_A_SCENARIO)]
    plan += [[(TAKEOVER, None)] for _ in range(0 if only else TAKEOVERS_A_SCENARIO)]
    for step in chosen:
        passes = 1 if step in FIRST else draw.randint(1, 60) if step in OFTEN \
            else draw.randint(1, 6)
        runs = []
        if step in BEFORE:
            fault = BEFORE[step].format(n=draw.randint(1, 5))
            runs.append((fault.split(":")[0], fault))
        fault = f"{step}:{passes}:kill"
        if step in WITH:
            fault = WITH[step].format(n=draw.randint(1, 6)) + f",{step}:1:kill"
        runs.append((step, fault))
        plan.append(runs)
    draw.shuffle(plan)
    # The first run leaves something to recover.
    return [(None, None)] + [run for runs in plan for run in runs]


def wait_and_feed(job, process, seconds, until_upload):
    """Feeds rows until the process ends or the time is over; true: it ended by itself."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            process.wait(min(PAUSE_SECONDS, max(0.0, end - time.monotonic())))
            return True
        except subprocess.TimeoutExpired:
            job.append(job.draw.choice((0, 50, 500)), tear=job.draw.random() < 0.3)
    if until_upload:
        stop_in_mid_write(job, process)
    return process.poll() is not None


def stop_in_mid_write(job, process):
    """Stops the process with an object half written, if it writes one soon; it is killed as it is."""
    there = job.temporaries()
    end = time.monotonic() + UPLOAD_SECONDS_MAX
    while time.monotonic() < end and process.poll() is None:
        if not job.temporaries() - there:
            continue
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        if job.temporaries() - there:
            return
        process.send_signal(signal.SIGCONT)  # the write ended first


def wait_for_life(job, process, before):
    """Until the run has claimed the job: it says something on its way to its rows."""
    end = time.monotonic() + ALIVE_SECONDS_MAX
    while time.monotonic() < end:
        with open(job.path("log"), encoding="utf-8") as log:
            log.seek(before)
            if '"event":' in log.read():
                return
        if process.poll() is not None:
            raise jobs.Failure(f"a run that was to be stopped ended with {process.returncode}")
        time.sleep(PAUSE_SECONDS / 10)
    raise jobs.Failure(f"a run said nothing for {ALIVE_SECONDS_MAX} s")


def rescale(job, draw):
    """Another number of partitions than the last run's, and than the newest checkpoint's."""
    taken = {job.settings["partitions"], job.committed_partitions()}
    job.configure(partitions=draw.choice([n for n in range(1, PARTITIONS_MAX + 1)
                                          if n not in taken]))


def one_takeover(job, draw, tally):
    """An owner is stopped, another one takes its place; it wakes up, and both are killed."""
    job.append(draw.choice((200, 1500, 6000)))
    said = os.path.getsize(job.path("log")) if os.path.exists(job.path("log")) else 0
    first = job.start()
    processes = [first]
    try:
        wait_for_life(job, first, said)
        wait_and_feed(job, first, RANDOM_SECONDS_MAX * draw.random(), draw.random() < 0.8)
        first.send_signal(signal.SIGSTOP)
        said = os.path.getsize(job.path("log"))
        if draw.random() < RESCALE_CHANCE:
            rescale(job, draw)
        second = job.start("--takeover")
        processes.append(second)
        wait_for_life(job, second, said)
        wait_and_feed(job, second, RANDOM_SECONDS_MAX * draw.random(), until_upload=False)
        first.send_signal(signal.SIGCONT)
        wait_and_feed(job, second, WAKE_SECONDS_MAX * draw.random(), draw.random() < 0.5)
    finally:
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()
    ends = tuple(process.returncode for process in processes)
    if ends not in ((FENCED, -signal.SIGKILL), (-signal.SIGKILL, -signal.SIGKILL)):
        raise jobs.Failure(f"a stopped owner and the one after it ended with {ends}")
    tally.add_takeover(ends[0] == FENCED)
    job.check_commits()


def one_kill(job, draw, tally, step, fault):
    job.append(draw.choice((200, 1500, 6000)), tear=draw.random() < 0.3)
    there = job.temporaries()
    if step in RESCALE or draw.random() < RESCALE_CHANCE:
        rescale(job, draw)
    process = job.start(fault=fault)
    seconds = NAMED_SECONDS_MAX if step else RANDOM_SECONDS_MAX * draw.random()
    try:
        ended = wait_and_feed(job, process, seconds, until_upload=not step and draw.random() < 0.95)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
    if not job.may_end(process):
        raise jobs.Failure(f"a run that was to be killed ended with status {process.returncode}")
    ended = ended and process.returncode == -signal.SIGKILL
    tally.add(step if ended else None, bool(job.temporaries() - there))
    if draw.random() < LOOK_CHANCE:
        job.check_commits()
    else:
        job.released_parts()


def finish(job):
    with job.undisturbed():
        job.append(200)
        job.configure(follow=False)
        job.finish()
        job.check()


def scenario(options, points, tally, index, only=None):
    """A job, a dozen kills, a last run, and the comparison. Returns what failed, or None."""
    draw = random.Random(f"{options.seed}:{index}")
    settings = settings_of(draw, options.program)
    if only:  # what comes seldom comes with many checkpoints
        settings.update(HURRIED)
    job = options.job(options.program, f"rows:{options.seed}:{index}", settings)
    said = None
    try:
        for step, fault in plan_of(draw, index, points, only):
            if step == TAKEOVER:
                with job.undisturbed():
                    one_takeover(job, draw, tally)
            else:
                one_kill(job, draw, tally, step, fault)
        finish(job)
    except jobs.Failure as failure:
        again = f"{sys.argv[0]} {options.program} --seed {options.seed} --scenario {index}"
        if only:
            again += " --points " + ",".join(only)
        said = f"scenario {index}: {failure}\n  job    {job.folder}\n  again  {again}"
    tally.add_devices(job.times_logged("device_lost"))
    if not said:
        job.remove()
    return said


def run_all(options, points, tally):
    """Scenarios until there were kills enough, then more for the steps that came too seldom."""
    count = -(-options.kills // KILLS_A_SCENARIO)
    failures = []
    with concurrent.futures.ThreadPoolExecutor(options.parallel) as pool:
        failures += pool.map(lambda i: scenario(options, points, tally, i), range(count))
        for _ in range(ROUNDS_MAX):
            seldom = [name for name in points if tally.steps.get(name, 0) < options.each]
            if any(failures) or not seldom:
                break
            groups = [[name] * (options.each - tally.steps.get(name, 0)) for name in seldom]
            indices = range(count, count + len(groups))
            failures += pool.map(lambda i: scenario(options, points, tally, i, groups[i - count]),
                                 indices)
            count += len(groups)
    return [failure for failure in failures if failure]


def report(options, points, tally, failures, seconds):
    for name in points:
        print(f"  {name:24} {tally.steps.get(name, 0):4}")
    print(f"kills: {tally.kills} kills in {seconds:.0f} s, seed {options.seed}: "
          f"{sum(tally.steps.values())} at named steps, {tally.uploading} while an object was being "
          f"written, {tally.recovering} during recovery; {tally.takeovers} takeovers from stopped "
          f"owners, {tally.fenced} of which woke up and were fenced off; devices were lost "
          f"{tally.devices_lost} times")
    for failure in failures:
        print(failure)
    if failures:
        return 1
    short = [name for name in points if tally.steps.get(name, 0) < options.each]
    if short:
        print(f"kills: too few at {', '.join(short)}")
    if tally.kills < SCENARIOS_KILLS:  # too few to expect some of each kind
        return 1 if short else 0
    few = tally.recovering < tally.kills // 10
    if few:
        print("kills: fewer than a tenth during recovery")
    idle = 2 * tally.uploading < tally.kills
    if idle:
        print("kills: fewer than half while an object was being written")
    well = tally.devices_lost == 0
    if well:
        print("kills: no device was lost")
    return 1 if short or few or idle or well else 0


def arguments(text, kills, each):
    """What the command line says, and the steps that are asked for."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("program", type=os.path.abspath)
    parser.add_argument("--kills", type=int, default=kills)
    parser.add_argument("--each", type=int, default=each)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parallel", type=int, default=4)
    parser.add_argument("--scenario", type=int)
    parser.add_argument("--points")
    return parser.parse_args()


def main():
    options = arguments(__doc__, 500, 5)
    options.job = jobs.Job
    # Those of the write-ahead log are passed with push sources only: unit.stream.wal_kill is there. A
    # second stage has stages_test.py.
    points = [name for name in fault_points(options.program)
              if not name.startswith(("wal_", "push_", "then_"))]
    return run(options, points)


def run(options, points):
    tally = Tally()
    began = time.monotonic()
    print(f"kills: seed {options.seed}", flush=True)
    if options.scenario is not None:
        only = options.points.split(",") if options.points else None
        failures = [scenario(options, points, tally, options.scenario, only)]
        print("\n".join(filter(None, failures)) or "kills: the scenario passed")
        return 1 if any(failures) else 0
    failures = run_all(options, points, tally)
    return report(options, points, tally, failures, time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(main())
