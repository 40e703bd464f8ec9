#!/usr/bin/env python3
# usage: tests/s3/restore.py STORE [--as-of ID] [--stage N] [--objects]
# Reads a checkpoint and writes the rows of its state, a JSON array of key and values a line, in the
# order of the keys. Written from docs/formats.md alone: it shares nothing with the library. Every
# checksum on the way is computed; what does not fit ends it with exit status 1 and a line that says which
# object, and what. STORE is file:FOLDER or s3://BUCKET/PREFIX?endpoint=URL (by boto3, with its credentials).
#   --as-of ID   that checkpoint, not the newest      --stage N   of a job with two stages (2)
#   --objects    the names of the objects that the checkpoint is made of, in place of rows
"""A second implementation of reading: metadata, manifest, segments."""

import argparse
import datetime
import json
import os
import struct
import sys
import urllib.parse
import uuid

GROUPS = 4096
BLOCK = 65536
ROW, TOMBSTONE, GAP = 1 << 31, 1 << 30, 1 << 29
TAKEN = {1: "claim", 2: "partitions", 3: "commit", 4: "adopt", 5: "abort", 6: "register", 7: "retire",
         8: "deleted", 9: "pin", 10: "unpin", 11: "lease", 12: "lease_end", 13: "token_raise"}


class Damaged(Exception):
    """What an object has that it must not."""


def need(truth, *what):
    if not truth:
        raise Damaged(" ".join(str(word) for word in what))


# ---- Checksums and hashes ------------------------------------------------------------------------

CRC = []
for byte in range(256):
    for _ in range(8):
        byte = byte >> 1 ^ (0x82f63b78 if byte & 1 else 0)
    CRC.append(byte)


def crc32c(data, crc=0):
    crc ^= 0xffffffff
    for one in data:
        crc = CRC[(crc ^ one) & 255] ^ crc >> 8
    return crc ^ 0xffffffff


MASK = (1 << 64) - 1


def siphash(key, data):
    k0, k1 = struct.unpack("<2Q", key)
    v0, v1 = k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d
    v2, v3 = k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573

    def sip(v0, v1, v2, v3):
        v0 = v0 + v1 & MASK
        v1 = (v1 << 13 | v1 >> 51) & MASK ^ v0
        v0 = (v0 << 32 | v0 >> 32) & MASK
        v2 = v2 + v3 & MASK
        v3 = (v3 << 16 | v3 >> 48) & MASK ^ v2
        v0 = v0 + v3 & MASK
        v3 = (v3 << 21 | v3 >> 43) & MASK ^ v0
        v2 = v2 + v1 & MASK
        v1 = (v1 << 17 | v1 >> 47) & MASK ^ v2
        return v0, v1, (v2 << 32 | v2 >> 32) & MASK, v3

    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) & 255])
    for (word,) in struct.iter_unpack("<Q", padded):
        v0, v1, v2, v3 = sip(v0, v1, v2, v3 ^ word)
        v0 ^= word
    v2 ^= 255
    for _ in range(3):
        v0, v1, v2, v3 = sip(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3


# ---- Stores --------------------------------------------------------------------------------------

class FileStore:
    def __init__(self, folder):
        self.folder = folder

    def names(self, prefix):
        found = []
        for place, _, files in os.walk(os.path.join(self.folder, prefix)):
            found += [os.path.relpath(os.path.join(place, name), self.folder) for name in files]
        return sorted(found)

    def get(self, name):
        try:
            with open(os.path.join(self.folder, name), "rb") as file:
                return file.read()
        except OSError as error:
            raise Damaged(f"{name}: {error.strerror}") from error


class S3Store:
    def __init__(self, uri):
        import boto3  # a folder is read without
        parts = urllib.parse.urlsplit(uri)
        query = dict(urllib.parse.parse_qsl(parts.query))
        self.client = boto3.client("s3", endpoint_url=query.get("endpoint"),
                                   region_name=query.get("region", "us-east-1"))
        self.bucket, self.prefix = parts.netloc, parts.path.strip("/")
        self.prefix += "/" if self.prefix else ""

    def names(self, prefix):
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"{self.prefix}{prefix}/")
        return sorted(row["Key"][len(self.prefix):] for page in pages
                      for row in page.get("Contents", ()))

    def get(self, name):
        try:
            return self.client.get_object(Bucket=self.bucket, Key=self.prefix + name)["Body"].read()
        except self.client.exceptions.NoSuchKey as error:
            raise Damaged(f"{name}: No such object") from error


