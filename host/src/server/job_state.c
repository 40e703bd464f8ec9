#include "server/job_internal.h"

#include "base/fault_point.h"
#include "state/keeper_lmdb.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

//   FOLDER/job                the name of the job that it belongs to
//   FOLDER/{partition}-{tenure}/     disk_rows.h; the tenure that began it
//
// A folder of one's own for each beginning, since one that was stopped and fenced off may still
// write in his until he wakes up and finds out. A folder that nobody has open is used, the newest
// first, or goes.
enum {
    BOOT_BYTES = 64,
    JOB_NAME_BYTES = 160, // a name has at most 128
    FOLDERS_MAX = 64,     // that are looked at
};

// ---- Whose folder it is -------------------------------------------------------------------------

static cst_code owner_fail(const char *path, cst_err *err) {
    return cst_fail(err, CST_IO, "%s: %s", path, strerror(errno));
}

static cst_code owner_write(const csti_job *job, int file, const char *path, cst_err *err) {
    const char *name = job->config->name;
    const ssize_t count = (ssize_t)strlen(name);

    if (write(file, name, (size_t)count) == count && fsync(file) == 0) return CST_OK;
    return owner_fail(path, err);
}

static cst_code owner_check(const csti_job *job, int file, const char *path, cst_err *err) {
    char name[JOB_NAME_BYTES] = "";
    const ssize_t count = pread(file, name, sizeof name - 1, 0);

    if (count < 0) return owner_fail(path, err);
    if (strcmp(name, job->config->name) == 0) return CST_OK;
    if (count == 0) return owner_write(job, file, path, err); // whoever made it died over it
    return cst_fail(err, CST_JOB_MISMATCH,
                    "[state] store: %s belongs to job %s: job %s needs a folder of its own",
                    job->config->state_folder, name, job->config->name);
}

cst_code csti_job_state_claim(const csti_job *job, cst_err *err) {
    const char *folder = job->config->state_folder;
    char path[PATH_MAX];
    cst_code code;
    int file;

    if (!folder) return CST_OK;
    code = csti_job_folders_make(folder, err);
    if (code != CST_OK) return code;
    if ((size_t)snprintf(path, sizeof path, "%s/job", folder) >= sizeof path)
        return cst_fail(err, CST_LIMIT, "a folder's name of %zu bytes", strlen(folder));
    file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0) return owner_fail(path, err);
    code = owner_check(job, file, path, err);
    (void)close(file);
    return code;
}

// ---- A partition's folders ----------------------------------------------------------------------

typedef struct state_folders {
    uint64_t tenures[FOLDERS_MAX]; // of this partition's
    uint32_t count;
} state_folders;

static void folder_path(const csti_job *job, uint32_t partition, uint64_t tenure,
                        char out[PATH_MAX]) {
    (void)snprintf(out, PATH_MAX, "%.4000s/%" PRIu32 "-%" PRIu64, job->config->state_folder,
                   partition, tenure);
}

// Somebody else's stay as they are, and so does what cannot be removed.
static void folder_remove(const csti_job *job, uint32_t partition, uint64_t tenure) {
    char path[PATH_MAX];

    folder_path(job, partition, tenure, path);
    csti_disk_rows_remove(path);
}

static int newest_first(const void *a, const void *b) {
    const uint64_t left = *(const uint64_t *)a;
    const uint64_t right = *(const uint64_t *)b;

    return (left < right) - (left > right);
}

// This partition's, newest first. Those of partitions that the job has no more go, by the first
// one.
static cst_code folders_list(const job_worker *worker, state_folders *out, cst_err *err) {
    const csti_job *job = worker->job;
    DIR *folder = opendir(job->config->state_folder);
    const struct dirent *entry;

    *out = (state_folders){.count = 0};
    if (!folder) return owner_fail(job->config->state_folder, err);
    while ((entry = readdir(folder)) != NULL) {
        uint32_t partition;
        uint64_t tenure;
        int used = 0;

        if (sscanf(entry->d_name, "%" SCNu32 "-%" SCNu64 "%n", &partition, &tenure, &used) != 2 ||
            entry->d_name[used])
            continue;
        if (worker->number == 0 && partition >= job->workers_count)
            folder_remove(job, partition, tenure);
        if (partition == worker->number && out->count < FOLDERS_MAX)
            out->tenures[out->count++] = tenure;
    }
    (void)closedir(folder);
    qsort(out->tenures, out->count, sizeof *out->tenures, newest_first);
    return CST_OK;
}

// ---- Opening ------------------------------------------------------------------------------------

// What this boot of the machine is called; "": nobody says.
static void boot_read(char out[BOOT_BYTES]) {
    const int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    const ssize_t count = file < 0 ? 0 : read(file, out, BOOT_BYTES - 1);

    if (file >= 0) (void)close(file);
    out[count > 0 ? (size_t)count : 0] = 0;
    out[strcspn(out, "\n")] = 0;
}

static void rebuilt_say(const job_worker *worker, const char *path, const char *why) {
    CSTI_LOG(worker->job->options.logger, CSTI_LOG_WARN, "state_rebuilt",
             csti_log_u64("partition", worker->number), csti_log_text("folder", path),
             csti_log_text("why", why));
}

