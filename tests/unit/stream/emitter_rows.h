// emitter_rows.h: rows of closed windows made by hand, an emitter, and what comes out of its
// channels.
//
//   first stage   key: auction u32 desc, city nullable string, window_start; windows of 10
//                 aggregates: rows count, least nullable min of a date, total decimal128(2)
//   second stage  key: city, total of the columns that are named; sources: rows, least
#ifndef CST_TEST_EMITTER_ROWS_H
#define CST_TEST_EMITTER_ROWS_H

#include "stream/emitter.h"

#include "test.h"

enum {
    SIZE = 10, // of a window of the first stage, in microseconds
    PARTITIONS = 2,
    BLOCK_ROWS = 8,
    BLOCKS = 2,
    ROWS_MAX = 16,
    VALUE_BYTES = 40,
    COLUMN_WINDOW_TIME = 4,
};

typedef struct fixture {
    csti_metrics *metrics;
    csti_render_plan from;
    csti_reader_key key; // of the second stage
    csti_block_shape shape;
    uint32_t sources[2];
    csti_channel *channels[PARTITIONS];
    _Atomic uint32_t paused;
    csti_clock_sim clock;
    csti_window window;
    csti_emitter *emitter;
} fixture;

static const uint32_t GROUPS_FIRST[PARTITIONS] = {0, 2048};

static inline void plan_fill(csti_render_plan *from) {
    *from = (csti_render_plan){.window_us = SIZE,
                               .presence_offset = 32,
                               .fields_count = 3,
                               .fields = {{.name = "rows",
                                           .number = CST_U64,
                                           .value_offset = 0,
                                           .accumulator = CSTI_ALWAYS_PRESENT},
                                          {.name = "least",
                                           .number = CST_I64,
                                           .value_offset = 8,
                                           .accumulator = 1,
                                           .moment = CST_TYPE_DATE,
                                           .nullable = true},
                                          {.name = "total",
                                           .number = CST_DECIMAL128,
                                           .scale = 2,
                                           .value_offset = 16,
                                           .accumulator = 2}}};
    CHECK_OK(cst_schema_parse("desc u32,nullable string,timestamp", &from->key, NULL));
    strcpy(from->key_names[0], "auction");
    strcpy(from->key_names[1], "city");
    strcpy(from->key_names[2], CSTI_WINDOW_START);
}

// The second stage's key: `columns` of its rows.
static inline void key_fill(fixture *f, const char *schema, const uint32_t *columns,
                            uint32_t columns_count) {
    f->key = (csti_reader_key){.key_bytes_max = 64, .hash_key = {3, 4}};
    CHECK_OK(cst_schema_parse(schema, &f->key.schema, NULL));
    CHECK_EQ(f->key.schema.columns_count, columns_count);
    memcpy(f->key.columns, columns, columns_count * sizeof *columns);
    f->key.key_bytes = cst_schema_key_bytes(&f->key.schema);
}

static inline cst_code emitter_make(fixture *f, cst_err *err) {
    const csti_router_options route = {.partitions_count = PARTITIONS,
                                       .groups_first = GROUPS_FIRST,
                                       .channels = f->channels,
                                       .shape = &f->shape};
    const csti_emitter_options options = {.partition = 7,
                                          .clock = &f->clock.clock,
                                          .from = &f->from,
                                          .window = f->window,
                                          .key = &f->key,
                                          .source_columns = f->sources,
                                          .route = &route,
                                          .rows_max = ROWS_MAX,
                                          .paused = &f->paused,
                                          .metrics = f->metrics};

    return csti_emitter_open(&options, &f->emitter, err);
}

static inline void channels_open(fixture *f) {
    f->shape = (csti_block_shape){.rows_capacity = BLOCK_ROWS,
                                  .key_bytes = f->key.key_bytes,
                                  .key_bytes_max = f->key.key_bytes_max,
                                  .sources_count = 2,
                                  .source_types = {CST_TYPE_U64, CST_TYPE_DATE},
                                  .source_nullable = {false, true}};
    f->sources[0] = 5; // rows
    f->sources[1] = 6; // least
    for (int p = 0; p < PARTITIONS; p++)
        CHECK_OK(csti_channel_open(&f->shape, BLOCKS, -1, &f->channels[p], NULL));
}

// By city.
static inline void fixture_open(fixture *f, csti_window window) {
    static const uint32_t city[] = {1};

    memset(f, 0, sizeof *f);
    f->window = window;
    csti_clock_sim_init(&f->clock, 0);
    CHECK_OK(csti_metrics_open(&f->metrics, NULL));
    plan_fill(&f->from);
    key_fill(f, "nullable string", city, 1);
    channels_open(f);
}

static inline void fixture_close(fixture *f) {
    csti_emitter_close(f->emitter);
    for (int p = 0; p < PARTITIONS; p++) csti_channel_close(f->channels[p]);
    csti_metrics_close(f->metrics);
}

// A row of a closed window; its bytes hold until the next.
static inline cst_row_ref row_of(const fixture *f, uint32_t auction, const char *city,
                                 int64_t start_us, uint64_t rows, const int64_t *least) {
    static uint8_t key[128], value[VALUE_BYTES];
    const cst_value values[3] = {
        {.u128 = auction},
        {.bytes = (const uint8_t *)city,
         .bytes_count = city ? (uint32_t)strlen(city) : 0,
         .is_null = !city},
        {.i128 = start_us},
    };
    const cst_i128 total = (cst_i128)rows * -100;
    const uint64_t presence = least ? 6 : 4;
    uint32_t key_bytes = 0;

    CHECK_OK(cst_key_encode(&f->from.key, values, key, sizeof key, &key_bytes, NULL));
    memset(value, 0, sizeof value);
    memcpy(value, &rows, sizeof rows);
    if (least) memcpy(value + 8, least, sizeof *least);
    memcpy(value + 16, &total, sizeof total);
    memcpy(value + 32, &presence, sizeof presence);
    return (cst_row_ref){.key = key,
                         .key_bytes = key_bytes,
                         .value = value,
                         .value_bytes = sizeof value};
}

#endif
