// The write-ahead log as its owners see it: what was appended is read back, by them and by those
// who come after them.
#define _GNU_SOURCE 1 // nftw
#include "base/metrics.h"
#include "unit/stream/wal_files.h"

#include <pthread.h>

enum { CHOSEN_RECORDS = 20, CHOSEN_BYTES = 60 << 10, LONG_GROUP_RECORDS = 500 };

// ---- One owner ----------------------------------------------------------------------------------

TEST(what_is_flushed_is_read_back) {
    const wal_folder folder = wal_folder_make();
    csti_wal_report report;
    csti_wal *wal = wal_open_from(&folder, 1, 0, NULL, &report);

    CHECK_EQ(report.files, 0);
    CHECK_EQ(report.end, 0);
    wal_put_all(wal, 0, 100);
    CHECK_EQ(csti_wal_durable(wal), 100);
    CHECK_EQ(csti_wal_safe(wal), 100);
    CHECK_EQ(csti_wal_written(wal), 100);
    wal_check_reads(wal, 0, 100);
    wal_check_reads(wal, 57, 100);
    wal_check_reads(wal, 100, 100);
    csti_wal_close(wal);
    wal_folder_remove(&folder);
}

// Of a kind's records, longer than a reader's memory and shorter, those alone are read.
TEST(a_reader_that_has_chosen_a_kind_is_given_its_payloads_alone) {
    const wal_folder folder = wal_folder_make();
    static uint8_t payload[CHOSEN_BYTES];
    csti_wal *wal = wal_open_from(&folder, 1, 0, NULL, NULL);
    csti_wal_reader *reader = NULL;
    csti_wal_record record;

    for (uint32_t i = 0; i < CHOSEN_RECORDS; i++) {
        memset(payload, (int)i, sizeof payload);
        CHECK_OK(csti_wal_append(wal, (uint16_t)(i % 3), payload, i % 5 * (CHOSEN_BYTES / 4),
                                 &(uint64_t){0}, NULL));
        CHECK_OK(csti_wal_flush(wal, NULL));
    }
    CHECK_OK(csti_wal_reader_open(wal, 1, &reader, NULL));
    csti_wal_reader_choose(reader, 2);
    for (uint32_t i = 1; i < CHOSEN_RECORDS; i++) {
        CHECK_OK(csti_wal_reader_next(reader, &record, NULL));
        CHECK_EQ(record.position, i);
        CHECK_EQ(record.kind, i % 3);
        CHECK_EQ(record.payload_bytes, i % 5 * (CHOSEN_BYTES / 4));
        CHECK_EQ(record.payload != NULL, i % 3 == 2);
        memset(payload, (int)i, sizeof payload);
        if (record.payload) CHECK_EQ(memcmp(record.payload, payload, record.payload_bytes), 0);
    }
    CHECK_EQ(csti_wal_reader_next(reader, &record, NULL), CST_AGAIN);
    csti_wal_reader_close(reader);
    csti_wal_close(wal);
    wal_folder_remove(&folder);
}

TEST(a_folder_is_made) {
    const wal_folder folder = wal_folder_make();
    csti_wal *wal;

    CHECK_EQ(rmdir(folder.path), 0);
    wal = wal_open_from(&folder, 1, 0, NULL, NULL);
    wal_put_all(wal, 0, 1);
    csti_wal_close(wal);
    wal_folder_remove(&folder);
}

TEST(close_writes_what_was_appended) {
    const wal_folder folder = wal_folder_make();
    wal_seen seen = {0};
    csti_wal *wal = wal_open_from(&folder, 1, 0, NULL, NULL);

    for (uint64_t i = 0; i < 10; i++) (void)wal_put(wal, i);
    csti_wal_close(wal);
    CHECK_OK(wal_look(&folder, 2, 0, &seen, NULL, NULL));
    CHECK_EQ(seen.next, 10);
    wal_folder_remove(&folder);
}

