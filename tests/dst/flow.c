#include "dst/flow.h"

#include <string.h>

void flow_start(flow *self, uint32_t split, uint64_t offset, const uint64_t *skips) {
    self->starts[split] = self->reads[split] = offset;
    for (uint32_t p = 0; p < self->partitions_count; p++)
        self->ats[p][split] =
            model_row_behind(split, offset, skips ? skips[p] : 0, p, self->partitions_count);
}

// Where the partition stops taking rows of the split: at the barrier that it has not sealed.
static uint64_t end_of(const flow *self, uint32_t partition, uint32_t split) {
    const bool waits = self->id != 0 && self->passed[split] && !self->sealed[partition];

    return waits ? self->passes[split] : self->reads[split];
}

bool flow_next(flow *self, uint32_t partition, uint32_t split, uint64_t *number_out) {
    uint64_t *at = &self->ats[partition][split];

    while (*at < end_of(self, partition, split)) {
        const uint64_t number = (*at)++;

        if (model_partition_of(model_row_at(split, number).key, self->partitions_count) !=
            partition)
            continue;
        *number_out = number;
        return true;
    }
    return false;
}

bool flow_is_drained(const flow *self) {
    for (uint32_t s = 0; s < MODEL_SPLITS; s++)
        for (uint32_t p = 0; p < self->partitions_count; p++)
            if (self->ats[p][s] < self->reads[s]) return false;
    return self->id == 0;
}

bool flow_skips(const flow *self, uint32_t split, uint64_t skips[MODEL_PARTITIONS_MAX]) {
    bool any = false;

    for (uint32_t p = 0; p < self->partitions_count; p++) {
        skips[p] = model_rows_between(split, self->reads[split], self->ats[p][split], p,
                                      self->partitions_count);
        any = any || skips[p] > 0;
    }
    return any;
}

void flow_routed(const flow *self, uint32_t split, uint64_t routed[MODEL_PARTITIONS_MAX]) {
    for (uint32_t p = 0; p < self->partitions_count; p++)
        routed[p] = model_rows_between(split, self->starts[split], self->reads[split], p,
                                       self->partitions_count);
}

void flow_applied(const flow *self, uint32_t partition, uint64_t applied[MODEL_SPLITS]) {
    for (uint32_t s = 0; s < MODEL_SPLITS; s++)
        applied[s] = model_rows_between(s, self->starts[s], self->ats[partition][s], partition,
                                        self->partitions_count);
}

void flow_barrier(flow *self, uint64_t id, bool is_unaligned) {
    self->id = id;
    self->is_unaligned = is_unaligned;
    self->told_count = 0;
    memset(self->passed, 0, sizeof self->passed);
    memset(self->sealed, 0, sizeof self->sealed);
}

bool flow_all_passed(const flow *self) {
    for (uint32_t s = 0; s < MODEL_SPLITS; s++)
        if (!self->passed[s]) return false;
    return true;
}

bool flow_is_due(const flow *self, uint32_t partition) {
    if (self->id == 0 || self->sealed[partition]) return false;
    if (self->is_unaligned) return true;
    for (uint32_t s = 0; s < MODEL_SPLITS; s++)
        if (!self->passed[s] || self->ats[partition][s] < self->passes[s]) return false;
    return true;
}