def store_of(uri):
    if uri.startswith("file:"):
        return FileStore(uri[5:])
    need(uri.startswith("s3://"), f"'{uri}' is neither file: nor s3:")
    return S3Store(uri)


# ---- Metadata ------------------------------------------------------------------------------------

class Reader:
    """Numbers and texts from the front of some bytes."""

    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def numbers(self, form):
        need(self.at + struct.calcsize("<" + form) <= len(self.data), "it is cut short")
        found = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return found

    def number(self, form):
        return self.numbers(form)[0]

    def text(self):
        size = self.number("H")
        need(size <= 512 and self.at + size <= len(self.data), "a text is too long")
        found = self.data[self.at:self.at + size]
        need(all(one >= 32 and one != 127 for one in found), "a text has control characters")
        self.at += size
        return found.decode()

    def end(self):
        need(self.at == len(self.data), "there are bytes behind the end")


def whole(data, magic, size_form, size_at, crc_at):
    """The head of what has magic, version, its own size and a checksum of itself without that."""
    need(data[:8] == magic, "the magic is not", magic[:7].decode())
    need(len(data) > crc_at + 4, "it is cut short")
    need(data[8:12] == b"\1\0\0\0", "the version is not 1")
    need(struct.unpack_from("<" + size_form, data, size_at)[0] == len(data), "its length differs")
    need(crc32c(data[:crc_at] + bytes(4) + data[crc_at + 4:])
         == struct.unpack_from("<I", data, crc_at)[0], "its checksum differs")


