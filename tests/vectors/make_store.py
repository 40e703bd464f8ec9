#!/usr/bin/env python3
# usage: tests/vectors/make_store.py PROGRAM NAME
# Runs the job stores/NAME.toml, a third of its rows with three partitions, then with its own, and
# folds in between; writes its store, as it lies in the folder, to stores/NAME.txt, and its results to
# stores/NAME.ndjson. A store that is there is never written over:
# every later version has to read it, and to go on from it (tests/e2e/compat_test.py).
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from make_segments import lines  # noqa: E402

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stores")


def objects(folder):
    """Names and bytes; what begins with a dot is the folder's own."""
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.startswith("."):
                continue
            path = os.path.join(root, name)
            with open(path, "rb") as file:
                yield os.path.relpath(path, folder), file.read()


def main():
    if len(sys.argv) != 3 or "--help" in sys.argv:
        sys.exit("usage: tests/vectors/make_store.py PROGRAM NAME")
    program, name = os.path.abspath(sys.argv[1]), sys.argv[2]
    place = os.path.join(HERE, name)
    with tempfile.TemporaryDirectory() as folder:
        job = os.path.join(folder, "job.toml")
        for partitions, rows in (("3", "10000"), ("2", "20000"), ("2", "30000")):
            with open(place + ".toml", encoding="utf-8") as text, open(job, "w", encoding="utf-8") as to:
                to.write(text.read().replace("partitions = 2", "partitions = " + partitions))
            subprocess.run([program, "run", job, "--rows", rows, "--until-caught-up", "--quiet"],
                           check=True)
            if rows == "20000":
                subprocess.run([program, "checkpoints", "fold", "--offline",
                                "file:" + os.path.join(folder, "store")], check=True)
        rows = subprocess.run([program, "query", job, "--quiet"], check=True,
                              stdout=subprocess.PIPE).stdout
        with open(place + ".txt", "x", encoding="ascii") as out:
            out.write("# version 1\n")
            for object_name, data in objects(os.path.join(folder, "store")):
                out.write(f"object {object_name} {len(data)}\n")
                out.writelines(line + "\n" for line in lines(data))
        with open(place + ".ndjson", "xb") as out:
            out.write(rows)


main()
