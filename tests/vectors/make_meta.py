#!/usr/bin/env python3
# usage: tests/vectors/make_meta.py [--check]
# Writes meta.txt, golden metadata, from a second, independent implementation of docs/formats.md,
# Metadata; with --check it writes nothing and fails if the file differs.
import os
import struct
import sys

sys.dont_write_bytecode = True
from make_segments import crc32c  # noqa: E402

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "meta.txt")
KINDS = ["", "CLAIM", "PARTITIONS", "COMMIT", "ADOPT", "ABORT", "REGISTER_FULL", "RETIRE", "DELETED",
         "PIN", "UNPIN", "LEASE", "LEASE_END", "TOKEN_RAISE"]
LONG = ["request_id", "time_us", "owner", "tenure", "id", "base_id", "epoch", "bytes", "token",
        "reader", "ttl_us"]
SHORT = ["crc", "partition", "count"]
BEGINNING = -2**63
CODES = {"CST_OK": 0, "CST_CHECKPOINT_ABORTED": 124, "CST_LEASE": 130, "CST_PINNED": 129}


def text(value):
    data = (value or "").encode()
    return struct.pack("<H", len(data)) + data


def sealed(data, at):
    """The bytes with the CRC32C of all of them, as it is with 0 there, at `at`."""
    return data[:at] + struct.pack("<I", crc32c(data)) + data[at + 4:]


def command(kind, **field):
    lists = {name: field.get(name, []) for name in ("tenures", "fulls", "ids", "names")}
    body = b"".join(struct.pack("<q" if name == "time_us" else "<Q", field.get(name, 0))
                    for name in LONG)
    body += b"".join(struct.pack("<I", field.get(name, 0)) for name in SHORT)
    body += b"".join(struct.pack("<I", len(lists[name])) for name in lists) + bytes(4)
    body += text(field.get("name")) + text(field.get("lease"))
    body += b"".join(struct.pack("<Q", one) for one in lists["tenures"])
    body += b"".join(struct.pack("<IQ", *full[:2]) + text(full[2]) for full in lists["fulls"])
    body += b"".join(struct.pack("<Q", one) for one in lists["ids"])
    body += b"".join(text(one) for one in lists["names"])
    head = b"CSTCMD1\n" + struct.pack("<IIII", 1, KINDS.index(kind), 24 + len(body), 0)
    return sealed(head + body, 20)


def entry(incarnation, index, data):
    head = b"CSTENT1\n" + struct.pack("<IIQQI", 1, 40 + len(data), incarnation, index, 0)
    return head + struct.pack("<I", crc32c(head)) + data


def state(incarnation, index, now, owner, tenure, job, partitions=(), fulls=(), checkpoints=(),
          aborted=(), pins=(), leases=(), pending=(), recent=()):
    names = [full[0] for full in fulls]
    items = [
        [struct.pack("<QQ", *one) for one in partitions],
        [text(one[0]) + struct.pack("<IIQQQ", *one[1:]) for one in fulls],
        [struct.pack("<QQQqII", *one[:6]) + text(one[6]) + struct.pack("<I", len(one[7]))
         + b"".join(struct.pack("<I", names.index(name)) for name in one[7]) for one in checkpoints],
        [struct.pack("<Q", one) for one in aborted],
        [struct.pack("<QQq", *one) for one in pins],
        [text(one[0]) + struct.pack("<QQq", *one[1:]) for one in leases],
        [text(one) for one in pending],
        [struct.pack("<QQQI", *one) for one in recent],
    ]
    body = struct.pack("<QQqQQ", incarnation, index, now, owner, tenure) + text(job)
    for group in items:
        body += struct.pack("<I", len(group)) + b"".join(group)
    head = b"CSTMET1\n" + struct.pack("<IIQII", 1, 0, 32 + len(body), 0, 0)
    return sealed(head + body, 24)


def shown(value):
    if isinstance(value, list):
        return ",".join(":".join(map(str, one)) if isinstance(one, tuple) else str(one)
                        for one in value)
    return str(value)


