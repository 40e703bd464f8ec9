// Whole jobs whose rows lie on disk: stopped, short of disk, damaged.
#include "unit/server/runs.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>

enum { ROWS = 30000, TEXT_BYTES_MAX = 4096, LITTLE_DISK_BYTES = 24 << 10 };
enum { ROWS_MANY = 600000 }; // with checkpoints before their end, whose rows go to the disk

// The same job with its rows in the folder `rows`.
static void on_disk(const fixture *f) {
    static const char *const from = "[state]\nbudget = \"256MiB\"\n";
    static const char *const to = "[state]\nstore = \"lmdb:rows\"\nbudget = \"64MiB\"\n";
    char text[TEXT_BYTES_MAX] = "";
    FILE *file = fopen(f->path, "r");
    char *at;

    CHECK(file);
    CHECK(fread(text, 1, sizeof text - 1, file) > 0);
    CHECK_EQ(fclose(file), 0);
    at = strstr(text, from);
    CHECK(at);
    file = fopen(f->path, "w");
    CHECK(file);
    CHECK(fprintf(file, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) > 0);
    CHECK_EQ(fclose(file), 0);
}

static void disk_limit(rlim_t bytes) {
    struct rlimit limit;

    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes ? bytes : limit.rlim_max;
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

TEST(a_job_with_rows_on_disk_goes_on_where_it_was_stopped) {
    static fixture f;
    uint64_t rows;

    folder_open(&f, 2, 0, "10ms");
    on_disk(&f);
    f.stop_at_rows = ROWS;
    run_ok(&f, 0);
    rows = f.result.rows;
    CHECK(rows >= ROWS);
    run_ok(&f, 2 * rows);
    CHECK(f.result.caught_up);
    CHECK_EQ(f.result.rows, rows);
    CHECK_EQ(f.result.keys, KEYS);
    check_state(&f, 2 * rows);
    folder_close(&f);
}

TEST(a_disk_without_room_for_rows_ends_the_job_and_the_next_one_goes_on) {
    static fixture f;

    folder_open(&f, 2, ROWS_MANY, "10ms");
    on_disk(&f);
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    disk_limit(LITTLE_DISK_BYTES);
    CHECK_CODE(run(&f, 0), CST_STORE_FULL);
    CHECK(strstr(f.err.text, "/rows/"));
    disk_limit(0);
    run_ok(&f, 0);
    CHECK(f.result.caught_up);
    check_state(&f, ROWS_MANY);
    folder_close(&f);
}

// Every byte behind LMDB's heads: nothing of it can be believed.
static void rows_damage(const fixture *f) {
    char path[2 * PATH_BYTES];
    struct dirent *entry;
    DIR *folder;
    int damaged = 0;

    (void)snprintf(path, sizeof path, "%s/rows", f->folder);
    folder = opendir(path);
    CHECK(folder);
    while ((entry = readdir(folder)) != NULL) {
        FILE *file;

        if (!strchr(entry->d_name, '-')) continue;
        (void)snprintf(path, sizeof path, "%s/rows/%.64s/data.mdb", f->folder, entry->d_name);
        file = fopen(path, "r+b");
        CHECK(file);
        CHECK_EQ(fseek(file, 0, SEEK_SET), 0);
        for (int byte = 0; byte < 8192; byte++) CHECK(fputc(0xee, file) != EOF);
        CHECK_EQ(fclose(file), 0);
        damaged++;
    }
    (void)closedir(folder);
    CHECK_EQ(damaged, 2);
}

TEST(damaged_rows_are_made_anew_from_the_checkpoint) {
    static fixture f;

    folder_open(&f, 2, 0, "10ms");
    on_disk(&f);
    run_ok(&f, ROWS);
    rows_damage(&f);
    run_ok(&f, 2 * ROWS);
    CHECK(f.result.recovered_from > 0);
    CHECK_EQ(f.result.rows, ROWS);
    check_state(&f, 2 * ROWS);
    folder_close(&f);
}

TEST_MAIN
