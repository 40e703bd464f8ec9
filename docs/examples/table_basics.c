// table_basics.c: put, get, delete; seal an epoch, read its delta, release it.
//
//   epoch 1: put a, b, c ──seal──► delta 1: a, b, c
//   epoch 2: put a, delete b ──seal──► delta 2: a, and a tombstone for b
//
// usage: example.table_basics
#include <constellation/constellation.h>
#include <stdio.h>
#include <string.h>

enum { KEY_BYTES_MAX = 16, VALUE_BYTES = 8, RANGES_MAX = 16 };

static cst_code put(cst_table *table, const char *key, uint64_t value) {
    return cst_table_put(table, key, strlen(key), &value, sizeof value);
}

static void print(cst_table *table, const char *key) {
    uint64_t value = 0;
    size_t bytes = 0;

    // A key that is not there is an answer, not a failure.
    if (cst_table_get(table, key, strlen(key), &value, sizeof value, &bytes) == CST_OK)
        printf("  %s = %llu\n", key, (unsigned long long)value);
    else
        printf("  %s is absent\n", key);
}

// Ends the open epoch. Its delta is the log's bytes, by reference, until it is released.
static cst_delta seal(cst_table *table) {
    const cst_delta delta = cst_table_seal(table);
    cst_bytes ranges[RANGES_MAX];
    size_t ranges_count = 0;

    cst_table_delta_ranges(table, &delta, ranges, RANGES_MAX, &ranges_count);
    printf("epoch %llu: %llu bytes in %zu range%s\n", (unsigned long long)delta.epoch,
           (unsigned long long)(delta.to - delta.from), ranges_count, ranges_count == 1 ? "" : "s");
    return delta;
}

int main(void) {
    const cst_table_options options = {
        .layout = CST_TABLE_INLINE,
        .key_bytes = KEY_BYTES_MAX,
        .program = {.value_bytes = VALUE_BYTES, .presence_offset = CST_NO_OFFSET}, // replace
        .hash_key = {1, 2},
        .budget_bytes = UINT64_C(64) << 20,
        .numa_node = -1,
    };
    cst_table *table = NULL;
    cst_err err = {0};
    cst_code code = cst_table_open(&options, &table, &err);

    if (code == CST_OK) code = put(table, "a", 1);
    if (code == CST_OK) code = put(table, "b", 2);
    if (code == CST_OK) code = put(table, "c", 3);
    if (code != CST_OK) goto done;
    const cst_delta first = seal(table);

    code = put(table, "a", 100);
    if (code == CST_OK) code = cst_table_delete(table, "b", 1);
    if (code != CST_OK) goto done;
    const cst_delta second = seal(table);

    puts("now");
    print(table, "a");
    print(table, "b");
    print(table, "c");

    // Once both deltas are stored somewhere safe, the log's memory is free again.
    code = cst_table_release(table, &second);
    if (code == CST_OK && first.to - first.from != 3 * 64) // three records of 16 + 16 + 8, padded
        code = cst_fail(&err, CST_INTERNAL, "the first delta has %llu bytes",
                        (unsigned long long)(first.to - first.from));
done:
    if (code != CST_OK)
        fprintf(stderr, "example.table_basics: %s\n", err.text[0] ? err.text : cst_code_text(code));
    cst_table_close(table);
    return code == CST_OK ? 0 : 1;
}
