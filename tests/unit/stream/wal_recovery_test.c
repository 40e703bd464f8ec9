// What an owner finds in the folder: torn tails, damage, files of others, owners who wake up.
#define _GNU_SOURCE 1 // nftw
#include "unit/stream/wal_files.h"

#include <errno.h>

static wal_bytes file, other;

// The disk is not what is tested: thousands of folders are opened here.
int fsync(int fd) {
    (void)fd;
    return 0;
}

int fdatasync(int fd) {
    (void)fd;
    return 0;
}

int fallocate(int fd, int mode, off_t from, off_t bytes) {
    (void)fd;
    (void)mode;
    (void)from;
    (void)bytes;
    errno = EOPNOTSUPP;
    return -1;
}

// ---- Tails --------------------------------------------------------------------------------------

TEST(an_empty_folder_begins_at_record_0) {
    const wal_folder folder = wal_folder_make();
    csti_wal_report report;
    wal_seen seen = {0};

    CHECK_OK(wal_look(&folder, 5, 0, &seen, &report, NULL));
    CHECK_EQ(report.records, 0);
    CHECK_EQ(report.end, 0);
    CHECK(wal_has_file(&folder, 5, 0));
    wal_folder_remove(&folder);
}

// Records 100 to 106 in two groups and what an owner at rest writes behind them.
static void file_make(wal_bytes *out, bool at_rest) {
    bytes_begin(out, 3, 100, 0, 0);
    bytes_group(out, 4);
    bytes_group(out, 3);
    if (at_rest) bytes_mark(out, 107);
}

// Opens a folder with this file alone, from record 100 on.
static cst_code look_at(const wal_bytes *bytes, wal_seen *seen, csti_wal_report *report,
                        cst_err *err) {
    const wal_folder folder = wal_folder_make();
    cst_code code;

    *seen = (wal_seen){0};
    *report = (csti_wal_report){0};
    bytes_put(bytes, &folder);
    code = wal_look(&folder, 4, 100, seen, report, err);
    if (code != CST_OK) CHECK(strstr(err->text, folder.path));
    if (code == CST_WAL_CORRUPT) CHECK(strstr(err->text, "byte"));
    wal_folder_remove(&folder);
    return code;
}

TEST(a_whole_file_is_read_and_nothing_is_cut) {
    csti_wal_report report;
    wal_seen seen;

    for (int at_rest = 0; at_rest < 2; at_rest++) {
        file_make(&file, at_rest);
        CHECK_OK(look_at(&file, &seen, &report, NULL));
        CHECK_EQ(seen.first, 100);
        CHECK_EQ(seen.next, 107);
        CHECK_EQ(report.records, 7);
        CHECK_EQ(report.cut_bytes, 0);
        CHECK_TEXT(report.cut_file, "");
    }
}

TEST(what_was_prepared_and_not_written_is_no_tail) {
    csti_wal_report report;
    wal_seen seen;

    file_make(&file, false);
    file.count = WAL_FILE_BYTES_MAX - 5; // zeros
    CHECK_OK(look_at(&file, &seen, &report, NULL));
    CHECK_EQ(seen.next, 107);
    CHECK_EQ(report.cut_bytes, 0);
}

// Where the frame of each record ends.
static void ends_find(const wal_bytes *bytes, size_t *ends) {
    size_t at = CSTI_WAL_HEADER_BYTES;
    size_t count = 0;

    while (at < bytes->count) {
        csti_wal_head head;

        memcpy(&head, bytes->bytes + at, sizeof head);
        at += csti_wal_frame_bytes(head.payload_bytes);
        if (head.type == CSTI_WAL_RECORD) ends[count++] = at;
    }
    CHECK_EQ(count, 7);
}

