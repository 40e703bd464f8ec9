// Each allocation of a write-ahead log fails once: NO_MEMORY, and nothing stays behind (the
// sanitizers' builds look for that). What was durable is there for the next owner.
#define _GNU_SOURCE 1 // nftw
#include "unit/stream/wal_files.h"

#include "nth.h"

// A reader, a record that is longer than what is read at once, and several files.
static cst_code through(const csti_wal_options *options) {
    static uint8_t payload[WAL_PAYLOAD_BYTES];
    csti_wal_reader *reader = NULL;
    csti_wal *wal = NULL;
    csti_wal_record record;
    uint64_t position;
    cst_code code = csti_wal_open(options, &wal, NULL, NULL);

    for (int i = 0; i < 6 && code == CST_OK; i++) {
        code = csti_wal_append(wal, 0, payload, 40000, &position, NULL);
        if (code == CST_OK) code = csti_wal_flush(wal, NULL);
    }
    if (code == CST_OK) code = csti_wal_reader_open(wal, 0, &reader, NULL);
    while (code == CST_OK) code = csti_wal_reader_next(reader, &record, NULL);
    csti_wal_reader_close(reader);
    csti_wal_close(wal);
    return code == CST_AGAIN ? CST_OK : code;
}

TEST(every_allocation_may_fail) {
    for (uint64_t n = 1;; n++) {
        const wal_folder folder = wal_folder_make();
        csti_wal_options options = wal_options_of(&folder, 3, 0, NULL);
        static wal_bytes file;
        bool failed;
        cst_code code;

        options.memory_bytes = 128 << 10;
        options.file_bytes = 256 << 10;
        options.disk_bytes_max = 4 << 20;
        bytes_begin(&file, 1, 0, 0, 0);
        bytes_group(&file, 10);
        bytes_put(&file, &folder);
        bytes_begin(&file, 2, 10, 1, 0);
        bytes_group(&file, 10);
        bytes_put(&file, &folder);
        nth_fail_at(n);
        code = through(&options);
        failed = nth_end();
        CHECK_CODE(code, failed ? CST_NO_MEMORY : CST_OK);
        options.tenure = 4;
        CHECK_OK(through(&options));
        wal_folder_remove(&folder);
        if (failed) continue;
        CHECK(n > 8);
        return;
    }
}

TEST_MAIN
