// Chains that share the key groups become fulls of other shares.
#include "unit/state/segments.h"

#include "state/segment.h"

enum { KEYS = 3000, ROWS = 6000, SHARES_MAX = 8 };

// Some changes of all key groups: a full and a delta.
typedef struct history {
    bytes_sink bytes[2];
    cst_segment *segments[2];
} history;

static history history_make(void) {
    cst_segment_info info = test_info(CST_SEGMENT_FULL_UNORDERED, 1, 1);
    history past;

    memset(&past, 0, sizeof past);
    for (int s = 0; s < 2; s++) {
        bytes_sink records = {0};

        for (int i = 0; i < ROWS; i++) {
            const uint64_t key = test_random_below(KEYS);

            if (test_random_below(5) == 0)
                inline_tombstone(&records, key);
            else
                inline_row(&records, key, test_random());
            if (test_random_below(20) == 0) gap(&records, 32);
        }
        if (s == 1) {
            const uint32_t base = info.base_checksum;

            info = test_info(CST_SEGMENT_DELTA, 2, 2);
            info.base_checksum = base;
        }
        info.base_checksum = write_parts(&past.bytes[s], &info, &records, NULL).checksum;
        past.segments[s] = open_or_die(&past.bytes[s]);
        sink_free(&records);
        info = test_info(CST_SEGMENT_DELTA, 2, 2);
        cst_segment_summary summary;
        cst_segment_summary_read(past.segments[s], &summary);
        info.base_checksum = summary.checksum;
    }
    return past;
}

static void history_free(history *past) {
    for (int s = 0; s < 2; s++) {
        cst_segment_close(past->segments[s]);
        sink_free(&past->bytes[s]);
    }
}

static uint32_t share_first(uint32_t share, uint32_t count) {
    return share * CST_KEY_GROUPS_COUNT / count;
}

// All shares of so many, out of the chains.
typedef struct shares {
    uint32_t count;
    bytes_sink bytes[SHARES_MAX];
    cst_segment *segments[SHARES_MAX];
    csti_spread_chain chains[SHARES_MAX];
    uint64_t bytes_read, rows;
} shares;

static cst_code share_make(const csti_spread_chain *chains, uint32_t chains_count, uint32_t share,
                           uint32_t count, uint64_t epoch_to, bytes_sink *out,
                           csti_spread_report *report, cst_err *err) {
    const csti_spread spread = {.chains = chains,
                                .chains_count = chains_count,
                                .group_from = share_first(share, count),
                                .group_to = share_first(share + 1, count),
                                .epoch_to = epoch_to};

    return csti_segment_spread(&spread, NULL, sink_write, out, report, err);
}

static void shares_make(const csti_spread_chain *chains, uint32_t chains_count, uint32_t count,
                        uint64_t epoch_to, shares *out) {
    memset(out, 0, sizeof *out);
    out->count = count;
    for (uint32_t i = 0; i < count; i++) {
        csti_spread_report report;
        cst_segment_info info;

        CHECK_OK(
            share_make(chains, chains_count, i, count, epoch_to, &out->bytes[i], &report, NULL));
        out->segments[i] = open_or_die(&out->bytes[i]);
        CHECK_OK(cst_segment_verify(out->segments[i], &TEST_HASH_KEY, NULL));
        cst_segment_info_read(out->segments[i], &info);
        CHECK_EQ(info.kind, CST_SEGMENT_FULL_ORDERED);
        CHECK_EQ(info.epoch_to, epoch_to);
        CHECK_EQ(info.tip_checksum, 0);
        out->chains[i] = (csti_spread_chain){.segments = &out->segments[i],
                                             .segments_count = 1,
                                             .group_from = share_first(i, count),
                                             .group_to = share_first(i + 1, count)};
        out->bytes_read += report.bytes_read;
        out->rows += report.summary.rows[0];
    }
}

static void shares_free(shares *made) {
    for (uint32_t i = 0; i < made->count; i++) {
        cst_segment_close(made->segments[i]);
        sink_free(&made->bytes[i]);
    }
}

static csti_spread_chain whole(history *past) {
    return (csti_spread_chain){.segments = past->segments,
                               .segments_count = 2,
                               .group_from = 0,
                               .group_to = CST_KEY_GROUPS_COUNT};
}

static uint64_t body_bytes(const shares *made) {
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < made->count; i++) bytes += made->segments[i]->footer.body_bytes;
    return bytes;
}

TEST(shares_hold_each_row_once_and_nothing_of_another_share) {
    history past = history_make();
    const csti_spread_chain chain = whole(&past);
    bytes_sink full = {0};
    cst_segment_summary folded;
    shares made;

    CHECK_OK(cst_segment_fold(past.segments, 2, NULL, sink_write, &full, &folded, NULL));
    shares_make(&chain, 1, 5, 2, &made);
    CHECK_EQ(made.rows, folded.rows[0]);
    for (uint32_t i = 0; i < made.count; i++) {
        cst_segment_cursor cursor = {0};
        cst_segment_row rows[64];
        uint32_t count;

        do {
            CHECK_OK(cst_segment_next(made.segments[i], &cursor, rows, 64, &count, NULL));
            for (uint32_t r = 0; r < count; r++) {
                const uint64_t hash =
                    cst_hash(&TEST_HASH_KEY, rows[r].row.key, rows[r].row.key_bytes);

                CHECK(cst_key_group(hash) >= share_first(i, 5));
                CHECK(cst_key_group(hash) < share_first(i + 1, 5));
            }
        } while (count > 0);
    }
    shares_free(&made);
    sink_free(&full);
    history_free(&past);
}

