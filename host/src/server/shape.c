#include "base/buffer.h"
#include "codec/types.h"
#include "server/config_internal.h"
#include "server/operator.h"
#include "stream/emitter.h"
#include "table/image.h"

#include <stdio.h>
#include <string.h>

#define RESULT_KIND "_op" // the member of a result row that no column may have
enum { KEY_BYTES_DEFAULT = 64, IDENTITY_BYTES_MAX = 16 << 10, COLUMN_TEXT_BYTES = 64 };
enum { STEPS_BYTES_MAX = 1 << 20 };

_Static_assert((int)CST_OPERATOR_NAME_BYTES == (int)CSTI_COLUMN_NAME_BYTES,
               "columns keep their names");
_Static_assert((int)CSTI_FIELD_NAME_BYTES == (int)CSTI_COLUMN_NAME_BYTES,
               "fields take columns' names");

// ---- Columns on their way to the key ------------------------------------------------------------

static cst_code generator_shape(const csti_source_options *source, cst_operator_shape *out,
                                cst_err *err) {
    cst_generator *generator = NULL;
    const cst_code code = cst_generator_open(source->generator, &source->generate, &generator, err);

    if (code != CST_OK) return code;
    out->schema = *cst_generator_schema(generator);
    for (uint32_t i = 0; i < out->schema.columns_count; i++)
        (void)snprintf(out->names[i], sizeof out->names[i], "%s",
                       cst_generator_column(generator, i));
    cst_generator_close(generator);
    return CST_OK;
}

cst_code csti_job_source_shape(const csti_job_config *config, cst_operator_shape *out,
                               cst_err *err) {
    memset(out, 0, sizeof *out);
    if (config->source.kind == CSTI_SOURCE_GENERATOR)
        return generator_shape(&config->source, out, err);
    out->schema = config->source.shape.schema;
    memcpy(out->names, config->source.shape.names, sizeof out->names);
    return CST_OK;
}

uint32_t csti_shape_find(const cst_operator_shape *rows, const char *name, csti_place at,
                         const char *what, csti_problems *problems) {
    const uint32_t count = rows->schema.columns_count;
    csti_hint hint;

    for (uint32_t i = 0; i < count; i++)
        if (strcmp(rows->names[i], name) == 0) return i;
    hint = csti_hint_of(name, rows->names[0], count, sizeof rows->names[0]);
    if (!hint.text[0]) {
        size_t used = (size_t)snprintf(hint.text, sizeof hint.text, ". There are ");

        for (uint32_t i = 0; i < count && used < sizeof hint.text; i++)
            used += (size_t)snprintf(hint.text + used, sizeof hint.text - used, "%s%s",
                                     i > 0 ? ", " : "", rows->names[i]);
    }
    csti_problem_add(problems, at, "%s: there is no column '%s'%s", what, name, hint.text);
    return UINT32_MAX;
}

void csti_shape_project(const csti_job_config *config, const cst_operator_shape *in,
                        csti_problems *problems, cst_operator_shape *out) {
    memset(out, 0, sizeof *out);
    if (config->project_count == 0) *out = *in;
    for (uint32_t i = 0; i < config->project_count; i++) {
        const uint32_t column = csti_shape_find(in, config->project[i], config->project_at,
                                                "[project] columns", problems);
        const uint32_t to = out->schema.columns_count;

        if (column == UINT32_MAX) continue;
        out->schema.columns[to] = in->schema.columns[column];
        memcpy(out->names[to], in->names[column], sizeof out->names[to]);
        out->schema.columns_count++;
    }
}

bool csti_shape_window(const csti_job_config *config, csti_problems *problems,
                       cst_operator_shape *rows) {
    const uint32_t to = rows->schema.columns_count;

    if (config->window.size_us == 0) return true;
    if (to == CST_COLUMNS_MAX) {
        csti_problem_add(problems, config->window_at,
                         "[window] adds a column, and rows have %d already: [project] fewer", to);
        return false;
    }
    rows->schema.columns[to] = (cst_column){.type = CST_TYPE_TIMESTAMP};
    memcpy(rows->names[to], CSTI_WINDOW_START, sizeof CSTI_WINDOW_START);
    rows->schema.columns_count++;
    return true;
}

