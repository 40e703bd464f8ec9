// Rows on disk: what is used when they are opened, what is made anew, and what brings them on.
#include "unit/state/disk.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { EPOCHS = 6 };

// A pair with a chain of EPOCHS epochs of which the disk has settled the first `settled`.
static void history_open(disk_pair *pair, int settled) {
    cst_delta deltas[EPOCHS];

    pair_open(pair, DISK_BUDGET);
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        block_draw(pair, DISK_ROWS_MAX, 2000, epoch ? 4 : 0);
        CHECK_OK(pair_apply(pair));
        deltas[epoch] = pair_seal(pair);
    }
    for (int epoch = 0; epoch < settled; epoch++) pair_release(pair, &deltas[epoch]);
}

static csti_disk_rows *rows_open(disk_pair *pair, const csti_disk_options *options) {
    csti_disk_rows *rows = NULL;
    cst_err err;

    if (csti_disk_rows_open(pair->folder, options, pair->why, &rows, &err) != CST_OK)
        TEST_FAIL("%s", err.text);
    return rows;
}

static cst_restore_report restore(disk_pair *pair, csti_disk_rows *rows, size_t from, size_t to) {
    const cst_restore_options all = {0};
    cst_restore_report report = {0};
    cst_err err;

    if (csti_disk_rows_restore(rows, pair->chain + from, to - from, &all, CSTI_DISK_BATCH_ROWS_MIN,
                               pair->why, &report, &err) != CST_OK)
        TEST_FAIL("%s", err.text);
    return report;
}

TEST(rows_are_used_as_they_are_or_brought_on_by_what_is_behind_them) {
    const csti_disk_options options = disk_options();

    for (int settled = 0; settled <= EPOCHS; settled++) {
        static disk_pair pair;
        csti_disk_rows *rows;

        history_open(&pair, settled);
        csti_keeper_close(pair.keepers[1]);
        rows = rows_open(&pair, &options);
        CHECK_EQ(pair.why[0], 0);
        CHECK_EQ(csti_disk_rows_mark(rows).whole.epoch, settled);
        CHECK_EQ(restore(&pair, rows, 0, EPOCHS).segments_count, EPOCHS - settled);
        CHECK_EQ(pair.why[0], 0);
        CHECK_EQ(restore(&pair, rows, 0, EPOCHS).segments_count, 0);
        csti_disk_rows_close(rows);
        disk_open(&pair);
        check_disk(&pair);
        pair_close(&pair);
    }
}

// A fold knows the checksum of the last segment in it: rows that stand there go on behind it.
TEST(a_folded_chain_goes_on_where_the_rows_stand_or_all_of_it_is_read) {
    const csti_disk_options options = disk_options();

    for (int folded = 3; folded <= 4; folded++) {
        static disk_pair pair;
        cst_segment *chain[EPOCHS];
        const cst_restore_options all = {0};
        cst_restore_report report;
        bytes_sink bytes = {0};
        csti_disk_rows *rows;

        history_open(&pair, 3);
        CHECK_OK(
            cst_segment_fold(pair.chain, (size_t)folded, NULL, sink_write, &bytes, NULL, NULL));
        CHECK_OK(cst_segment_open_bytes("full", bytes.bytes, bytes.count, NULL, &chain[0], NULL));
        for (int i = folded; i < EPOCHS; i++) chain[i - folded + 1] = pair.chain[i];
        csti_keeper_close(pair.keepers[1]);
        rows = rows_open(&pair, &options);
        CHECK_OK(csti_disk_rows_restore(rows, chain, (size_t)(EPOCHS - folded + 1), &all,
                                        CSTI_DISK_BATCH_ROWS_MIN, pair.why, &report, NULL));
        CHECK_EQ(report.segments_count, 3);
        CHECK_EQ(pair.why[0] != 0, folded == 4);
        csti_disk_rows_close(rows);
        disk_open(&pair);
        check_disk(&pair);
        cst_segment_close(chain[0]);
        sink_free(&bytes);
        pair_close(&pair);
    }
}