TEST(a_file_cut_anywhere_gives_the_whole_records_before) {
    csti_wal_report report;
    size_t ends[7];
    wal_seen seen;

    file_make(&file, true);
    ends_find(&file, ends);
    for (size_t count = CSTI_WAL_HEADER_BYTES; count < file.count; count += TEST_EACH(1)) {
        uint64_t whole = 0;

        memcpy(&other, &file, sizeof file);
        other.count = count;
        while (whole < 7 && ends[whole] <= count) whole++;
        CHECK_OK(look_at(&other, &seen, &report, NULL));
        CHECK_EQ(report.records, whole);
        if (whole > 0) CHECK_EQ(seen.next, 100 + whole);
        // The same with zeros behind: blocks that were prepared. A record may end in some.
        memset(other.bytes + count, 0, file.count - count);
        other.count = file.count;
        while (whole < 7 && memcmp(other.bytes, file.bytes, ends[whole]) == 0) whole++;
        CHECK_OK(look_at(&other, &seen, &report, NULL));
        CHECK_EQ(report.records, whole);
    }
}

TEST(a_torn_tail_is_reported_with_its_place) {
    csti_wal_report report;
    size_t ends[7];
    wal_seen seen;

    file_make(&file, false);
    ends_find(&file, ends);
    file.count = ends[6] - 5;
    CHECK_OK(look_at(&file, &seen, &report, NULL));
    CHECK_EQ(report.records, 6);
    CHECK_EQ(report.cut_offset, ends[5]);
    CHECK(report.cut_bytes > 0 && report.cut_bytes <= ends[6] - 5 - ends[5]);
    CHECK_TEXT(report.cut_file, "00000000000000000003-00000000000000000100.wal");
}

TEST(a_header_cut_short_is_damage) {
    const wal_folder folder = wal_folder_make();
    cst_err err = {0};

    file_make(&file, true);
    for (file.count = 0; file.count < CSTI_WAL_HEADER_BYTES; file.count++) {
        bytes_put(&file, &folder);
        CHECK_CODE(wal_look(&folder, 4, 100, NULL, NULL, &err), CST_WAL_CORRUPT);
        CHECK(strstr(err.text, folder.path));
    }
    wal_folder_remove(&folder);
}

// ---- Damage -------------------------------------------------------------------------------------

TEST(a_byte_flipped_before_what_was_durable_is_refused) {
    const wal_folder folder = wal_folder_make();
    size_t ends[7];
    cst_err err = {0};

    file_make(&file, true);
    ends_find(&file, ends);
    for (size_t at = 0; at < ends[6]; at += TEST_EACH(1))
        for (int bit = 0; bit < 8; bit += 3) {
            cst_code code;

            memcpy(&other, &file, sizeof file);
            other.bytes[at] ^= (uint8_t)(1 << bit);
            bytes_put(&other, &folder);
            code = wal_look(&folder, 4, 100, NULL, NULL, &err);
            CHECK(strstr(err.text, folder.path));
            if (code == CST_WAL_VERSION) CHECK(at >= 8 && at < 12);
            if (code != CST_WAL_VERSION) CHECK_CODE(code, CST_WAL_CORRUPT);
            if (code != CST_WAL_VERSION) CHECK(strstr(err.text, "byte"));
        }
    CHECK_EQ(wal_files_count(&folder), 1);
    wal_folder_remove(&folder);
}

TEST(a_byte_flipped_in_the_last_mark_costs_no_record) {
    csti_wal_report report;
    size_t ends[7];
    wal_seen seen;

    file_make(&file, true);
    ends_find(&file, ends);
    for (size_t at = ends[6]; at < file.count; at++) {
        memcpy(&other, &file, sizeof file);
        other.bytes[at] ^= 0x40;
        CHECK_OK(look_at(&other, &seen, &report, NULL));
        CHECK_EQ(seen.next, 107);
        CHECK_EQ(report.cut_offset, ends[6]);
    }
}

TEST(a_byte_flipped_in_the_last_group_cuts_it_off_and_before_it_is_damage) {
    csti_wal_report report;
    size_t ends[7];
    wal_seen seen;
    cst_err err = {0};

    file_make(&file, false);
    ends_find(&file, ends);
    for (size_t at = CSTI_WAL_HEADER_BYTES; at < file.count; at++) {
        cst_code code;

        memcpy(&other, &file, sizeof file);
        other.bytes[at] ^= 0x10;
        code = look_at(&other, &seen, &report, &err);
        if (at < ends[3]) {
            CHECK_CODE(code, CST_WAL_CORRUPT);
            continue;
        }
        CHECK_OK(code); // only those who wrote the second group know whether it was durable
        CHECK(report.records >= 4 && report.records < 7);
        CHECK(report.cut_bytes > 0);
    }
}

