#include "base/nearest.h"
#include "server/config_internal.h"
#include "stream/value_text.h"

#include <constellation/keys.h>

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHOICES_MAX = 8, CHOICES_BYTES_MAX = 64, UNIT_BYTES_MAX = 16, UNITS_MAX = 8 };

static const csti_unit row_units[] = {{"row", 1}, {"rows", 1}};

typedef struct value_reader {
    csti_config_reader *reader;
    const csti_config_key *key;
    const csti_toml_node *node;
    void *to;
    csti_problems *problems;
    cst_err *err;
} value_reader;

static const char *node_text(const csti_toml_node *node) {
    switch (node->kind) {
    case CSTI_TOML_TABLE:
        return "a table";
    case CSTI_TOML_ARRAY:
        return "a list";
    case CSTI_TOML_TEXT:
        return "text";
    case CSTI_TOML_INTEGER:
        return "a whole number";
    case CSTI_TOML_REAL:
        return "a number with a point";
    case CSTI_TOML_FLAG:
        return "true or false";
    case CSTI_TOML_TIME:
        return "a date or time without quotes";
    }
    return "";
}

csti_label csti_key_label(const csti_config_key *key) {
    csti_label label;
    bool list = false;

    for (size_t i = 0; i < csti_config_sections_count; i++)
        if (strcmp(csti_config_sections[i].name, key->section) == 0)
            list = csti_config_sections[i].list;
    (void)snprintf(label.text, sizeof label.text, "%s%s%s %s", list ? "[[" : "[", key->section,
                   list ? "]]" : "]", key->name);
    return label;
}

__attribute__((format(printf, 2, 3))) static cst_code problem(const value_reader *value,
                                                              const char *format, ...) {
    char text[sizeof value->problems->list[0].text];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    csti_problem_add(value->problems, value->node->value_at, "%s %s",
                     csti_key_label(value->key).text, text);
    return CST_OK;
}

// ---- Numbers with units -------------------------------------------------------------------------

// Digits, grouped with _ as in 5_000_000; *rest_out is behind them.
static bool digits_read(const char *text, uint64_t *out, const char **rest_out) {
    uint64_t number = 0;
    const char *at = text;

    if (!isdigit((unsigned char)*at)) return false;
    for (; isdigit((unsigned char)*at) || (*at == '_' && isdigit((unsigned char)at[1])); at++) {
        if (*at == '_') continue;
        if (__builtin_mul_overflow(number, UINT64_C(10), &number)) return false;
        if (__builtin_add_overflow(number, (uint64_t)(*at - '0'), &number)) return false;
    }
    *out = number;
    *rest_out = at;
    return true;
}

static bool quantity_read(const char *text, const csti_unit *units, size_t units_count,
                          uint64_t *out) {
    const char *name = NULL;
    uint64_t number = 0;

    if (!digits_read(text, &number, &name)) return false;
    while (*name == ' ') name++;
    for (size_t i = 0; i < units_count; i++)
        if (strcmp(name, units[i].name) == 0)
            return !__builtin_mul_overflow(number, units[i].factor, out);
    return false;
}

// The same with a unit that exists: ". Did you mean "4GiB"?"; "" if none is near.
static csti_hint quantity_hint(const char *text, const csti_unit *units, size_t units_count) {
    const char *names[UNITS_MAX];
    csti_hint out = {""};
    const char *name = NULL;
    const char *near = NULL;
    uint64_t number = 0;

    assert(units_count <= UNITS_MAX);
    if (!digits_read(text, &number, &name)) return out;
    while (*name == ' ') name++;
    // Largest first: of equally near ones, people mean that more often ("GB", "min").
    for (size_t i = 0; i < units_count; i++) names[i] = units[units_count - 1 - i].name;
    if (strlen(name) < UNIT_BYTES_MAX) near = csti_nearest(name, names, units_count, sizeof *names);
    if (near)
        (void)snprintf(out.text, sizeof out.text, ". Did you mean \"%llu%s%s\"?",
                       (unsigned long long)number, units == row_units ? " " : "", near);
    return out;
}

