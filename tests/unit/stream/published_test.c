#include "stream/published.h"

#include "table/program.h"
#include "test.h"

#include <pthread.h>
#include <sched.h>

enum { PARTITIONS = 64, VALUE_BYTES = 80 };

// count, sum, min and max of i64, max of f64, sum of decimal128, and which of them are there.
static const cst_program program = {
    .value_bytes = VALUE_BYTES,
    .accumulators_count = 6,
    .presence_offset = 8,
    .accumulators = {
        {.op = CST_COUNT, .number = CST_U64, .value_offset = 0, .source = CST_NO_COLUMN},
        {.op = CST_SUM, .number = CST_I64, .value_offset = 16, .source = 0},
        {.op = CST_MIN, .number = CST_I64, .value_offset = 24, .source = 0},
        {.op = CST_MAX, .number = CST_U64, .value_offset = 32, .source = 1},
        {.op = CST_MAX, .number = CST_F64, .value_offset = 40, .source = 2},
        {.op = CST_SUM, .number = CST_DECIMAL128, .value_offset = 64, .source = 3}}};

static csti_published *published;

static void open_published(const cst_program *of, uint32_t partitions_count) {
    csti_published_close(published);
    published = NULL;
    CHECK_OK(csti_published_open(of, partitions_count, &published, NULL));
}

typedef struct row {
    int64_t amount;
    uint64_t height;
    double weight;
    __extension__ __int128 units;
    uint8_t validity[4];
} row;

static void fold_row(const row *r, bool fresh, uint8_t *value) {
    const cst_source sources[] = {
        {.values = &r->amount, .validity = &r->validity[0], .type = CST_TYPE_I64},
        {.values = &r->height, .validity = &r->validity[1], .type = CST_TYPE_U64},
        {.values = &r->weight, .validity = &r->validity[2], .type = CST_TYPE_F64},
        {.values = &r->units, .validity = &r->validity[3], .type = CST_TYPE_DECIMAL128},
    };

    CHECK_OK(csti_program_fold(&program, &(cst_rows){.rows_count = 1, .sources = sources}, 0, fresh,
                               value));
}

static row random_row(void) {
    row out = {.amount = (int64_t)test_random() >> 20,
               .height = test_random() >> test_random_below(64),
               .weight = (double)((int64_t)test_random() >> 30) / 16,
               .units = (int64_t)test_random()};

    for (int i = 0; i < 4; i++) out.validity[i] = test_random_below(3) != 0;
    return out;
}

TEST(a_merge_equals_folding_all_rows) {
    static uint8_t values[PARTITIONS][VALUE_BYTES];

    for (int round = 0; round < 200; round++) {
        const uint32_t partitions_count = 1 + (uint32_t)test_random_below(PARTITIONS);
        const uint32_t rows_count = (uint32_t)test_random_below(300);
        uint8_t all[VALUE_BYTES] = {0}, merged[VALUE_BYTES];
        bool filled[PARTITIONS] = {false};
        csti_published_view view = {0};

        memset(values, 0, sizeof values);
        open_published(&program, partitions_count);
        for (uint32_t i = 0; i < rows_count; i++) {
            const uint32_t at = (uint32_t)test_random_below(partitions_count);
            const row r = random_row();

            fold_row(&r, i == 0, all);
            fold_row(&r, !filled[at], values[at]);
            filled[at] = true;
        }
        for (uint32_t i = 0; i < partitions_count; i++)
            csti_published_write(published, i, &(csti_published_mark){.epoch = 10 + i, .rows = i},
                                 filled[i] ? values[i] : NULL);
        CHECK_OK(csti_published_merge(published, merged, &view));
        CHECK_EQ(view.any, rows_count > 0);
        CHECK_EQ(view.present, UINT64_MAX >> (64 - partitions_count));
        CHECK_EQ(view.oldest_epoch, 10);
        CHECK_EQ(view.newest_epoch, 9 + partitions_count);
        CHECK_EQ(view.rows, partitions_count * (partitions_count - 1) / 2);
        CHECK_EQ(view.overflowed, 0);
        if (view.any) CHECK_BYTES(merged, all, VALUE_BYTES);
    }
}

// ---- One number, for what needs no more ----

static const cst_program counter = {
    .value_bytes = 8,
    .accumulators_count = 1,
    .presence_offset = CST_NO_OFFSET,
    .accumulators = {{.op = CST_COUNT, .number = CST_U64, .source = CST_NO_COLUMN}}};

static void write_count(uint32_t partition, uint64_t epoch, uint64_t count) {
    csti_published_write(published, partition, &(csti_published_mark){.epoch = epoch},
                         (const uint8_t *)&count);
}