// A disk writes the blocks of a group in any order.
TEST(a_hole_in_the_last_group_is_a_torn_tail) {
    csti_wal_report report;
    size_t ends[7];
    wal_seen seen;

    file_make(&file, false);
    ends_find(&file, ends);
    memset(file.bytes + ends[4], 0, ends[5] - ends[4]);
    CHECK_OK(look_at(&file, &seen, &report, NULL));
    CHECK_EQ(report.records, 5);
    CHECK_EQ(report.cut_offset, ends[4]);
    CHECK(report.cut_bytes > ends[5] - ends[4]); // to the last byte that is not 0
}

// A mark that a producer put into its rows is under another checksum.
TEST(a_payload_that_looks_like_a_mark_is_none) {
    csti_wal_report report;
    const uint64_t far = UINT64_C(0x1122334455667788);
    uint8_t *at;
    size_t ends[7];
    wal_seen seen;

    file_make(&file, false);
    ends_find(&file, ends);
    at = file.bytes + ends[6];
    memset(at, 0xff, 24); // torn
    csti_wal_mark_make(far, far, 0, at + 24);
    csti_wal_mark_make(far, far, file.seed + 1, at + 24 + CSTI_WAL_MARK_BYTES);
    file.count += 24 + 2 * CSTI_WAL_MARK_BYTES;
    CHECK_OK(look_at(&file, &seen, &report, NULL));
    CHECK_EQ(report.records, 7);
    CHECK_EQ(report.cut_bytes, 24 + 2 * CSTI_WAL_MARK_BYTES);
}

static cst_code look_at_header(csti_wal_header *header, cst_err *err) {
    csti_wal_report report;
    wal_seen seen;

    header->crc32c = csti_crc32c(0, header, offsetof(csti_wal_header, crc32c));
    file_make(&file, true);
    memcpy(file.bytes, header, sizeof *header);
    return look_at(&file, &seen, &report, err);
}

TEST(a_header_that_contradicts_itself_is_refused) {
    csti_wal_header good, bad;
    cst_err err = {0};

    file_make(&file, true);
    memcpy(&good, file.bytes, sizeof good);
    bad = good, bad.header_bytes = 255;
    CHECK_CODE(look_at_header(&bad, &err), CST_WAL_CORRUPT);
    bad = good, bad.reserved0[51] = 1;
    CHECK_CODE(look_at_header(&bad, &err), CST_WAL_CORRUPT);
    bad = good, bad.job_bytes = 2;
    CHECK_CODE(look_at_header(&bad, &err), CST_WAL_CORRUPT);
    bad = good, bad.job[5] = 'x';
    CHECK_CODE(look_at_header(&bad, &err), CST_WAL_CORRUPT);
    bad = good, bad.follows_base = 5;
    CHECK_CODE(look_at_header(&bad, &err), CST_WAL_CORRUPT);
    bad = good, bad.follows_tenure = 4, bad.follows_base = 5;
    CHECK_CODE(look_at_header(&bad, &err), CST_WAL_CORRUPT);
    bad = good, bad.follows_tenure = 2, bad.follows_base = 100;
    CHECK_CODE(look_at_header(&bad, &err), CST_WAL_CORRUPT);
    bad = good, bad.version = 0;
    CHECK_CODE(look_at_header(&bad, &err), CST_WAL_CORRUPT);
}

TEST(a_newer_version_is_refused_with_both_numbers) {
    const wal_folder folder = wal_folder_make();
    wal_seen seen = {0};
    cst_err err = {0};

    file_make(&file, true);
    csti_store_le32(file.bytes + 8, 2);
    memset(file.bytes + 12, 0x77, file.count - 12); // nobody knows what it looks like
    bytes_put(&file, &folder);
    CHECK_CODE(wal_look(&folder, 4, 100, &seen, NULL, &err), CST_WAL_VERSION);
    CHECK(strstr(err.text, "version 2") && strstr(err.text, "up to 1"));
    CHECK_EQ(wal_files_count(&folder), 1); // nothing was begun or deleted
    wal_folder_remove(&folder);
}

