#!/usr/bin/env python3
# usage: tests/vectors/make_wal.py [--check]
# Writes the golden files of the write-ahead log in wal/ from a second, independent implementation
# of docs/formats.md, The write-ahead log; with --check it writes nothing and fails if a file differs.
import os
import struct
import sys

sys.dont_write_bytecode = True
from make_segments import crc32c  # noqa: E402

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "wal")
NONCE, SCHEMA, INCARNATION, JOB = 0x1122334455667788, 0x5CED, 1, b"golden"


def header(tenure, base, follows=(0, 0), version=1):
    fields = struct.pack("<8sIHHQQQQQQQ", b"CSTWAL1\n", version, 256, len(JOB), NONCE, SCHEMA,
                         INCARNATION, tenure, base, *follows)
    fields = fields.ljust(124, b"\0") + JOB.ljust(128, b"\0")
    return fields + struct.pack("<I", crc32c(fields))


def frame(seed, position, kind, form, payload):
    rest = struct.pack("<IQHBBI", len(payload), position, kind, form, 0, crc32c(payload))
    out = struct.pack("<I", crc32c(rest, seed)) + rest + payload
    return out + bytes(-len(out) % 8)


def record(seed, position):
    """Kind and payload follow from the position."""
    payload = bytes((position * 31 + i * 7 + 1) & 0xFF for i in range(position * 7 % 41))
    return frame(seed, position, position % 5, 1, payload)


def mark(seed, position, durable):
    return frame(seed, position, 0, 2, struct.pack("<Q", durable))


def group(seed, first, end, durable=None):
    return mark(seed, first, first if durable is None else durable) + b"".join(
        record(seed, position) for position in range(first, end))


def seed_of(head):
    return struct.unpack("<I", head[-4:])[0]


def files():
    # Tenure 1: ten records. Behind them what tenure 2 did not count: the next file begins at 10.
    head = header(1, 0)
    seed = seed_of(head)
    late = frame(seed, 10, 9, 1, b"late")
    yield "log", 1, 0, head + group(seed, 0, 4) + group(seed, 4, 10) + mark(seed, 10, 10) + late
    # Tenure 2 rolls at 14; its last group is torn, and zeros lie behind.
    head = header(2, 10, (1, 0))
    seed = seed_of(head)
    yield "log", 2, 10, head + group(seed, 10, 14)
    head = header(2, 14, (2, 10))
    seed = seed_of(head)
    torn = group(seed, 17, 20)[:-9]
    yield "log", 2, 14, head + group(seed, 14, 17) + torn + bytes(64)
    # Of the next version: nobody knows what lies behind the first 12 bytes.
    yield "newer", 1, 0, header(1, 0, version=2)


def keep(here, wanted, program):
    """Writes the files {path: bytes} of a folder; with --check they must be there as they are."""
    check = sys.argv[1:] == ["--check"]
    for path, data in wanted.items():
        if check:
            with open(path, "rb") as file:
                if file.read() != data:
                    sys.exit(f"{path} is not what {program}.py computes")
        else:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)
    there = {os.path.join(at, name) for at, _, names in os.walk(here) for name in names}
    if there != set(wanted):
        sys.exit(f"{here} has other files: {sorted(there ^ set(wanted))}")
    print(f"{program}: {len(wanted)} files {'are as computed' if check else 'written'}")


def main():
    keep(HERE, {os.path.join(HERE, folder, f"{tenure:020}-{base:020}.wal"): data
                for folder, tenure, base, data in files()}, "make_wal")


if __name__ == "__main__":
    main()
