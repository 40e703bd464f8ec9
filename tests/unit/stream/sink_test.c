#include "stream/sink.h"

#include "base/fault_point.h"
#include "unit/state/folder.h"
#include "unit/state/segments.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

// A sink of its own folder, and a segment of u64 keys with the field "a".
typedef struct fixture {
    char parent[256];
    char folder[300];
    csti_sink_options options;
    csti_sink *sink;
    bytes_sink bytes;
    cst_segment *segment;
} fixture;

static fixture fixture_make(csti_sink_kind kind) {
    fixture f = {.options = {.kind = kind, .nonce = 7}};
    csti_render_plan *plan = &f.options.plan;

    folder_make(f.parent, sizeof f.parent);
    (void)snprintf(f.folder, sizeof f.folder, "%s/out", f.parent);
    CHECK_OK(cst_schema_parse("u64", &plan->key, NULL));
    (void)snprintf(plan->key_names[0], sizeof plan->key_names[0], "k");
    plan->presence_offset = CST_NO_OFFSET;
    plan->fields_count = 1;
    plan->fields[0] = (csti_render_field){.name = "a", .number = CST_U64};
    return f;
}

// Another process opens the folder.
static void fixture_open(fixture *f) {
    cst_err err = {0};

    csti_sink_close(f->sink);
    f->sink = NULL;
    f->options.path = f->folder;
    if (csti_sink_open(&f->options, &f->sink, &err) != CST_OK) TEST_FAIL("%s", err.text);
}

// `rows` rows of keys first.., values `value`, and then a tombstone of key 99.
static cst_segment *segment_make(bytes_sink *bytes, uint64_t epoch, uint64_t first, uint64_t rows,
                                 uint64_t value) {
    const cst_segment_info info = test_info(CST_SEGMENT_DELTA, epoch, epoch);
    bytes_sink records = {NULL, 0, 0, 0, 0};

    for (uint64_t r = 0; r < rows; r++) inline_row(&records, __builtin_bswap64(first + r), value);
    if (rows) inline_tombstone(&records, __builtin_bswap64(99));
    (void)write_parts(bytes, &info, &records, NULL);
    sink_free(&records);
    return open_or_die(bytes);
}

// The sink is open, and the segment of epoch 12 has so many rows.
static fixture fixture_of(csti_sink_kind kind, uint64_t rows) {
    fixture f = fixture_make(kind);

    fixture_open(&f);
    f.segment = segment_make(&f.bytes, 12, 1, rows, 5);
    return f;
}

static void fixture_end(fixture *f) {
    cst_segment_close(f->segment);
    sink_free(&f->bytes);
    csti_sink_close(f->sink);
    if (access(f->folder, F_OK) == 0) folder_remove(f->folder);
    folder_remove(f->parent);
}

static size_t file_read(const char *folder, const char *name, char *out, size_t capacity) {
    char path[600];
    FILE *in;
    size_t bytes;

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    in = fopen(path, "rb");
    if (!in) return SIZE_MAX;
    bytes = fread(out, 1, capacity - 1, in);
    out[bytes] = '\0';
    fclose(in);
    return bytes;
}

static void file_write(const char *folder, const char *name, const char *text) {
    char path[600];
    FILE *out;

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    out = fopen(path, "wb");
    CHECK(out);
    fputs(text, out);
    fclose(out);
}