cst_code csti_job_rows_shape(const csti_job_config *config, cst_operator_shape *out, cst_err *err) {
    csti_problems problems = {.count = 0};
    cst_operator_shape in;
    cst_code code = csti_job_source_shape(config, &in, err);

    if (code != CST_OK) return code;
    csti_shape_project(config, &in, &problems, out);
    if (problems.count > 0) return csti_problems_fail(&problems, config->path, err);
    for (uint32_t i = 0; i < config->operators_count && code == CST_OK; i++) {
        csti_operator *instance = NULL;

        code = csti_operator_open(&config->operators[i], out, &instance, err);
        if (code == CST_OK) *out = *csti_operator_shape_out(instance);
        csti_operator_close(instance);
    }
    if (code != CST_OK || csti_shape_window(config, &problems, out)) return code;
    return csti_problems_fail(&problems, config->path, err);
}

// ---- Key ----------------------------------------------------------------------------------------

// Of a job file what one stage is made of.
typedef struct stage_config {
    const char *prefix; // of its sections
    const csti_key_column_config *keys;
    uint32_t keys_count;
    uint32_t key_bytes_max; // 0: not in the file
    csti_place key_bytes_max_at;
    csti_window window;
    csti_place window_at;
    const csti_aggregate_config *aggregates;
    uint32_t aggregates_count;
    const char *event_time; // "": none
    csti_place event_time_at;
    uint64_t ttl_us;
    csti_place ttl_at;
} stage_config;

typedef struct builder {
    const csti_job_config *config;
    stage_config stage;
    const cst_operator_shape *rows;
    csti_problems *problems;
    csti_job_shape *out;
} builder;

// "[then.key] columns".
static csti_label label_of(const builder *b, const char *opening, const char *rest) {
    csti_label label;

    (void)snprintf(label.text, sizeof label.text, "%s%s%s", opening, b->stage.prefix, rest);
    return label;
}

// Names that a result has for itself, or the rows of a second stage.
static const char *name_owner(const builder *b, const char *name) {
    const bool window = b->stage.window.size_us > 0;

    if (strcmp(name, RESULT_KIND) == 0) return "each result's kind";
    if (window && strcmp(name, CSTI_WINDOW_START) == 0) return "the window";
    if (window && strcmp(name, CSTI_WINDOW_END) == 0) return "the window";
    if (!*b->stage.prefix && b->config->then.at.line > 0 && strcmp(name, CSTI_WINDOW_TIME) == 0)
        return "the rows of [then]";
    return NULL;
}

// A window's start is the last column of the key, and of the rows.
static void window_build(const builder *b) {
    csti_job_shape *out = b->out;
    const uint32_t to = out->key.columns_count;
    const uint32_t column = b->rows->schema.columns_count - 1;

    if (b->stage.window.size_us == 0) return;
    if (to == CST_COLUMNS_MAX) {
        csti_problem_add(b->problems, b->stage.window_at,
                         "[%swindow] adds a column to the key, which has %d already",
                         b->stage.prefix, CST_COLUMNS_MAX);
        return;
    }
    out->key.columns[to] = b->rows->schema.columns[column];
    out->key_columns[to] = column;
    memcpy(out->render.key_names[to], CSTI_WINDOW_START, sizeof CSTI_WINDOW_START);
    out->key.columns_count++;
    out->render.window_us = b->stage.window.size_us;
    out->render.sessions = b->stage.window.sessions;
}

