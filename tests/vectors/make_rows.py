#!/usr/bin/env python3
# usage: tests/vectors/make_rows.py [--check]
# Writes the golden stored rows in rows/ from a second, independent implementation of docs/formats.md,
# Stored rows; with --check it writes nothing and fails if a file differs.
import os
import struct
import sys

sys.dont_write_bytecode = True
from make_segments import crc32c, hash_of, pad  # noqa: E402

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "rows")
U64, DATE, STRING = 4, 14, 19
WIDTHS = {U64: 8, DATE: 4, STRING: 0}


def row(key, types, values):
    """A value is its bytes; None: null."""
    nulls = sum(1 << s for s, value in enumerate(values) if value is None)
    columns = b"".join((value or b"").ljust(WIDTHS[of], b"\0") for of, value in zip(types, values))
    return pad(struct.pack("<QHHI", hash_of(key), len(key), nulls, 0) + key + columns, 8)


def stored(types, nullable, key_bytes, rows):
    body = b"".join(row(key, types, values) for key, values in rows)
    head = struct.pack("<8sIIQQQQQQQIHH16s24xI", b"CSTROWS\n", 1, 128, 0xC0FFEE, 7, 0x5C4E3A, 0x960642,
                       hash_of(b"constellation-hk"), len(rows), len(body), key_bytes, len(types), nullable,
                       bytes(types), crc32c(body))
    return head + struct.pack("<I", crc32c(head)) + body


# Keys of variable length; a count, a date that may be null, a string that is only counted.
VARIED = stored([U64, DATE, STRING], 0b110, 0, [
    (b"a\0\1", [struct.pack("<Q", 5), struct.pack("<i", -1), b""]),
    (b"city\0\1", [struct.pack("<Q", 2**64 - 1), None, None]),
    (b"a\0\1", [struct.pack("<Q", 6), struct.pack("<i", 20000), None])])
# Keys of eight bytes, and no source: a count of rows.
FIXED = stored([], 0, 8, [(struct.pack(">Q", number), []) for number in range(3)])


def text(data):
    lines = [data[at:at + 8].hex() for at in range(0, len(data), 8)]
    return "# version 1\n" + "".join(line + "\n" for line in lines)


def main():
    check = sys.argv[1:] == ["--check"]
    golden = (("varied", VARIED), ("fixed", FIXED))
    for name, data in golden:
        path = os.path.join(HERE, name + ".txt")
        if not check:
            os.makedirs(HERE, exist_ok=True)
            with open(path, "w", encoding="ascii") as file:
                file.write(text(data))
            continue
        with open(path, encoding="ascii") as file:
            if file.read() != text(data):
                sys.exit(f"make_rows: {path} differs")
    print(f"make_rows: {len(golden)} objects " + ("are right" if check else "written"))


main()