class Machine:
    """What is committed, after each command."""

    def __init__(self):
        self.now, self.job, self.owner, self.tenure = -1 << 63, "", 0, 0
        self.partitions, self.fulls, self.leases, self.pins = [], {}, {}, {}
        self.checkpoints, self.aborted, self.pending = {}, set(), set()

    def load(self, data, incarnation, index):
        whole(data, b"CSTMET1\n", "Q", 16, 24)
        read = Reader(data, 12)
        need(read.number("I") == 0, "reserved bytes are not 0")
        read.at = 28
        need(read.numbers("I2Q") == (0, incarnation, index), "it is another one than its name says")
        self.now, self.owner, self.tenure = read.numbers("qQQ")
        self.job = read.text()
        self.partitions = [read.numbers("QQ")[1] for _ in range(read.number("I"))]
        for _ in range(read.number("I")):
            name = read.text()
            partition, _, epoch, _, _ = read.numbers("IIQQQ")
            self.fulls[name] = (partition, epoch)
        for _ in range(read.number("I")):
            cid, _, _, _, crc, flags = read.numbers("QQQqII")
            self.checkpoints[cid] = [read.text(), crc, bool(flags & 1), set()]
            for at in read.numbers(f"{read.number('I')}I"):
                self.checkpoints[cid][3].add(list(self.fulls)[at])
        self.aborted = set(read.numbers(f"{read.number('I')}Q"))
        for _ in range(read.number("I")):
            reader, cid, end = read.numbers("QQq")
            self.pins[reader] = [cid, end]
        for _ in range(read.number("I")):
            name = read.text()
            self.leases[name] = list(read.numbers("QQq"))
        self.pending = {read.text() for _ in range(read.number("I"))}
        for _ in range(read.number("I")):
            read.numbers("QQQI")
        read.end()

    def apply(self, data):
        whole(data, b"CSTCMD1\n", "I", 16, 20)
        read = Reader(data, 12)
        kind = read.number("I")
        need(kind in TAKEN, f"kind {kind} is none")
        read.at = 32
        at = read.number("q")
        names = ("owner", "tenure", "id", "base_id", "epoch", "bytes", "token", "reader", "ttl")
        command = dict(zip(names, read.numbers("9Q")))
        names = ("crc", "partition", "count")
        command.update(zip(names, read.numbers("3I")))
        counts = read.numbers("4I")
        need(read.number("I") == 0, "reserved bytes are not 0")
        command["name"], command["lease"] = read.text(), read.text()
        command["tenures"] = list(read.numbers(f"{counts[0]}Q"))
        command["fulls"] = {}
        for _ in range(counts[1]):
            place = read.numbers("IQ")
            command["fulls"][read.text()] = place
        command["ids"] = read.numbers(f"{counts[2]}Q")
        command["names"] = {read.text() for _ in range(counts[3])}
        read.end()
        self.now = max(self.now, at)
        getattr(self, TAKEN[kind])(**command)

    def is_owner(self, owner, tenure, **_):
        return (owner, tenure) == (self.owner, self.tenure)

    def raise_tenures(self, owner, count):
        self.owner, self.tenure = owner, self.tenure + 1
        self.partitions = [tenure + 1 for tenure in self.partitions[:count]]
        self.partitions += [self.tenure] * (count - len(self.partitions))

    def claim(self, name, owner, tenure, count, **_):
        if self.job and self.job != name:
            return
        if not self.job:
            self.job, self.tenure = name, tenure
        self.raise_tenures(owner, len(self.partitions) or count)

    def partitions_(self, owner, count, **command):
        if self.is_owner(owner, **command):
            self.raise_tenures(owner, count)

    def commit(self, **command):
        if command["tenures"] == self.partitions:
            self.adopt(**command)

    def adopt(self, **command):
        cid, last = command["id"], max(self.checkpoints, default=0)
        if (self.is_owner(**command) and cid > last and command["base_id"] == last
                and cid not in self.aborted
                and all(self.fulls.get(name) == place for name, place in command["fulls"].items())):
            self.checkpoints[cid] = [command["name"], command["crc"], False, set(command["fulls"])]

    def abort(self, **command):
        if self.is_owner(**command) and command["id"] > max(self.checkpoints, default=0):
            self.aborted.add(command["id"])

    def register(self, name, partition, epoch, lease, token, **_):
        if lease in self.leases and self.leases[lease][1] == token and name not in self.pending:
            self.fulls.setdefault(name, (partition, epoch))

    def pin(self, reader, id, ttl, **_):  # pylint: disable=redefined-builtin
        has = self.pins.get(reader)
        if has and (has[0] != id or has[1] <= self.now) or id not in self.checkpoints \
                or self.checkpoints[id][2]:
            return
        self.pins[reader] = [id, max(self.now + ttl, has[1] if has else 0)]

    def unpin(self, reader, **_):
        self.pins.pop(reader, None)

    def retire(self, ids, names, **command):
        pinned = {cid for cid, end in self.pins.values() if end > self.now}
        if not self.is_owner(**command) or max(self.checkpoints, default=0) in ids or any(
                cid not in self.checkpoints or cid in pinned and not self.checkpoints[cid][2]
                for cid in ids):
            return
        if any(not deleting and cid not in ids and names & {name, *fulls}
               for cid, (name, _, deleting, fulls) in self.checkpoints.items()):
            return
        for cid in ids:
            self.checkpoints[cid][2:] = [True, set()]
        for name in names:
            self.fulls.pop(name, None)
        self.pending |= names

    def deleted(self, ids, names, **_):
        if any(cid in self.checkpoints and not self.checkpoints[cid][2] for cid in ids):
            return
        for cid in ids:
            self.checkpoints.pop(cid, None)
        self.pending -= names

    def lease(self, lease, owner, ttl, **_):
        has = self.leases.setdefault(lease, [0, 0, -1 << 63])
        held = has[0] != 0 and has[2] > self.now
        if not held:
            has[:] = [owner, has[1] + 1, self.now + ttl]
        elif has[0] == owner:
            has[2] = max(has[2], self.now + ttl)

    def lease_end(self, lease, owner, token, **_):
        if lease in self.leases and self.leases[lease][:2] == [owner, token]:
            self.leases[lease] = [0, token, -1 << 63]

    def token_raise(self, lease, token, **_):
        has = self.leases.setdefault(lease, [0, 0, 0])
        has[:] = [0, max(has[1], token) + 1, -1 << 63]


TAKEN[2] = "partitions_"  # beside the field of that name