static void key_build(const builder *b) {
    const stage_config *stage = &b->stage;
    csti_job_shape *out = b->out;
    uint32_t longest;

    for (uint32_t i = 0; i < stage->keys_count; i++) {
        const csti_key_column_config *from = &stage->keys[i];
        const uint32_t column = csti_shape_find(b->rows, from->column, from->at,
                                                label_of(b, "[", "key] columns").text, b->problems);
        const uint32_t to = out->key.columns_count;

        if (column == UINT32_MAX) continue;
        if (name_owner(b, from->column))
            csti_problem_add(b->problems, from->at, "[%skey] columns: '%s' is taken by %s: %s",
                             b->stage.prefix, from->column, name_owner(b, from->column),
                             *b->stage.prefix ? "its start is in the key anyway, leave it out"
                                              : "give the column another name");
        out->key.columns[to] = b->rows->schema.columns[column];
        out->key.columns[to].descending = from->descending;
        out->key_columns[to] = column;
        memcpy(out->render.key_names[to], from->column, sizeof from->column);
        out->key.columns_count++;
    }
    window_build(b);
    out->render.key = out->key;
    out->key_bytes = cst_schema_key_bytes(&out->key);
    longest = cst_schema_key_bytes_max(&out->key);
    out->table.key_bytes = out->key_bytes;
    if (out->key_bytes == 0) {
        const uint32_t most = stage->key_bytes_max ? stage->key_bytes_max : KEY_BYTES_DEFAULT;

        out->table.key_bytes = longest < most ? longest : most;
    } else if (stage->key_bytes_max) {
        csti_problem_add(b->problems, stage->key_bytes_max_at,
                         "[%skey] key_bytes_max: this key always has %u bytes: leave it out",
                         b->stage.prefix, out->key_bytes);
    }
    if (out->table.key_bytes > CST_INLINE_KEY_BYTES_MAX && stage->keys_count > 0)
        csti_problem_add(b->problems, stage->keys[0].at,
                         "[%skey] columns: a key of %u bytes, at most %d fit", b->stage.prefix,
                         out->table.key_bytes, CST_INLINE_KEY_BYTES_MAX);
}

// ---- Aggregates ---------------------------------------------------------------------------------

// How an accumulator reads the type; 0: it cannot.
static uint8_t number_of(cst_type type) {
    switch (type) {
    case CST_TYPE_BOOL:
    case CST_TYPE_U8:
    case CST_TYPE_U16:
    case CST_TYPE_U32:
    case CST_TYPE_U64:
        return CST_U64;
    case CST_TYPE_I8:
    case CST_TYPE_I16:
    case CST_TYPE_I32:
    case CST_TYPE_I64:
    case CST_TYPE_DATE:
    case CST_TYPE_TIMESTAMP:
        return CST_I64;
    case CST_TYPE_F32:
    case CST_TYPE_F64:
        return CST_F64;
    case CST_TYPE_DECIMAL128:
        return CST_DECIMAL128;
    default:
        return 0;
    }
}

static const char *op_name(cst_accumulate op) {
    static const char *const names[] = {[CST_COUNT] = "count",
                                        [CST_SUM] = "sum",
                                        [CST_MIN] = "min",
                                        [CST_MAX] = "max",
                                        [CST_LAST] = "last"};

    return names[op];
}

static bool is_moment(const cst_column *column) {
    return column->type == CST_TYPE_DATE || column->type == CST_TYPE_TIMESTAMP;
}

static bool aggregate_fits(const builder *b, const csti_aggregate_config *aggregate,
                           const cst_column *column) {
    if (aggregate->op == CST_COUNT) return true;
    if (number_of(column->type) == 0) {
        csti_problem_add(b->problems, aggregate->at,
                         "[[%saggregate]] %s: there is no %s of '%s', a %s: only count takes it",
                         b->stage.prefix, aggregate->as, op_name(aggregate->op), aggregate->column,
                         csti_type_name(column->type));
        return false;
    }
    if (aggregate->op == CST_SUM && is_moment(column)) {
        csti_problem_add(b->problems, aggregate->at,
                         "[[%saggregate]] %s: '%s' is a %s, which has no sum: count, min, max and "
                         "last take it",
                         b->stage.prefix, aggregate->as, aggregate->column,
                         csti_type_name(column->type));
        return false;
    }
    return true;
}

// The program's number of a column of the rows; columns are handed in once each.
static uint16_t source_of(csti_job_shape *out, uint32_t column) {
    uint32_t i = 0;

    while (i < out->sources_count && out->source_columns[i] != column) i++;
    out->source_columns[i] = column;
    if (i == out->sources_count) out->sources_count++;
    return (uint16_t)i;
}

