#include "stream/wal_format.h"

#include "base/bytes.h"
#include "base/crc32c.h"

#include <inttypes.h>

static uint32_t header_crc(const csti_wal_header *header) {
    return csti_crc32c(0, header, offsetof(csti_wal_header, crc32c));
}

void csti_wal_header_seal(csti_wal_header *header) {
    header->magic = CSTI_WAL_MAGIC;
    header->version = CSTI_WAL_VERSION;
    header->header_bytes = CSTI_WAL_HEADER_BYTES;
    header->job_bytes = (uint16_t)strnlen(header->job, sizeof header->job);
    header->crc32c = header_crc(header);
}

static bool all_zero(const void *bytes, size_t count) {
    const uint8_t *at = bytes;

    while (count > 0 && *at == 0) at++, count--;
    return count == 0;
}

// Of a header whose checksum is right.
static const char *fields_check(const csti_wal_header *header) {
    const bool follows = header->follows_tenure != 0;

    if (header->header_bytes != CSTI_WAL_HEADER_BYTES) return "its header has another length";
    if (!all_zero(header->reserved0, sizeof header->reserved0)) return "a reserved field is not 0";
    if (header->job_bytes == 0 || header->job_bytes > sizeof header->job ||
        strnlen(header->job, sizeof header->job) != header->job_bytes ||
        !all_zero(header->job + header->job_bytes, sizeof header->job - header->job_bytes))
        return "the job's name and its length differ";
    if (header->tenure == 0) return "its tenure is 0";
    if (!follows && header->follows_base != 0) return "it follows no file, at a position";
    if (follows && header->follows_tenure > header->tenure)
        return "it follows a file of a later tenure";
    if (follows && header->follows_base >= header->base)
        return "it follows a file that begins no earlier";
    return NULL;
}

cst_code csti_wal_header_check(const csti_wal_header *header, const char *path, cst_err *err) {
    const char *why;

    if (header->magic != CSTI_WAL_MAGIC)
        return cst_fail(err, CST_WAL_CORRUPT, "%s: at byte 0: no file of a write-ahead log", path);
    if (header->version > CSTI_WAL_VERSION)
        return cst_fail(err, CST_WAL_VERSION,
                        "%s: version %" PRIu32 ", and this program reads up to %d. Use the program "
                        "that wrote it, or a newer one",
                        path, header->version, CSTI_WAL_VERSION);
    if (header->version == 0)
        return cst_fail(err, CST_WAL_CORRUPT, "%s: at byte 8: there is no version 0", path);
    if (header->crc32c != header_crc(header))
        return cst_fail(err, CST_WAL_CORRUPT, "%s: at byte 0: the header's checksum is wrong",
                        path);
    why = fields_check(header);
    if (why) return cst_fail(err, CST_WAL_CORRUPT, "%s: at byte 0: %s", path, why);
    return CST_OK;
}

// ---- Frames -------------------------------------------------------------------------------------

static uint32_t head_crc(const csti_wal_head *head, uint32_t seed) {
    return csti_crc32c(seed, (const uint8_t *)head + sizeof head->crc32c,
                       sizeof *head - sizeof head->crc32c);
}

void csti_wal_head_seal(csti_wal_head *head, uint32_t seed) {
    head->crc32c = head_crc(head, seed);
}

void csti_wal_mark_make(uint64_t position, uint64_t durable, uint32_t seed,
                        uint8_t out[CSTI_WAL_MARK_BYTES]) {
    csti_wal_head head = {.payload_bytes = sizeof durable,
                          .position = position,
                          .type = CSTI_WAL_MARK};

    csti_store_le64(out + sizeof head, durable);
    head.payload_crc32c = csti_crc32c(0, out + sizeof head, sizeof durable);
    csti_wal_head_seal(&head, seed);
    memcpy(out, &head, sizeof head);
}

bool csti_wal_head_is_zero(const csti_wal_head *head) {
    return all_zero(head, sizeof *head);
}

const char *csti_wal_head_check(const csti_wal_head *head, uint32_t seed) {
    if (csti_wal_head_is_zero(head)) return "there are zeros";
    if (head->crc32c != head_crc(head, seed)) return "a record's head has a wrong checksum";
    if (head->reserved0 != 0) return "a reserved field is not 0";
    if (head->type == CSTI_WAL_RECORD)
        return head->payload_bytes > CSTI_WAL_PAYLOAD_BYTES_MAX ? "a record is longer than any is"
                                                                : NULL;
    if (head->type != CSTI_WAL_MARK) return "no such type of a record";
    if (head->kind != 0 || head->payload_bytes != sizeof(uint64_t)) return "a mark is malformed";
    return NULL;
}

const char *csti_wal_payload_check(const csti_wal_head *head, const uint8_t *payload) {
    const size_t bytes = head->payload_bytes;
    const size_t padded = csti_wal_frame_bytes(head->payload_bytes) - CSTI_WAL_HEAD_BYTES;

    if (csti_crc32c(0, payload, bytes) != head->payload_crc32c)
        return "a record's payload has a wrong checksum";
    if (!all_zero(payload + bytes, padded - bytes)) return "what fills a record up is not 0";
    if (head->type == CSTI_WAL_MARK && csti_load_le64(payload) > head->position)
        return "a mark says more than there is";
    return NULL;
}

bool csti_wal_mark_read(const uint8_t bytes[CSTI_WAL_MARK_BYTES], uint32_t seed,
                        uint64_t *position_out, uint64_t *durable_out) {
    csti_wal_head head;

    memcpy(&head, bytes, sizeof head);
    if (head.type != CSTI_WAL_MARK || csti_wal_head_check(&head, seed) ||
        csti_wal_payload_check(&head, bytes + sizeof head))
        return false;
    *position_out = head.position;
    *durable_out = csti_load_le64(bytes + sizeof head);
    return true;
}
