// Files of the write-ahead log as another implementation made them: read by this and every later
// version. What this one writes has the same bytes.
#define _GNU_SOURCE 1 // nftw
#include "unit/stream/wal_files.h"

TEST(files_of_the_first_version_are_read) {
    const wal_folder folder = wal_folder_copy("wal/log");
    wal_seen seen = {0};
    csti_wal_options options = wal_options_of(&folder, 3, 0, &seen);
    csti_wal_report report;
    csti_wal *wal = NULL;

    options.job = "golden";
    CHECK_OK(csti_wal_open(&options, &wal, &report, NULL));
    CHECK_EQ(report.files, 3);
    CHECK_EQ(report.strays, 0);
    CHECK_EQ(seen.first, 0);
    CHECK_EQ(seen.next, 19);
    CHECK_EQ(report.rewritten, 2); // 17 and 18: the third of their group is torn
    CHECK(report.cut_bytes > 0);
    CHECK_TEXT(report.cut_file, "00000000000000000002-00000000000000000014.wal");
    wal_put_all(wal, 19, 25);
    wal_check_reads(wal, 0, 25);
    csti_wal_close(wal);
    wal_folder_remove(&folder);
}

TEST(a_file_of_the_next_version_is_refused) {
    const wal_folder folder = wal_folder_copy("wal/newer");
    csti_wal_options options = wal_options_of(&folder, 3, 0, NULL);
    csti_wal *wal = NULL;

    options.job = "golden";
    CHECK_CODE(csti_wal_open(&options, &wal, NULL, NULL), CST_WAL_VERSION);
    wal_folder_remove(&folder);
}

TEST(what_is_written_has_the_same_bytes) {
    const wal_folder folder = wal_folder_copy("wal/log");
    static wal_bytes golden, made;
    csti_wal_header header = {.nonce = UINT64_C(0x1122334455667788),
                              .schema = WAL_SCHEMA,
                              .incarnation = 1,
                              .tenure = 2,
                              .base = 10,
                              .follows_tenure = 1,
                              .job = "golden"};

    csti_wal_header_seal(&header);
    bytes_begin(&made, 2, 10, 1, 0);
    memcpy(made.bytes, &header, sizeof header);
    made.seed = header.crc32c;
    bytes_group(&made, 4);
    bytes_get(&golden, &folder, 2, 10);
    CHECK_EQ(golden.count, made.count);
    CHECK_BYTES(golden.bytes, made.bytes, made.count);
    wal_folder_remove(&folder);
}

TEST_MAIN
