// wal_fuzz.c: bytes as the newest file of a write-ahead log, read frame by frame.
//
// The header is made right, so that frames are looked at; with the first byte's lowest bit, the
// checksums of the frames are, too, as far as they can be found. Whatever comes, the cursor answers
// with a code, records have the positions that come next, and the rest is looked at to its end.
#define _GNU_SOURCE 1 // memfd_create
#include "base/crc32c.h"
#include "fuzz/fuzz.h"
#include "stream/wal_cursor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BASE = 40, FILE_BYTES_MAX = 1 << 20 };

static uint8_t bytes[FILE_BYTES_MAX];

static void require(int condition) {
    if (!condition) abort();
}

static uint32_t header_make(void) {
    csti_wal_header header = {.nonce = 1, .tenure = 5, .base = BASE, .job = "fuzz"};

    csti_wal_header_seal(&header);
    memcpy(bytes, &header, sizeof header);
    return header.crc32c;
}

// Gives every frame its checksums and position, as long as lengths lead to a next one.
static void frames_mend(uint32_t seed, size_t count) {
    uint64_t position = BASE;
    size_t at = CSTI_WAL_HEADER_BYTES;

    while (at + CSTI_WAL_HEAD_BYTES <= count) {
        csti_wal_head head;
        uint64_t frame_bytes;

        memcpy(&head, bytes + at, sizeof head);
        frame_bytes = csti_wal_frame_bytes(head.payload_bytes);
        if (frame_bytes > count - at) break;
        head.position = head.position & 15 ? position : head.position;
        head.payload_crc32c = csti_crc32c(0, bytes + at + sizeof head, head.payload_bytes);
        csti_wal_head_seal(&head, seed);
        memcpy(bytes + at, &head, sizeof head);
        position += head.type == CSTI_WAL_RECORD;
        at += frame_bytes;
    }
}

static void cursor_through(csti_wal_cursor *cursor, size_t count) {
    csti_wal_record record;
    csti_wal_rest rest;
    uint64_t next = BASE;
    cst_code code;

    while ((code = csti_wal_cursor_next(cursor, &record, NULL)) == CST_OK) {
        require(record.position == next++);
        require(record.payload_bytes <= CSTI_WAL_PAYLOAD_BYTES_MAX);
        require(cursor->offset <= count);
    }
    require(code == CST_NOT_FOUND);
    require(cursor->why != NULL && cursor->position == next && cursor->durable <= next);
    require(csti_wal_cursor_rest(cursor, &rest, NULL) == CST_OK);
    require(rest.cut_bytes <= count - cursor->offset);
    require(csti_wal_cursor_next(cursor, &record, NULL) == CST_NOT_FOUND);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t count) {
    const csti_wal_folder folder = {.fd = -1, .path = "fuzz"};
    size_t total;
    csti_wal_cursor cursor;
    uint32_t seed;
    int fd;

    if (count < 1 || count > FILE_BYTES_MAX - CSTI_WAL_HEADER_BYTES) return 0;
    total = CSTI_WAL_HEADER_BYTES + count - 1;
    seed = header_make();
    memcpy(bytes + CSTI_WAL_HEADER_BYTES, input + 1, count - 1);
    if (input[0] & 1) frames_mend(seed, total);
    fd = memfd_create("wal", MFD_CLOEXEC);
    require(fd >= 0 && write(fd, bytes, total) == (ssize_t)total);
    require(csti_wal_cursor_take(&folder, (csti_wal_name){5, BASE}, fd, &cursor, NULL) == CST_OK);
    cursor_through(&cursor, total);
    csti_wal_cursor_close(&cursor);
    return 0;
}
