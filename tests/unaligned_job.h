// unaligned_job.h: as much of a job as job_unaligned.c looks at.
//
//   names of splits, workers by number, a checkpointer ─► notes, seals ─► where splits go on
//
// Thread     one.
#ifndef CST_UNALIGNED_JOB_H
#define CST_UNALIGNED_JOB_H

#include "server/job_internal.h"
#include "stream/source_kind.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct unaligned_job {
    csti_job job;
    csti_job_config config;
    csti_source source;
} unaligned_job;

// Its checkpointer stays the caller's. csti_job_unaligned_open is for the caller, too.
static inline unaligned_job *unaligned_job_make(csti_checkpointer *checkpointer,
                                                const char *const *splits, uint32_t splits_count,
                                                uint32_t partitions_count) {
    unaligned_job *made = calloc(1, sizeof *made);

    if (!made) abort();
    made->source.splits_count = splits_count;
    made->source.names = calloc(splits_count, sizeof *made->source.names);
    made->job.workers = calloc(partitions_count, sizeof *made->job.workers);
    if (!made->source.names || !made->job.workers) abort();
    for (uint32_t s = 0; s < splits_count; s++)
        (void)snprintf(made->source.names[s], CSTI_SPLIT_NAME_BYTES, "%s", splits[s]);
    for (uint32_t p = 0; p < partitions_count; p++)
        made->job.workers[p] = (job_worker){.job = &made->job, .number = p};
    made->config.unaligned = true;
    made->job.config = &made->config;
    made->job.source = &made->source;
    made->job.checkpointer = checkpointer;
    made->job.workers_count = made->job.partitions = partitions_count;
    made->job.stages_count = 1;
    return made;
}

static inline void unaligned_job_close(unaligned_job *self) { // NULL is allowed
    if (!self) return;
    csti_job_unaligned_close(&self->job);
    free(self->source.names);
    free(self->job.workers);
    free(self);
}

// A split stands at this offset; `routed` rows of it went to each partition until then.
static inline cst_code unaligned_job_note(unaligned_job *self, uint32_t split, const char *offset,
                                          const uint64_t *routed, cst_err *err) {
    const csti_reader_position position = {.split = self->source.names[split],
                                           .offset = offset,
                                           .watermark_us = INT64_MIN,
                                           .number = split,
                                           .routed = routed};

    return csti_job_unaligned_note(&self->job, &position, err);
}

// A partition has sealed the checkpoint, with so many rows of each split.
static inline cst_code unaligned_job_sealed(unaligned_job *self, uint64_t id, uint32_t partition,
                                            const uint64_t *applied, cst_err *err) {
    const csti_sealed sealed = {.barrier = {.id = id}, .applied = applied};

    return csti_job_unaligned_sealed(&self->job.workers[partition], &sealed, err);
}

#endif