TEST(whatever_the_way_equal_shares_are_equal_bytes) {
    history past = history_make();
    const csti_spread_chain chain = whole(&past);
    shares direct, two, four, three;

    shares_make(&chain, 1, 3, 9, &direct);
    shares_make(&chain, 1, 2, 2, &two);
    shares_make(two.chains, 2, 4, 5, &four);
    shares_make(four.chains, 4, 3, 9, &three);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_EQ(direct.bytes[i].count, three.bytes[i].count);
        CHECK_BYTES(direct.bytes[i].bytes, three.bytes[i].bytes, three.bytes[i].count);
    }
    shares_free(&direct);
    shares_free(&two);
    shares_free(&four);
    shares_free(&three);
    history_free(&past);
}

TEST(of_ordered_fulls_every_byte_is_read_once_and_deltas_as_often_as_there_are_shares) {
    history past = history_make();
    const csti_spread_chain chain = whole(&past);
    shares two, four;

    shares_make(&chain, 1, 2, 2, &two);
    CHECK_EQ(two.bytes_read,
             2 * (past.segments[0]->footer.body_bytes + past.segments[1]->footer.body_bytes));
    shares_make(two.chains, 2, 4, 5, &four);
    CHECK_EQ(four.bytes_read, body_bytes(&two));
    shares_free(&two);
    shares_free(&four);
    history_free(&past);
}

TEST(deltas_above_an_ordered_full_are_filtered_by_hash) {
    history past = history_make();
    cst_segment *chain_segments[2];
    bytes_sink full = {0};
    csti_spread_chain chain = whole(&past);
    shares direct, folded;

    shares_make(&chain, 1, 3, 2, &direct);
    CHECK_OK(cst_segment_fold(past.segments, 1, NULL, sink_write, &full, NULL, NULL));
    chain_segments[0] = open_or_die(&full);
    chain_segments[1] = past.segments[1];
    chain.segments = chain_segments;
    shares_make(&chain, 1, 3, 2, &folded);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_EQ(direct.bytes[i].count, folded.bytes[i].count);
        CHECK_BYTES(direct.bytes[i].bytes, folded.bytes[i].bytes, folded.bytes[i].count);
    }
    CHECK(folded.bytes_read < direct.bytes_read);
    cst_segment_close(chain_segments[0]);
    sink_free(&full);
    shares_free(&direct);
    shares_free(&folded);
    history_free(&past);
}

TEST(damage_is_found_by_the_shares_that_read_it_before_they_write_a_byte) {
    history past = history_make();
    const csti_spread_chain chain = whole(&past);
    bytes_sink first = {0}, last = {0};
    csti_spread_report report;
    shares one;
    cst_err err;

    shares_make(&chain, 1, 1, 2, &one);
    CHECK(one.segments[0]->footer.body_bytes > 2 * CST_SEGMENT_BLOCK_BYTES);
    one.bytes[0].bytes[128 + 5] ^= 1; // in the first block
    CHECK_CODE(share_make(one.chains, 1, 0, 8, 2, &first, &report, &err), CST_SEGMENT_CHECKSUM);
    CHECK(strstr(err.text, "block 0"));
    CHECK_EQ(first.calls, 0);
    CHECK_OK(share_make(one.chains, 1, 7, 8, 2, &last, &report, &err));
    sink_free(&first);
    sink_free(&last);
    shares_free(&one);
    history_free(&past);
}

TEST(a_row_in_another_groups_place_is_no_row) {
    history past = history_make();
    const csti_spread_chain chain = whole(&past);
    bytes_sink out = {0};
    csti_spread_report report;
    shares one;
    cst_err err;

    shares_make(&chain, 1, 1, 2, &one);
    one.bytes[0].bytes[128 + 7] ^= 0x80; // the first row's hash: its top bit
    segment_fix(one.bytes[0].bytes, one.bytes[0].count);
    CHECK_CODE(share_make(one.chains, 1, 0, 2, 2, &out, &report, &err), CST_SEGMENT_RECORD);
    CHECK(strstr(err.text, "another key group"));
    CHECK_EQ(out.calls, 0);
    sink_free(&out);
    shares_free(&one);
    history_free(&past);
}

TEST(a_spread_of_nothing_is_a_mistake) {
    bytes_sink out = {0};
    csti_spread_report report;

    CHECK_CODE(share_make(NULL, 0, 0, 2, 2, &out, &report, NULL), CST_USAGE);
    sink_free(&out);
}

TEST_MAIN