static bool name_is_taken(const builder *b, uint32_t index) {
    const stage_config *stage = &b->stage;
    const char *name = stage->aggregates[index].as;

    for (uint32_t i = 0; i < index; i++)
        if (strcmp(stage->aggregates[i].as, name) == 0) return true;
    for (uint32_t i = 0; i < stage->keys_count; i++)
        if (strcmp(stage->keys[i].column, name) == 0) return true;
    return name_owner(b, name) != NULL;
}

// *nulls_out: whether the program has to know what it has seen.
static void aggregate_build(const builder *b, uint32_t index, bool *nulls_out) {
    const csti_aggregate_config *from = &b->stage.aggregates[index];
    cst_program *program = &b->out->program;
    const uint32_t to = program->accumulators_count;
    cst_accumulator *accumulator = &program->accumulators[to];
    csti_render_field *field = &b->out->render.fields[to];
    const cst_column *column = NULL;
    uint32_t found = UINT32_MAX;

    if (!from->as[0] || from->op == 0) return; // it has a problem of its own
    if (name_is_taken(b, index))
        csti_problem_add(b->problems, from->at,
                         "[[%saggregate]] as: '%s' is taken by %s: give it another name",
                         b->stage.prefix, from->as,
                         name_owner(b, from->as) ? name_owner(b, from->as)
                                                 : "the key or another aggregate");
    if (!from->column[0] && from->op != CST_COUNT) {
        csti_problem_add(b->problems, from->at, "[[%saggregate]] %s: %s needs a column",
                         b->stage.prefix, from->as, op_name(from->op));
        return;
    }
    if (from->column[0]) {
        found = csti_shape_find(b->rows, from->column, from->at,
                                label_of(b, "[[", "aggregate]] column").text, b->problems);
        if (found == UINT32_MAX) return;
        column = &b->rows->schema.columns[found];
        if (!aggregate_fits(b, from, column)) return;
    }
    if (*b->stage.prefix && from->op == CST_LAST)
        csti_problem_add(
            b->problems, from->at,
            "[[%saggregate]] %s: last is by the order of rows, which closed windows do "
            "not have: use max or min",
            b->stage.prefix, from->as);
    if (b->stage.window.sessions && from->op == CST_LAST)
        csti_problem_add(b->problems, from->at,
                         "[[aggregate]] %s: last is by the order of rows, which two sessions that "
                         "become one do not have: use max or min, or windows of one length",
                         from->as);
    accumulator->op = (uint8_t)from->op;
    accumulator->number = from->op == CST_COUNT ? CST_U64 : number_of(column->type);
    accumulator->value_offset = (uint16_t)program->value_bytes;
    accumulator->source = column ? source_of(b->out, found) : CST_NO_COLUMN;
    memcpy(field->name, from->as, sizeof from->as);
    field->number = accumulator->number;
    field->value_offset = accumulator->value_offset;
    field->accumulator = from->op == CST_COUNT ? CSTI_ALWAYS_PRESENT : (uint8_t)to;
    if (from->op != CST_COUNT) {
        field->scale = column->scale;
        field->nullable = column->nullable;
        if (is_moment(column)) field->moment = (uint8_t)column->type;
        *nulls_out |= column->nullable;
    }
    program->value_bytes += accumulator->number == CST_DECIMAL128 ? 16 : 8;
    program->accumulators_count++;
}

// The highest event time of a key, if an aggregate keeps it already; CST_NO_OFFSET: none does.
static uint16_t time_find(const csti_job_shape *shape) {
    for (uint32_t i = 0; i < shape->program.accumulators_count; i++) {
        const cst_accumulator *accumulator = &shape->program.accumulators[i];

        if (accumulator->op == CST_MAX && accumulator->source != CST_NO_COLUMN &&
            shape->source_columns[accumulator->source] == shape->event_time_column)
            return accumulator->value_offset;
    }
    return CST_NO_OFFSET;
}

