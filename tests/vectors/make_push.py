#!/usr/bin/env python3
# usage: tests/vectors/make_push.py [--check]
# Writes the golden files of pushed rows in push/ from a second, independent implementation of
# docs/formats.md, Records of pushed rows: what producers say, the records of a log that it becomes,
# and offsets in that log; with --check it writes nothing and fails if a file differs.
import json
import os
import struct
import sys

sys.dont_write_bytecode = True
import make_wal  # noqa: E402
from make_segments import crc32c  # noqa: E402

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "push")
SPLITS = 2
COLUMNS = [("key", "u64"), ("mark", "nullable i32"), ("name", "nullable string"), ("ratio", "f64"),
           ("price", "decimal128(2)"), ("at", "timestamp"), ("ok", "bool")]
FIXED = {"u64": "<Q", "nullable i32": "<i", "f64": "<d", "timestamp": "<q", "bool": "<B"}
CENTS = "decimal128(2)"


def split_of(producer):
    return crc32c(producer.encode()) % SPLITS


def row(key, mark, name, ratio, cents, at, ok):
    return {"key": key, "mark": mark, "name": name, "ratio": ratio, "price": cents, "at": at,
            "ok": ok}


def line_of(seq, values):
    """As a producer sends it; cents as a decimal number, nulls said or left out in turn."""
    said = {}
    for name, value in values.items():
        if value is not None or seq % 2:
            said[name] = value
    text = json.dumps(said, separators=(",", ":"))
    cents = values["price"]
    sign = "-" if cents < 0 else ""
    decimal = f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02}"
    return f'{{"seq":{seq},"row":{text}}}'.replace(f'"price":{cents},', f'"price":{decimal},')


def column_of(kind, values):
    rows = len(values)
    nulls = any(value is None for value in values)
    validity = bytearray(b"\xff" * ((rows + 7) // 8) if nulls else b"")
    for number, value in enumerate(values):
        if value is None:
            validity[number // 8] &= ~(1 << number % 8)
    offsets = b""
    if kind == "nullable string":
        texts = [(value or "").encode() for value in values]
        data = b"".join(texts)
        ends = [sum(map(len, texts[:end])) for end in range(rows + 1)]
        offsets = struct.pack(f"<{rows + 1}i", *ends)
    elif kind == CENTS:
        data = b"".join(value.to_bytes(16, "little", signed=True) for value in values)
    else:
        data = b"".join(struct.pack(FIXED[kind], 0 if value is None else value)
                        for value in values)
    head = struct.pack("<II", (1 if nulls else 0) | (2 if offsets else 0), len(data))
    return head + bytes(validity) + offsets + data


def record_of(runs, forgotten, flags=0):
    """runs: (producer or "", first number, rows)."""
    rows = [values for _, _, of_run in runs for values in of_run]
    out = struct.pack("<IIII", len(rows), len(runs), len(forgotten), flags)
    for producer, first, of_run in runs:
        out += struct.pack("<QII", first if producer else 0, len(of_run), len(producer))
    out += b"".join(struct.pack("<I", len(producer)) for producer in forgotten)
    out += "".join([run[0] for run in runs] + forgotten).encode()
    if rows:
        out += b"".join(column_of(kind, [values[name] for values in rows])
                        for name, kind in COLUMNS)
    return out


# Two producers of each split.
def named(split):
    names = [f"shop-{n}" for n in range(1, 20)] + ["a.b:c-d_9"]
    return [name for name in names if split_of(name) == split]


EVEN, ODD = named(0), named(1)
FIRST = row(1, None, "na\u00efve\n\"", 0.5, 1234, 1_700_000_000_000_001, True)
SECOND = row(2**64 - 1, -2**31, "", -0.0, -5, -1, False)
THIRD = row(0, 2**31 - 1, None, 1e300, 10**37, 2**60, True)
FOURTH = row(7, 8, "plain", 3.25, 0, 0, False)
RECORDS = [  # (split, runs, forgotten)
    (0, [(EVEN[0], 1, [FIRST, SECOND, THIRD]), ("", 0, [FOURTH, FIRST])], []),
    (1, [(ODD[0], 5, [FOURTH]), (ODD[1], 1, [FOURTH, FOURTH]), (ODD[0], 6, [FOURTH, SECOND])], []),
    (0, [(EVEN[1], 9, [THIRD] * 7 + [FOURTH, FIRST])], ["old-1", "old.2"]),
    (1, [], [ODD[1]]),
]


def offset(wal, done, producers):
    return f'{{"wal":{wal},"row":{done},"splits":{SPLITS},"producers":"{producers}"}}'


def text():
    yield "# version 1"
    yield "# made by make_push.py; README.md says what the lines are"
    yield "shape | " + ", ".join(f"{name} {kind}" for name, kind in COLUMNS)
    for split, runs, forgotten in RECORDS:
        for producer in forgotten:
            yield f"forgotten | {producer}"
        for producer, first, rows in runs:
            for number, values in enumerate(rows):
                yield f"line | {producer} | {line_of((first or 1) + number, values)}"
        yield f"record | {split} | {record_of(runs, forgotten).hex()}"
    yield "# split | goes on at | rows that follow | stands at behind them"
    a, b, c, d = EVEN[0], EVEN[1], ODD[0], ODD[1]
    yield f"offset | 0 |  | 14 | {offset(4, 0, f'{a}=3 {b}=17')}"
    yield (f"offset | 0 | {offset(0, 2, f'old-1=8 {a}=2')} | 12 | "
           f"{offset(4, 0, f'{a}=3 {b}=17')}")
    yield f"offset | 0 | {offset(2, 8, f'{a}=3 {b}=16')} | 1 | {offset(4, 0, f'{a}=3 {b}=17')}"
    yield f"offset | 1 |  | 5 | {offset(4, 0, f'{c}=7')}"
    yield f"offset | 1 | {offset(3, 0, f'{d}=2 {c}=7')} | 0 | {offset(4, 0, f'{c}=7')}"
    yield "# of a later version, or none"
    yield f"newer | {record_of(RECORDS[0][1], [], flags=1).hex()}"
    yield f"foreign | {offset(0, 0, '')[:-1]},\"more\":1}}"
    yield 'foreign | {"version":2,"wal":0}'
    yield 'foreign | {"row":5,"stripes":2}'


def log():
    """One file with all records, by the log's own rules."""
    schema = struct.pack("<I", SPLITS) + ",".join(kind for _, kind in COLUMNS).encode()
    schema += b"".join(name.encode() + b"\0" for name, _ in COLUMNS)
    make_wal.SCHEMA = crc32c(schema)
    head = make_wal.header(1, 0)
    seed = make_wal.seed_of(head)
    out = head + make_wal.mark(seed, 0, 0)
    for position, (split, runs, forgotten) in enumerate(RECORDS):
        out += make_wal.frame(seed, position, split, 1, record_of(runs, forgotten))
    return out + make_wal.mark(seed, len(RECORDS), len(RECORDS))


def main():
    make_wal.keep(HERE, {
        os.path.join(HERE, "push.txt"): "".join(f"{line}\n" for line in text()).encode(),
        os.path.join(HERE, "log", f"{1:020}-{0:020}.wal"): log()}, "make_push")


if __name__ == "__main__":
    main()
