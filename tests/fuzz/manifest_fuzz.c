// manifest_fuzz.c: bytes as a manifest.
//
// Whatever comes, the reader answers with a code; a manifest that it takes is written again, and
// what was written reads as the same manifest and gives the same bytes.
#include "checkpoint/manifest.h"
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES_MAX = 256 << 20 };

static void require(int condition) {
    if (!condition) abort();
}

static void rewrite(const csti_manifest *manifest) {
    csti_manifest read;
    csti_arena arena;
    csti_buffer first, second;

    csti_arena_init(&arena, ARENA_BYTES_MAX);
    csti_buffer_init(&first, 2 * CSTI_MANIFEST_BYTES_MAX);
    csti_buffer_init(&second, 2 * CSTI_MANIFEST_BYTES_MAX);
    require(csti_manifest_write(manifest, &first, NULL) == CST_OK);
    require(csti_manifest_read("again", first.bytes, first.used_bytes, &arena, &read, NULL) ==
            CST_OK);
    require(csti_manifest_write(&read, &second, NULL) == CST_OK);
    require(first.used_bytes == second.used_bytes);
    require(memcmp(first.bytes, second.bytes, first.used_bytes) == 0);
    csti_buffer_release(&second);
    csti_buffer_release(&first);
    csti_arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    cst_err err = {.code = CST_OK};
    csti_manifest manifest;
    csti_arena arena;

    csti_arena_init(&arena, ARENA_BYTES_MAX);
    const cst_code code = csti_manifest_read("input", bytes, count, &arena, &manifest, &err);
    require(code == CST_OK || code == CST_MANIFEST || code == CST_MANIFEST_VERSION);
    require(code == err.code);
    if (code == CST_OK) rewrite(&manifest);
    csti_arena_release(&arena);
    return 0;
}