// One accumulator more, which no result shows: the highest time of the source. Returns its offset.
static uint16_t time_add(cst_program *program, uint16_t source) {
    const uint16_t offset = (uint16_t)program->value_bytes;

    program->accumulators[program->accumulators_count++] = (cst_accumulator){.op = CST_MAX,
                                                                             .number = CST_I64,
                                                                             .value_offset = offset,
                                                                             .source = source};
    program->value_bytes += sizeof(int64_t);
    return offset;
}

// One accumulator more, which no result shows: when the key's last row was. By the clock its source
// is no column: the partition hands the time in.
static void ttl_build(const builder *b) {
    csti_job_shape *shape = b->out;
    cst_program *program = &shape->program;
    const bool by_clock = !b->stage.event_time[0];

    if (!by_clock && shape->event_time_column == UINT32_MAX) return; // it has a problem of its own
    program->ttl_us = b->stage.ttl_us;
    program->time_offset = by_clock ? CST_NO_OFFSET : time_find(shape);
    if (program->time_offset != CST_NO_OFFSET) return;
    if (program->accumulators_count == CST_ACCUMULATORS_MAX) {
        csti_problem_add(b->problems, b->stage.ttl_at,
                         "[state] ttl needs one of the %d aggregates for the time of a key's last "
                         "row: leave one out%s%s%s",
                         CST_ACCUMULATORS_MAX, by_clock ? "" : ", or let one be the max of '",
                         b->stage.event_time, by_clock ? "" : "'");
        return;
    }
    program->time_offset = time_add(program, by_clock ? (uint16_t)shape->sources_count
                                                      : source_of(shape, shape->event_time_column));
    if (by_clock) shape->clock_source = (uint16_t)shape->sources_count;
}

// The end of a session: the time of its last row, which no result shows as that.
static void session_build(const builder *b) {
    csti_job_shape *shape = b->out;
    cst_program *program = &shape->program;
    uint16_t offset;

    if (shape->event_time_column == UINT32_MAX) return; // it has a problem of its own
    offset = time_find(shape);
    if (offset == CST_NO_OFFSET && program->accumulators_count == CST_ACCUMULATORS_MAX) {
        csti_problem_add(b->problems, b->stage.window_at,
                         "[window] session needs one of the %d aggregates for the time of a "
                         "session's last row: leave one out, or let one be the max of '%s'",
                         CST_ACCUMULATORS_MAX, b->stage.event_time);
        return;
    }
    if (offset == CST_NO_OFFSET)
        offset = time_add(program, source_of(shape, shape->event_time_column));
    shape->render.last_offset = offset;
}

static void program_build(const builder *b) {
    cst_program *program = &b->out->program;
    bool nulls = false;

    for (uint32_t i = 0; i < b->stage.aggregates_count; i++) aggregate_build(b, i, &nulls);
    program->presence_offset = nulls ? (uint16_t)program->value_bytes : CST_NO_OFFSET;
    if (nulls) program->value_bytes += 8;
    b->out->render.presence_offset = program->presence_offset;
    b->out->render.fields_count = program->accumulators_count;
    if (b->stage.ttl_us != CST_TTL_NONE) ttl_build(b);
    if (b->stage.window.sessions) session_build(b);
}

// ---- Table, identity ----------------------------------------------------------------------------

static void table_build(const builder *b) {
    const csti_job_config *config = b->config;
    const stage_config *stage = &b->stage;
    cst_table_options *table = &b->out->table;
    const uint32_t entry =
        csti_entry_bytes(CST_TABLE_INLINE, table->key_bytes, b->out->program.value_bytes);

    table->layout = CST_TABLE_INLINE;
    table->program = b->out->program;
    table->budget_bytes = config->budget_bytes / (config->partitions ? config->partitions : 1) /
                          csti_job_stages_count(config);
    table->numa_node = -1;
    table->background = true;
    if (table->key_bytes <= CST_INLINE_KEY_BYTES_MAX && entry > CST_INLINE_ENTRY_BYTES_MAX)
        csti_problem_add(b->problems, stage->keys_count > 0 ? stage->keys[0].at : (csti_place){0},
                         "a key of up to %u bytes and aggregates of %u take an entry of %u bytes, "
                         "at most %d: fewer aggregates, or a shorter key (key_bytes_max)",
                         table->key_bytes, b->out->program.value_bytes, entry,
                         CST_INLINE_ENTRY_BYTES_MAX);
}

