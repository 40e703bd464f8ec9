// encode_and_hash.c: rows become keys whose bytes sort as the values do, and keyed hashes of them.
//
//   city, temperature (coldest last)      key                              hash
//   "Oslo", -3                            4f736c6f 0001 8002               a 64-bit number
//
// usage: example.encode_and_hash
#include <constellation/constellation.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 4, KEY_BYTES_MAX = 256 };

static int compare_keys(const uint8_t *a, uint32_t a_bytes, const uint8_t *b, uint32_t b_bytes) {
    const int order = memcmp(a, b, a_bytes < b_bytes ? a_bytes : b_bytes);

    return order ? order : (a_bytes > b_bytes) - (a_bytes < b_bytes);
}

int main(void) {
    // Four rows, a column at a time. Strings are offsets into bytes, as in Arrow.
    static const char cities[] = "OsloOsloBergenRome";
    static const int32_t city_offsets[ROWS + 1] = {0, 4, 8, 14, 18};
    static const int16_t temperatures[ROWS] = {-3, 12, 7, 21};
    const cst_column_data columns[2] = {
        {.values = {cities, sizeof cities - 1}, .offsets = {city_offsets, sizeof city_offsets}},
        {.values = {temperatures, sizeof temperatures}},
    };
    // A random key per job in earnest: then nobody can choose rows that collide.
    const cst_hash_key hash_key = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    uint8_t bytes[KEY_BYTES_MAX];
    uint32_t offsets[ROWS + 1];
    uint64_t hashes[ROWS];
    cst_keys keys = {.bytes = bytes, .bytes_capacity = sizeof bytes, .offsets = offsets};
    cst_schema schema;
    cst_err err = {0};

    if (cst_schema_parse("string,desc i16", &schema, &err) != CST_OK) goto failed;
    const cst_batch batch = {.schema = &schema, .rows_count = ROWS, .columns = columns};
    if (cst_batch_check(&batch, &err) != CST_OK) goto failed; // once, where rows come in
    if (cst_keys_encode(&batch, &keys) != CST_OK) {
        (void)cst_fail(&err, CST_LIMIT, "keys need %zu bytes", cst_keys_bytes_bound(&batch));
        goto failed;
    }
    cst_hash_variable(&hash_key, bytes, offsets, ROWS, hashes);

    for (uint32_t r = 0; r < ROWS; r++) {
        printf("%-6.*s %3d  ", (int)(city_offsets[r + 1] - city_offsets[r]),
               cities + city_offsets[r], temperatures[r]);
        for (uint32_t i = offsets[r]; i < offsets[r + 1]; i++) printf("%02x", bytes[i]);
        printf("  %016llx, key group %u\n", (unsigned long long)hashes[r],
               cst_key_group(hashes[r]));
    }
    // "Oslo" 12 comes before "Oslo" -3, because the second column is descending.
    if (compare_keys(bytes + offsets[1], offsets[2] - offsets[1], bytes, offsets[1]) >= 0 ||
        compare_keys(bytes + offsets[2], offsets[3] - offsets[2], bytes, offsets[1]) >= 0) {
        (void)cst_fail(&err, CST_INTERNAL, "the keys do not sort as the rows do");
        goto failed;
    }
    puts("sorted by their bytes: Bergen 7, Oslo 12, Oslo -3, Rome 21");
    return 0;
failed:
    fprintf(stderr, "example.encode_and_hash: %s\n", err.text);
    return 1;
}