static int files_count(const char *path) {
    DIR *folder = opendir(path);
    const struct dirent *entry;
    int count = 0;

    CHECK(folder);
    while ((entry = readdir(folder)) != NULL) count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

static const char part_name[] = "00000000000000000012-00003.ndjson";
static const char part_text[] = "{\"k\":1,\"a\":5,\"_op\":\"upsert\"}\n"
                                "{\"k\":2,\"a\":5,\"_op\":\"upsert\"}\n"
                                "{\"k\":99,\"_op\":\"delete\"}\n";

TEST(a_segment_becomes_a_part) {
    fixture f = fixture_of(CSTI_SINK_FILE, 2);
    csti_sink_stats stats;
    char text[4096];

    CHECK_OK(csti_sink_release(f.sink, 3, f.segment, NULL));
    CHECK(file_read(f.folder, part_name, text, sizeof text) != SIZE_MAX);
    CHECK_TEXT(text, part_text);
    CHECK_EQ(files_count(f.folder), 1);
    csti_sink_stats_read(f.sink, &stats);
    CHECK_EQ(stats.parts, 1);
    CHECK_EQ(stats.rows, 3);
    CHECK_EQ(stats.bytes, strlen(part_text));
    fixture_end(&f);
}

TEST(a_part_released_again_is_left_as_it_is) {
    fixture f = fixture_of(CSTI_SINK_FILE, 2);
    struct stat before, after;
    char path[600];

    (void)snprintf(path, sizeof path, "%s/%s", f.folder, part_name);
    CHECK_OK(csti_sink_release(f.sink, 3, f.segment, NULL));
    CHECK_EQ(stat(path, &before), 0);
    fixture_open(&f);
    CHECK_OK(csti_sink_release(f.sink, 3, f.segment, NULL));
    CHECK_EQ(stat(path, &after), 0);
    CHECK_EQ(before.st_ino, after.st_ino);
    CHECK_EQ(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    CHECK_EQ(files_count(f.folder), 1);
    fixture_end(&f);
}

TEST(a_part_with_other_bytes_is_never_replaced) {
    static const char *const others[] = {
        "", "{\"k\":1,\"a\":5,\"_op\":\"upsert\"}\n",
        "{\"k\":1,\"a\":6,\"_op\":\"upsert\"}\n{\"k\":2,\"a\":5,\"_op\":\"upsert\"}\n"
        "{\"k\":99,\"_op\":\"delete\"}\n",
        "{\"k\":1,\"a\":5,\"_op\":\"upsert\"}\n{\"k\":2,\"a\":5,\"_op\":\"upsert\"}\n"
        "{\"k\":99,\"_op\":\"delete\"}\n "};
    fixture f = fixture_of(CSTI_SINK_FILE, 2);

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        cst_err err = {0};
        char text[4096];

        file_write(f.folder, part_name, others[i]);
        CHECK_CODE(csti_sink_release(f.sink, 3, f.segment, &err), CST_SINK);
        CHECK(strstr(err.text, part_name));
        CHECK(file_read(f.folder, part_name, text, sizeof text) != SIZE_MAX);
        CHECK_TEXT(text, others[i]);
        CHECK_EQ(files_count(f.folder), 1);
    }
    fixture_end(&f);
}

TEST(a_segment_without_records_gives_no_part) {
    fixture f = fixture_of(CSTI_SINK_FILE, 0);

    CHECK_OK(csti_sink_release(f.sink, 3, f.segment, NULL));
    CHECK_EQ(files_count(f.folder), 0);
    fixture_end(&f);
}

TEST(a_windowed_jobs_lines_are_those_of_closed_windows) {
    fixture f = fixture_make(CSTI_SINK_FILE);
    const cst_segment_info info = test_info(CST_SEGMENT_DELTA, 12, 12);
    bytes_sink records = {NULL, 0, 0, 0, 0};
    char text[500];

    inline_row(&records, __builtin_bswap64(1), 5);    // of a window that is open
    inline_tombstone(&records, __builtin_bswap64(2)); // an operator deleted it
    inline_last_value(&records, __builtin_bswap64(3), 7);
    inline_set_aside(&records, __builtin_bswap64(4), 8);
    (void)write_parts(&f.bytes, &info, &records, NULL);
    f.segment = open_or_die(&f.bytes);
    f.options.takes = CSTI_SINK_TAKES_CLOSED;
    fixture_open(&f);
    CHECK_OK(csti_sink_release(f.sink, 3, f.segment, NULL));
    CHECK(file_read(f.folder, part_name, text, sizeof text) != SIZE_MAX);
    CHECK_TEXT(text, "{\"k\":3,\"a\":7,\"_op\":\"upsert\"}\n");
    CHECK_OK(csti_sink_release(f.sink, 3, f.segment, NULL)); // the same bytes again
    f.options.takes = CSTI_SINK_TAKES_ASIDE;
    folder_remove(f.folder);
    fixture_open(&f);
    CHECK_OK(csti_sink_release(f.sink, 3, f.segment, NULL));
    CHECK(file_read(f.folder, part_name, text, sizeof text) != SIZE_MAX);
    CHECK_TEXT(text, "{\"k\":4,\"a\":8,\"_op\":\"upsert\"}\n");
    sink_free(&records);
    fixture_end(&f);
}

TEST(a_segment_without_closed_windows_gives_no_part) {
    fixture f = fixture_make(CSTI_SINK_FILE);

    f.options.takes = CSTI_SINK_TAKES_CLOSED;
    fixture_open(&f);
    f.segment = segment_make(&f.bytes, 12, 1, 3, 5); // rows, and a tombstone without a value
    CHECK_OK(csti_sink_release(f.sink, 3, f.segment, NULL));
    CHECK_EQ(files_count(f.folder), 0);
    f.options.takes = CSTI_SINK_TAKES_ASIDE;
    fixture_open(&f);
    CHECK_OK(csti_sink_release(f.sink, 3, f.segment, NULL));
    CHECK_EQ(files_count(f.folder), 0);
    fixture_end(&f);
}

TEST(left_over_temporaries_go_at_open_and_nothing_else_does) {
    fixture f = fixture_make(CSTI_SINK_FILE);
    char text[64];

    fixture_open(&f);
    file_write(f.folder, "temp-0000000000000001-00000000000000000012-00003.ndjson", "half");
    file_write(f.folder, "temp-0000000000000007-00000000000000000012-00004.ndjson", "ours");
    file_write(f.folder, "00000000000000000011-00003.ndjson", "a part");
    file_write(f.folder, "notes.txt", "a person's");
    fixture_open(&f);
    CHECK_EQ(files_count(f.folder), 3);
    CHECK(file_read(f.folder, "temp-0000000000000001-00000000000000000012-00003.ndjson", text,
                    sizeof text) == SIZE_MAX);
    fixture_end(&f);
}

TEST(a_file_whose_name_only_resembles_a_temporarys_stays) {
    static const char *const names[] = {
        "temp-notes.txt",
        "temp-0000000000000001",
        "temp-0000000000000001-",
        "temp-00000000000000001-00000000000000000012-00003.ndjson",
        "temp-000000000000001-00000000000000000012-00003.ndjson",
        "temp-000000000000000A-00000000000000000012-00003.ndjson",
        "temp-0x00000000000001-00000000000000000012-00003.ndjson",
        "temp- 000000000000001-00000000000000000012-00003.ndjson",
        "temp-0000000000000001_00000000000000000012-00003.ndjson",
        "temp-0000000000000001-0000000000000000012-00003.ndjson",
        "temp-0000000000000001-00000000000000000012-0003.ndjson",
        "temp-0000000000000001-00000000000000000012-00003.ndjson.bak",
        "temp-0000000000000001-00000000000000000012-00003.csv",
        "Temp-0000000000000001-00000000000000000012-00003.ndjson",
        "my-temp-0000000000000001-00000000000000000012-00003.ndjson",
    };
    enum { NAMES = sizeof names / sizeof *names };
    fixture f = fixture_make(CSTI_SINK_FILE);
    char text[64];

    fixture_open(&f);
    for (int i = 0; i < NAMES; i++) file_write(f.folder, names[i], "a person's");
    fixture_open(&f);
    for (int i = 0; i < NAMES; i++)
        if (file_read(f.folder, names[i], text, sizeof text) == SIZE_MAX)
            TEST_FAIL("%s is gone", names[i]);
    CHECK_EQ(files_count(f.folder), NAMES);
    fixture_end(&f);
}

TEST(what_was_released_is_known_by_partition_and_epoch) {
    fixture f = fixture_of(CSTI_SINK_FILE, 2);
    bool released = true;

    file_write(f.folder, "temp-0000000000000007-00000000000000000099-00003.ndjson", "half");
    file_write(f.folder, "00000000000000000099-00003.ndjson.bak", "a person's");
    file_write(f.folder, "99-3.ndjson", "a person's");
    CHECK_OK(csti_sink_has_released(f.sink, 3, 1, &released, NULL));
    CHECK(!released);
    CHECK_OK(csti_sink_release(f.sink, 3, f.segment, NULL));
    CHECK_OK(csti_sink_has_released(f.sink, 3, 12, &released, NULL));
    CHECK(released);
    CHECK_OK(csti_sink_has_released(f.sink, 3, 11, &released, NULL)); // a later one is
    CHECK(released);
    CHECK_OK(csti_sink_has_released(f.sink, 3, 13, &released, NULL));
    CHECK(!released);
    CHECK_OK(csti_sink_has_released(f.sink, 2, 12, &released, NULL));
    CHECK(!released);
    fixture_end(&f);
}

TEST(a_folder_with_a_part_in_it_is_not_unused) {
    fixture f = fixture_of(CSTI_SINK_FILE, 2);
    cst_err err = {0};

    file_write(f.folder, "notes.txt", "a person's");
    file_write(f.folder, "00000000000000000001-00003.ndjson.bak", "a person's");
    CHECK_OK(csti_sink_unused_check(f.sink, NULL));
    CHECK_OK(csti_sink_release(f.sink, 3, f.segment, NULL));
    CHECK_CODE(csti_sink_unused_check(f.sink, &err), CST_SINK);
    CHECK(strstr(err.text, f.folder) && strstr(err.text, part_name));
    CHECK(strstr(err.text, "Empty the folder, or name another"));
    fixture_end(&f);
    f = fixture_of(CSTI_SINK_STDOUT, 0);
    CHECK_OK(csti_sink_unused_check(f.sink, NULL));
    fixture_end(&f);
}

TEST(a_segment_of_many_chunks_is_rendered_whole) {
    enum { ROWS = 100000 };
    fixture f = fixture_of(CSTI_SINK_FILE, ROWS);
    char *text = malloc(8 << 20);
    const char *line = text;

    CHECK(text);
    CHECK_OK(csti_sink_release(f.sink, 3, f.segment, NULL));
    CHECK(file_read(f.folder, part_name, text, 8 << 20) > 2 << 20);
    for (int r = 1; r <= ROWS; r++) {
        char wanted[80];

        (void)snprintf(wanted, sizeof wanted, "{\"k\":%d,\"a\":5,\"_op\":\"upsert\"}\n", r);
        if (strncmp(line, wanted, strlen(wanted)) != 0) TEST_FAIL("row %d: %.60s", r, line);
        line += strlen(wanted);
    }
    CHECK_OK(csti_sink_release(f.sink, 3, f.segment, NULL));
    free(text);
    fixture_end(&f);
}

TEST(a_damaged_segment_releases_nothing) {
    fixture f = fixture_of(CSTI_SINK_FILE, 2);

    f.bytes.bytes[140] ^= 1;
    CHECK_CODE(csti_sink_release(f.sink, 3, f.segment, NULL), CST_SEGMENT_CHECKSUM);
    CHECK_EQ(files_count(f.folder), 0);
    fixture_end(&f);
}

TEST(a_sink_that_throws_away_counts) {
    fixture f = fixture_of(CSTI_SINK_NONE, 2);
    csti_sink_stats stats;
    bool released = true;

    CHECK_OK(csti_sink_release(f.sink, 3, f.segment, NULL));
    csti_sink_stats_read(f.sink, &stats);
    CHECK_EQ(stats.rows, 3);
    CHECK_OK(csti_sink_has_released(f.sink, 3, 12, &released, NULL));
    CHECK(!released);
    CHECK(access(f.folder, F_OK) != 0);
    fixture_end(&f);
}

TEST(stdout_gets_the_lines_and_cannot_know) {
    fixture f = fixture_of(CSTI_SINK_STDOUT, 2);
    int pipes[2];
    char text[4096] = "";
    bool released = false;
    pid_t child;
    int status = 0;

    CHECK_EQ(pipe(pipes), 0);
    fflush(stdout);
    child = fork();
    if (child == 0) {
        if (dup2(pipes[1], STDOUT_FILENO) < 0) _exit(2);
        _exit(csti_sink_release(f.sink, 3, f.segment, NULL) == CST_OK ? 0 : 1);
    }
    close(pipes[1]);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_EQ(read(pipes[0], text, sizeof text - 1), strlen(part_text));
    CHECK_TEXT(text, part_text);
    close(pipes[0]);
    CHECK_OK(csti_sink_has_released(f.sink, 3, 12, &released, NULL));
    CHECK(released);
    fixture_end(&f);
}

TEST(a_folder_that_cannot_be_is_refused) {
    fixture f = fixture_make(CSTI_SINK_FILE);
    csti_sink *sink = NULL;
    cst_err err = {0};

    file_write(f.parent, "out", "a file");
    f.options.path = f.folder;
    CHECK_CODE(csti_sink_open(&f.options, &sink, &err), CST_IO);
    CHECK(strstr(err.text, f.folder));
    f.options.path = "/nowhere/at/all";
    CHECK_CODE(csti_sink_open(&f.options, &sink, &err), CST_IO);
    f.options.path = "";
    CHECK_CODE(csti_sink_open(&f.options, &sink, &err), CST_USAGE);
    CHECK_EQ(unlink(f.folder), 0);
    fixture_end(&f);
}

// ---- Full disks, faults, kills ------------------------------------------------------------------

TEST(a_full_disk_releases_nothing_and_the_next_try_goes_on) {
    fixture f = fixture_of(CSTI_SINK_FILE, 2);
    char temporary[600];
    char text[4096];
    cst_err err = {0};

    // What is written to the temporary goes to a device that is always full.
    (void)snprintf(temporary, sizeof temporary, "%s/temp-0000000000000007-%s", f.folder, part_name);
    CHECK_EQ(symlink("/dev/full", temporary), 0);
    CHECK_CODE(csti_sink_release(f.sink, 3, f.segment, &err), CST_IO);
    CHECK(strstr(err.text, "the disk is full") && strstr(err.text, part_name));
    CHECK_EQ(files_count(f.folder), 0);
    CHECK_OK(csti_sink_release(f.sink, 3, f.segment, NULL));
    CHECK(file_read(f.folder, part_name, text, sizeof text) != SIZE_MAX);
    CHECK_TEXT(text, part_text);
    fixture_end(&f);
}

#ifdef CST_FAULT_POINTS
// Releases the part with a fault armed, in a child if the fault kills; then in another life.
static void released_with_fault(const char *fault, bool kills, int files_wanted) {
    fixture f = fixture_of(CSTI_SINK_FILE, 2);
    const pid_t child = kills ? fork() : 0;
    char text[4096];

    if (child == 0) {
        cst_code code;

        CHECK_OK(csti_fault_points_arm_text(fault, NULL));
        code = csti_sink_release(f.sink, 3, f.segment, NULL);
        CHECK_OK(csti_fault_points_arm_text("", NULL));
        if (kills) _exit(1); // it must not come here
        CHECK_CODE(code, CST_IO);
    } else {
        int status = 0;

        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    CHECK_EQ(files_count(f.folder), files_wanted);
    f.options.nonce = 8;
    fixture_open(&f);
    CHECK_OK(csti_sink_release(f.sink, 3, f.segment, NULL));
    CHECK(file_read(f.folder, part_name, text, sizeof text) != SIZE_MAX);
    CHECK_TEXT(text, part_text);
    CHECK_EQ(files_count(f.folder), 1);
    fixture_end(&f);
}

TEST(a_release_that_fails_or_is_killed_is_finished_by_the_next) {
    released_with_fault("sink_temporary:1:fail", false, 0);
    released_with_fault("sink_renamed:1:fail", false, 1);
    released_with_fault("sink_temporary:1:kill", true, 1); // a temporary
    released_with_fault("sink_renamed:1:kill", true, 2);   // two names of one file
    released_with_fault("release_part:1:kill", true, 1);
}
#endif

// A clock that moves on whenever it is looked at.
typedef struct moving_clock {
    csti_clock clock;
    uint64_t step_ns;
    _Atomic uint64_t now_ns;
} moving_clock;

static uint64_t moving_now(const csti_clock *clock) {
    moving_clock *moving = (moving_clock *)(uintptr_t)clock;

    return atomic_fetch_add(&moving->now_ns, moving->step_ns);
}

TEST(a_part_that_takes_too_long_is_given_up_and_can_be_released_again) {
    for (uint64_t looks = 1; looks <= 2; looks++) { // in the middle of it, and before its name
        moving_clock clock = {.clock = {.now_ns = moving_now}, .step_ns = 1000000 / looks + 1};
        bytes_sink bytes = {NULL, 0, 0, 0, 0};
        fixture f = fixture_make(CSTI_SINK_FILE);
        cst_segment *segment = segment_make(&bytes, 12, 1, 5, 7);
        cst_err err;

        f.options.part_deadline_us = 1000;
        f.options.clock = &clock.clock;
        fixture_open(&f);
        CHECK_CODE(csti_sink_release(f.sink, 3, segment, &err), CST_DEADLINE);
        CHECK(strstr(err.text, "00000000000000000012-00003.ndjson took longer than 1000 us"));
        CHECK_EQ(files_count(f.folder), 0);
        clock.step_ns = 1;
        CHECK_OK(csti_sink_release(f.sink, 3, segment, &err));
        CHECK_EQ(files_count(f.folder), 1);
        clock.step_ns = 1000000 * 10; // also where it is there: how long a comparison takes
        CHECK_CODE(csti_sink_release(f.sink, 3, segment, &err), CST_DEADLINE);
        CHECK_EQ(files_count(f.folder), 1);
        cst_segment_close(segment);
        sink_free(&bytes);
        fixture_end(&f);
    }
}

TEST_MAIN