TEST(rows_ahead_of_the_chain_or_beside_it_are_made_anew) {
    const csti_disk_options options = disk_options();
    static disk_pair pair, other;
    csti_disk_rows *rows;

    history_open(&pair, EPOCHS);
    csti_keeper_close(pair.keepers[1]);
    rows = rows_open(&pair, &options);
    CHECK_EQ(restore(&pair, rows, 0, EPOCHS - 1).segments_count, EPOCHS - 1);
    CHECK(strstr(pair.why, "epoch 6"));
    CHECK_EQ(csti_disk_rows_mark(rows).whole.epoch, EPOCHS - 1);
    history_open(&other, 0); // the same epochs of another history
    CHECK_EQ(restore(&other, rows, 0, EPOCHS).segments_count, EPOCHS);
    CHECK(other.why[0]);
    csti_disk_rows_close(rows);
    disk_open(&pair);
    check_disk(&pair);
    pair_close(&pair);
    pair_close(&other);
}

TEST(a_restore_goes_on_in_the_epoch_in_which_a_process_died) {
    const csti_disk_options options = disk_options();
    static disk_pair pair;
    csti_disk_rows *rows;

    history_open(&pair, 0);
    csti_keeper_close(pair.keepers[1]);
    rows = rows_open(&pair, &options);
    // What a process leaves that dies between two batches of epoch 3.
    CHECK_EQ(restore(&pair, rows, 0, 2).segments_count, 2);
    csti_disk_change change = {.key = (const uint8_t *)"12345678", .key_bytes = 8};
    csti_disk_mark mark = csti_disk_rows_mark(rows);
    mark.reach = (csti_disk_point){3, pair.checksums[2]};
    CHECK_OK(csti_disk_rows_write(rows, &change, 1, &mark, NULL));
    csti_disk_rows_close(rows);
    rows = rows_open(&pair, &options);
    CHECK_EQ(csti_disk_rows_mark(rows).reach.epoch, 3);
    CHECK_EQ(restore(&pair, rows, 0, EPOCHS).segments_count, EPOCHS - 2);
    CHECK_EQ(pair.why[0], 0);
    // A chain that ends before what may be there is another one.
    mark = csti_disk_rows_mark(rows);
    mark.whole = (csti_disk_point){EPOCHS - 1, pair.checksums[EPOCHS - 2]};
    CHECK_OK(csti_disk_rows_write(rows, &change, 1, &mark, NULL));
    CHECK_EQ(restore(&pair, rows, 0, EPOCHS - 1).segments_count, EPOCHS - 1);
    CHECK(pair.why[0]);
    csti_disk_rows_close(rows);
    disk_open(&pair);
    check_disk(&pair);
    pair_close(&pair);
}

// The child settles epochs until it is killed.
TEST(a_killed_process_leaves_what_the_mark_says) {
    for (int round = 0; round < 4; round++) {
        static disk_pair pair;
        int pipes[2];
        int status;
        char said;
        pid_t child;

        pair_open(&pair, DISK_BUDGET);
        for (int epoch = 0; epoch < EPOCHS; epoch++) {
            block_draw(&pair, DISK_ROWS_MAX, 2000, 0);
            CHECK_OK(pair_apply(&pair));
            (void)pair_seal(&pair);
        }
        csti_keeper_close(pair.keepers[1]);
        CHECK_EQ(pipe(pipes), 0);
        child = fork();
        if (child == 0) {
            const csti_disk_options options = disk_options();
            csti_disk_rows *rows = rows_open(&pair, &options);

            for (size_t to = 1; to <= EPOCHS; to++) {
                (void)restore(&pair, rows, 0, to);
                if (write(pipes[1], "x", 1) != 1) _exit(3);
            }
            for (;;) (void)pause();
        }
        for (int i = 0; i <= round; i++) CHECK_EQ(read(pipes[0], &said, 1), 1);
        CHECK_EQ(kill(child, SIGKILL), 0);
        CHECK_EQ(waitpid(child, &status, 0), child);
        (void)close(pipes[0]);
        (void)close(pipes[1]);
        disk_open(&pair);
        CHECK_EQ(pair.why[0], 0);
        check_disk(&pair);
        pair_close(&pair);
    }
}

// ---- What cannot be used ------------------------------------------------------------------------

static void damage(const disk_pair *pair, const char *name, off_t from, off_t count) {
    const uint8_t bytes[256] = {0x5a};
    char path[300];
    int file;

    (void)snprintf(path, sizeof path, "%s/%s", pair->folder, name);
    file = open(path, O_WRONLY);
    CHECK(file >= 0);
    for (off_t at = from; at < from + count; at += (off_t)sizeof bytes)
        CHECK_EQ(pwrite(file, bytes, sizeof bytes, at), (ssize_t)sizeof bytes);
    CHECK_EQ(close(file), 0);
}

