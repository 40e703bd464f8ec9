#!/usr/bin/env python3
# usage: tests/e2e/arrow_roundtrip.py LIBCONSTELLATION_SO
# Arrow's own implementation as producer and consumer of our batches: what pyarrow makes is
# imported and encoded, keys sort as its values do, and what we export pyarrow validates and reads
# back equal. The library is called through ctypes; pyarrow's version is in tests/requirements.txt.
import ctypes
import datetime
import decimal
import gc
import random
import sys
import uuid

import pyarrow as pa

lib = ctypes.CDLL(sys.argv[1])


class Buffer(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("bytes", ctypes.c_size_t)]


class Batch(ctypes.Structure):
    _fields_ = [("schema", ctypes.c_void_p), ("rows_count", ctypes.c_uint32), ("ops", Buffer),
                ("columns", ctypes.c_void_p)]


class Keys(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_void_p), ("bytes_capacity", ctypes.c_size_t),
                ("offsets", ctypes.c_void_p), ("stride", ctypes.c_uint32)]


class Err(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("text", ctypes.c_char * 512)]


SCHEMA_BYTES = 4096  # room for a cst_schema, larger than it is
ARROW_BYTES = 128  # room for an ArrowSchema or ArrowArray: 72 and 80
lib.cst_keys_bytes_bound.restype = ctypes.c_size_t
lib.cst_arrow_batch_get.restype = ctypes.POINTER(Batch)
lib.cst_code_name.restype = ctypes.c_char_p


def check(code, err):
    if code != 0:
        raise ValueError(lib.cst_code_name(code).decode() + ": " + err.text.decode())


def parse(text):
    schema, err = ctypes.create_string_buffer(SCHEMA_BYTES), Err()
    check(lib.cst_schema_parse(text.encode(), schema, ctypes.byref(err)), err)
    return schema


class Imported:
    """A pyarrow record batch as a cst_batch of the schema's text; with: freed at the end."""

    def __init__(self, rows, text):
        err, out = Err(), ctypes.c_void_p()
        self.schema = parse(text)
        arrow_schema = ctypes.create_string_buffer(ARROW_BYTES)
        arrow_array = ctypes.create_string_buffer(ARROW_BYTES)
        rows._export_to_c(ctypes.addressof(arrow_array), ctypes.addressof(arrow_schema))
        code = lib.cst_arrow_import(arrow_schema, arrow_array, self.schema, ctypes.byref(out),
                                    ctypes.byref(err))
        if code != 0:  # still ours: pyarrow takes it back and releases it
            pa.RecordBatch._import_from_c(ctypes.addressof(arrow_array),
                                          ctypes.addressof(arrow_schema))
            check(code, err)
        pa.Schema._import_from_c(ctypes.addressof(arrow_schema))
        self.handle = out

    def __enter__(self):
        return self

    def __exit__(self, *_):
        lib.cst_arrow_batch_free(self.handle)

    def batch(self):
        return lib.cst_arrow_batch_get(self.handle)

    def keys(self):
        rows, bound = self.batch().contents.rows_count, lib.cst_keys_bytes_bound(self.batch())
        out = ctypes.create_string_buffer(bound + 1)
        offsets = (ctypes.c_uint32 * (rows + 1))()
        keys = Keys(ctypes.addressof(out), bound, ctypes.addressof(offsets), 0)
        code = lib.cst_keys_encode(self.batch(), ctypes.byref(keys))
        assert code == 0, lib.cst_code_name(code)
        return [out.raw[offsets[i]:offsets[i + 1]] for i in range(rows)]

    def exported(self):
        """What pyarrow reads from our export of the batch."""
        err = Err()
        arrow_schema = ctypes.create_string_buffer(ARROW_BYTES)
        arrow_array = ctypes.create_string_buffer(ARROW_BYTES)
        check(lib.cst_arrow_schema_export(self.schema, arrow_schema, ctypes.byref(err)), err)
        check(lib.cst_arrow_export(self.batch(), arrow_array, ctypes.byref(err)), err)
        rows = pa.RecordBatch._import_from_c(ctypes.addressof(arrow_array),
                                             ctypes.addressof(arrow_schema))
        rows.validate(full=True)
        return rows


def integers(size, signed):
    low, high = (-(1 << (size - 1)), (1 << (size - 1)) - 1) if signed else (0, (1 << size) - 1)
    return lambda draw: draw.choice([low, high, low + 1, high - 1, draw.randint(low, high)])


def text(draw):
    return "".join(draw.choice(["a", "b", "\0", "ä", "€", "😀", "zzz"])
                   for _ in range(draw.randrange(12)))


def cents(draw):
    return decimal.Decimal(draw.randint(-10**38 + 1, 10**38 - 1)).scaleb(-2, decimal.Context(prec=38))