// ---- Several files ------------------------------------------------------------------------------

// Tenure 1: [0, 10), tenure 2: [10, 20) and, after a roll, [20, 25).
static void three_make(const wal_folder *folder) {
    bytes_begin(&file, 1, 0, 0, 0);
    bytes_group(&file, 10);
    bytes_put(&file, folder);
    bytes_begin(&file, 2, 10, 1, 0);
    bytes_group(&file, 6);
    bytes_group(&file, 4);
    bytes_put(&file, folder);
    bytes_begin(&file, 2, 20, 2, 10);
    bytes_group(&file, 5);
    bytes_put(&file, folder);
}

TEST(files_of_all_tenures_are_read_in_order) {
    for (uint64_t from = 0; from <= 25; from++) {
        const wal_folder folder = wal_folder_make();
        csti_wal_report report;
        wal_seen seen = {0};
        csti_wal *wal;

        three_make(&folder);
        wal = wal_open_from(&folder, 3, from, &seen, &report);
        CHECK_EQ(report.records, 25 - from);
        if (from < 25) CHECK_EQ(seen.first, from);
        if (from < 25) CHECK_EQ(seen.next, 25);
        CHECK_EQ(report.end, 25);
        wal_check_reads(wal, from, 25);
        CHECK(wal_has_file(&folder, 1, 0));
        CHECK_OK(csti_wal_truncate(wal, from, NULL));
        CHECK_EQ(wal_has_file(&folder, 1, 0), from < 10);
        CHECK_EQ(wal_has_file(&folder, 2, 10), from < 20);
        wal_put_all(wal, 25, 30);
        wal_check_reads(wal, from, 30);
        csti_wal_close(wal);
        seen = (wal_seen){0};
        CHECK_OK(wal_look(&folder, 4, from, &seen, &report, NULL));
        CHECK_EQ(seen.first, from);
        CHECK_EQ(seen.next, 30);
        wal_folder_remove(&folder);
    }
}

TEST(a_file_that_is_missing_is_named) {
    char path[WAL_PATH_BYTES];
    wal_seen seen = {0};
    cst_err err = {0};
    const wal_folder folder = wal_folder_make();

    three_make(&folder);
    wal_path(&folder, 2, 10, path);
    CHECK_EQ(unlink(path), 0);
    CHECK_CODE(wal_look(&folder, 3, 5, &seen, NULL, &err), CST_WAL_GAP);
    CHECK(strstr(err.text, path));
    CHECK_EQ(seen.next, 0);
    CHECK_EQ(wal_files_count(&folder), 2);
    CHECK_OK(wal_look(&folder, 3, 20, &seen, NULL, &err)); // nobody asks for it
    wal_folder_remove(&folder);
}

TEST(records_missing_at_a_sealed_files_end_are_a_gap) {
    const wal_folder folder = wal_folder_make();
    wal_seen seen = {0};
    cst_err err = {0};

    three_make(&folder);
    bytes_begin(&file, 2, 10, 1, 0);
    bytes_group(&file, 9);
    bytes_put(&file, &folder);
    CHECK_CODE(wal_look(&folder, 3, 0, &seen, NULL, &err), CST_WAL_GAP);
    CHECK(strstr(err.text, "record 19") && strstr(err.text, "record 20"));
    wal_folder_remove(&folder);
}

TEST(a_torn_end_of_a_sealed_file_is_damage) {
    const wal_folder folder = wal_folder_make();
    wal_seen seen = {0};
    cst_err err = {0};

    three_make(&folder);
    bytes_get(&file, &folder, 2, 10);
    file.bytes[file.count - 1] ^= 1;
    bytes_put(&file, &folder);
    CHECK_CODE(wal_look(&folder, 3, 0, &seen, NULL, &err), CST_WAL_CORRUPT);
    CHECK(strstr(err.text, "record 19"));
    wal_folder_remove(&folder);
}