// A byte of the value of the first row that the table has, wherever it lies in the file.
static void value_damage(const disk_pair *pair) {
    cst_scan scan = {0};
    cst_row_ref row;
    uint32_t count = 0;
    uint8_t wanted[8 + DISK_VALUE_BYTES];
    uint8_t *bytes;
    char path[300];
    long size;
    int found = 0;
    FILE *file;

    CHECK_OK(cst_table_scan(cst_device_table_image(pair->table), &scan, &row, 1, &count));
    memcpy(wanted, row.key, 8);
    memcpy(wanted + 8, row.value, DISK_VALUE_BYTES);
    (void)snprintf(path, sizeof path, "%s/data.mdb", pair->folder);
    file = fopen(path, "r+b");
    CHECK(file);
    CHECK_EQ(fseek(file, 0, SEEK_END), 0);
    size = ftell(file);
    bytes = malloc((size_t)size);
    CHECK(bytes);
    CHECK_EQ(fseek(file, 0, SEEK_SET), 0);
    CHECK_EQ(fread(bytes, 1, (size_t)size, file), (size_t)size);
    for (long at = 0; at + (long)sizeof wanted <= size; at++)
        if (memcmp(bytes + at, wanted, sizeof wanted) == 0) {
            bytes[at + 8 + 3] ^= 1;
            found++;
        }
    CHECK(found > 0);
    CHECK_EQ(fseek(file, 0, SEEK_SET), 0);
    CHECK_EQ(fwrite(bytes, 1, (size_t)size, file), (size_t)size);
    CHECK_EQ(fclose(file), 0);
    free(bytes);
}

static cst_code row_ignore(void *context, const cst_row_ref *row, cst_err *err) {
    (void)context;
    (void)row;
    (void)err;
    return CST_OK;
}

static void check_anew(disk_pair *pair, const csti_disk_options *options, const char *why) {
    csti_disk_rows *rows = rows_open(pair, options);

    if (!strstr(pair->why, why)) TEST_FAIL("'%s' is not in '%s'", why, pair->why);
    CHECK_EQ(csti_disk_rows_count(rows), 0);
    CHECK_EQ(csti_disk_rows_mark(rows).whole.epoch, 0);
    CHECK_EQ(restore(pair, rows, 0, EPOCHS).segments_count, EPOCHS);
    csti_disk_rows_close(rows);
}

TEST(rows_that_the_machine_may_have_lost_are_made_anew) {
    csti_disk_options options = disk_options();
    static disk_pair pair;
    char path[300];
    FILE *boot;

    history_open(&pair, EPOCHS);
    csti_keeper_close(pair.keepers[1]);
    (void)snprintf(path, sizeof path, "%s/boot", pair.folder);
    boot = fopen(path, "w");
    CHECK(boot);
    CHECK(fputs("another boot", boot) >= 0);
    CHECK_EQ(fclose(boot), 0);
    check_anew(&pair, &options, "synced");
    CHECK_EQ(unlink(path), 0);
    check_anew(&pair, &options, "synced");
    options.boot = ""; // nobody says; but it was closed in order
    csti_disk_rows *rows = rows_open(&pair, &options);
    CHECK_EQ(pair.why[0], 0);
    csti_disk_rows_close(rows);
    disk_open(&pair);
    check_disk(&pair);
    pair_close(&pair);
}

TEST(rows_of_another_meaning_are_made_anew) {
    static disk_pair pair;

    history_open(&pair, EPOCHS);
    csti_keeper_close(pair.keepers[1]);
    for (int field = 0; field < 4; field++) {
        csti_disk_options options = disk_options();
        const csti_disk_options own = disk_options();
        csti_disk_rows *rows;

        if (field == 0) options.identity.hash_key_check++;
        if (field == 1) options.identity.program_hash++;
        if (field == 2) options.identity.schema_hash++;
        if (field == 3) options.identity.group_to--;
        rows = rows_open(&pair, &options);
        CHECK(pair.why[0]);
        CHECK_EQ(csti_disk_rows_count(rows), 0);
        csti_disk_rows_close(rows);
        check_anew(&pair, &own, "");
    }
    disk_open(&pair);
    check_disk(&pair);
    pair_close(&pair);
}

