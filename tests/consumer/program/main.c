// main.c: a program outside the tree that uses what is installed, and nothing else.
//
// Keys are encoded and hashed, a table counts them, a seal hands over the epoch's delta.
#include <constellation/keys.h>
#include <constellation/table.h>
#include <stdio.h>

enum { ROWS = 1000, KEYS = 10 };

static int count_rows(cst_table *table, const cst_hash_key *hash_key) {
    uint8_t keys[ROWS][8];
    uint64_t hashes[ROWS];
    uint32_t applied = 0;

    for (uint32_t r = 0; r < ROWS; r++) cst_key_encode_u64(r % KEYS, keys[r]);
    cst_hash_fixed(hash_key, keys[0], 8, 8, ROWS, hashes);
    const cst_rows rows = {
        .rows_count = ROWS, .key_stride = 8, .key_bytes = 8, .hashes = hashes, .keys = keys[0]};
    return cst_table_apply_all(table, &rows, &applied) == CST_OK && applied == ROWS;
}

int main(void) {
    const cst_table_options options = {
        .layout = CST_TABLE_INLINE,
        .key_bytes = 8,
        .program = {.value_bytes = 8,
                    .accumulators_count = 1,
                    .presence_offset = CST_NO_OFFSET,
                    .accumulators = {{.op = CST_COUNT,
                                      .number = CST_U64,
                                      .value_offset = 0,
                                      .source = CST_NO_COLUMN}}},
        .hash_key = {1, 2},
        .budget_bytes = 64u << 20,
        .numa_node = -1,
    };
    cst_table *table = NULL;
    cst_err err = {0};
    uint8_t key[8];
    uint64_t count = 0;
    size_t count_bytes = 0;

    if (cst_table_open(&options, &table, &err) != CST_OK) {
        fprintf(stderr, "consumer: %s\n", err.text);
        return 1;
    }
    if (!count_rows(table, &options.hash_key)) return 1;
    cst_key_encode_u64(7, key);
    if (cst_table_get(table, key, sizeof key, &count, sizeof count, &count_bytes) != CST_OK)
        return 1;
    const cst_delta delta = cst_table_seal(table);
    if (count != ROWS / KEYS || delta.epoch != 1 || delta.from >= delta.to) return 1;
    if (cst_table_release(table, &delta) != CST_OK) return 1;
    cst_table_close(table);
    puts("consumer: ok");
    return 0;
}