# What a job does, with what each command comes to: (kind, fields, code, tenure after, token).
A, B = 0xA11CE, 0xB0B
MANIFEST = "checkpoints/00000000000000000001/manifest-1-00000000000000aa"
SECOND = "checkpoints/00000000000000000003/manifest-2-00000000000000bb"
DELTA = "checkpoints/00000000000000000001/0-1-00000000000000cc/delta-1"
FULL = "folds/1-00000000000000dd/0-7"
STORY = [
    ("CLAIM", {"name": "clicks", "owner": A, "count": 2}, "CST_OK", 1, 0),
    ("COMMIT", {"owner": A, "tenure": 1, "id": 1, "name": MANIFEST, "crc": 0xDEADBEEF,
                "tenures": [1, 1]}, "CST_OK", 1, 0),
    ("LEASE", {"lease": "fold", "owner": A, "ttl_us": 60000000}, "CST_OK", 1, 1),
    ("REGISTER_FULL", {"partition": 0, "epoch": 7, "name": FULL, "bytes": 123456, "crc": 0xC0FFEE,
                       "lease": "fold", "token": 1}, "CST_OK", 1, 0),
    ("ABORT", {"owner": A, "tenure": 1, "id": 2}, "CST_OK", 1, 0),
    ("COMMIT", {"owner": A, "tenure": 1, "id": 2, "base_id": 1, "name": SECOND, "tenures": [1, 1]},
     "CST_CHECKPOINT_ABORTED", 1, 0),
    ("CLAIM", {"name": "clicks", "owner": B, "count": 2}, "CST_OK", 2, 0),
    ("ADOPT", {"owner": B, "tenure": 2, "id": 3, "base_id": 1, "name": SECOND, "crc": 77,
               "fulls": [(0, 7, FULL)]}, "CST_OK", 2, 0),
    ("PIN", {"reader": 99, "id": 1, "ttl_us": 1000000}, "CST_OK", 2, 0),
    ("RETIRE", {"owner": B, "tenure": 2, "ids": [1], "names": [MANIFEST, DELTA]}, "CST_PINNED", 2, 0),
    ("UNPIN", {"reader": 99}, "CST_OK", 2, 0),
    ("RETIRE", {"owner": B, "tenure": 2, "ids": [1], "names": [MANIFEST, DELTA]}, "CST_OK", 2, 0),
    ("PARTITIONS", {"owner": B, "tenure": 2, "count": 3}, "CST_OK", 3, 0),
    ("LEASE", {"lease": "gc", "owner": B, "ttl_us": 5}, "CST_OK", 3, 1),
    ("LEASE_END", {"lease": "gc", "owner": B, "token": 1}, "CST_OK", 3, 0),
    ("TOKEN_RAISE", {"lease": "fold", "token": 40}, "CST_OK", 3, 41),
    ("LEASE", {"lease": "gc", "owner": A, "ttl_us": 50}, "CST_OK", 3, 2),
    ("LEASE", {"lease": "gc", "owner": B, "ttl_us": 5}, "CST_LEASE", 3, 0),
    ("PIN", {"reader": 5, "id": 3, "ttl_us": 604800000000}, "CST_OK", 3, 0),
    ("DELETED", {"ids": [1], "names": [DELTA]}, "CST_OK", 3, 0),
]
TIME = 1700000000000000
TIMES = [0, 5, 10, 7, 3]  # the clock is set back now and then


def recent(count):
    return [(1000 + at, one[3], one[4], CODES[one[2]]) for at, one in enumerate(STORY[:count])]


def now(count):
    return TIME + max(TIMES[at % 5] + at // 5 * 10 for at in range(count))


# After so many commands.
STATES = {
    4: lambda: state(1, 4, now(4), A, 1, "clicks", partitions=[(A, 1), (A, 1)],
                     fulls=[(FULL, 0, 0xC0FFEE, 7, 123456, 1)],
                     checkpoints=[(1, 0, 1, now(2), 0xDEADBEEF, 0, MANIFEST, [])],
                     leases=[("fold", A, 1, now(3) + 60000000)], recent=recent(4)),
    9: lambda: state(1, 9, now(9), B, 2, "clicks", partitions=[(B, 2), (B, 2)],
                     fulls=[(FULL, 0, 0xC0FFEE, 7, 123456, 1)],
                     checkpoints=[(1, 0, 1, now(2), 0xDEADBEEF, 0, MANIFEST, []),
                                  (3, 1, 2, now(8), 77, 0, SECOND, [FULL])],
                     aborted=[2], pins=[(99, 1, now(9) + 1000000)],
                     leases=[("fold", A, 1, now(3) + 60000000)], recent=recent(9)),
    12: lambda: state(1, 12, now(12), B, 2, "clicks", partitions=[(B, 2), (B, 2)],
                      fulls=[(FULL, 0, 0xC0FFEE, 7, 123456, 1)],
                      checkpoints=[(1, 0, 1, now(2), 0xDEADBEEF, 1, MANIFEST, []),
                                   (3, 1, 2, now(8), 77, 0, SECOND, [FULL])],
                      aborted=[2], leases=[("fold", A, 1, now(3) + 60000000)],
                      pending=[DELTA, MANIFEST], recent=recent(12)),
    20: lambda: state(1, 20, now(20), B, 3, "clicks", partitions=[(B, 3), (B, 3), (B, 3)],
                      fulls=[(FULL, 0, 0xC0FFEE, 7, 123456, 1)],
                      checkpoints=[(3, 1, 2, now(8), 77, 0, SECOND, [FULL])],
                      aborted=[2], pins=[(5, 3, now(19) + 604800000000)],
                      leases=[("fold", 0, 41, BEGINNING), ("gc", A, 2, now(17) + 50)],
                      pending=[MANIFEST], recent=recent(20)),
}


def lines():
    yield "# version 1"
    yield "# See README.md, Metadata"
    yield "state | " + state(1, 0, BEGINNING, 0, 0, None).hex()
    for at, (kind, given, code, _, _) in enumerate(STORY):
        fields = {"request_id": 1000 + at, "time_us": TIME + TIMES[at % 5] + at // 5 * 10, **given}
        data = command(kind, **fields)
        yield ("command | " + " ".join(f"{name}={shown(value)}" for name, value
                                       in {"kind": kind, **fields}.items()) + " | " + data.hex())
        yield f"entry | 1 | {at + 1} | " + entry(1, at + 1, data).hex()
        yield f"apply | {code}"
        if at + 1 in STATES:
            yield "state | " + STATES[at + 1]().hex()


def main():
    made = "".join(line + "\n" for line in lines())
    if "--check" in sys.argv[1:]:
        with open(PATH, encoding="ascii") as stored:
            if stored.read() != made:
                sys.exit("meta.txt: stored and computed bytes differ")
        print(f"meta.txt: {len(made)} bytes equal")
        return
    with open(PATH, "w", encoding="ascii") as out:
        out.write(made)
    print(f"meta.txt: {len(made)} bytes written")


if __name__ == "__main__":
    main()