TEST(a_log_that_begins_too_late_is_a_gap) {
    const wal_folder folder = wal_folder_make();
    wal_seen seen = {0};
    cst_err err = {0};

    bytes_begin(&file, 1, 10, 0, 0);
    bytes_group(&file, 5);
    bytes_put(&file, &folder);
    CHECK_CODE(wal_look(&folder, 2, 9, &seen, NULL, &err), CST_WAL_GAP);
    CHECK(strstr(err.text, "10") && strstr(err.text, "9"));
    CHECK_OK(wal_look(&folder, 2, 10, &seen, NULL, &err));
    wal_folder_remove(&folder);
}

TEST(a_lost_folder_is_refused_unless_it_may_be) {
    const wal_folder folder = wal_folder_make();
    csti_wal_options options = wal_options_of(&folder, 2, 77, NULL);
    csti_wal *wal = NULL;
    csti_wal_report report;

    CHECK_CODE(csti_wal_open(&options, &wal, NULL, NULL), CST_WAL_GAP);
    options.may_be_missing = true;
    CHECK_OK(csti_wal_open(&options, &wal, &report, NULL));
    CHECK(report.missing);
    wal_put_all(wal, 77, 80);
    csti_wal_close(wal);
    wal_folder_remove(&folder);
}

// With a relaxed sync a checkpoint may hold what the log has lost.
static void go_on_behind(bool truncated) {
    const wal_folder folder = wal_folder_make();
    csti_wal_report report;
    wal_seen seen = {0};
    csti_wal *wal;
    cst_err err = {0};

    three_make(&folder);
    wal = wal_open_from(&folder, 3, 40, &seen, &report);
    CHECK_EQ(report.records, 0);
    CHECK_EQ(report.end, 40);
    wal_put_all(wal, 40, 43);
    wal_check_reads(wal, 40, 43);
    if (truncated) CHECK_OK(csti_wal_truncate(wal, 40, NULL));
    csti_wal_close(wal);
    CHECK_EQ(wal_files_count(&folder), truncated ? 1 : 4);
    CHECK_OK(wal_look(&folder, 4, 41, &seen, &report, NULL));
    CHECK_EQ(seen.next, 43);
    CHECK_CODE(wal_look(&folder, 5, 39, &seen, &report, &err), CST_WAL_GAP); // they are lost
    wal_folder_remove(&folder);
}

TEST(positions_go_on_behind_what_the_checkpoint_holds) {
    go_on_behind(false);
    go_on_behind(true);
}

TEST(other_jobs_and_other_columns_are_refused) {
    const wal_folder folder = wal_folder_make();
    csti_wal_options options = wal_options_of(&folder, 3, 0, NULL);
    csti_wal *wal = NULL;
    cst_err err = {0};

    three_make(&folder);
    options.job = "jj";
    CHECK_CODE(csti_wal_open(&options, &wal, NULL, &err), CST_JOB_MISMATCH);
    CHECK(strstr(err.text, "job j,") && strstr(err.text, "jj"));
    options.job = "j";
    options.schema++;
    CHECK_CODE(csti_wal_open(&options, &wal, NULL, &err), CST_SCHEMA_MISMATCH);
    CHECK(strstr(err.text, "record 0"));
    CHECK_EQ(wal_files_count(&folder), 3);
    options.from = 25; // a checkpoint holds them all: the columns may change
    CHECK_OK(csti_wal_open(&options, &wal, NULL, &err));
    csti_wal_close(wal);
    wal_folder_remove(&folder);
}

TEST(strangers_in_the_folder_stay_and_what_never_got_its_name_goes) {
    static const char *const names[] = {"README", "00000000000000000003-0000000000000000000.wal",
                                        "00000000000000000003-00000000000000000025.wal.bak",
                                        "00000000000000000002-00000000000000000025.new"};
    const wal_folder folder = wal_folder_make();
    char path[WAL_PATH_BYTES];
    wal_seen seen = {0};

    three_make(&folder);
    for (int i = 0; i < 4; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder.path, names[i]);
        CHECK_EQ(close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666)), 0);
    }
    CHECK_OK(wal_look(&folder, 3, 0, &seen, NULL, NULL));
    CHECK_EQ(seen.next, 25);
    for (int i = 0; i < 4; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder.path, names[i]);
        CHECK_EQ(access(path, F_OK) == 0, i < 3);
    }
    wal_folder_remove(&folder);
}