def metadata(store, named):
    """The machine at the end of the log; `named` takes the names of the objects that were read."""
    names = [name.split("/") for name in store.names("meta")]
    need(names, "meta: there is no metadata")
    incarnation = max(part[1] for part in names)
    index, machine = 0, Machine()
    there = {part[2] for part in names if part[1] == incarnation}
    snapshots = sorted(name for name in there if name.startswith("snapshot-"))
    if snapshots:
        name = f"meta/{incarnation}/{snapshots[-1]}"
        index = int(snapshots[-1][9:])
        read_object(store, name, named, lambda data: machine.load(data, int(incarnation, 16), index))
    entries = sorted(name for name in there if name.isdecimal() and int(name) > index)
    for name in entries:
        index += 1
        need(int(name) == index, f"meta/{incarnation}: entry {index} is missing")
        read_object(store, f"meta/{incarnation}/{name}", named,
                    lambda data: entry(machine, data, int(incarnation, 16), index))
    return machine


def entry(machine, data, incarnation, index):
    need(data[:12] == b"CSTENT1\n\1\0\0\0", "it is no entry of version 1")
    need(len(data) > 40, "it is cut short")
    need(struct.unpack_from("<IQQI", data, 12) == (len(data), incarnation, index, 0),
         "it is another one than its name says")
    need(crc32c(data[:36]) == struct.unpack_from("<I", data, 36)[0], "its checksum differs")
    machine.apply(data[40:])


def read_object(store, name, named, use):
    """What `use` makes of it; what is wrong with it is said with its name."""
    named.append(name)
    try:
        return use(store.get(name))
    except Damaged as damage:
        text = str(damage)
        raise Damaged(text if text.startswith(name) else f"{name}: {text}") from damage
    except (struct.error, ValueError, KeyError, IndexError) as error:
        raise Damaged(f"{name}: {error!r}") from error


# ---- Segments ------------------------------------------------------------------------------------

