"""What scripts/mutate (C) and scripts/rtl-mutate (SystemVerilog) share: reading sources, drawing
breakages, running a test that may hang, saying what came of it. A breakage has file, line, start and
end of what is replaced, text that stands there instead, and kind."""

import collections
import functools
import hashlib
import os
import re
import resource
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MEMORY_BYTES_MAX = 64 << 30  # address space of a test; a broken one must not take the machine along


class Unfit(Exception):
    """The tree as it is cannot be judged."""


def say(text):
    print(text, flush=True)


def spaces(match):
    """What was found, blanked: offsets and lines stay."""
    return re.sub(r"[^\n]", " ", match.group(0))


def closing(text, at, pair="()"):
    """Where the bracket at `at` is closed; the end of the text if it is not."""
    depth = 0
    for found in re.finditer("[" + re.escape(pair) + "]", text[at:]):
        depth += 1 if found.group(0) == pair[0] else -1
        if depth == 0:
            return at + found.start()
    return len(text)


@functools.cache
def source_of(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


@functools.cache
def lines_of(name):
    return source_of(name).split("\n")


def line_of(name, number):
    return lines_of(name)[number - 1].strip()


def choose(mutants, count, seed):
    """`count` breakages of an iterable, at most one a line, shared out over the files by their length.
    Which ones depends on the lines themselves: a change elsewhere draws no others."""
    lines = {}
    for mutant in mutants:
        lines.setdefault((mutant.file, mutant.line), []).append(mutant)
    seen, drawn = collections.Counter(), []
    for name, number in sorted(lines):
        text = line_of(name, number)
        seen[name, text] += 1
        digest = hashlib.sha256(f"{seed}:{name}:{text}:{seen[name, text]}".encode()).digest()
        drawn.append((digest, (name, number)))
    return [lines[place][int.from_bytes(digest[:4], "big") % len(lines[place])]
            for digest, place in sorted(drawn)[:count]]


def change(mutant):
    """What stood there, and what stands there instead, on one line."""
    before = re.sub(r"\s+", " ", source_of(mutant.file)[mutant.start:mutant.end]).strip()
    after = re.sub(r"\s+", " ", mutant.text).strip()
    return f"{before} -> {after or 'nothing'}"


def describe(mutant):
    return (f"{mutant.file}:{mutant.line}  {change(mutant)}   "
            f"in: {line_of(mutant.file, mutant.line)}")


def must(command):
    result = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, check=False)
    if result.returncode != 0:
        raise Unfit(f"{result.stdout}\nthe tree does not build as it is: mend it first")


def passes(program, seconds, environment):
    """Whether a test program ends well, and in time."""
    def limits():
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        return subprocess.run([program], cwd=os.path.dirname(program), stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              timeout=seconds, check=False, preexec_fn=limits,
                              env=dict(os.environ, **environment),
                              start_new_session=True).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def usage(script):
    with open(script, encoding="utf-8") as file:
        for line in file.readlines()[1:]:
            if not line.startswith("#"):
                return
            print(line[2:].rstrip())