static cst_code refuse(void *context, const csti_wal_record *record, cst_err *err) {
    (void)context;
    return cst_fail(err, CST_SOURCE_RECORD, "record %" PRIu64, record->position);
}

TEST(what_the_caller_refuses_fails_the_open) {
    const wal_folder folder = wal_folder_make();
    csti_wal_options options = wal_options_of(&folder, 3, 12, NULL);
    csti_wal *wal = NULL;
    cst_err err = {0};

    three_make(&folder);
    options.recovered = refuse;
    CHECK_CODE(csti_wal_open(&options, &wal, NULL, &err), CST_SOURCE_RECORD);
    CHECK(strstr(err.text, "record 12"));
    CHECK_EQ(wal_files_count(&folder), 3);
    wal_folder_remove(&folder);
}

// ---- What nothing proves ------------------------------------------------------------------------

TEST(records_without_a_mark_behind_them_are_written_again) {
    const wal_folder folder = wal_folder_make();
    csti_wal_report report;
    wal_seen seen = {0};
    csti_wal *wal;
    char path[WAL_PATH_BYTES];

    bytes_begin(&file, 1, 0, 0, 0);
    bytes_group(&file, 10);
    bytes_group(&file, 5); // its mark: the first ten are durable
    bytes_put(&file, &folder);
    wal = wal_open_from(&folder, 2, 0, &seen, &report);
    CHECK_EQ(report.rewritten, 5);
    CHECK(wal_has_file(&folder, 2, 10));
    wal_check_reads(wal, 0, 15);
    csti_wal_close(wal);

    // The machine dies, and takes along what its last owner had not synced: nothing is missing.
    wal_path(&folder, 1, 0, path);
    bytes_begin(&file, 1, 0, 0, 0);
    bytes_group(&file, 10);
    bytes_put(&file, &folder);
    seen = (wal_seen){0};
    CHECK_OK(wal_look(&folder, 3, 0, &seen, &report, NULL));
    CHECK_EQ(seen.next, 15);
    CHECK_EQ(report.rewritten, 0);
    wal_folder_remove(&folder);
}

TEST(an_owner_at_rest_leaves_nothing_to_write_again) {
    const wal_folder folder = wal_folder_make();
    csti_wal_report report;
    wal_seen seen = {0};
    csti_wal *wal = wal_open_from(&folder, 1, 0, NULL, NULL);

    wal_put_all(wal, 0, 50);
    csti_wal_close(wal);
    CHECK_OK(wal_look(&folder, 2, 0, &seen, &report, NULL));
    CHECK_EQ(report.records, 50);
    CHECK_EQ(report.rewritten, 0);
    CHECK(wal_has_file(&folder, 1, 0) && wal_has_file(&folder, 2, 50));
    // Those who only came and went leave files that are no part of the log.
    for (uint64_t tenure = 3; tenure < 10; tenure++) {
        CHECK_OK(wal_look(&folder, tenure, 0, NULL, &report, NULL));
        CHECK_EQ(report.files, 2);
        CHECK_EQ(report.strays, tenure - 2);
    }
    wal = wal_open_from(&folder, 10, 0, NULL, NULL);
    CHECK_OK(csti_wal_truncate(wal, 0, NULL));
    CHECK_EQ(wal_files_count(&folder), 2);
    wal_check_reads(wal, 0, 50);
    csti_wal_close(wal);
    wal_folder_remove(&folder);
}

TEST(a_file_of_which_all_is_written_again_goes) {
    const wal_folder folder = wal_folder_make();
    csti_wal_report report;
    wal_seen seen = {0};
    csti_wal *wal;

    three_make(&folder); // of the last one nothing is proved
    wal = wal_open_from(&folder, 3, 0, &seen, &report);
    CHECK_EQ(report.rewritten, 5);
    CHECK_EQ(report.strays, 1);
    CHECK(wal_has_file(&folder, 2, 20));
    CHECK_OK(csti_wal_truncate(wal, 0, NULL));
    CHECK(!wal_has_file(&folder, 2, 20));
    CHECK(wal_has_file(&folder, 3, 20));
    csti_wal_close(wal);
    seen = (wal_seen){0};
    CHECK_OK(wal_look(&folder, 4, 0, &seen, &report, NULL));
    CHECK_EQ(seen.next, 25);
    CHECK_EQ(report.rewritten, 0);
    wal_folder_remove(&folder);
}

