// meta_fuzz.c: bytes as a metadata command or state.
//
// The first byte says as what; the checksum is made right, so that the rest is looked at. Whatever
// comes, the reader answers with a code; what it takes is written again as the same bytes.
#include "base/arena.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "fuzz/fuzz.h"
#include "meta/machine.h"

#include <stdlib.h>
#include <string.h>

enum { BYTES_MAX = 256 << 20, COMMAND_CRC_AT = 20, STATE_CRC_AT = 24, HEAD_BYTES = 32 };

static void require(int condition) {
    if (!condition) abort();
}

static void require_same(csti_buffer *made, const uint8_t *bytes, size_t count) {
    require(made->used_bytes == count);
    require(memcmp(made->bytes, bytes, count) == 0);
    csti_buffer_release(made);
}

static void command_read(const uint8_t *bytes, size_t count) {
    csti_meta_command command;
    csti_buffer again;
    csti_arena arena;
    cst_code code;

    csti_arena_init(&arena, BYTES_MAX);
    csti_buffer_init(&again, BYTES_MAX);
    code = csti_meta_command_decode(bytes, count, &arena, &command, NULL);
    require(code == CST_OK || code == CST_META_CORRUPT || code == CST_META_VERSION);
    if (code == CST_OK) {
        require(csti_meta_command_encode(&command, &again, NULL) == CST_OK);
        require_same(&again, bytes, count);
    }
    csti_arena_release(&arena);
}

static void state_read(const uint8_t *bytes, size_t count) {
    csti_meta_machine *machine = NULL;
    csti_buffer again;
    cst_code code;

    csti_buffer_init(&again, BYTES_MAX);
    code = csti_meta_machine_decode(bytes, count, &machine, NULL);
    require(code == CST_OK || code == CST_META_CORRUPT || code == CST_META_VERSION);
    if (code == CST_OK) {
        require(csti_meta_machine_encode(machine, &again, NULL) == CST_OK);
        require_same(&again, bytes, count);
    }
    csti_meta_machine_close(machine);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    uint8_t *copy;
    size_t crc_at;

    if (count < 1 + HEAD_BYTES) return 0;
    crc_at = bytes[0] & 1 ? STATE_CRC_AT : COMMAND_CRC_AT;
    copy = malloc(count - 1);
    require(copy != NULL);
    memcpy(copy, bytes + 1, count - 1);
    csti_store_le32(copy + crc_at, 0);
    csti_store_le32(copy + crc_at, csti_crc32c(0, copy, count - 1));
    if (bytes[0] & 1)
        state_read(copy, count - 1);
    else
        command_read(copy, count - 1);
    free(copy);
    return 0;
}