TEST(payloads_of_every_size_go_round_the_ring) {
    const wal_folder folder = wal_folder_make();
    static uint8_t payload[WAL_PAYLOAD_BYTES];
    csti_wal *wal = wal_open_from(&folder, 1, 0, NULL, NULL);
    csti_wal_reader *reader = NULL;
    uint64_t count = 0;

    for (size_t i = 0; i < sizeof payload; i++) payload[i] = (uint8_t)(i * 13);
    CHECK_OK(csti_wal_reader_open(wal, 0, &reader, NULL));
    for (uint32_t bytes = 0; bytes <= (64 << 10) - CSTI_WAL_HEAD_BYTES;
         bytes += bytes < 20 ? 1 : 4099) {
        csti_wal_record record;
        uint64_t position;

        CHECK_OK(csti_wal_append(wal, 9, payload + bytes % 7, bytes, &position, NULL));
        CHECK_EQ(position, count++);
        CHECK_OK(csti_wal_flush(wal, NULL));
        CHECK_OK(csti_wal_reader_next(reader, &record, NULL));
        CHECK_EQ(record.payload_bytes, bytes);
        CHECK_EQ(record.kind, 9);
        CHECK_BYTES(record.payload, payload + bytes % 7, bytes);
        CHECK_OK(csti_wal_truncate(wal, position, NULL));
    }
    CHECK(count > 30);
    csti_wal_reader_close(reader);
    csti_wal_close(wal);
    wal_folder_remove(&folder);
}

TEST(a_record_longer_than_memory_is_refused) {
    const wal_folder folder = wal_folder_make();
    static uint8_t payload[WAL_PAYLOAD_BYTES];
    csti_wal *wal = wal_open_from(&folder, 1, 0, NULL, NULL);
    uint64_t position = 7;
    cst_err err = {0};

    CHECK_CODE(csti_wal_append(wal, 0, payload, sizeof payload, &position, &err), CST_LIMIT);
    CHECK(strstr(err.text, "65536"));
    CHECK_EQ(position, 7);
    CHECK_EQ(wal_put(wal, 0), 0);
    csti_wal_close(wal);
    wal_folder_remove(&folder);
}

TEST(sizes_that_contradict_are_refused) {
    const wal_folder folder = wal_folder_make();
    const csti_wal_options good = wal_options_of(&folder, 1, 0, NULL);
    csti_wal_options bad[5] = {good, good, good, good, good};
    csti_wal *wal = NULL;

    bad[0].memory_bytes = 4095;
    bad[1].file_bytes = good.memory_bytes;
    bad[2].disk_bytes_max = 4 * good.file_bytes - 1;
    for (int i = 0; i < 3; i++) CHECK_CODE(csti_wal_open(&bad[i], &wal, NULL, NULL), CST_LIMIT);
    bad[3].job = "";
    bad[4].tenure = 0;
    for (int i = 3; i < 5; i++) CHECK_CODE(csti_wal_open(&bad[i], &wal, NULL, NULL), CST_USAGE);
    CHECK_EQ(wal_files_count(&folder), 0);
    wal_folder_remove(&folder);
}

// ---- Files --------------------------------------------------------------------------------------

TEST(a_full_file_is_followed_by_another) {
    const wal_folder folder = wal_folder_make();
    csti_wal *wal = wal_open_from(&folder, 1, 0, NULL, NULL);
    csti_wal_stats stats;
    wal_seen seen = {0};

    for (uint64_t i = 0; i < 8000; i += 500) wal_put_all(wal, i, i + 500);
    csti_wal_stats_read(wal, &stats);
    CHECK(stats.files > 2);
    CHECK_EQ(stats.files, stats.rolls + 1);
    CHECK_EQ(stats.files, wal_files_count(&folder));
    wal_check_reads(wal, 0, 8000);
    wal_check_reads(wal, 4321, 8000);
    csti_wal_close(wal);
    CHECK_OK(wal_look(&folder, 2, 0, &seen, NULL, NULL));
    CHECK_EQ(seen.next, 8000);
    wal_folder_remove(&folder);
}

// The bytes of all files, as the disk has them when nothing is prepared ahead.
static uint64_t folder_bytes(const wal_folder *folder) {
    DIR *listed = opendir(folder->path);
    const struct dirent *entry;
    struct stat status;
    uint64_t bytes = 0;

    CHECK(listed);
    while ((entry = readdir(listed)) != NULL)
        if (entry->d_name[0] != '.') {
            CHECK_EQ(fstatat(dirfd(listed), entry->d_name, &status, 0), 0);
            bytes += (uint64_t)status.st_size;
        }
    (void)closedir(listed);
    return bytes;
}

