// job_sink.c: the sink of a job, and whether it is the one that checkpoints were promised to.
//
//   manifest "file:out/bids" ──► the job file's text the same?         yes ─► it is
//                                the same folder by another name?      yes ─► it is
//                                has it a part of this checkpoint?     yes ─► it was moved
//                                                                      no  ─► CONFIG, with both
#include "server/job_internal.h"

#include "base/random.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

cst_code csti_job_output_seen(void *context, uint32_t partition, uint64_t epoch, bool *out,
                              cst_err *err) {
    csti_job *job = context;
    cst_code code = csti_sink_has_released(job->sink, partition, epoch, out, err);

    if (code == CST_OK && job->side && !*out)
        code = csti_sink_has_released(job->side, partition, epoch, out, err);
    return code;
}

// Late rows go to files, whatever the kind of the sink is.
static cst_code side_open(csti_job *job, const csti_sink_options *sink, cst_err *err) {
    csti_sink_options options = *sink;
    cst_code code;

    options.plan = job->stages[0].shape.render;
    if (job->config->window.size_us == 0 || job->config->late != CSTI_LATE_SIDE) return CST_OK;
    options.kind = CSTI_SINK_FILE;
    options.takes = CSTI_SINK_TAKES_ASIDE;
    options.path = job->config->side_path;
    code = csti_job_folders_make(options.path, err);
    return code == CST_OK ? csti_sink_open(&options, &job->side, err) : code;
}

cst_code csti_job_sink_open(csti_job *job, cst_err *err) {
    const job_stage *last = &job->stages[job->stages_count - 1];
    const bool windows = last->window.size_us > 0;
    csti_sink_options options = {.kind = job->config->sink,
                                 .takes =
                                     windows ? CSTI_SINK_TAKES_CLOSED : CSTI_SINK_TAKES_CHANGES,
                                 .path = job->config->sink_path,
                                 .plan = last->shape.render,
                                 .part_deadline_us = job->config->step_deadline_us,
                                 .clock = job->clock};
    cst_code code = csti_random_fill(job->random, &options.nonce, sizeof options.nonce, err);

    if (code == CST_OK && options.kind == CSTI_SINK_FILE)
        code = csti_job_folders_make(options.path, err);
    if (code == CST_OK) code = csti_sink_open(&options, &job->sink, err);
    return code == CST_OK ? side_open(job, &options, err) : code;
}

static cst_code unused_check(const csti_job *job, cst_err *err) {
    const cst_code code = csti_sink_unused_check(job->sink, err);

    return code == CST_OK && job->side ? csti_sink_unused_check(job->side, err) : code;
}

// ---- Whether it is the same ---------------------------------------------------------------------

static const char *place_of(const char *sink) { // NULL: it has none, or an older program wrote it
    const char *colon = strchr(sink, ':');

    return colon ? colon + 1 : NULL;
}

static int kind_bytes(const char *sink) {
    return (int)strcspn(sink, ":");
}

// Two names of one folder.
static bool is_same_folder(const csti_job *job, const char *place) {
    struct stat before, now;
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s%s%s", place[0] == '/' ? "" : job->config->folder,
                 place[0] == '/' ? "" : "/", place) >= (int)sizeof path)
        return false;
    return stat(path, &before) == 0 && stat(job->config->sink_path, &now) == 0 &&
           before.st_dev == now.st_dev && before.st_ino == now.st_ino;
}

// The newest parts stay until the next checkpoint: where one of them is, all that there were came
// along. What is there is compared with what is released again.
static bool has_parts(const csti_job *job, const csti_manifest *manifest) {
    for (uint32_t p = 0; p < manifest->partitions_count; p++) {
        const csti_manifest_partition *partition = &manifest->partitions[p];

        for (uint32_t s = partition->outbox_first; s < partition->segments_count; s++)
            if (csti_sink_folder_has(job->config->sink_path, p, partition->segments[s].epoch_to))
                return true;
    }
    return false;
}

static cst_code folder_check(const csti_job *job, const csti_manifest *manifest, cst_err *err) {
    const char *place = place_of(manifest->sink);

    if (!place || strcmp(manifest->sink, job->config->sink_text) == 0) return CST_OK;
    if (is_same_folder(job, place) || has_parts(job, manifest)) return CST_OK;
    return cst_fail(err, CST_CONFIG,
                    "%s: [sink] path is \"%s\", and checkpoint %" PRIu64
                    " of %s put its results into \"%s\": they would be missing from the new "
                    "folder. Put that path there, or move the folder with its parts, or begin anew "
                    "with another store",
                    job->config->path, place_of(job->config->sink_text), manifest->id,
                    job->config->checkpoint_store, place);
}

// What was committed went out to the sink of then, and goes out to no other. Where nothing was,
// parts that are there are another job's, or of a state that is gone.
cst_code csti_job_sink_check(const csti_job *job, const csti_manifest *manifest, cst_err *err) {
    const char *sink = job->config->sink_text;
    const int bytes = kind_bytes(sink);

    if (manifest->id == 0) return unused_check(job, err);
    if (kind_bytes(manifest->sink) == bytes && strncmp(manifest->sink, sink, (size_t)bytes) == 0)
        return folder_check(job, manifest, err);
    return cst_fail(
        err, CST_CONFIG,
        "%s: [sink] kind is \"%.*s\", and checkpoint %" PRIu64
        " of %s was made with \"%.*s\": results of committed rows would be missing from "
        "the new sink. Put that kind there, or begin anew with another store",
        job->config->path, bytes, sink, manifest->id, job->config->checkpoint_store,
        kind_bytes(manifest->sink), manifest->sink);
}