static cst_code rows_open_at(const job_worker *worker, uint64_t tenure,
                             const csti_disk_options *options, csti_disk_rows **out, cst_err *err) {
    char why[CSTI_DISK_WHY_BYTES];
    char path[PATH_MAX];
    cst_code code;

    folder_path(worker->job, worker->number, tenure, path);
    code = csti_disk_rows_open(path, options, why, out, err);
    if (code == CST_OK && *why) rebuilt_say(worker, path, why);
    return code;
}

// The newest folder that nobody has open; those behind it go. Or a new one.
static cst_code rows_open(const job_worker *worker, csti_disk_rows **out, cst_err *err) {
    const csti_job *job = worker->job;
    const csti_job_identity *identity = &job->stages[0].shape.identity;
    const uint32_t group_from = job->groups_first[worker->number];
    const bool is_last = worker->number + 1 == job->workers_count;
    char boot[BOOT_BYTES];
    const csti_disk_options options = {
        .identity = {.table_id = identity->table_id,
                     .schema_hash = cst_segment_schema_hash(identity->key_schema),
                     .program_hash = cst_segment_program_hash(&identity->program),
                     .hash_key_check = cst_segment_hash_key_check(&identity->hash_key),
                     .value_bytes = identity->program.value_bytes,
                     .group_from = group_from,
                     .group_to =
                         is_last ? CST_KEY_GROUPS_COUNT : job->groups_first[worker->number + 1]},
        .boot = boot};
    state_folders folders;
    cst_code code = folders_list(worker, &folders, err);

    boot_read(boot);
    *out = NULL;
    for (uint32_t i = 0; i < folders.count && code == CST_OK; i++) {
        if (*out) {
            folder_remove(job, worker->number, folders.tenures[i]);
            continue;
        }
        code = rows_open_at(worker, folders.tenures[i], &options, out, err);
        if (code == CST_AGAIN) code = CST_OK; // an owner who was fenced off has it
    }
    if (code != CST_OK || *out) return code;
    code = rows_open_at(worker, job->tenure, &options, out, err);
    return code == CST_AGAIN ? cst_fail(err, CST_JOB_RUNNING, "%s", err->text) : code;
}

static cst_code rows_restore(job_worker *worker, csti_disk_rows *rows,
                             const cst_restore_options *options, cst_err *err) {
    const csti_job *job = worker->job;
    const csti_disk_mark found = csti_disk_rows_mark(rows);
    char why[CSTI_DISK_WHY_BYTES];
    const csti_chain none = {.segments_count = 0};
    const csti_chain *chain = job->plan.manifest.id > 0 ? &job->plan.chains[worker->number] : &none;
    const cst_code code =
        csti_disk_rows_restore(rows, chain->segments, chain->segments_count, options,
                               csti_restore_rows(job->partition_budget_bytes), why,
                               &worker->restored, err);

    CSTI_FAULT_POINT(recovery_restore);
    if (*why) rebuilt_say(worker, job->config->state_folder, why);
    if (code == CST_OK)
        CSTI_LOG(job->options.logger, CSTI_LOG_INFO, "state_on_disk",
                 csti_log_u64("partition", worker->number),
                 csti_log_u64("epoch_found", *why ? 0 : found.whole.epoch),
                 csti_log_u64("segments_read", worker->restored.segments_count),
                 csti_log_u64("keys", csti_disk_rows_count(rows)));
    return code;
}

// ---- The keeper ---------------------------------------------------------------------------------

uint64_t csti_job_state_changes_max(const csti_job *job, uint64_t rows_under_way_bytes) {
    const uint64_t all = job->partition_budget_bytes;
    const uint64_t bytes = all - csti_settle_rows(all) * (uint64_t)CSTI_DISK_ROW_BYTES;

    return bytes - (rows_under_way_bytes < bytes / 2 ? rows_under_way_bytes : bytes / 2);
}

cst_code csti_job_state_open(job_worker *worker, const cst_restore_options *restore,
                             uint64_t changes_bytes, cst_err *err) {
    const csti_job *job = worker->job;
    const csti_manifest_partition *before =
        job->plan.manifest.id > 0 ? &job->plan.manifest.partitions[worker->number] : NULL;
    csti_disk_rows *rows = NULL;
    cst_code code = rows_open(worker, &rows, err);

    if (code == CST_OK) code = rows_restore(worker, rows, restore, err);
    if (code == CST_OK && job->totals)
        code = csti_job_totals_make(worker, rows, worker->epoch_next - 1,
                                    before ? before->rows_count : 0, err);
    const csti_keeper_lmdb_options options = {.rows = rows,
                                              .part = job->stages[0].shape.identity.parts[0],
                                              .program = job->stages[0].shape.program,
                                              .hash_key = job->stages[0].shape.identity.hash_key,
                                              .epoch = worker->epoch_next,
                                              .budget_bytes = changes_bytes,
                                              .settle_rows =
                                                  csti_settle_rows(job->partition_budget_bytes)};
    if (code == CST_OK) code = csti_keeper_lmdb_open(&options, &worker->keeper, err);
    if (code != CST_OK) csti_disk_rows_close(rows);
    return code;
}
