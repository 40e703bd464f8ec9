#include "server/pace.h"

#include <assert.h>
#include <string.h>

// Partitions are restored at the same time, as many as there are processors.
static uint64_t restore_bytes(const csti_pace *pace, const csti_pace_facts *facts) {
    const uint64_t share = facts->chain_bytes_all / pace->threads;

    return share > facts->chain_bytes_max ? share : facts->chain_bytes_max;
}

void csti_pace_init(csti_pace *pace, const csti_pace_start *start,
                    const csti_pace_facts *restored) {
    assert(start->threads > 0);
    assert(start->record_bytes > 0);
    memset(pace, 0, sizeof *pace);
    pace->target_ns = start->target_ns;
    pace->threads = start->threads;
    pace->record_bytes = start->record_bytes;
    pace->begin_ns = start->begin_ns;
    pace->last.sent_ns = start->now_ns;
    if (restored->chain_bytes_all >= CSTI_PACE_SAMPLE_BYTES)
        pace->byte_ns = (double)start->restore_ns / (double)restore_bytes(pace, restored);
}

static double byte_ns(const csti_pace *pace, const csti_pace_facts *facts) {
    const double row_ns = facts->rows >= CSTI_PACE_SAMPLE_ROWS
                              ? (double)facts->busy_all_ns / (double)facts->rows
                              : CSTI_PACE_ROW_NS;

    return pace->byte_ns > 0 ? pace->byte_ns : row_ns / pace->record_bytes;
}

void csti_pace_sent(csti_pace *pace, uint64_t id, uint64_t now_ns, uint64_t busy_ns) {
    const uint32_t at = pace->barriers_first + pace->barriers_count;

    pace->last = (csti_pace_barrier){id, now_ns, busy_ns};
    if (pace->barriers_count == CSTI_PACE_BARRIERS_MAX) return;
    pace->barriers[at % CSTI_PACE_BARRIERS_MAX] = pace->last;
    pace->barriers_count++;
}

// Those that were given up before it go, too.
void csti_pace_committed(csti_pace *pace, uint64_t id, uint64_t now_ns, uint64_t busy_ns) {
    while (pace->barriers_count > 0) {
        const csti_pace_barrier *first = &pace->barriers[pace->barriers_first];

        if (first->id > id) return;
        if (first->id == id) {
            pace->commit_ns = now_ns - first->sent_ns;
            pace->commit_busy_ns = busy_ns - first->busy_ns;
            pace->committed_id = id;
            pace->committed_busy_ns = first->busy_ns;
        }
        pace->barriers_first = (pace->barriers_first + 1) % CSTI_PACE_BARRIERS_MAX;
        pace->barriers_count--;
    }
}

// Without what has to be done again.
static uint64_t least_ns(const csti_pace *pace, const csti_pace_facts *facts) {
    return pace->begin_ns + (uint64_t)((double)restore_bytes(pace, facts) * byte_ns(pace, facts));
}

uint64_t csti_pace_estimate_ns(const csti_pace *pace, const csti_pace_facts *facts) {
    assert(facts->busy_ns >= pace->committed_busy_ns);
    return least_ns(pace, facts) + facts->busy_ns - pace->committed_busy_ns;
}

bool csti_pace_is_due(const csti_pace *pace, const csti_pace_facts *facts, uint64_t now_ns) {
    const uint64_t apart_ns = CSTI_PACE_COMMITS_APART * pace->commit_ns;
    const uint64_t since_ns = now_ns - pace->last.sent_ns;

    if (since_ns < CSTI_PACE_FLOOR_NS || since_ns < apart_ns) return false;
    if (since_ns >= pace->target_ns) return true;
    return least_ns(pace, facts) + facts->busy_ns - pace->last.busy_ns + pace->commit_busy_ns >=
           pace->target_ns;
}

bool csti_pace_is_out_of_reach(const csti_pace *pace, const csti_pace_facts *facts) {
    return least_ns(pace, facts) >= pace->target_ns;
}