TEST(files_below_the_position_are_deleted_and_no_other) {
    const wal_folder folder = wal_folder_make();
    csti_wal *wal = wal_open_from(&folder, 1, 0, NULL, NULL);
    csti_wal_stats before, after;
    csti_wal_reader *reader = NULL;
    wal_seen seen = {0};

    for (uint64_t i = 0; i < 8000; i += 500) wal_put_all(wal, i, i + 500);
    csti_wal_stats_read(wal, &before);
    CHECK_OK(csti_wal_truncate(wal, 0, NULL));
    CHECK_EQ(wal_files_count(&folder), before.files);
    CHECK_OK(csti_wal_truncate(wal, 5000, NULL));
    csti_wal_stats_read(wal, &after);
    CHECK(after.files < before.files);
    CHECK(after.used_bytes < before.used_bytes);
    CHECK_EQ(after.files, wal_files_count(&folder));
    wal_check_reads(wal, 5000, 8000);
    CHECK_CODE(csti_wal_reader_open(wal, 0, &reader, NULL), CST_WAL_GAP);
    // The file that is written to stays, whatever was asked for.
    CHECK_OK(csti_wal_truncate(wal, 8000, NULL));
    CHECK_EQ(wal_files_count(&folder), 1);
    wal_put_all(wal, 8000, 8100);
    wal_check_reads(wal, 8000, 8100);
    csti_wal_stats_read(wal, &after);
    csti_wal_close(wal);
    CHECK(folder_bytes(&folder) <= after.used_bytes + CSTI_WAL_MARK_BYTES);
    CHECK_OK(wal_look(&folder, 2, 8000, &seen, NULL, NULL));
    CHECK_EQ(seen.first, 8000);
    CHECK_EQ(seen.next, 8100);
    wal_folder_remove(&folder);
}

TEST(a_full_log_refuses_and_takes_again_behind_a_truncation) {
    const wal_folder folder = wal_folder_make();
    csti_wal *wal = wal_open_from(&folder, 1, 0, NULL, NULL);
    uint8_t payload[1000] = {0};
    csti_wal_stats stats;
    uint64_t position = 0;
    uint32_t slow_at = 0;
    cst_code code;
    cst_err err = {0};

    while ((code = csti_wal_append(wal, 0, payload, sizeof payload, &position, &err)) == CST_OK) {
        const uint32_t percent = csti_wal_used_percent(wal);

        CHECK(percent >= slow_at && percent < 100);
        slow_at = percent;
        if (position % 32 == 0) CHECK_OK(csti_wal_flush(wal, NULL));
    }
    CHECK_CODE(code, CST_WAL_FULL);
    CHECK(strstr(err.text, folder.path));
    CHECK(slow_at > CSTI_WAL_SLOW_PERCENT);
    CHECK_OK(csti_wal_flush(wal, NULL));
    // What waited in memory was counted as if each record were a group of its own.
    while ((code = csti_wal_append(wal, 0, payload, sizeof payload, &position, NULL)) == CST_OK)
        CHECK_OK(csti_wal_flush(wal, NULL));
    CHECK_CODE(code, CST_WAL_FULL);
    csti_wal_stats_read(wal, &stats);
    CHECK(stats.used_bytes <= stats.disk_bytes_max);
    CHECK_OK(csti_wal_truncate(wal, csti_wal_durable(wal), NULL));
    CHECK(csti_wal_used_percent(wal) < 50);
    CHECK_OK(csti_wal_append(wal, 0, payload, sizeof payload, &position, NULL));
    CHECK_EQ(position, csti_wal_durable(wal));
    csti_wal_close(wal);
    CHECK(folder_bytes(&folder) <= stats.disk_bytes_max);
    wal_folder_remove(&folder);
}

// ---- Readers beside the writer ------------------------------------------------------------------

enum { BESIDE_RECORDS = 30000, BESIDE_READERS = 2 };

typedef struct beside {
    csti_wal *wal;
    _Atomic uint64_t read; // by each: below it, nothing is asked for
} beside;

static void *read_beside(void *context) {
    beside *b = context;
    csti_wal_reader *reader = NULL;

    CHECK_OK(csti_wal_reader_open(b->wal, 0, &reader, NULL));
    for (uint64_t next = 0; next < BESIDE_RECORDS;) {
        csti_wal_record record;
        const cst_code code = csti_wal_reader_next(reader, &record, NULL);

        if (code == CST_AGAIN) {
            TEST_WAIT_UNTIL(csti_wal_written(b->wal) > next);
            continue;
        }
        CHECK_OK(code);
        CHECK_EQ(record.position, next);
        wal_check_record(&record);
        atomic_store(&b->read, ++next);
    }
    csti_wal_reader_close(reader);
    return NULL;
}