static void event_time_build(const builder *b) {
    const stage_config *stage = &b->stage;
    const cst_column *column = NULL;
    uint32_t found = UINT32_MAX;

    if (stage->event_time[0])
        found = csti_shape_find(b->rows, stage->event_time, stage->event_time_at,
                                "[source] event_time", b->problems);
    b->out->event_time_column = found;
    if (found == UINT32_MAX) return;
    column = &b->rows->schema.columns[found];
    if (column->type != CST_TYPE_TIMESTAMP || column->nullable)
        csti_problem_add(b->problems, stage->event_time_at,
                         "[source] event_time: '%s' is a %s%s, not a timestamp that is never null",
                         stage->event_time, column->nullable ? "nullable " : "",
                         csti_type_name(column->type));
}

static cst_code column_write(const cst_column *column, const char *name, csti_buffer *text,
                             cst_err *err) {
    const cst_schema one = {.columns_count = 1, .columns = {*column}};
    char type[COLUMN_TEXT_BYTES];
    const cst_code code = cst_schema_format(&one, type, sizeof type);

    if (code != CST_OK) return cst_fail(err, code, "column '%s'", name);
    return csti_buffer_format(text, err, "%s %s", name, type);
}

// ", windows of 1h every 1m"
static cst_code windows_write(const builder *b, csti_buffer *text, cst_err *err) {
    const csti_window window = b->stage.window;
    const csti_unit *units = csti_duration_units;
    const size_t count = csti_duration_units_count;

    if (window.size_us == 0) return CST_OK;
    if (window.sessions)
        return csti_buffer_format(text, err, ", sessions that end after %s",
                                  csti_amount_write((uint64_t)window.size_us, units, count).text);
    return csti_buffer_format(text, err, ", windows of %s every %s",
                              csti_amount_write((uint64_t)window.size_us, units, count).text,
                              csti_amount_write((uint64_t)window.hop_us, units, count).text);
}

// "by auction u64: bids = count, highest = max(price u64)": what a key and its value mean.
static cst_code meaning_write(const builder *b, csti_buffer *text, cst_err *err) {
    const csti_job_shape *shape = b->out;
    cst_code code = csti_buffer_format(text, err, "by ");

    for (uint32_t i = 0; i < shape->key.columns_count && code == CST_OK; i++) {
        if (i > 0) code = csti_buffer_format(text, err, ", ");
        if (code == CST_OK)
            code = column_write(&shape->key.columns[i], shape->render.key_names[i], text, err);
    }
    for (uint32_t i = 0; i < shape->render.fields_count && code == CST_OK; i++) {
        const cst_accumulator *accumulator = &shape->program.accumulators[i];

        code = csti_buffer_format(text, err, "%s%s = %s", i > 0 ? ", " : ": ",
                                  shape->render.fields[i].name,
                                  op_name((cst_accumulate)accumulator->op));
        if (code != CST_OK || accumulator->source == CST_NO_COLUMN) continue;
        const uint32_t column = shape->source_columns[accumulator->source];

        code = csti_buffer_format(text, err, "(");
        if (code == CST_OK)
            code =
                column_write(&b->rows->schema.columns[column], b->rows->names[column], text, err);
        if (code == CST_OK) code = csti_buffer_format(text, err, ")");
    }
    if (code == CST_OK) code = windows_write(b, text, err);
    if (code != CST_OK || shape->program.ttl_us == CST_TTL_NONE) return code;
    return csti_buffer_format(text, err, ", kept for %s by %s",
                              csti_amount_write(shape->program.ttl_us, csti_duration_units,
                                                csti_duration_units_count)
                                  .text,
                              b->stage.event_time[0] ? b->stage.event_time : "the clock");
}

