// A job that goes on with another number of partitions.
#include "checkpoint/compaction.h"
#include "unit/server/runs.h"

#include <dirent.h>

enum { ROWS = 60000 };

#define FILE_SINK "kind = \"file\"\npath = \"out\""

// What the newest committed manifest says.
typedef struct newest {
    uint64_t id, tenure, rows;
    uint32_t partitions_count, splits_count;
    uint64_t epoch_from[8], epoch_to[8];
    uint32_t segments_count[8];
    int64_t watermarks_us[8];
} newest;

static newest newest_read(fixture *f) {
    newest out = {.id = 0};
    opened n;

    checkpoint_open(f, &n);
    out.id = n.plan.manifest.id;
    out.tenure = n.plan.manifest.tenure;
    out.partitions_count = n.plan.manifest.partitions_count;
    out.splits_count = n.plan.manifest.splits_count;
    for (uint32_t p = 0; p < out.partitions_count && p < 8; p++) {
        out.epoch_from[p] = n.plan.manifest.partitions[p].epoch_from;
        out.epoch_to[p] = n.plan.manifest.partitions[p].epoch_to;
        out.segments_count[p] = n.plan.manifest.partitions[p].segments_count;
        out.watermarks_us[p] = n.plan.manifest.partitions[p].watermark_us;
        out.rows += n.plan.manifest.partitions[p].rows_count;
    }
    checkpoint_close(&n);
    return out;
}

static uint64_t highest(const uint64_t *numbers, uint32_t count) {
    uint64_t top = 0;

    for (uint32_t i = 0; i < count; i++)
        if (numbers[i] > top) top = numbers[i];
    return top;
}

// Parts of the sink's folder.
static uint32_t parts_count(const fixture *f) {
    char path[PATH_BYTES + 8];
    const struct dirent *entry;
    uint32_t count = 0;
    DIR *folder;

    snprintf(path, sizeof path, "%s/out", f->folder);
    folder = opendir(path);
    CHECK(folder);
    while ((entry = readdir(folder)) != NULL) count += strstr(entry->d_name, ".ndjson") != NULL;
    (void)closedir(folder);
    return count;
}

TEST(two_partitions_become_four_and_three_and_the_state_is_that_of_all_rows) {
    static const int counts[] = {2, 4, 3, 1, 4};
    static fixture f;
    newest before = {.id = 0};

    folder_open_for(&f, 2, ROWS, "10ms", FILE_SINK);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const uint64_t rows = ROWS * (i + 1);
        newest now;

        job_write(&f, counts[i], rows, "10ms", FILE_SINK);
        run_ok(&f, 0);
        CHECK(f.result.caught_up);
        CHECK_EQ(f.result.rows, ROWS);
        CHECK_EQ(f.result.keys, KEYS);
        check_state(&f, rows);
        now = newest_read(&f);
        CHECK_EQ(now.partitions_count, counts[i]);
        CHECK_EQ(now.splits_count, 2); // as the first run dealt them out
        CHECK_EQ(now.rows, rows);
        CHECK(now.id > before.id);
        CHECK(now.tenure > before.tenure);
        if (i > 0) {
            CHECK_EQ(f.result.rescaled.partitions_before, counts[i - 1]);
            CHECK_EQ(f.result.rescaled.partitions_count, counts[i]);
            CHECK_EQ(f.result.rescaled.epoch, highest(before.epoch_to, (uint32_t)counts[i - 1]));
        } else {
            CHECK_EQ(f.result.rescaled.partitions_count, 0);
        }
        for (int p = 0; p < counts[i]; p++) CHECK(now.epoch_to[p] > highest(before.epoch_to, 8));
        before = now;
    }
    CHECK(parts_count(&f) > 0);
    folder_close(&f);
}

TEST(a_change_without_rows_is_committed_and_then_nothing_is_left_to_do) {
    static fixture f;
    newest before, now;

    folder_open(&f, 2, ROWS, "10ms");
    run_ok(&f, 0);
    before = newest_read(&f);
    job_write(&f, 3, ROWS, "10ms", "kind = \"none\"");
    run_ok(&f, 0);
    CHECK_EQ(f.result.rows, 0);
    CHECK(f.result.checkpoints > 0);
    now = newest_read(&f);
    CHECK_EQ(now.partitions_count, 3);
    CHECK_EQ(now.rows, before.rows);
    check_state(&f, ROWS);
    run_ok(&f, 0);
    CHECK_EQ(f.result.checkpoints, 0);
    CHECK_EQ(f.result.rescaled.partitions_count, 0);
    folder_close(&f);
}

// The watermark of a partition is the lowest of those that it came from.
TEST(a_new_partition_begins_with_the_lowest_watermark) {
    static fixture f;
    newest before, now;

    folder_open(&f, 3, ROWS, "10ms");
    run_ok(&f, 0);
    before = newest_read(&f);
    // Every reader tells all partitions at the same row: in an aligned checkpoint they are equal.
    CHECK_EQ(before.watermarks_us[0], before.watermarks_us[1]);
    CHECK_EQ(before.watermarks_us[0], before.watermarks_us[2]);
    job_write(&f, 2, ROWS, "10ms", "kind = \"none\"");
    run_ok(&f, 0);
    now = newest_read(&f);
    for (uint32_t p = 0; p < 2; p++) {
        int64_t lowest = before.watermarks_us[p];

        if (before.watermarks_us[p + 1] < lowest) lowest = before.watermarks_us[p + 1];
        CHECK(now.watermarks_us[p] >= lowest);
        CHECK(now.watermarks_us[p] != INT64_MIN);
    }
    folder_close(&f);
}