TEST(readers_follow_while_rows_come_and_files_go) {
    const wal_folder folder = wal_folder_make();
    const uint64_t count = BESIDE_RECORDS;
    csti_wal *wal = wal_open_from(&folder, 1, 0, NULL, NULL);
    beside readers[BESIDE_READERS];
    pthread_t threads[BESIDE_READERS];
    csti_wal_stats stats;

    for (int i = 0; i < BESIDE_READERS; i++) {
        readers[i].wal = wal;
        atomic_init(&readers[i].read, 0);
        CHECK_EQ(pthread_create(&threads[i], NULL, read_beside, &readers[i]), 0);
    }
    for (uint64_t next = 0; next < count;) {
        uint8_t payload[64];
        const uint32_t bytes = wal_payload(next, payload);
        uint64_t position, read = count;
        const cst_code code =
            csti_wal_append(wal, (uint16_t)(next % 5), payload, bytes, &position, NULL);

        if (code == CST_OK) next++;
        if (code == CST_OK && next % 64 != 0) continue;
        CHECK(code == CST_OK || code == CST_AGAIN || code == CST_WAL_FULL);
        csti_wal_submit(wal);
        for (int i = 0; i < BESIDE_READERS; i++) {
            const uint64_t of = atomic_load(&readers[i].read);

            if (of < read) read = of;
        }
        CHECK_OK(csti_wal_truncate(wal, read, NULL));
    }
    CHECK_OK(csti_wal_flush(wal, NULL));
    for (int i = 0; i < BESIDE_READERS; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
    csti_wal_stats_read(wal, &stats);
    CHECK(stats.rolls > 3);
    csti_wal_close(wal);
    wal_folder_remove(&folder);
}

// ---- Sync policies ------------------------------------------------------------------------------

// While it is made; who makes it waits for one sync, of all of it.
TEST(a_long_group_is_written_before_it_is_submitted_and_synced_once) {
    const wal_folder folder = wal_folder_make();
    csti_wal_options options = wal_options_of(&folder, 1, 0, NULL);
    static const uint8_t payload[1000];
    csti_wal *wal = NULL;
    csti_wal_stats stats;
    uint64_t position = 0;

    options.memory_bytes = options.file_bytes = options.disk_bytes_max = 0; // as in jobs
    CHECK_OK(csti_wal_open(&options, &wal, NULL, NULL));
    while (position + 1 < LONG_GROUP_RECORDS)
        CHECK_OK(csti_wal_append(wal, 1, payload, sizeof payload, &position, NULL));
    TEST_WAIT_UNTIL(csti_wal_written(wal) > LONG_GROUP_RECORDS / 2);
    CHECK(csti_wal_written(wal) < LONG_GROUP_RECORDS); // the last of it is nobody's yet
    csti_wal_stats_read(wal, &stats);
    CHECK_EQ(stats.syncs, 0);
    CHECK_EQ(csti_wal_durable(wal), 0);
    csti_wal_submit(wal);
    TEST_WAIT_UNTIL(csti_wal_durable(wal) == LONG_GROUP_RECORDS);
    csti_wal_stats_read(wal, &stats);
    CHECK_EQ(stats.syncs, 1);
    CHECK_EQ(stats.memory_used_bytes, 0);
    csti_wal_close(wal);
    wal_folder_remove(&folder);
}

TEST(with_an_interval_what_is_written_is_synced_when_nothing_more_comes) {
    const wal_folder folder = wal_folder_make();
    csti_wal_options options = wal_options_of(&folder, 1, 0, NULL);
    csti_wal *wal = NULL;

    options.interval_ns = 2000000;
    CHECK_OK(csti_wal_open(&options, &wal, NULL, NULL));
    for (uint64_t i = 0; i < 3; i++) {
        (void)wal_put(wal, i);
        csti_wal_submit(wal);
        TEST_WAIT_UNTIL(csti_wal_safe(wal) == i + 1); // written is enough
        CHECK_EQ(csti_wal_written(wal), i + 1);
        TEST_WAIT_UNTIL(csti_wal_durable(wal) == i + 1); // and durable soon
    }
    csti_wal_close(wal);
    wal_folder_remove(&folder);
}

TEST(with_a_long_interval_flush_and_close_sync) {
    const wal_folder folder = wal_folder_make();
    csti_wal_options options = wal_options_of(&folder, 1, 0, NULL);
    csti_wal *wal = NULL;
    csti_wal_stats stats;
    wal_seen seen = {0};

    options.interval_ns = UINT64_C(3600000000000);
    CHECK_OK(csti_wal_open(&options, &wal, NULL, NULL));
    for (uint64_t i = 0; i < 20; i++) {
        (void)wal_put(wal, i);
        csti_wal_submit(wal);
        TEST_WAIT_UNTIL(csti_wal_safe(wal) == i + 1);
    }
    CHECK_EQ(csti_wal_durable(wal), 0);
    csti_wal_stats_read(wal, &stats);
    CHECK_EQ(stats.syncs, 0);
    wal_put_all(wal, 20, 30);
    CHECK_EQ(csti_wal_durable(wal), 30);
    (void)wal_put(wal, 30);
    csti_wal_close(wal);
    CHECK_OK(wal_look(&folder, 2, 0, &seen, NULL, NULL));
    CHECK_EQ(seen.next, 31);
    wal_folder_remove(&folder);
}

// What the newest mark in the first bytes of the file says.
static uint64_t mark_of(const wal_folder *folder) {
    uint8_t bytes[1024];
    uint64_t position, durable = 0;
    csti_wal_header header;
    char path[WAL_PATH_BYTES];
    int fd;

    wal_path(folder, 1, 0, path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK_EQ(read(fd, bytes, sizeof bytes), sizeof bytes);
    CHECK_EQ(close(fd), 0);
    memcpy(&header, bytes, sizeof header);
    for (size_t at = sizeof header; at + CSTI_WAL_MARK_BYTES <= sizeof bytes; at += 8)
        (void)csti_wal_mark_read(bytes + at, header.crc32c, &position, &durable);
    return durable;
}

// A new file's first mark says no less than its header: all before it is durable.
TEST(with_an_interval_a_file_that_is_full_unsynced_is_followed_by_a_good_one) {
    const wal_folder folder = wal_folder_make();
    csti_wal_options options = wal_options_of(&folder, 1, 0, NULL);
    wal_seen seen = {0};
    csti_wal *wal = NULL;
    csti_wal_stats stats;
    uint64_t next = 0;

    options.interval_ns = UINT64_C(3600000000000);
    CHECK_OK(csti_wal_open(&options, &wal, NULL, NULL));
    for (csti_wal_stats_read(wal, &stats); stats.rolls < 2; csti_wal_stats_read(wal, &stats)) {
        (void)wal_put(wal, next++);
        csti_wal_submit(wal);
        TEST_WAIT_UNTIL(csti_wal_written(wal) == next);
    }
    csti_wal_close(wal);
    CHECK_OK(wal_look(&folder, 2, 0, &seen, NULL, NULL));
    CHECK_EQ(seen.next, next);
    wal_folder_remove(&folder);
}

TEST(an_owner_at_rest_says_in_the_file_what_is_durable) {
    const wal_folder folder = wal_folder_make();
    csti_wal *wal = wal_open_from(&folder, 1, 0, NULL, NULL);

    wal_put_all(wal, 0, 3);
    TEST_WAIT_UNTIL(mark_of(&folder) == 3);
    csti_wal_close(wal);
    wal_folder_remove(&folder);
}

// ---- Metrics ------------------------------------------------------------------------------------

static uint64_t metric_of(csti_metrics *metrics, csti_metric_kind kind, const char *name) {
    csti_metric *metric = NULL;

    CHECK_OK(csti_metrics_register(metrics, kind, name, "", "", &metric, NULL));
    return atomic_load(&metric->value);
}

TEST(metrics_count_records_bytes_and_syncs) {
    const wal_folder folder = wal_folder_make();
    csti_wal_options options = wal_options_of(&folder, 1, 0, NULL);
    csti_metrics *metrics = NULL;
    csti_wal *wal = NULL;
    csti_wal_stats stats;

    CHECK_OK(csti_metrics_open(&metrics, NULL));
    options.metrics = metrics;
    CHECK_OK(csti_wal_open(&options, &wal, NULL, NULL));
    for (uint64_t i = 0; i < 6000; i += 500) wal_put_all(wal, i, i + 500);
    csti_wal_stats_read(wal, &stats);
    csti_wal_close(wal);
    CHECK_EQ(metric_of(metrics, CSTI_METRIC_COUNTER, "constellation_wal_records_total"), 6000);
    CHECK(metric_of(metrics, CSTI_METRIC_COUNTER, "constellation_wal_written_bytes_total") > 6000);
    CHECK(metric_of(metrics, CSTI_METRIC_HISTOGRAM, "constellation_wal_sync_seconds") > 0);
    CHECK(metric_of(metrics, CSTI_METRIC_COUNTER, "constellation_wal_syncs_total") >= stats.syncs);
    CHECK_EQ(metric_of(metrics, CSTI_METRIC_COUNTER, "constellation_wal_rolls_total"), stats.rolls);
    CHECK_EQ(metric_of(metrics, CSTI_METRIC_GAUGE, "constellation_wal_limit_bytes"), 1 << 20);
    csti_metrics_close(metrics);
    wal_folder_remove(&folder);
}

TEST_MAIN