// What the number would read as with the unit most used.
static cst_code wrong_kind(const value_reader *value) {
    const csti_toml_node *node = value->node;
    const csti_key_kind kind = value->key->kind;
    const char *near = NULL;
    uint64_t number = 0;
    char hint[80] = "";

    if (node->kind == CSTI_TOML_INTEGER && (kind == CSTI_KEY_DURATION || kind == CSTI_KEY_EVERY))
        (void)snprintf(hint, sizeof hint, ". Did you mean \"%llds\"?", (long long)node->integer);
    else if (node->kind == CSTI_TOML_INTEGER && kind == CSTI_KEY_SIZE)
        (void)snprintf(hint, sizeof hint, ". Did you mean \"%lldGiB\"?", (long long)node->integer);
    else if (node->kind == CSTI_TOML_TEXT &&
             (kind == CSTI_KEY_COUNT32 || kind == CSTI_KEY_COUNT64) &&
             digits_read(node->text, &number, &near) && !*near)
        (void)snprintf(hint, sizeof hint, ". Did you mean %llu, without quotes?",
                       (unsigned long long)number);
    else if (node->kind == CSTI_TOML_TEXT && kind == CSTI_KEY_FLAG &&
             csti_choice_index("true|false", node->text) >= 0)
        (void)snprintf(hint, sizeof hint, ". Did you mean %s, without quotes?", node->text);
    else if (node->kind == CSTI_TOML_TEXT && (kind == CSTI_KEY_NAMES || kind == CSTI_KEY_KEYS))
        (void)snprintf(hint, sizeof hint, ". Did you mean [\"%.48s\"]?", node->text);
    return problem(value, "takes %s, not %s%s", csti_key_kind_text(kind), node_text(node), hint);
}

static cst_code size_read(const value_reader *value, const csti_unit *units, size_t units_count,
                          const char *units_text) {
    const csti_config_key *key = value->key;
    uint64_t number = 0;

    if (value->node->kind != CSTI_TOML_TEXT) return wrong_kind(value);
    if (!quantity_read(value->node->text, units, units_count, &number)) {
        return problem(value, "'%.40s' is no number of %s%s", value->node->text, units_text,
                       quantity_hint(value->node->text, units, units_count).text);
    }
    if (number < key->min || number > key->max)
        return problem(value, "is %s to %s, not %.40s",
                       csti_amount_write(key->min, units, units_count).text,
                       csti_amount_write(key->max, units, units_count).text, value->node->text);
    memcpy(value->to, &number, sizeof number);
    return CST_OK;
}

static cst_code count_read(const value_reader *value) {
    const csti_config_key *key = value->key;
    const int64_t number = value->node->integer;
    const uint64_t wide = (uint64_t)number;
    const uint32_t narrow = (uint32_t)number;

    if (value->node->kind != CSTI_TOML_INTEGER) return wrong_kind(value);
    if (number < 0 || wide < key->min || wide > key->max)
        return problem(value, "is %llu to %llu, not %lld", (unsigned long long)key->min,
                       (unsigned long long)key->max, (long long)number);
    if (key->kind == CSTI_KEY_COUNT64)
        memcpy(value->to, &wide, sizeof wide);
    else
        memcpy(value->to, &narrow, sizeof narrow);
    return CST_OK;
}

static cst_code real_read(const value_reader *value) {
    double number = value->node->real;

    if (value->node->kind == CSTI_TOML_INTEGER)
        number = (double)value->node->integer;
    else if (value->node->kind != CSTI_TOML_REAL)
        return wrong_kind(value);
    if (!(number >= (double)value->key->min && number <= (double)value->key->max))
        return problem(value, "is %llu to %llu, not %g", (unsigned long long)value->key->min,
                       (unsigned long long)value->key->max, number);
    memcpy(value->to, &number, sizeof number);
    return CST_OK;
}