class Segment:
    """Its header, footer and records, all checked."""

    def __init__(self, data):
        need(len(data) >= 256, "it is cut short")
        self.header = struct.unpack("<8sIHBBIIQQQQQQQII", data[:88])
        (magic, version, header_bytes, self.kind, self.parts, block, self.base_crc, self.table,
         self.first, self.last, self.base, self.schema, self.program, self.check, self.tip,
         reserved) = self.header
        need(magic == b"CSTSEG1\n" and version == 1, "it is no segment of version 1")
        header_crc = struct.unpack_from("<I", data, 124)[0]
        need(crc32c(data[:124]) == header_crc, "the header's checksum differs")
        need((header_bytes, block, reserved) == (128, BLOCK, 0) and self.kind in (1, 2, 3)
             and self.parts in (1, 2) and data[120:124] == bytes(4), "the header is wrong")
        self.shapes = [struct.unpack_from("<4I", data, 88 + 16 * at) for at in range(self.parts)]
        foot = data[-128:]
        need(foot[120:] == b"CSTEND1\n", "the end magic is missing")
        self.checksum = struct.unpack_from("<I", foot, 116)[0]
        need(crc32c(foot[:116]) == self.checksum, "the footer's checksum differs")
        its_header, groups_crc, table_crc, zero, size, body, blocks = struct.unpack_from("<4I3Q", foot)
        groups = GROUPS + 1 << 3 if self.kind == 3 else 0
        table = -(-4 * blocks // 8) * 8
        need((its_header, zero, size) == (header_crc, 0, len(data)) and foot[88:116] == bytes(28)
             and blocks == -(-body // BLOCK)
             and 256 + body + groups * self.parts + table == size, "the footer is wrong")
        self.check_blocks(data, header_crc, body, blocks, groups, (groups_crc, table_crc))
        self.records = []
        start = 128
        for at in range(self.parts):
            part, rows, tombstones = struct.unpack_from("<3Q", foot, 40 + 24 * at)
            own = records(data[start:start + part], self.shapes[at])
            need((sum(kind == ROW for kind, *_ in own), sum(kind == TOMBSTONE for kind, *_ in own))
                 == (rows, tombstones), "rows are not as many as the footer says")
            self.records += own
            start += part
        need(start == 128 + body, "the parts are not the body")

    def check_blocks(self, data, header_crc, body, blocks, groups, crcs):
        end = 128 + body + groups * self.parts
        need(crc32c(data[128 + body:end]) == crcs[0] if groups else crcs[0] == 0,
             "the key groups' checksum differs")
        table = data[end:-128]
        need(crc32c(table) == crcs[1] and not any(table[4 * blocks:]),
             "the block table's checksum differs")
        for at in range(blocks):
            block = data[128 + at * BLOCK:min(128 + (at + 1) * BLOCK, 128 + body)]
            need(crc32c(struct.pack("<II", header_crc, at) + block)
                 == struct.unpack_from("<I", table, 4 * at)[0], f"block {at}'s checksum differs")


def records(data, shape):
    """(kind, hash, key, value) of each record."""
    layout, key_area, value_bytes, width = shape
    need(layout in (1, 2), "no such layout")
    found, at = [], 0
    while at < len(data):
        need(at + 16 <= len(data), "a record is cut short")
        hashed, key_bytes, units, bits = struct.unpack_from("<QHHI", data, at)
        size, kind, length = units * 32, bits & 0xe0000000, bits & 0xffffff
        need(kind in (ROW, TOMBSTONE, GAP) and bits & 0x1f000000 == 0 and units > 0
             and at + size <= len(data), "a record is wrong")
        area = -(-key_area // 8) * 8 if layout == 1 else -(-key_bytes // 8) * 8
        if kind != GAP or key_bytes:
            need(16 + area + length <= size and key_bytes <= area and (
                layout == 2 or (size == width and length in (value_bytes, 0))), "a record is wrong")
            key = data[at + 16:at + 16 + key_bytes]
            value = data[at + 16 + area:at + 16 + area + length]
            need(not any(data[at + 16 + key_bytes:at + 16 + area])
                 and not any(data[at + 16 + area + length:at + size]), "padding is not 0")
            if kind != GAP:
                found.append((kind, hashed, key, value))
        else:
            need((hashed, length) == (0, 0) and not any(data[at + 16:at + size]), "a gap is not 0")
        at += size
    return found


# ---- Keys and values -----------------------------------------------------------------------------

WIDTHS = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "u128": 16, "i8": 1, "i16": 2, "i32": 4, "i64": 8,
          "i128": 16, "date": 4, "timestamp": 8, "bool": 1, "f32": 4, "f64": 8, "uuid": 16}


def columns(schema):
    """(type, argument, descending, nullable, nulls last) of each."""
    found, rest = [], schema.replace(", ", ",").split(",")
    for text in rest:
        words = text.split()
        kind = next(word for word in words
                    if word not in ("asc", "desc", "nullable", "nulls", "first", "last"))
        name, _, argument = kind.partition("(")
        found.append((name, int(argument.rstrip(")") or 0) if argument else 0, "desc" in words,
                      "nullable" in words, "last" in words))
    return found


def text_bytes(key, at, flip):
    out = bytearray()
    while True:
        one, at = key[at] ^ flip, at + 1
        if one:
            out.append(one)
            continue
        escape, at = key[at] ^ flip, at + 1
        if escape == 1:
            return bytes(out), at
        need(escape == 255, "a key is wrong")
        out.append(0)


def shown(kind, argument, raw):
    """A value as a sink's JSON has it."""
    number = int.from_bytes(raw, "big")
    if kind in ("i8", "i16", "i32", "i64", "i128", "date", "timestamp", "decimal128"):
        number -= 1 << 8 * len(raw) - 1
    if kind == "date":
        return str(datetime.date(1970, 1, 1) + datetime.timedelta(days=number))
    if kind == "timestamp":
        at = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=number)
        return at.isoformat(timespec="microseconds") + "Z"
    if kind == "decimal128":
        return decimal(number, argument)
    if kind == "bool":
        return bool(number)
    if kind in ("f32", "f64"):
        sign = 1 << 8 * len(raw) - 1
        number = number ^ sign if number & sign else ~number & 2 * sign - 1
        return struct.unpack(">f" if kind == "f32" else ">d", number.to_bytes(len(raw), "big"))[0]
    if kind == "uuid":
        return str(uuid.UUID(bytes=raw))
    if kind == "string":
        return raw.decode()
    if kind in ("binary", "fixed"):
        return raw.hex()
    return number


def decimal(number, scale):
    digits = str(abs(number)).rjust(scale + 1, "0")
    return ("-" if number < 0 else "") + digits[:len(digits) - scale] + (
        "." + digits[len(digits) - scale:] if scale else "")


def key_values(cols, key):
    out, at = [], 0
    for kind, argument, descending, nullable, nulls_last in cols:
        if nullable:
            at += 1
            if key[at - 1] == (2 if nulls_last else 0):
                out.append(None)
                continue
            need(key[at - 1] == 1, "a key is wrong")
        flip = 255 if descending else 0
        if kind in ("string", "binary"):
            raw, at = text_bytes(key, at, flip)
        else:
            width = {"fixed": argument, "decimal128": 16}.get(kind) or WIDTHS[kind]
            raw, at = bytes(one ^ flip for one in key[at:at + width]), at + width
        out.append(shown(kind, argument, raw))
    need(at == len(key), "a key has bytes left over")
    return out


def value_values(program, value):
    presence = MASK
    if program["presence_offset"] != 65535:
        presence = struct.unpack_from("<Q", value, program["presence_offset"])[0]
    out = []
    for at, (_op, number, offset, _source) in enumerate(program["accumulators"]):
        if number == "decimal128":
            one = int.from_bytes(value[offset:offset + 16], "little", signed=True)
        else:
            one = struct.unpack_from({"u64": "<Q", "i64": "<q", "f64": "<d"}[number], value, offset)[0]
        out.append(one if presence >> at & 1 else None)
    return out


# ---- A checkpoint --------------------------------------------------------------------------------

OPS = {"count": 1, "sum": 2, "min": 3, "max": 4, "last": 5}
NUMBERS = {"u64": 1, "i64": 2, "f64": 3, "decimal128": 4}


class Stage:
    """What identifies segments: a manifest's five fields."""

    def __init__(self, fields):
        self.columns = columns(fields["key_schema"])
        self.program = fields["program"]
        self.hash_key = bytes.fromhex(fields["hash_key"])
        packed = struct.pack("<IHHQH6x", self.program["value_bytes"],
                             len(self.program["accumulators"]), self.program["presence_offset"],
                             self.program["ttl_us"], self.program["time_offset"])
        packed += b"".join(struct.pack("<BBHHH", OPS[op], NUMBERS[number], offset, source, 0)
                           for op, number, offset, source in self.program["accumulators"])
        self.identity = (int(fields["table_id"], 16), siphash(bytes(16), fields["key_schema"].encode()),
                         siphash(bytes(16), packed), siphash(self.hash_key, b"constellation-hk"))

    def check_hash(self, hashed, key, groups):
        right = siphash(self.hash_key, key)
        if right != hashed and len(key) > 8:  # a session: its group is that of the key without its time
            right = siphash(self.hash_key, key[:-8]) >> 52 << 52 | right & (1 << 52) - 1
        need(hashed == right, "a row's hash is not its key's")
        need(hashed >> 52 in groups, "a row is of another partition's key groups")


class Checkpoint:
    def __init__(self, store, cid, named):
        self.store, self.named = store, named
        machine = metadata(store, named)
        kept = [one for one, (_, _, deleting, _) in machine.checkpoints.items() if not deleting]
        need(kept, "there is no committed checkpoint")
        self.id = cid or max(kept)
        need(self.id in kept, f"checkpoint {self.id} is not there")
        name, crc, _, _ = machine.checkpoints[self.id]
        self.manifest = read_object(store, name, named, lambda data: self.parsed(name, crc, data))
        stages = [self.manifest] + ([self.manifest["then"]] if "then" in self.manifest else [])
        self.stages = [Stage(fields) for fields in stages]

    def parsed(self, name, crc, data):
        need(crc32c(data) == crc == int(name[-8:], 16), "its checksum differs")
        manifest = json.loads(data)
        need(manifest["version"] in (1, 2, 3, 4) and manifest["key_groups_count"] == GROUPS,
             "its version is newer")
        need(manifest["id"] == self.id, "it is another checkpoint's")
        return manifest

    def object_name(self, at, partition, epoch):
        return self.manifest["names"][at].replace("{partition}", str(partition)) \
            .replace("{epoch}", str(epoch))

    def rows(self, stage):
        """{key: value} of a stage, 1 or 2; all of its segments are read."""
        its = self.stages[stage - 1]
        count = len(self.manifest["partitions"]) // len(self.stages)
        found, group = {}, 0
        for partition in range(count * (stage - 1), count * stage):
            row = self.manifest["partitions"][partition]
            groups = range(group, group + row[0])
            group += row[0]
            found.update(self.chain(its, partition, groups, row[5:]))
        need(group == GROUPS, "the key groups are not covered")
        for partition, at, number, size, crc in self.manifest.get("rows", ()):
            if stage == 2:
                epoch = sum(segment[2] for segment in self.manifest["partitions"][partition][5:])
                name = self.object_name(at, partition, epoch)
                read_object(self.store, name, self.named,
                            lambda data, want=(number, size, int(crc, 16), epoch):
                            stored_rows(data, its, want))
        return found

    def chain(self, its, partition, groups, segments):
        state, epoch, below = {}, 0, None
        for at, kind, epochs, size, crc in segments:
            epoch += epochs
            name = self.object_name(at, partition, epoch)
            segment = read_object(self.store, name, self.named, lambda data, size=size: (
                need(len(data) == size, "its length differs"), Segment(data))[1])
            read_object(self.store, name, [], lambda _, s=segment, b=below, e=epoch, n=epochs:
                        self.check_place(s, b, its, (kind, int(crc, 16), e - n + 1, e)))
            for what, hashed, key, value in segment.records:
                its.check_hash(hashed, key, groups)
                if what == ROW:
                    state[key] = value
                else:
                    state.pop(key, None)
            below = segment
        return state

    @staticmethod
    def check_place(segment, below, its, wanted):
        need((segment.kind, segment.checksum, segment.first, segment.last) == wanted,
             "it is not what the manifest says")
        need((segment.table, segment.schema, segment.program, segment.check) == its.identity,
             "it is another table's")
        if below is None:
            need(segment.kind in (2, 3), "the chain begins with a delta")
        else:
            need(segment.kind == 1 and segment.base == below.last
                 and segment.base_crc in (below.checksum, below.tip), "it does not stand on the one before")


def stored_rows(data, its, wanted):
    number, size, crc, epoch = wanted
    need(len(data) == size and data[:8] == b"CSTROWS\n", "it is no object of rows")
    need(crc32c(data[:124]) == crc == struct.unpack_from("<I", data, 124)[0],
         "the header's checksum differs")
    need(struct.unpack_from("<IIQQ3QQQ", data, 8)
         == (1, 128, its.identity[0], epoch, *its.identity[1:], number, size - 128),
         "the header is wrong")
    need(crc32c(data[128:]) == struct.unpack_from("<I", data, 120)[0], "the rows' checksum differs")


def usage():
    with open(os.path.abspath(__file__), encoding="utf-8") as file:
        lines = file.read().split("\n")[1:]
    end = next(at for at, line in enumerate(lines) if not line.startswith("#"))
    return "\n".join(line[2:] for line in lines[:end])


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--as-of", type=int, default=0)
    parser.add_argument("--stage", type=int)
    parser.add_argument("--objects", action="store_true")
    parser.add_argument("store", nargs="?")
    options = parser.parse_args()
    if options.help or not options.store:
        print(usage())
        return 0 if options.help else 2
    try:
        named = []
        checkpoint = Checkpoint(store_of(options.store), options.as_of, named)
        all_rows = [checkpoint.rows(stage + 1) for stage in range(len(checkpoint.stages))]
        stage = options.stage or len(all_rows)
        need(1 <= stage <= len(all_rows), f"the job has no stage {stage}")
    except Damaged as damage:
        print(f"restore: {damage}", file=sys.stderr)
        return 1
    if options.objects:
        print("\n".join(named))
        return 0
    its = checkpoint.stages[stage - 1]
    for key, value in sorted(all_rows[stage - 1].items()):
        print(json.dumps(key_values(its.columns, key) + value_values(its.program, value),
                         ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
