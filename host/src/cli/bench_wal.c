// bench_wal.c: the write-ahead log: producers that wait for their answers, beside fio, which writes
// and syncs as many bytes a time as one group has.
#define _GNU_SOURCE 1 // nftw
#include "base/park.h"
#include "cli/bench.h"
#include "cli/bench_child.h"
#include "stream/wal_format.h"

#include <ftw.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PAYLOAD_BYTES = 1024 - CSTI_WAL_HEAD_BYTES,
    PRODUCERS_MAX = 512,
    PATH_BYTES = BENCH_FOLDER_BYTES + 16,
    FIO_FIELD_ERROR = 5, // of its terse output, version 3, from 1 on
    FIO_FIELD_WRITTEN_KB = 47,
    FIO_FIELD_RUN_MS = 50,
    OPEN_FOLDERS_MAX = 4,
};
#define DISK_BYTES_MAX (UINT64_C(1) << 40)
#define NS_PER_SECOND 1e9

typedef struct wal_bench {
    const bench *b;
    uint32_t producers;
    char folder[PATH_BYTES];
    csti_parker parker;
    uint64_t answers, syncs; // of all turns
} wal_bench;

static void wake(void *context) {
    csti_unpark(context);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place) {
    (void)status, (void)kind, (void)place;
    return remove(path);
}

static void folder_clear(const char *path) {
    (void)nftw(path, remove_one, OPEN_FOLDERS_MAX, FTW_DEPTH | FTW_PHYS);
}

// Each producer has one record under way, and sends its next one when that is answered.
static cst_code answer_all(csti_wal *wal, wal_bench *w, uint64_t *answers_out, cst_err *err) {
    static const uint8_t payload[PAYLOAD_BYTES];
    const uint64_t end_ns = bench_now_ns() + (uint64_t)(w->b->seconds * NS_PER_SECOND);
    uint64_t sent = 0, answered = 0;

    while (answered == 0 || bench_now_ns() < end_ns) {
        while (sent < answered + w->producers) {
            const cst_code code =
                csti_wal_append(wal, 1, payload, sizeof payload, &(uint64_t){0}, err);

            if (code != CST_OK) return code;
            sent++;
        }
        csti_wal_submit(wal);
        while (csti_wal_safe(wal) == answered) {
            const cst_code code = csti_wal_failure(wal, err);

            if (code != CST_OK) return code;
            csti_park(&w->parker);
        }
        answered = csti_wal_safe(wal);
    }
    *answers_out = answered;
    return CST_OK;
}

static cst_code ours_round(void *context, double *ns_per_op_out, cst_err *err) {
    wal_bench *w = context;
    const csti_wal_options options = {.folder = w->folder,
                                      .job = "bench",
                                      .tenure = 1,
                                      .disk_bytes_max = DISK_BYTES_MAX,
                                      .woken = wake,
                                      .context = &w->parker};
    csti_wal *wal = NULL;
    csti_wal_stats stats;
    uint64_t from_ns, answers = 0;
    cst_code code;

    csti_parker_init(&w->parker);
    code = csti_wal_open(&options, &wal, NULL, err);
    if (code != CST_OK) return code;
    from_ns = bench_now_ns();
    code = answer_all(wal, w, &answers, err);
    if (code == CST_OK) *ns_per_op_out = (double)(bench_now_ns() - from_ns) / (double)answers;
    csti_wal_stats_read(wal, &stats);
    w->answers += answers;
    w->syncs += stats.syncs;
    csti_wal_close(wal);
    folder_clear(w->folder);
    return code;
}

// Field `number` of a line parted by ';'.
static double field_of(const char *line, int number) {
    while (--number > 0 && line) {
        line = strchr(line, ';');
        if (line) line++;
    }
    return line ? strtod(line, NULL) : 0;
}

// fio writes as many bytes and syncs them, one after the other, into a file of its own.
static cst_code fio_round(void *context, double *ns_per_op_out, cst_err *err) {
    const wal_bench *w = context;
    const unsigned group_bytes = w->producers * 1024 + CSTI_WAL_MARK_BYTES;
    char file[512], size[32], runtime[32], line[BENCH_CHILD_LINE_BYTES];
    char *argv[] = {"fio",
                    "--name=wal",
                    file,
                    size,
                    runtime,
                    "--rw=write",
                    "--size=4g",
                    "--fdatasync=1",
                    "--ioengine=psync",
                    "--time_based",
                    "--output-format=terse",
                    "--terse-version=3",
                    NULL};
    const char *const path = file + strlen("--filename=");
    double written_bytes, run_ns;
    int status = 0;

    (void)snprintf(file, sizeof file, "--filename=%s/fio", w->b->folder_on_disk);
    (void)snprintf(size, sizeof size, "--bs=%u", group_bytes);
    (void)snprintf(runtime, sizeof runtime, "--runtime=%ums", (unsigned)(w->b->seconds * 1000));
    if (!bench_child_line(argv, ';', line, &status)) line[0] = 0;
    (void)remove(path);
    written_bytes = field_of(line, FIO_FIELD_WRITTEN_KB) * 1024;
    run_ns = field_of(line, FIO_FIELD_RUN_MS) * 1e6;
    if (status != 0 || field_of(line, FIO_FIELD_ERROR) != 0 || written_bytes <= 0 || run_ns <= 0)
        return cst_fail(err, CST_NOT_FOUND,
                        "fio gave no figures (status %d): scripts/deps --peers installs it",
                        status);
    *ns_per_op_out = run_ns * (group_bytes / written_bytes) / w->producers;
    return CST_OK;
}

static cst_code measure(bench *b, uint32_t producers, cst_err *err) {
    wal_bench w = {.b = b, .producers = producers};
    const bench_side sides[] = {
        {BENCH_OURS, "constellation", ours_round, &w},
        {BENCH_PEER, "fio", fio_round, &w},
    };
    bench_params params = {0};
    const bench_what what = {.name = "wal.answer",
                             .params = &params,
                             .cold = true,
                             .bytes_per_op = PAYLOAD_BYTES};
    char fields[256];
    cst_code code;

    (void)snprintf(w.folder, sizeof w.folder, "%s/wal", b->folder_on_disk);
    bench_params_u64(&params, "producers", producers);
    bench_params_u64(&params, "record_bytes", PAYLOAD_BYTES);
    code = bench_compare(b, &what, sides, b->peers ? 2 : 1, err);
    if (code != CST_OK) return code;
    (void)snprintf(fields, sizeof fields,
                   "\"answers\":%" PRIu64 ",\"syncs\":%" PRIu64 ",\"answers_a_sync\":%.2f",
                   w.answers, w.syncs, w.syncs > 0 ? (double)w.answers / (double)w.syncs : 0);
    bench_numbers(b, "wal.groups", &params, "constellation", fields);
    return CST_OK;
}

cst_code bench_wal(bench *b, cst_err *err) {
    cst_code code = bench_folder_disk(b->folder_on_disk, err);

    for (uint32_t producers = 1; producers <= PRODUCERS_MAX && code == CST_OK; producers *= 8)
        code = measure(b, producers, err);
    return code;
}