static cst_code every_read(const value_reader *value) {
    csti_job_config *config = value->reader->config;
    const char *text = value->node->text;
    uint64_t number = 0;

    if (value->node->kind != CSTI_TOML_TEXT) return wrong_kind(value);
    if (quantity_read(text, row_units, sizeof row_units / sizeof *row_units, &number)) {
        if (number < 1 || number > INT64_MAX)
            return problem(value, "is at least 1 row, not %.40s", text);
        config->every_kind = CSTI_EVERY_ROWS;
        config->every = number;
        return CST_OK;
    }
    if (strcmp(text, "auto") == 0) {
        config->every_kind = CSTI_EVERY_AUTO;
        config->every = 0;
        return CST_OK;
    }
    config->every_kind = CSTI_EVERY_TIME;
    if (!strchr(text, 'r'))
        return size_read(value, csti_duration_units, csti_duration_units_count,
                         "us, ms, s, m, h, d or rows, nor \"auto\"");
    return problem(value, "'%.40s' is no number of us, ms, s, m, h, d or rows, nor \"auto\"%s",
                   text, quantity_hint(text, row_units, sizeof row_units / sizeof *row_units).text);
}

static cst_code fold_read(const value_reader *value) {
    const uint32_t automatic = 0;

    if (value->node->kind == CSTI_TOML_INTEGER) return count_read(value);
    if (value->node->kind != CSTI_TOML_TEXT || strcmp(value->node->text, "auto") != 0)
        return wrong_kind(value);
    memcpy(value->to, &automatic, sizeof automatic);
    return CST_OK;
}

static cst_code hopping_read(const value_reader *value) {
    const csti_toml_node *list = value->node;

    if (list->kind != CSTI_TOML_ARRAY) return wrong_kind(value);
    if (list->children_count != 2)
        return problem(value, "has %u durations, not a length and a hop", list->children_count);
    for (uint32_t i = 0; i < 2; i++) {
        value_reader item = *value;
        cst_code code;

        item.node = &value->reader->toml->nodes[list->first_child + i];
        item.to = (uint64_t *)value->to + i;
        code = size_read(&item, csti_duration_units, csti_duration_units_count,
                         "us, ms, s, m, h or d");
        if (code != CST_OK) return code;
    }
    return CST_OK;
}

static cst_code sync_read(const value_reader *value) {
    const uint64_t always = 0;

    if (value->node->kind != CSTI_TOML_TEXT) return wrong_kind(value);
    if (strcmp(value->node->text, "always") != 0)
        return size_read(value, csti_duration_units, csti_duration_units_count,
                         "us, ms, s, m, h or d");
    memcpy(value->to, &always, sizeof always);
    return CST_OK;
}

// ---- Texts --------------------------------------------------------------------------------------

int csti_choice_index(const char *choices, const char *text) {
    const size_t bytes = strlen(text);
    int index = 0;

    for (const char *at = choices; *at; index++) {
        const size_t choice_bytes = strcspn(at, "|");

        if (choice_bytes == bytes && memcmp(at, text, bytes) == 0) return index;
        at += choice_bytes + (at[choice_bytes] == '|');
    }
    return -1;
}

const csti_config_refusal *csti_refusal_find(const char *section, const char *key,
                                             const char *value) {
    for (size_t i = 0; i < csti_config_refusals_count; i++) {
        const csti_config_refusal *refusal = &csti_config_refusals[i];
        const size_t bytes = refusal->value ? strlen(refusal->value) : 0;

        if (strcmp(refusal->section, section) != 0) continue;
        if (!key || !refusal->key) {
            if (key == refusal->key) return refusal;
            continue;
        }
        if (strcmp(refusal->key, key) != 0) continue;
        if (!value || !refusal->value) {
            if (value == refusal->value) return refusal;
            continue;
        }
        if (refusal->value[bytes - 1] == ':' ? strncmp(value, refusal->value, bytes) == 0
                                             : strcmp(value, refusal->value) == 0)
            return refusal;
    }
    return NULL;
}