static uint64_t merged_count(csti_published_view *view) {
    uint64_t count = 0;

    CHECK_OK(csti_published_merge(published, (uint8_t *)&count, view));
    return count;
}

TEST(a_view_says_who_is_there_and_how_old_it_is) {
    csti_published_view view = {0};

    open_published(&counter, 64);
    CHECK_EQ(merged_count(&view), 0);
    CHECK_EQ(view.present, 0);
    CHECK(!view.any);
    csti_published_write(published, 5, &(csti_published_mark){.epoch = 7}, NULL); // no rows yet
    CHECK_EQ(merged_count(&view), 0);
    CHECK_EQ(view.present, 1 << 5);
    CHECK(!view.any);
    CHECK_EQ(view.oldest_epoch, 7);
    write_count(63, 4, 100);
    write_count(0, 9, 11);
    CHECK_EQ(merged_count(&view), 111);
    CHECK_EQ(view.present, 1 | 1 << 5 | UINT64_C(1) << 63);
    CHECK(view.any);
    CHECK_EQ(view.oldest_epoch, 4);
    CHECK_EQ(view.newest_epoch, 9);
}

TEST(the_newest_write_counts) {
    csti_published_view view = {0};

    open_published(&counter, 2);
    for (uint64_t epoch = 1; epoch < 20; epoch++) {
        uint64_t count = 0;

        write_count(1, epoch, epoch * 3);
        CHECK_EQ(merged_count(&view), epoch * 3);
        CHECK_EQ(view.newest_epoch, epoch);
        CHECK_OK(csti_published_read(published, 1, (uint8_t *)&count, &view));
        CHECK_EQ(count, epoch * 3);
        CHECK_EQ(view.present, 2);
        CHECK_EQ(view.oldest_epoch, epoch);
    }
    csti_published_write(published, 1, &(csti_published_mark){.epoch = 20}, NULL); // all are gone
    CHECK_EQ(merged_count(&view), 0);
    CHECK(!view.any);
}

TEST(a_partition_that_its_owner_lost_is_not_there) {
    csti_published_view view = {0};
    uint64_t count = 77;

    open_published(&counter, 3);
    CHECK_OK(csti_published_read(published, 0, (uint8_t *)&count, &view));
    CHECK_EQ(view.present, 0);
    write_count(0, 5, 10);
    write_count(1, 6, 20);
    csti_published_clear(published, 0);
    CHECK_EQ(merged_count(&view), 20);
    CHECK_EQ(view.present, 2);
    CHECK_EQ(view.oldest_epoch, 6);
    CHECK_OK(csti_published_read(published, 0, (uint8_t *)&count, &view));
    CHECK(!view.any);
    CHECK_EQ(count, 77);
    write_count(0, 3, 1); // a new owner, from an older checkpoint
    CHECK_EQ(merged_count(&view), 21);
    CHECK_EQ(view.oldest_epoch, 3);
}

TEST(a_sum_that_overflows_is_marked_and_the_others_are_right) {
    static const cst_program two = {
        .value_bytes = 24,
        .accumulators_count = 3,
        .presence_offset = CST_NO_OFFSET,
        .accumulators = {{.op = CST_COUNT, .number = CST_U64, .source = CST_NO_COLUMN},
                         {.op = CST_SUM, .number = CST_U64, .value_offset = 8, .source = 0},
                         {.op = CST_LAST, .number = CST_U64, .value_offset = 16, .source = 0}}};
    const uint64_t values[2][3] = {{3, UINT64_MAX, 7}, {4, 1, 8}};
    uint64_t merged[3] = {9, 9, 9};
    csti_published_view view = {0};

    open_published(&two, 3);
    for (uint32_t p = 0; p < 2; p++)
        csti_published_write(published, p, &(csti_published_mark){.epoch = 1, .rows = 5},
                             (const uint8_t *)values[p]);
    CHECK_OK(csti_published_merge(published, (uint8_t *)merged, &view));
    CHECK_EQ(view.overflowed, 1 << 1);
    CHECK_EQ(merged[0], 7);
    CHECK_EQ(merged[2], 0); // last has no order across partitions
    CHECK_EQ(view.rows, 10);
    csti_published_write(published, 1, &(csti_published_mark){.epoch = 2}, NULL);
    CHECK_OK(csti_published_merge(published, (uint8_t *)merged, &view));
    CHECK_EQ(view.overflowed, 0);
    CHECK_EQ(merged[1], UINT64_MAX);
    // A partition whose own sum was lost has none for anybody.
    csti_published_write(published, 1, &(csti_published_mark){.epoch = 3, .overflowed = 1 << 1},
                         (const uint8_t *)values[1]);
    CHECK_OK(csti_published_merge(published, (uint8_t *)merged, &view));
    CHECK_EQ(view.overflowed, 1 << 1);
    CHECK_EQ(merged[0], 7);
}

