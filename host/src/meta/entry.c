// The names and bytes of the log's objects: docs/formats.md, Metadata.
#include "base/bytes.h"
#include "base/crc32c.h"
#include "meta/log.h"

#include <stdio.h>
#include <string.h>

static const char magic[8] = {'C', 'S', 'T', 'E', 'N', 'T', '1', '\n'};

enum {
    AT_VERSION = 8,
    AT_BYTES = 12,
    AT_INCARNATION = 16,
    AT_INDEX = 24,
    AT_RESERVED = 32,
    AT_CRC = 36
};

void csti_meta_name_write(csti_meta_object object, char name[CSTI_META_NAME_BYTES]) {
    (void)snprintf(name, CSTI_META_NAME_BYTES, "meta/%016llx/%s%020llu",
                   (unsigned long long)object.incarnation, object.snapshot ? "snapshot-" : "",
                   (unsigned long long)object.index);
}

// Reads exactly `digits` digits of `base`, lower case; false if there are others.
static bool number_read(const char *text, int digits, unsigned base, uint64_t *out) {
    uint64_t value = 0;

    for (int i = 0; i < digits; i++) {
        const char c = text[i];
        unsigned digit;

        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if (base == 16 && c >= 'a' && c <= 'f')
            digit = (unsigned)(c - 'a') + 10;
        else
            return false;
        if (value > (UINT64_MAX - digit) / base) return false;
        value = value * base + digit;
    }
    *out = value;
    return true;
}

bool csti_meta_name_read(const char *name, csti_meta_object *out) {
    static const char folder[] = "meta/", snapshot[] = "snapshot-";
    csti_meta_object object = {0};

    if (strncmp(name, folder, sizeof folder - 1) != 0) return false;
    name += sizeof folder - 1;
    if (!number_read(name, 16, 16, &object.incarnation)) return false;
    name += 16;
    if (*name++ != '/') return false;
    object.snapshot = strncmp(name, snapshot, sizeof snapshot - 1) == 0;
    if (object.snapshot) name += sizeof snapshot - 1;
    if (!number_read(name, 20, 10, &object.index) || name[20] != 0) return false;
    *out = object;
    return true;
}

cst_code csti_meta_entry_encode(uint64_t incarnation, uint64_t index,
                                const csti_meta_command *command, csti_buffer *out, cst_err *err) {
    const size_t start = out->used_bytes;
    uint8_t *header;
    cst_code code = csti_buffer_reserve(out, CSTI_META_ENTRY_HEADER_BYTES, err);

    if (code != CST_OK) return code;
    out->used_bytes += CSTI_META_ENTRY_HEADER_BYTES;
    code = csti_meta_command_encode(command, out, err);
    if (code != CST_OK) {
        out->used_bytes = start;
        return code;
    }
    header = out->bytes + start; // it may have moved
    memset(header, 0, CSTI_META_ENTRY_HEADER_BYTES);
    memcpy(header, magic, sizeof magic);
    csti_store_le32(header + AT_VERSION, CSTI_META_VERSION);
    csti_store_le32(header + AT_BYTES, (uint32_t)(out->used_bytes - start));
    csti_store_le64(header + AT_INCARNATION, incarnation);
    csti_store_le64(header + AT_INDEX, index);
    csti_store_le32(header + AT_CRC, csti_crc32c(0, header, AT_CRC));
    return CST_OK;
}

static const char *header_fault(const uint8_t *bytes, size_t count) {
    if (csti_load_le32(bytes + AT_CRC) != csti_crc32c(0, bytes, AT_CRC))
        return "stored and computed checksums differ";
    if (csti_load_le32(bytes + AT_BYTES) != count) return "its length is another";
    if (csti_load_le32(bytes + AT_RESERVED) != 0) return "a reserved field is not 0";
    return NULL;
}

cst_code csti_meta_entry_decode(uint64_t incarnation, uint64_t index, const uint8_t *bytes,
                                size_t count, csti_arena *arena, csti_meta_command *out,
                                cst_err *err) {
    const char *fault;

    if (count < CSTI_META_ENTRY_HEADER_BYTES || memcmp(bytes, magic, sizeof magic) != 0)
        return cst_fail(err, CST_META_CORRUPT, "not a metadata entry");
    if (csti_load_le32(bytes + AT_VERSION) != CSTI_META_VERSION)
        return cst_fail(err, CST_META_VERSION, "an entry of version %u, this program reads %d",
                        csti_load_le32(bytes + AT_VERSION), CSTI_META_VERSION);
    fault = header_fault(bytes, count);
    if (fault) return cst_fail(err, CST_META_CORRUPT, "metadata entry: %s", fault);
    if (csti_load_le64(bytes + AT_INCARNATION) != incarnation ||
        csti_load_le64(bytes + AT_INDEX) != index)
        return cst_fail(err, CST_META_CORRUPT, "it is entry %llu of incarnation %llu",
                        (unsigned long long)csti_load_le64(bytes + AT_INDEX),
                        (unsigned long long)csti_load_le64(bytes + AT_INCARNATION));
    return csti_meta_command_decode(bytes + CSTI_META_ENTRY_HEADER_BYTES,
                                    count - CSTI_META_ENTRY_HEADER_BYTES, arena, out, err);
}