// "csv, ndjson" of "csv|ndjson".
static csti_hint choices_write(const char *choices) {
    csti_hint out = {""};
    size_t used = 0;

    for (const char *at = choices; *at && used + 2 < sizeof out.text; at++) {
        out.text[used++] = *at == '|' ? ',' : *at;
        if (*at == '|') out.text[used++] = ' ';
    }
    out.text[used] = '\0';
    return out;
}

static cst_code choice_read(const value_reader *value) {
    const csti_config_key *key = value->key;
    char names[CHOICES_MAX][CHOICES_BYTES_MAX] = {{0}};
    size_t count = 0;
    int number;

    if (value->node->kind != CSTI_TOML_TEXT)
        return problem(value, "takes one of %s, in quotes, not %s",
                       choices_write(key->choices).text, node_text(value->node));
    number = csti_choice_index(key->choices, value->node->text);
    if (number >= 0) {
        number += (int)key->min;
        memcpy(value->to, &number, sizeof number);
        return CST_OK;
    }
    for (const char *at = key->choices; *at && count < CHOICES_MAX; count++) {
        const size_t bytes = strcspn(at, "|");

        memcpy(names[count], at, bytes < CHOICES_BYTES_MAX ? bytes : CHOICES_BYTES_MAX - 1);
        at += bytes + (at[bytes] == '|');
    }
    return problem(value, "'%.40s' is none of %s%s", value->node->text,
                   choices_write(key->choices).text,
                   csti_hint_of(value->node->text, names[0], count, sizeof names[0]).text);
}

static cst_code text_read(const value_reader *value) {
    const csti_config_key *key = value->key;
    csti_arena *arena = &value->reader->config->arena;
    const char *text = value->node->text;
    const char *copy = NULL;
    cst_code code;

    if (value->node->kind != CSTI_TOML_TEXT) return wrong_kind(value);
    if (strlen(text) < key->min) return problem(value, "is empty");
    if (key->kind == CSTI_KEY_TEXT && strlen(text) > key->max)
        return problem(value, "is longer than %llu bytes", (unsigned long long)key->max);
    if (key->kind == CSTI_KEY_PATH)
        code = csti_config_path(arena, value->reader->folder, text, &copy, value->err);
    else
        code = csti_text_keep(arena, text, &copy, value->err);
    if (code == CST_OK) memcpy(value->to, &copy, sizeof copy);
    return code;
}

static cst_code flag_read(const value_reader *value) {
    if (value->node->kind != CSTI_TOML_FLAG) return wrong_kind(value);
    memcpy(value->to, &value->node->flag, sizeof value->node->flag);
    return CST_OK;
}

static cst_code scalar_read(const value_reader *value) {
    static const cst_column real = {.type = CST_TYPE_F64};
    csti_arena *arena = &value->reader->config->arena;
    char text[CSTI_VALUE_TEXT_BYTES_MAX + 1] = "";
    const char *copy = NULL;
    const cst_value number = {.f64 = value->node->real};
    size_t bytes = 0;
    cst_code code = CST_OK;

    switch (value->node->kind) {
    case CSTI_TOML_TEXT:
        code = csti_text_keep(arena, value->node->text, &copy, value->err);
        break;
    case CSTI_TOML_INTEGER:
        (void)snprintf(text, sizeof text, "%lld", (long long)value->node->integer);
        code = csti_text_keep(arena, text, &copy, value->err);
        break;
    case CSTI_TOML_FLAG:
        code = csti_text_keep(arena, value->node->flag ? "true" : "false", &copy, value->err);
        break;
    case CSTI_TOML_REAL:
        code = csti_value_write(&real, &number, text, sizeof text - 1, &bytes);
        if (code == CST_OK) code = csti_text_keep(arena, text, &copy, value->err);
        break;
    default:
        return wrong_kind(value);
    }
    if (code == CST_OK) memcpy(value->to, &copy, sizeof copy);
    return code;
}

// ---- Columns ------------------------------------------------------------------------------------