// ---- Owners who wake up -------------------------------------------------------------------------

TEST(an_older_file_is_never_written_to) {
    const wal_folder folder = wal_folder_make();
    wal_seen seen = {0};
    csti_wal *wal = wal_open_from(&folder, 1, 0, NULL, NULL);

    wal_put_all(wal, 0, 5);
    csti_wal_close(wal);
    bytes_get(&file, &folder, 1, 0);
    wal = wal_open_from(&folder, 2, 0, &seen, NULL);
    wal_put_all(wal, 5, 500);
    csti_wal_close(wal);
    bytes_get(&other, &folder, 1, 0);
    CHECK_EQ(file.count, other.count);
    CHECK_BYTES(file.bytes, other.bytes, file.count);
    wal_folder_remove(&folder);
}

TEST(a_tenure_that_is_there_or_past_is_refused) {
    const wal_folder folder = wal_folder_make();
    cst_err err = {0};

    three_make(&folder);
    CHECK_CODE(wal_look(&folder, 2, 0, NULL, NULL, &err), CST_EXISTS);
    CHECK_CODE(wal_look(&folder, 1, 0, NULL, NULL, &err), CST_FENCED);
    CHECK(strstr(err.text, "tenure 2") && strstr(err.text, "has 1"));
    CHECK_EQ(wal_files_count(&folder), 3);
    wal_folder_remove(&folder);
}

TEST(what_a_sleeper_writes_when_it_wakes_up_never_counts) {
    const wal_folder folder = wal_folder_make();
    csti_wal_report report;
    wal_seen seen = {0};
    csti_wal *sleeper = wal_open_from(&folder, 1, 0, NULL, NULL);
    csti_wal *owner, *third;

    wal_put_all(sleeper, 0, 5);
    wal_put_all(sleeper, 5, 10); // says that the first five are durable: its file stays
    owner = wal_open_from(&folder, 2, 0, &seen, NULL);
    CHECK_EQ(seen.next, 10);
    wal_put_all(owner, 10, 12);
    // It wakes up: other rows at the same positions, and files beyond.
    for (int i = 0; i < 6000; i++) {
        uint64_t position;

        CHECK_OK(csti_wal_append(sleeper, 99, "late", 4, &position, NULL));
        if (i % 100 == 99) CHECK_OK(csti_wal_flush(sleeper, NULL));
    }
    wal_check_reads(owner, 0, 12);
    wal_put_all(owner, 12, 14);
    seen = (wal_seen){0};
    third = wal_open_from(&folder, 3, 0, &seen, &report);
    CHECK_EQ(seen.next, 14); // and each is the owner's: wal_see looks
    CHECK(report.cut_bytes > 0);
    CHECK(report.strays > 0); // those that it went on to
    wal_check_reads(third, 0, 14);
    csti_wal_close(sleeper);
    csti_wal_close(owner);
    csti_wal_close(third);
    seen = (wal_seen){0};
    CHECK_OK(wal_look(&folder, 4, 0, &seen, &report, NULL));
    CHECK_EQ(seen.next, 14);
    wal_folder_remove(&folder);
}

// Tenure 2 has read the folder, sleeps, and begins its file when tenure 3 has long been at work.
TEST(a_file_that_comes_late_never_counts) {
    const wal_folder folder = wal_folder_make();
    csti_wal_report report;
    wal_seen seen = {0};
    csti_wal *first = wal_open_from(&folder, 1, 0, NULL, NULL);
    csti_wal *third;

    wal_put_all(first, 0, 10);
    csti_wal_close(first);
    third = wal_open_from(&folder, 3, 0, NULL, NULL);
    wal_put_all(third, 10, 12);
    bytes_begin(&file, 2, 7, 1, 0); // it had seen less
    bytes_group(&file, 30);
    file.bytes[CSTI_WAL_HEADER_BYTES + 2 * CSTI_WAL_MARK_BYTES] ^= 1; // nobody looks at it
    bytes_put(&file, &folder);
    wal_check_reads(third, 0, 12);
    wal_put_all(third, 12, 20);
    csti_wal_close(third);
    third = wal_open_from(&folder, 4, 0, &seen, &report);
    CHECK_EQ(seen.next, 20);
    CHECK(wal_has_file(&folder, 2, 7));
    CHECK_OK(csti_wal_truncate(third, 0, NULL));
    CHECK(!wal_has_file(&folder, 2, 7));
    wal_check_reads(third, 0, 20);
    csti_wal_close(third);
    wal_folder_remove(&folder);
}