// Its watermark is at the end of time.
TEST(a_job_whose_windows_were_closed_at_its_end_goes_on_with_another_number) {
    static const char closed[] = "kind = \"none\"\n[window]\ntumbling = \"1s\"\nat_end = \"close\"";
    static fixture f;
    newest now;

    folder_open_for(&f, 2, ROWS, "10ms", closed);
    run_ok(&f, 0);
    job_write(&f, 3, ROWS, "10ms", closed);
    run_ok(&f, 0);
    now = newest_read(&f);
    CHECK_EQ(now.partitions_count, 3);
    CHECK_EQ(now.watermarks_us[2], INT64_MAX);
    folder_close(&f);
}

// What stands in an ordered full is read once, whatever the number.
TEST(of_an_ordered_full_each_partition_reads_its_key_groups_alone) {
    static fixture f;
    uint64_t bytes_before;

    folder_open(&f, 1, ROWS, "1h");
    run_ok(&f, 0);
    job_write(&f, 2, ROWS, "1h", "kind = \"none\"");
    run_ok(&f, 0); // from one unordered full: both partitions read all of it
    CHECK_EQ(f.result.rescaled.bytes_read, 2 * f.result.rescaled.bytes_before);
    bytes_before = f.result.rescaled.bytes_before;
    job_write(&f, 4, ROWS, "1h", "kind = \"none\"");
    run_ok(&f, 0); // from two ordered ones with an empty delta each
    CHECK_EQ(f.result.rescaled.bytes_read, f.result.rescaled.bytes_before);
    CHECK(f.result.rescaled.bytes_before <= bytes_before);
    check_state(&f, ROWS);
    folder_close(&f);
}

// The first word while fulls are made.
static void on_progress_stop(void *context, const csti_job_progress *progress) {
    fixture *f = context;

    if (!progress->recovering || !f->job->plan_open || f->job->workers) return;
    if (atomic_exchange(&f->going, true)) return;
    CHECK(progress->checked_bytes_all > 0);
    csti_job_stop(f->job);
}

TEST(a_job_that_is_stopped_while_it_changes_its_number_ends_as_it_was) {
    static fixture f;
    newest before;

    folder_open_for(&f, 2, ROWS, "1h", FILE_SINK);
    run_ok(&f, 0);
    before = newest_read(&f);
    job_write(&f, 4, ROWS, "1h", FILE_SINK);
    f.options.progress = on_progress_stop;
    atomic_store(&f.going, false);
    run_ok(&f, 0);
    CHECK(atomic_load(&f.going));
    CHECK(f.result.finished);
    CHECK(!f.result.caught_up);
    CHECK_EQ(f.result.checkpoints, 0);
    CHECK_EQ(newest_read(&f).id, before.id);
    CHECK_EQ(newest_read(&f).partitions_count, 2);
    f.options.progress = on_progress;
    run_ok(&f, 0);
    CHECK_EQ(newest_read(&f).partitions_count, 4);
    check_state(&f, ROWS);
    folder_close(&f);
}

TEST(a_number_of_splits_that_is_given_and_differs_is_refused) {
    static fixture f;
    FILE *file;

    folder_open(&f, 2, ROWS, "10ms");
    run_ok(&f, 0);
    file = fopen(f.path, "w");
    CHECK(file);
    fprintf(file, job_text, 4, KEYS, "rows = 60000\nsplits = 4", "kind = \"none\"", "10ms");
    CHECK_EQ(fclose(file), 0);
    CHECK_CODE(run(&f, 0), CST_SOURCE_CHANGED);
    CHECK(strstr(f.err.text, "2 stripes, now to 4"));
    job_write(&f, 2, ROWS, "10ms", "kind = \"none\"");
    run_ok(&f, 0); // and back: nothing was lost by it
    check_state(&f, ROWS);
    folder_close(&f);
}

TEST(a_damaged_delta_ends_a_change_of_the_number_as_it_ends_a_restore) {
    static fixture f;
    char command[2 * PATH_BYTES + 128];

    folder_open(&f, 2, ROWS, "1h");
    run_ok(&f, 0);
    // The last byte of the first block of every segment.
    snprintf(command, sizeof command,
             "for s in '%s'/data/checkpoints/checkpoints/*/0-*/delta-*; do"
             " printf X | dd of=\"$s\" bs=1 seek=1000 conv=notrunc 2>/dev/null; done",
             f.folder);
    CHECK_EQ(system(command), 0);
    job_write(&f, 3, ROWS, "1h", "kind = \"none\"");
    CHECK_CODE(run(&f, 0), CST_SEGMENT_CHECKSUM);
    CHECK(f.result.damaged);
    CHECK(strstr(f.err.text, "from 2 partitions to 3"));
    f.options.verify_all = true;
    CHECK_CODE(run(&f, 0), CST_CHECKPOINT_UNUSABLE);
    folder_close(&f);
}

TEST_MAIN