// Letters, digits, '_', '-', '.', and whatever is beyond ASCII: a name needs no quotes anywhere.
static bool name_is_good(const char *name, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        const unsigned char byte = (unsigned char)name[i];

        if (byte < 0x80 && !isalnum(byte) && byte != '_' && byte != '-' && byte != '.')
            return false;
    }
    return bytes > 0;
}

static bool name_read(const value_reader *value, const char *text, size_t bytes, char *out) {
    if (!name_is_good(text, bytes)) {
        (void)problem(value, "'%.*s' is no name: letters, digits, '_', '-' and '.' make one",
                      (int)(bytes < 40 ? bytes : 40), text);
        return false;
    }
    if (bytes >= CSTI_COLUMN_NAME_BYTES) {
        (void)problem(value, "'%.40s...' is longer than %d bytes", text,
                      CSTI_COLUMN_NAME_BYTES - 1);
        return false;
    }
    memcpy(out, text, bytes);
    out[bytes] = '\0';
    return true;
}

static bool name_is_taken(const char *name, const char *names, size_t count, size_t stride) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, names + i * stride) == 0) return true;
    return false;
}

// "price u64", "at nullable timestamp".
static void declared_read(const value_reader *value, csti_row_shape *shape) {
    const char *text = value->node->text;
    const size_t name_bytes = strcspn(text, " ");
    const uint32_t index = shape->schema.columns_count;
    cst_err err = {.code = CST_OK};
    cst_schema one = {0};
    const char *why = err.text;

    if (!name_read(value, text, name_bytes, shape->names[index])) return;
    if (cst_schema_parse(text + name_bytes, &one, &err) != CST_OK) {
        if (strncmp(why, "schema failed: column 0: ", 25) == 0) why += 25;
        (void)problem(value, "'%.40s': %s", text, why);
    } else if (one.columns_count != 1) {
        (void)problem(value, "'%.40s' is more than one column: write each in quotes of its own",
                      text);
    } else if (one.columns[0].descending || one.columns[0].nulls_last) {
        (void)problem(value, "'%.40s': rows have no order: give it in [key]", text);
    } else if (name_is_taken(shape->names[index], shape->names[0], index, sizeof *shape->names)) {
        (void)problem(value, "'%s' is there twice", shape->names[index]);
    } else {
        shape->schema.columns[shape->schema.columns_count++] = one.columns[0];
    }
}

static void projected_read(const value_reader *value, csti_job_config *config) {
    const char *text = value->node->text;
    char *name = config->project[config->project_count];

    if (!name_read(value, text, strlen(text), name)) return;
    if (name_is_taken(name, config->project[0], config->project_count, sizeof *config->project))
        (void)problem(value, "'%s' is there twice", name);
    else
        config->project_count++;
}

// "auction", "price desc".
static void key_column_read(const value_reader *value, csti_job_config *config) {
    static const char *const orders[] = {"desc", "asc"};
    const char *text = value->node->text;
    const size_t bytes = strcspn(text, " ");
    const char *order = text + bytes + strspn(text + bytes, " ");
    csti_key_column_config *keys = value->to; // of the first stage, or of the second
    uint32_t *count = keys == config->keys ? &config->keys_count : &config->then.keys_count;
    csti_key_column_config *column = &keys[*count];

    *column = (csti_key_column_config){.at = value->node->value_at};
    if (!name_read(value, text, bytes, column->column)) return;
    column->descending = strcmp(order, "desc") == 0;
    if (*order && !column->descending && strcmp(order, "asc") != 0) {
        const char *near = strlen(order) < CSTI_COLUMN_NAME_BYTES
                               ? csti_nearest(order, orders, 2, sizeof *orders)
                               : NULL;

        (void)problem(value, "'%.40s': a name stands alone, or before desc or asc%s%s%s", text,
                      near ? ". Did you mean '" : "", near ? near : "", near ? "'?" : "");
        return;
    }
    if (name_is_taken(column->column, keys[0].column, *count, sizeof *column))
        (void)problem(value, "'%s' is there twice", column->column);
    else
        (*count)++;
}