// The new owner saw what its predecessor was going to write next only in part.
TEST(a_write_that_ends_after_it_was_read_does_not_count) {
    const wal_folder folder = wal_folder_make();
    wal_seen seen = {0};
    csti_wal *owner;
    size_t whole;

    bytes_begin(&file, 1, 0, 0, 0);
    bytes_group(&file, 5);
    bytes_group(&file, 5);
    whole = file.count;
    file.count -= 20;
    bytes_put(&file, &folder);
    owner = wal_open_from(&folder, 2, 0, &seen, NULL);
    CHECK_EQ(seen.next, 9);
    file.count = whole;
    bytes_put(&file, &folder); // now all of it is there
    wal_put_all(owner, 9, 15);
    csti_wal_close(owner);
    seen = (wal_seen){0};
    CHECK_OK(wal_look(&folder, 3, 0, &seen, NULL, NULL));
    CHECK_EQ(seen.next, 15);
    wal_folder_remove(&folder);
}

// Tenure 2 reads the folder; then tenure 1 ends a write, and tenure 3 reads more than 2 did, before
// 2 begins its file. What 2 takes for superseded is what 3 follows.
TEST(an_owner_fenced_off_while_it_opens_deletes_nothing) {
    const wal_folder folder = wal_folder_make();
    char path[WAL_PATH_BYTES], late[WAL_PATH_BYTES + 8];
    wal_seen seen = {0};
    csti_wal *second, *third;

    bytes_begin(&file, 1, 0, 0, 0);
    bytes_group(&file, 5);
    bytes_put(&file, &folder);
    second = wal_open_from(&folder, 2, 0, NULL, NULL); // all five are in its own file, from 0 on
    wal_path(&folder, 2, 0, path);
    (void)snprintf(late, sizeof late, "%s.late", path);
    CHECK_EQ(rename(path, late), 0); // as if it had no name yet
    bytes_group(&file, 5);
    bytes_put(&file, &folder);
    third = wal_open_from(&folder, 3, 0, &seen, NULL);
    CHECK_EQ(seen.next, 10);
    CHECK(wal_has_file(&folder, 3, 5)); // the first five stay where they are
    CHECK_EQ(rename(late, path), 0);
    csti_wal_close(second);
    wal_put_all(third, 10, 12);
    csti_wal_close(third);
    seen = (wal_seen){0};
    CHECK_OK(wal_look(&folder, 4, 0, &seen, NULL, NULL));
    CHECK_EQ(seen.next, 12);
    wal_folder_remove(&folder);
}

// ---- Many owners --------------------------------------------------------------------------------

TEST(owners_come_and_go_and_no_record_is_lost) {
    const wal_folder folder = wal_folder_make();
    uint64_t end = 0, from = 0;

    printf("(seed %" PRIu64 ") ", test_seed_value);
    for (uint64_t tenure = 1; tenure < 40; tenure++) {
        const uint64_t more = test_random_below(300);
        csti_wal_report report;
        wal_seen seen = {0};
        csti_wal *wal = wal_open_from(&folder, tenure, from, &seen, &report);

        CHECK_EQ(report.records, end - from);
        CHECK_EQ(report.end, end);
        if (end > from) CHECK_EQ(seen.first, from);
        if (end > from) CHECK_EQ(seen.next, end);
        for (uint64_t i = 0; i < more; i++) (void)wal_put(wal, end++);
        if (test_random_below(2)) CHECK_OK(csti_wal_flush(wal, NULL));
        if (test_random_below(3) == 0) from += test_random_below(end - from + 1);
        if (test_random_below(2)) CHECK_OK(csti_wal_truncate(wal, from, NULL));
        csti_wal_close(wal);
    }
    wal_folder_remove(&folder);
}

TEST_MAIN
