// Lines of producers, records of a log and offsets in it, as another implementation made them: read
// by this and every later version. What this one writes has the same bytes.
#define _GNU_SOURCE 1 // nftw
#include "unit/stream/wal_files.h"

#include "base/buffer.h"
#include "stream/push_line.h"
#include "stream/push_record.h"
#include "stream/source.h"

enum {
    SPLITS = 2,
    ROWS_MAX = 64,
    RUNS_MAX = 8,
    LINE_BYTES = 4096,
    RECORD_BYTES_MAX = 1 << 16,
};

#define SEPARATOR " | "

static const csti_row_shape shape = {
    .schema = {.columns_count = 7,
               .columns = {{.type = CST_TYPE_U64},
                           {.type = CST_TYPE_I32, .nullable = true},
                           {.type = CST_TYPE_STRING, .nullable = true},
                           {.type = CST_TYPE_F64},
                           {.type = CST_TYPE_DECIMAL128, .scale = 2},
                           {.type = CST_TYPE_TIMESTAMP},
                           {.type = CST_TYPE_BOOL}}},
    .names = {"key", "mark", "name", "ratio", "price", "at", "ok"},
};

// ---- The file -----------------------------------------------------------------------------------

typedef struct golden {
    FILE *file;
    char line[LINE_BYTES];
    char *fields[5]; // of the line, behind its kind
} golden;

static golden golden_open(void) {
    golden g = {0};

    g.file = fopen(CST_VECTORS_DIR "/push/push.txt", "r");
    CHECK(g.file);
    return g;
}

// The next line of any kind; its name, or NULL at the end, where the file is closed.
static const char *golden_next(golden *g) {
    do {
        if (!fgets(g->line, sizeof g->line, g->file)) {
            CHECK_EQ(fclose(g->file), 0);
            return NULL;
        }
        g->line[strcspn(g->line, "\n")] = '\0';
    } while (g->line[0] == '#');
    char *at = g->line;
    for (size_t i = 0; i < sizeof g->fields / sizeof *g->fields; i++) {
        char *next = at ? strstr(at, SEPARATOR) : NULL;

        if (next) *next = '\0';
        at = g->fields[i] = next ? next + strlen(SEPARATOR) : NULL;
    }
    return g->line;
}