TEST(programs_and_counts_that_cannot_be_are_refused) {
    csti_published *out = NULL;
    cst_program other = counter;

    CHECK_CODE(csti_published_open(&counter, 0, &out, NULL), CST_USAGE);
    CHECK_CODE(csti_published_open(&counter, 65, &out, NULL), CST_LIMIT);
    other.accumulators_count = 0;
    CHECK_CODE(csti_published_open(&other, 1, &out, NULL), CST_USAGE);
    other = counter;
    other.accumulators[0].op = 9;
    CHECK_CODE(csti_published_open(&other, 1, &out, NULL), CST_USAGE);
    CHECK(!out);
    csti_published_close(NULL);
}

// ---- Threads ----

enum { OWNERS = 4, READERS = 2, EPOCHS = 20000 };

static _Atomic int owners_done;

// Every number of a value follows from its epoch, so that a mixture shows.
static row row_of(uint64_t epoch) {
    return (row){.amount = (int64_t)epoch * 3,
                 .height = epoch * 7,
                 .weight = (double)epoch,
                 .units = epoch,
                 .validity = {1, 1, 1, 1}};
}

static void *own(void *context) {
    const uint32_t partition = *(const uint32_t *)context;

    for (uint64_t epoch = 1; epoch <= EPOCHS; epoch++) {
        const row r = row_of(epoch);
        uint8_t value[VALUE_BYTES] = {0};

        fold_row(&r, true, value);
        csti_published_write(published, partition, &(csti_published_mark){.epoch = epoch}, value);
        if (epoch % 64 == 0) (void)sched_yield();
    }
    (void)atomic_fetch_add(&owners_done, 1);
    return NULL;
}

static void check_part(uint32_t partition, uint64_t *epoch_seen) {
    uint8_t value[VALUE_BYTES], wanted[VALUE_BYTES] = {0};
    csti_published_view view = {0};
    row r;
    const cst_code code = csti_published_read(published, partition, value, &view);

    if (code == CST_AGAIN || !view.any) return;
    CHECK_OK(code);
    CHECK(view.newest_epoch >= *epoch_seen);
    *epoch_seen = view.newest_epoch;
    r = row_of(view.newest_epoch);
    fold_row(&r, true, wanted);
    CHECK_BYTES(value, wanted, VALUE_BYTES);
}

static void check_merged(void) {
    uint8_t value[VALUE_BYTES];
    csti_published_view view = {0};
    int64_t amount, least;
    uint64_t height;
    double weight;
    __extension__ __int128 units;
    const cst_code code = csti_published_merge(published, value, &view);

    if (code == CST_AGAIN || !view.any) return;
    CHECK_OK(code);
    memcpy(&amount, value + 16, 8);
    memcpy(&least, value + 24, 8);
    memcpy(&height, value + 32, 8);
    memcpy(&weight, value + 40, 8);
    memcpy(&units, value + 64, 16);
    CHECK_EQ(amount, units * 3); // sums of the same epochs
    CHECK_EQ(least, view.oldest_epoch * 3);
    CHECK_EQ(height, view.newest_epoch * 7);
    CHECK(weight == (double)view.newest_epoch);
}

static void *read_all(void *context) {
    uint64_t epochs[OWNERS] = {0};

    (void)context;
    while (atomic_load(&owners_done) < OWNERS) {
        for (uint32_t i = 0; i < OWNERS; i++) check_part(i, &epochs[i]);
        check_merged();
    }
    return NULL;
}

TEST(readers_see_each_partition_at_one_epoch_while_owners_write) {
    static const uint32_t partitions[OWNERS] = {0, 1, 2, 3};
    pthread_t owners[OWNERS], readers[READERS];
    uint64_t epochs[OWNERS] = {0};

    open_published(&program, OWNERS);
    atomic_store(&owners_done, 0);
    for (int i = 0; i < READERS; i++)
        CHECK_EQ(pthread_create(&readers[i], NULL, read_all, NULL), 0);
    for (int i = 0; i < OWNERS; i++)
        CHECK_EQ(pthread_create(&owners[i], NULL, own, (void *)(uintptr_t)&partitions[i]), 0);
    for (int i = 0; i < OWNERS; i++) CHECK_EQ(pthread_join(owners[i], NULL), 0);
    for (int i = 0; i < READERS; i++) CHECK_EQ(pthread_join(readers[i], NULL), 0);
    for (uint32_t i = 0; i < OWNERS; i++) {
        check_part(i, &epochs[i]);
        CHECK_EQ(epochs[i], EPOCHS);
    }
}

TEST_MAIN