static cst_code list_read(const value_reader *list) {
    const csti_toml_node *node = list->node;

    if (node->kind != CSTI_TOML_ARRAY) return wrong_kind(list);
    if (node->children_count == 0) return problem(list, "is empty");
    if (node->children_count > list->key->max)
        return problem(list, "has %u columns, at most %llu", node->children_count,
                       (unsigned long long)list->key->max);
    for (uint32_t i = 0; i < node->children_count; i++) {
        value_reader item = *list;

        item.node = &list->reader->toml->nodes[node->first_child + i];
        if (item.node->kind != CSTI_TOML_TEXT)
            (void)problem(&item, "takes %s: here is %s in it", csti_key_kind_text(list->key->kind),
                          node_text(item.node));
        else if (list->key->kind == CSTI_KEY_DECLARED)
            declared_read(&item, list->to);
        else if (list->key->kind == CSTI_KEY_NAMES)
            projected_read(&item, list->reader->config);
        else
            key_column_read(&item, list->reader->config);
    }
    return CST_OK;
}

// ---- One value ----------------------------------------------------------------------------------

static cst_code value_read(const value_reader *value) {
    switch (value->key->kind) {
    case CSTI_KEY_TEXT:
    case CSTI_KEY_PATH:
    case CSTI_KEY_URI:
        return text_read(value);
    case CSTI_KEY_NAME:
        if (value->node->kind != CSTI_TOML_TEXT) return wrong_kind(value);
        (void)name_read(value, value->node->text, strlen(value->node->text), value->to);
        return CST_OK;
    case CSTI_KEY_FLAG:
        return flag_read(value);
    case CSTI_KEY_COUNT32:
    case CSTI_KEY_COUNT64:
        return count_read(value);
    case CSTI_KEY_REAL:
        return real_read(value);
    case CSTI_KEY_SIZE:
        return size_read(value, csti_size_units, csti_size_units_count, "B, KiB, MiB, GiB or TiB");
    case CSTI_KEY_DURATION:
        return size_read(value, csti_duration_units, csti_duration_units_count,
                         "us, ms, s, m, h or d");
    case CSTI_KEY_CHOICE:
        return choice_read(value);
    case CSTI_KEY_SCALAR:
        return scalar_read(value);
    case CSTI_KEY_DECLARED:
    case CSTI_KEY_NAMES:
    case CSTI_KEY_KEYS:
        return list_read(value);
    case CSTI_KEY_HOPPING:
        return hopping_read(value);
    case CSTI_KEY_EVERY:
        return every_read(value);
    case CSTI_KEY_FOLD:
        return fold_read(value);
    case CSTI_KEY_SYNC:
        return sync_read(value);
    }
    return cst_fail(value->err, CST_INTERNAL, "key kind %d", (int)value->key->kind);
}

cst_code csti_config_value_read(csti_config_reader *reader, const csti_config_key *key,
                                const csti_toml_node *node, void *base, cst_err *err) {
    const char *text = node->kind == CSTI_TOML_TEXT ? node->text : NULL;
    const csti_config_refusal *refusal = csti_refusal_find(key->section, key->name, text);
    const value_reader value = {
        reader, key, node, (char *)base + key->offset, &reader->config->problems, err};

    if (refusal && text) return problem(&value, "'%.40s': %s", text, refusal->why);
    return value_read(&value);
}

cst_code csti_config_default(csti_config_reader *reader, const csti_config_key *key, void *base,
                             cst_err *err) {
    csti_toml_node node = {.key = key->name, .kind = CSTI_TOML_TEXT, .text = key->fallback};

    if (!key->fallback) return CST_OK;
    if (key->kind == CSTI_KEY_COUNT32 || key->kind == CSTI_KEY_COUNT64) {
        node.kind = CSTI_TOML_INTEGER;
        node.integer = strtoll(key->fallback, NULL, 10);
    } else if (key->kind == CSTI_KEY_FLAG) {
        node.kind = CSTI_TOML_FLAG;
        node.flag = strcmp(key->fallback, "true") == 0;
    }
    return csti_config_value_read(reader, key, &node, base, err);
}