static size_t from_hex(const char *text, uint8_t out[RECORD_BYTES_MAX]) {
    const size_t count = strlen(text) / 2;

    CHECK(count <= RECORD_BYTES_MAX);
    for (size_t i = 0; i < count; i++) {
        unsigned byte = 0;

        CHECK_EQ(sscanf(text + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
    return count;
}

// ---- Lines and records --------------------------------------------------------------------------

// What the lines since the last record become.
typedef struct record_made {
    csti_ndjson_rows json;
    csti_row_columns columns;
    char ids[RUNS_MAX][CSTI_PRODUCER_ID_BYTES_MAX + 1], gone[RUNS_MAX][CSTI_PRODUCER_ID_BYTES_MAX];
    csti_push_run runs[RUNS_MAX];
    csti_push_id forgotten[RUNS_MAX];
    uint32_t rows_count, runs_count, forgotten_count;
} record_made;

static void line_take(record_made *m, const char *id, const char *line) {
    csti_push_run *run = m->runs_count > 0 ? &m->runs[m->runs_count - 1] : NULL;
    char padded[LINE_BYTES + CSTI_TEXT_SLACK_BYTES] = "";
    csti_text text = {.at = padded};
    csti_push_line said;

    (void)snprintf(padded, sizeof padded - CSTI_TEXT_SLACK_BYTES, "%s\n", line);
    text.end = padded + strlen(padded);
    CHECK_OK(csti_push_line_read(&m->json, &text, &m->columns, m->rows_count, &said, NULL));
    CHECK_EQ(said.said, CSTI_PUSH_ROW);
    m->rows_count++;
    if (run && strcmp(m->ids[m->runs_count - 1], id) == 0) {
        if (id[0]) CHECK_EQ(said.seq, run->seq_first + run->rows);
        run->rows++;
        return;
    }
    CHECK(m->runs_count < RUNS_MAX);
    (void)snprintf(m->ids[m->runs_count], sizeof m->ids[0], "%s", id);
    m->runs[m->runs_count] =
        (csti_push_run){{m->ids[m->runs_count], (uint32_t)strlen(id)}, id[0] ? said.seq : 0, 1};
    m->runs_count++;
}

static void forgotten_take(record_made *m, const char *id) {
    const uint32_t bytes = (uint32_t)strlen(id);

    CHECK(m->forgotten_count < RUNS_MAX && bytes <= sizeof m->gone[0]);
    memcpy(m->gone[m->forgotten_count], id, bytes);
    m->forgotten[m->forgotten_count] = (csti_push_id){m->gone[m->forgotten_count], bytes};
    m->forgotten_count++;
}

// Written it is the golden one; read, and written again, too.
static void record_check(record_made *m, const char *hex) {
    static uint8_t bytes[RECORD_BYTES_MAX];
    const size_t count = from_hex(hex, bytes);
    csti_push_record read;
    csti_push_cursor at;
    csti_buffer out;
    cst_batch batch;

    csti_buffer_init(&out, RECORD_BYTES_MAX);
    csti_columns_batch(&m->columns, m->rows_count, &batch);
    CHECK_OK(csti_push_record_write(&batch, m->runs, m->runs_count, m->forgotten,
                                    m->forgotten_count, &out, NULL));
    CHECK_EQ(out.used_bytes, count);
    CHECK_BYTES(out.bytes, bytes, count);
    CHECK_OK(csti_push_record_read(bytes, count, &shape.schema, &read, NULL));
    CHECK_EQ(read.rows_count, m->rows_count);
    at = csti_push_record_begin(&read);
    for (uint32_t r = 0; r < m->runs_count; r++) {
        csti_push_run run;

        CHECK(csti_push_run_next(&read, &at, &run));
        CHECK_EQ(run.seq_first, m->runs[r].seq_first);
        CHECK_EQ(run.rows, m->runs[r].rows);
    }
    batch.columns = read.columns;
    csti_buffer_reset(&out);
    CHECK_OK(csti_push_record_write(&batch, m->runs, m->runs_count, m->forgotten,
                                    m->forgotten_count, &out, NULL));
    CHECK_EQ(out.used_bytes, count);
    CHECK_BYTES(out.bytes, bytes, count);
    csti_buffer_release(&out);
    csti_columns_reset(&m->columns);
    m->rows_count = m->runs_count = m->forgotten_count = 0;
}

TEST(lines_of_producers_become_the_records_of_the_first_version) {
    golden g = golden_open();
    static record_made made;
    uint32_t records = 0;
    const char *kind;

    CHECK_OK(csti_ndjson_rows_open(&made.json, &shape, NULL));
    CHECK_OK(csti_columns_open(&made.columns, &shape.schema, ROWS_MAX, RECORD_BYTES_MAX, NULL));
    while ((kind = golden_next(&g)) != NULL) {
        if (strcmp(kind, "line") == 0) line_take(&made, g.fields[0], g.fields[1]);
        if (strcmp(kind, "forgotten") == 0) forgotten_take(&made, g.fields[0]);
        if (strcmp(kind, "record") == 0) {
            record_check(&made, g.fields[1]);
            records++;
        }
    }
    CHECK_EQ(records, 4);
    csti_ndjson_rows_close(&made.json);
    csti_columns_close(&made.columns);
}

TEST(a_record_of_a_newer_version_is_refused) {
    static uint8_t bytes[RECORD_BYTES_MAX];
    golden g = golden_open();
    csti_push_record read;
    uint32_t records = 0;
    const char *kind;

    while ((kind = golden_next(&g)) != NULL) {
        if (strcmp(kind, "newer") != 0) continue;
        CHECK_CODE(csti_push_record_read(bytes, from_hex(g.fields[0], bytes), &shape.schema, &read,
                                         NULL),
                   CST_WAL_VERSION);
        records++;
    }
    CHECK_EQ(records, 1);
}

// ---- Offsets ------------------------------------------------------------------------------------

typedef struct life {
    const char *split, *offset; // of that split; the others begin
} life;

static const char *offset_of(void *context, const char *split) {
    const life *l = context;

    return strcmp(split, l->split) == 0 && l->offset[0] ? l->offset : NULL;
}

static cst_code place_check(void *context, cst_err *err) {
    (void)context;
    (void)err;
    return CST_OK;
}

// A source over the golden log, that goes on at the offset.
static cst_code source_begin(const wal_folder *folder, life *l, csti_source **out, cst_err *err) {
    const csti_source_options options = {.kind = CSTI_SOURCE_TCP,
                                         .until_end = true,
                                         .shape = shape,
                                         .stripes = SPLITS,
                                         .listen = "127.0.0.1:0",
                                         .wal_folder = folder->path,
                                         .connections_max = 1,
                                         .producers_max = 100,
                                         .line_bytes_max = LINE_BYTES,
                                         .wal_bytes_max = 256 << 20};
    const csti_source_life job = {.job = "golden",
                                  .incarnation = 1,
                                  .tenure = 2,
                                  .checkpoints_kept = 1,
                                  .clock = csti_clock_real(),
                                  .offset_of = offset_of,
                                  .place_check = place_check,
                                  .context = l};

    CHECK_OK(csti_source_open(&options, out, NULL));
    return csti_source_begin(*out, &job, err);
}

TEST(a_source_goes_on_at_offsets_of_the_first_version) {
    golden g = golden_open();
    uint32_t offsets = 0;
    const char *kind;

    while ((kind = golden_next(&g)) != NULL) {
        char name[CSTI_SPLIT_NAME_BYTES];
        wal_folder folder;
        csti_source *source = NULL;
        csti_split *split = NULL;
        cst_err err = {0};
        uint64_t rows = 0;
        bool ended = false;
        cst_batch batch;

        if (strcmp(kind, "offset") != 0) continue;
        (void)snprintf(name, sizeof name, "tcp-%s", g.fields[0]);
        folder = wal_folder_copy("push/log");
        if (source_begin(&folder, &(life){name, g.fields[1]}, &source, &err) != CST_OK)
            TEST_FAIL("%s: %s", g.fields[1], err.text);
        CHECK_OK(csti_split_open(source, name, g.fields[1][0] ? g.fields[1] : NULL, &split, NULL));
        while (!ended) {
            CHECK_OK(csti_split_next(split, 3, &batch, &ended, NULL));
            rows += batch.rows_count;
        }
        CHECK_EQ(rows, strtoull(g.fields[2], NULL, 10));
        CHECK_TEXT(csti_split_offset(split), g.fields[3]);
        csti_split_close(split);
        csti_source_close(source);
        wal_folder_remove(&folder);
        offsets++;
    }
    CHECK_EQ(offsets, 5);
}

TEST(offsets_of_a_later_version_are_refused_before_a_row_is_read) {
    golden g = golden_open();
    uint32_t offsets = 0;
    const char *kind;

    while ((kind = golden_next(&g)) != NULL) {
        wal_folder folder;
        csti_source *source = NULL;
        cst_err err = {0};

        if (strcmp(kind, "foreign") != 0) continue;
        folder = wal_folder_copy("push/log");
        CHECK_CODE(source_begin(&folder, &(life){"tcp-1", g.fields[0]}, &source, &err), CST_PARSE);
        CHECK(strstr(err.text, "source split tcp-1"));
        csti_source_close(source);
        wal_folder_remove(&folder);
        offsets++;
    }
    CHECK_EQ(offsets, 3);
}

TEST_MAIN
