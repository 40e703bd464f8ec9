// segment.h: what the files of this folder share about an opened segment.
//
//   bytes ──► | header | part 0 | part 1 | groups | block table | footer |
//              ^ header  ^ part_at[0]      ^ groups_at  ^ blocks_at  ^ footer
//
// Promises   an opened segment's header, tables and footer agree with each other and with their
//            checksums; only the body is still to be verified, block by block.
// Thread     read-only once open. Owner: cst_segment_close.
#ifndef CST_STATE_SEGMENT_H
#define CST_STATE_SEGMENT_H

#include "base/crc32c.h"
#include "state/record.h"

enum { CSTI_SEGMENT_NAME_BYTES = 200 };

// Returns when the first `bytes` bytes of the segment are there. Any number of threads call it.
typedef struct csti_segment_arrival {
    cst_code (*wait)(void *context, uint64_t bytes, cst_err *err);
    void *context;
} csti_segment_arrival;

struct cst_segment {
    char name[CSTI_SEGMENT_NAME_BYTES];
    const uint8_t *bytes;
    size_t count;
    void *mapping; // of a file; NULL: the caller's bytes
    csti_segment_header header;
    csti_segment_footer footer;
    csti_record_shape shapes[CST_SEGMENT_PARTS_MAX];
    uint64_t part_at[CST_SEGMENT_PARTS_MAX]; // offsets in the body
    uint64_t groups_at, blocks_at;           // offsets in the segment
    // Of one whose body is still on its way; wait NULL: it is there.
    csti_segment_arrival arrival;
};

// NULL, or the phrase that says which fields contradict.
const char *csti_segment_info_check(const cst_segment_info *info);
cst_segment_summary csti_segment_summary_of(const csti_segment_footer *footer);

static inline uint32_t csti_block_crc_begin(uint32_t header_crc32c, uint64_t index) {
    const csti_block_seed seed = {header_crc32c, (uint32_t)index};

    return csti_crc32c(0, &seed, sizeof seed);
}

static inline const uint8_t *csti_segment_body(const cst_segment *segment) {
    return segment->bytes + CSTI_SEGMENT_HEADER_BYTES;
}

// Where a record lies in the segment's bytes, for errors.
static inline uint64_t csti_segment_offset(const cst_segment *segment, uint32_t part,
                                           uint64_t part_offset) {
    return CSTI_SEGMENT_HEADER_BYTES + segment->part_at[part] + part_offset;
}

// Whether a restore may go on: what its caller's step says.
CST_CHECK_RESULT static inline cst_code csti_restore_step(const cst_restore_options *options,
                                                          uint64_t bytes_read, cst_err *err) {
    if (!options || !options->step) return CST_OK;
    return options->step(options->step_context, bytes_read, err);
}

// cst_segment_restore into two tables of inline rows, equal but for their key_bytes: keys that
// `shorts` takes go into that, all others into `longs`. The parts are as wide as those of `longs`.
CST_CHECK_RESULT cst_code csti_segment_restore_two(cst_segment *const *segments,
                                                   size_t segments_count, cst_table *shorts,
                                                   cst_table *longs,
                                                   const cst_restore_options *options,
                                                   cst_restore_report *report_out, cst_err *err);

// Called often while somebody reads, with the bytes that are done; they never fall. What it fails
// with ends the reading.
typedef struct csti_read_step {
    cst_code (*call)(void *context, uint64_t bytes_done, cst_err *err); // NULL: nobody looks
    void *context;
} csti_read_step;

CST_CHECK_RESULT static inline cst_code csti_read_step_call(const csti_read_step *step,
                                                            uint64_t bytes_done, cst_err *err) {
    if (!step || !step->call) return CST_OK;
    return step->call(step->context, bytes_done, err);
}

// Chains that share the key groups among them become one ordered full of some of the groups. Of
// their ordered fulls those groups' blocks alone are read; what else they hold is chosen by hash.
typedef struct csti_spread_chain {
    cst_segment *const *segments; // a full, then deltas
    size_t segments_count;
    uint32_t group_from, group_to; // its key groups
} csti_spread_chain;

typedef struct csti_spread {
    const csti_spread_chain *chains; // of one table, ascending by group
    uint32_t chains_count;           // of which at least one has some of the groups
    uint32_t group_from, group_to;   // wanted
    uint64_t epoch_to;               // of the full: not below any chain's
} csti_spread;

typedef struct csti_spread_report {
    cst_segment_summary summary;
    uint64_t bytes_read; // of bodies
} csti_spread_report;

// As cst_segment_fold: all is checked before the first byte is written; equal rows give equal
// bytes.
CST_CHECK_RESULT cst_code csti_segment_spread(const csti_spread *spread,
                                              const cst_fold_options *options, cst_write write,
                                              void *context, csti_spread_report *report_out,
                                              cst_err *err);

// cst_segment_verify with a step (may be NULL), whose bytes end with those of the body.
CST_CHECK_RESULT cst_code csti_segment_verify(const cst_segment *segment,
                                              const cst_hash_key *hash_key,
                                              const csti_read_step *step, cst_err *err);
// cst_segment_next, of the rows that were set aside and no others.
CST_CHECK_RESULT cst_code csti_segment_next_aside(const cst_segment *segment,
                                                  cst_segment_cursor *cursor, cst_segment_row *out,
                                                  uint32_t capacity, uint32_t *count_out,
                                                  cst_err *err);
// Its body is waited for, block by block, wherever blocks are verified: nothing else reads one
// before. What the wait fails with comes through as it is.
static inline void csti_segment_arrive(cst_segment *segment, csti_segment_arrival arrival) {
    segment->arrival = arrival;
}
// The whole body is there when this returns CST_OK.
CST_CHECK_RESULT cst_code csti_segment_wait_all(const cst_segment *segment, cst_err *err);
// Compares the checksums of blocks [from, to), when they are there. Touches nothing but those
// bytes.
CST_CHECK_RESULT cst_code csti_segment_verify_blocks(const cst_segment *segment, uint64_t from,
                                                     uint64_t to, cst_err *err);
// Ordered fulls: where key group `group` (0 to 4096) begins in the part.
uint64_t csti_segment_group_at(const cst_segment *segment, uint32_t part, uint32_t group);
// Whether `next` stands on `base`.
bool csti_segment_stands_on(const csti_segment_header *next, const cst_segment *base);

#endif