# schema's text: (Arrow's type, how to draw a value)
COLUMNS = {
    "u8": (pa.uint8(), integers(8, False)), "i8": (pa.int8(), integers(8, True)),
    "u16": (pa.uint16(), integers(16, False)), "i16": (pa.int16(), integers(16, True)),
    "u32": (pa.uint32(), integers(32, False)), "i32": (pa.int32(), integers(32, True)),
    "u64": (pa.uint64(), integers(64, False)), "i64": (pa.int64(), integers(64, True)),
    "f32": (pa.float32(), lambda draw: draw.choice([0.0, 0.5, -2.25, float("inf"), -float("inf"),
                                                    float(draw.randint(-1000, 1000))])),
    "f64": (pa.float64(), lambda draw: draw.choice([0.0, 1e300, -1e-300, float("inf"),
                                                    draw.gauss(0, 1)])),
    "bool": (pa.bool_(), lambda draw: draw.random() < 0.5),
    "date": (pa.date32(), lambda draw: datetime.date(1970, 1, 1)
             + datetime.timedelta(draw.randint(-700000, 2900000))),
    "timestamp": (pa.timestamp("us", "UTC"), lambda draw: datetime.datetime(
        1970, 1, 1, tzinfo=datetime.timezone.utc)
        + datetime.timedelta(microseconds=draw.randint(-10**15, 10**15))),
    "decimal128(2)": (pa.decimal128(38, 2), cents),
    "uuid": (pa.uuid(), lambda draw: uuid.UUID(int=draw.getrandbits(128))),
    "fixed(5)": (pa.binary(5), lambda draw: draw.randbytes(5)),
    "string": (pa.string(), text),
    "binary": (pa.binary(), lambda draw: draw.randbytes(draw.randrange(20))),
}


def order_of(value, nulls_last):
    if value is None:
        return (1 if nulls_last else -1, 0)
    if isinstance(value, str):
        return (0, value.encode())
    if isinstance(value, uuid.UUID):
        return (0, value.bytes)
    return (0, value)


def drawn(draw, name, count, nullable):
    kind, value = COLUMNS[name]
    values = [None if nullable and draw.random() < 0.2 else value(draw) for _ in range(count)]
    if name == "uuid":
        storage = pa.array([None if v is None else v.bytes for v in values], pa.binary(16))
        return values, pa.ExtensionArray.from_storage(kind, storage)
    return values, pa.array(values, kind)


def round_trip(draw, name):
    """One column, sliced at random: keys sort as values do, and the export equals the import."""
    nullable, last = draw.random() < 0.5, draw.random() < 0.5
    count, start = draw.randrange(1, 60), draw.randrange(20)
    values, array = drawn(draw, name, count + start, nullable)
    values = values[start:]
    field = pa.field("x", array.type, nullable=nullable)
    rows = pa.RecordBatch.from_arrays([array], schema=pa.schema([field])).slice(start)
    schema = ("nullable " if nullable else "") + name + (" nulls last" if nullable and last else "")
    with Imported(rows, schema) as imported:
        keys = imported.keys()
        by_key = sorted(range(count), key=lambda i: keys[i])
        by_value = sorted(range(count), key=lambda i: order_of(values[i], last))
        assert [order_of(values[i], last) for i in by_key] == \
            [order_of(values[i], last) for i in by_value], (schema, values)
        back = imported.exported()
        assert back.num_rows == count
        assert back.column(0).to_pylist() == values, (schema, values, back.column(0).to_pylist())
        assert back.schema.field(0).type == array.type, (back.schema, array.type)
        assert back.schema.field(0).nullable == nullable


def many_columns(draw):
    names = draw.choices(list(COLUMNS), k=draw.randint(2, 8))
    count = draw.randrange(40)
    columns = [drawn(draw, name, count, True) for name in names]
    rows = pa.RecordBatch.from_arrays([array for _, array in columns],
                                      names=[f"x{i}" for i in range(len(names))])
    with Imported(rows, ",".join("nullable " + name for name in names)) as imported:
        back = imported.exported()
        for index, (values, _) in enumerate(columns):
            assert back.column(index).to_pylist() == values


def refused(array, schema, words):
    try:
        with Imported(pa.RecordBatch.from_arrays([array], names=["x"]), schema):
            pass
    except ValueError as error:
        assert words in str(error), (words, str(error))
        return
    raise AssertionError(f"{array.type} was taken as {schema}")


def main():
    draw = random.Random(11)
    bytes_before = pa.total_allocated_bytes()
    for name in COLUMNS:
        for _ in range(30):
            round_trip(draw, name)
    for _ in range(100):
        many_columns(draw)
    refused(pa.array(["a"], pa.large_string()), "string", "CST_UNSUPPORTED")
    refused(pa.array(["a"]).dictionary_encode(), "string", "CST_UNSUPPORTED")
    refused(pa.array([1], pa.timestamp("ns")), "timestamp", "CST_UNSUPPORTED")
    refused(pa.array([1], pa.int32()), "i64", "CST_SCHEMA_MISMATCH")
    refused(pa.array([1, None], pa.int64()), "i64", "row 1: null")
    refused(pa.array([b"a" * 32769]), "binary", "CST_VALUE_RANGE")
    # 16 bytes without an extension name are what the schema says.
    rows = pa.RecordBatch.from_arrays([pa.array([bytes(range(16))], pa.binary(16))], names=["x"])
    for schema, key in (("uuid", bytes(range(16))), ("u128", bytes(range(15, -1, -1))),
                        ("fixed(16)", bytes(range(16)))):
        with Imported(rows, schema) as imported:
            assert imported.keys() == [key], schema
    del rows
    gc.collect()
    assert pa.total_allocated_bytes() == bytes_before, "an imported array was not released"
    print(f"pyarrow {pa.__version__}: {len(COLUMNS)} types, "
          f"{30 * len(COLUMNS)} columns and 100 batches imported, sorted, exported, equal")


main()