TEST(damage_is_found_when_they_are_opened_or_read_and_is_mended_by_the_chain) {
    const csti_disk_options options = disk_options();
    static disk_pair pair;
    char path[300];
    csti_disk_rows *rows;
    cst_err err;

    history_open(&pair, EPOCHS);
    csti_keeper_close(pair.keepers[1]);
    (void)snprintf(path, sizeof path, "%s/data.mdb", pair.folder);
    damage(&pair, "data.mdb", 0, 8192); // both heads
    check_anew(&pair, &options, "MDB_INVALID");
    struct stat status;
    CHECK_EQ(stat(path, &status), 0);
    CHECK_EQ(truncate(path, status.st_size / 2), 0);
    check_anew(&pair, &options, "MDB_CORRUPTED");
    // One value: reading it says so, and the next one to open begins anew.
    value_damage(&pair);
    rows = rows_open(&pair, &options);
    CHECK_EQ(pair.why[0], 0);
    CHECK_CODE(csti_disk_rows_scan(rows, row_ignore, NULL, &err), CST_STORE_CORRUPT);
    CHECK(strstr(err.text, "reading all rows"));
    csti_disk_rows_close(rows);
    check_anew(&pair, &options, "damaged");
    disk_open(&pair);
    check_disk(&pair);
    pair_close(&pair);
}

// LMDB trusts its pages: it may end the process over one.
TEST(damage_that_ends_a_process_is_not_met_by_the_next_one) {
    const csti_disk_options options = disk_options();
    static disk_pair pair;
    struct stat status;
    char path[300];
    pid_t child;

    history_open(&pair, EPOCHS);
    csti_keeper_close(pair.keepers[1]);
    (void)snprintf(path, sizeof path, "%s/data.mdb", pair.folder);
    CHECK_EQ(stat(path, &status), 0);
    for (off_t page = 2 * 4096; page + 4096 <= status.st_size; page += 4096)
        damage(&pair, "data.mdb", page + 4096 - 256, 256);
    child = fork();
    if (child == 0) {
        csti_disk_rows *rows = NULL;
        cst_err err;

        (void)!freopen("/dev/null", "w", stderr);
        if (csti_disk_rows_open(pair.folder, &options, pair.why, &rows, &err) == CST_OK)
            (void)!csti_disk_rows_scan(rows, row_ignore, NULL, &err);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, NULL, 0), child);
    disk_open(&pair);
    check_disk(&pair);
    pair_close(&pair);
}

TEST(a_folder_that_is_open_is_left_alone) {
    const csti_disk_options options = disk_options();
    static disk_pair pair;
    csti_disk_rows *rows = NULL;
    cst_err err;

    history_open(&pair, EPOCHS);
    CHECK_CODE(csti_disk_rows_open(pair.folder, &options, pair.why, &rows, &err), CST_AGAIN);
    CHECK(strstr(err.text, "another process"));
    csti_disk_rows_remove(pair.folder);
    check_disk(&pair);
    csti_keeper_close(pair.keepers[1]);
    csti_disk_rows_remove(pair.folder);
    CHECK(access(pair.folder, F_OK) != 0);
    disk_open(&pair); // makes it
    check_disk(&pair);
    pair_close(&pair);
}

TEST(a_full_disk_is_said_and_takes_nothing) {
    const csti_disk_options options = disk_options();
    const cst_restore_options all = {0};
    static disk_pair pair;
    struct rlimit old, little;
    csti_disk_rows *rows;
    cst_err err;

    history_open(&pair, 0);
    csti_keeper_close(pair.keepers[1]);
    rows = rows_open(&pair, &options);
    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    little = (struct rlimit){.rlim_cur = 64 << 10, .rlim_max = old.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &little), 0);
    CHECK_CODE(csti_disk_rows_restore(rows, pair.chain, EPOCHS, &all, CSTI_DISK_BATCH_ROWS_MIN,
                                      pair.why, NULL, &err),
               CST_STORE_FULL);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
    CHECK_EQ(restore(&pair, rows, 0, EPOCHS).segments_count, EPOCHS);
    csti_disk_rows_close(rows);
    disk_open(&pair);
    CHECK_EQ(pair.why[0], 0);
    check_disk(&pair);
    pair_close(&pair);
}

TEST_MAIN