// Tables of another meaning are other tables, also where the bytes would fit: a key of other
// columns of the same types, say.
static cst_code table_id_of(const csti_job_identity *identity, const char *verb, uint64_t *out,
                            cst_err *err) {
    csti_buffer text;
    cst_code code;

    csti_buffer_init(&text, 2 * IDENTITY_BYTES_MAX);
    code = csti_buffer_format(&text, err, "%s %s %s", identity->job, verb, identity->value);
    if (code == CST_OK) code = csti_buffer_append(&text, "", 1, err);
    if (code == CST_OK) *out = cst_segment_schema_hash((const char *)text.bytes);
    csti_buffer_release(&text);
    return code;
}

// Of what decides which rows of a split there are at the key, and in which order: counts of them
// hold as long as it stays. Libraries by their names, since folders move.
static cst_code steps_hash_of(const csti_job_config *config, uint64_t *out, cst_err *err) {
    csti_buffer text;
    cst_code code = CST_OK;

    csti_buffer_init(&text, STEPS_BYTES_MAX);
    for (uint32_t i = 0; i < config->filters_count && code == CST_OK; i++) {
        const csti_filter_config *filter = &config->filters[i];

        code = csti_buffer_format(&text, err, "filter %s %d %s\n", filter->column,
                                  (int)filter->compare, filter->value ? filter->value : "");
    }
    for (uint32_t i = 0; i < config->operators_count && code == CST_OK; i++) {
        const csti_operator_config *from = &config->operators[i];
        const char *name = strrchr(from->library, '/');

        code = csti_buffer_format(&text, err, "operator %s %s\n", name ? name + 1 : from->library,
                                  from->options);
    }
    if (code == CST_OK) code = csti_buffer_append(&text, "", 1, err);
    if (code == CST_OK) *out = cst_segment_schema_hash((const char *)text.bytes);
    if (code == CST_OK && *out == 0) *out = 1; // 0 says that there is none
    csti_buffer_release(&text);
    return code;
}

static cst_code identity_build(const builder *b, csti_arena *arena, cst_err *err) {
    csti_job_identity *identity = &b->out->identity;
    char schema[CST_COLUMNS_MAX * COLUMN_TEXT_BYTES];
    csti_buffer text;
    cst_code code = cst_schema_format(&b->out->key, schema, sizeof schema);

    if (code != CST_OK) return cst_fail(err, code, "the key's schema");
    identity->program = b->out->program;
    identity->sink = b->config->sink_text;
    identity->parts_count = 1;
    identity->parts[0] = (cst_segment_part){.layout = CST_TABLE_INLINE,
                                            .key_bytes = b->out->table.key_bytes,
                                            .value_bytes = b->out->program.value_bytes};
    csti_buffer_init(&text, IDENTITY_BYTES_MAX);
    code = meaning_write(b, &text, err);
    if (code == CST_OK) code = csti_buffer_append(&text, "", 1, err);
    if (code == CST_OK)
        code = csti_text_keep(arena, (const char *)text.bytes, &identity->value, err);
    if (code == CST_OK) code = csti_text_keep(arena, schema, &identity->key_schema, err);
    if (code == CST_OK) code = csti_text_keep(arena, b->config->name, &identity->job, err);
    if (code == CST_OK)
        code = table_id_of(identity, *b->stage.prefix ? "then keeps" : "keeps", &identity->table_id,
                           err);
    if (code == CST_OK) code = steps_hash_of(b->config, &identity->steps_hash, err);
    csti_buffer_release(&text);
    return code;
}

static cst_code stage_build(const builder *b, csti_arena *arena, cst_err *err) {
    memset(b->out, 0, sizeof *b->out);
    b->out->clock_source = CST_NO_COLUMN;
    event_time_build(b);
    key_build(b);
    program_build(b);
    table_build(b);
    if (b->problems->count > 0) return CST_OK; // of other sections, too: the job may have no name
    return identity_build(b, arena, err);
}

cst_code csti_shape_build(const csti_job_config *config, const cst_operator_shape *rows,
                          csti_arena *arena, csti_problems *problems, csti_job_shape *out,
                          cst_err *err) {
    const builder b = {.config = config,
                       .stage = {.prefix = "",
                                 .keys = config->keys,
                                 .keys_count = config->keys_count,
                                 .key_bytes_max = config->key_bytes_max,
                                 .key_bytes_max_at = config->key_bytes_max_at,
                                 .window = config->window,
                                 .window_at = config->window_at,
                                 .aggregates = config->aggregates,
                                 .aggregates_count = config->aggregates_count,
                                 .event_time = config->event_time,
                                 .event_time_at = config->event_time_at,
                                 .ttl_us = config->ttl_us,
                                 .ttl_at = config->ttl_at},
                       .rows = rows,
                       .problems = problems,
                       .out = out};

    return stage_build(&b, arena, err);
}

// ---- A second stage -----------------------------------------------------------------------------

// The rows that closed windows give, and the windows that these are of. False: too many columns,
// and a problem says so.
static bool then_rows(const csti_job_config *config, const csti_job_shape *first,
                      csti_problems *problems, cst_operator_shape *out) {
    cst_err why = {.code = CST_OK};
    csti_row_shape rows;
    uint32_t to;

    if (csti_emitter_shape(&first->render, &rows, &why) != CST_OK) {
        csti_problem_add(problems, config->then.at,
                         "[then] takes the key, three times and the aggregates of the first stage "
                         "as columns, and these are %s: fewer of them",
                         why.text);
        return false;
    }
    *out = (cst_operator_shape){.schema = rows.schema};
    memcpy(out->names, rows.names, sizeof out->names);
    if (config->then.window.size_us == 0) return true;
    to = out->schema.columns_count;
    if (to == CST_COLUMNS_MAX) {
        csti_problem_add(problems, config->then.window_at,
                         "[then.window] adds a column, and the first stage's rows have %d already: "
                         "fewer aggregates or columns of its key",
                         CST_COLUMNS_MAX);
        return false;
    }
    out->schema.columns[to] = (cst_column){.type = CST_TYPE_TIMESTAMP};
    memcpy(out->names[to], CSTI_WINDOW_START, sizeof CSTI_WINDOW_START);
    out->schema.columns_count++;
    return true;
}

cst_code csti_shape_build_then(const csti_job_config *config, const csti_job_shape *first,
                               csti_arena *arena, csti_problems *problems, csti_job_shape *out,
                               cst_err *err) {
    const csti_then_config *then = &config->then;
    cst_operator_shape rows;
    const builder b = {.config = config,
                       .stage = {.prefix = "then.",
                                 .keys = then->keys,
                                 .keys_count = then->keys_count,
                                 .key_bytes_max = then->key_bytes_max,
                                 .key_bytes_max_at = then->key_bytes_max_at,
                                 .window = then->window,
                                 .window_at = then->window_at,
                                 .aggregates = then->aggregates,
                                 .aggregates_count = then->aggregates_count,
                                 .event_time = then->window.size_us > 0 ? CSTI_WINDOW_TIME : "",
                                 .event_time_at = then->window_at,
                                 .ttl_us = CST_TTL_NONE},
                       .rows = &rows,
                       .problems = problems,
                       .out = out};

    if (!then_rows(config, first, problems, &rows)) return CST_OK;
    return stage_build(&b, arena, err);
}

cst_code csti_job_then_make(const csti_job_config *config, const csti_job_shape *first,
                            csti_arena *arena, csti_job_shape *out, cst_err *err) {
    csti_problems problems = {.count = 0};
    const cst_code code = csti_shape_build_then(config, first, arena, &problems, out, err);

    if (code == CST_OK && problems.count > 0)
        return csti_problems_fail(&problems, config->path, err);
    return code;
}

cst_code csti_job_shape_make(const csti_job_config *config, const cst_operator_shape *rows,
                             csti_arena *arena, csti_job_shape *out, cst_err *err) {
    csti_problems problems = {.count = 0};
    const cst_code code = csti_shape_build(config, rows, arena, &problems, out, err);

    if (code == CST_OK && problems.count > 0)
        return csti_problems_fail(&problems, config->path, err);
    return code;
}
