#include "base/nearest.h"
#include "server/config_internal.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THEN "then"
#define THEN_PREFIX THEN "."
enum { HINT_NAMES_MAX = 128, SECTION_NAME_BYTES = 64 };

// ---- Problems -----------------------------------------------------------------------------------

void csti_problem_add(csti_problems *problems, csti_place at, const char *format, ...) {
    va_list arguments;

    if (problems->count < CSTI_CONFIG_PROBLEMS_MAX) {
        csti_problem *to = &problems->list[problems->count];

        to->at = at;
        va_start(arguments, format);
        (void)vsnprintf(to->text, sizeof to->text, format, arguments);
        va_end(arguments);
    }
    problems->count++;
}

static int problem_order(const void *a, const void *b) {
    const csti_place x = ((const csti_problem *)a)->at;
    const csti_place y = ((const csti_problem *)b)->at;

    if (x.line != y.line) return x.line < y.line ? -1 : 1;
    return x.column < y.column ? -1 : x.column > y.column;
}

static void problems_sort(csti_problems *problems) {
    const uint32_t kept =
        problems->count < CSTI_CONFIG_PROBLEMS_MAX ? problems->count : CSTI_CONFIG_PROBLEMS_MAX;

    // Merge by hand: the order of equal places is the order in which they were found.
    for (uint32_t i = 1; i < kept; i++) {
        const csti_problem item = problems->list[i];
        uint32_t to = i;

        for (; to > 0 && problem_order(&problems->list[to - 1], &item) > 0; to--)
            problems->list[to] = problems->list[to - 1];
        problems->list[to] = item;
    }
}

cst_code csti_problems_fail(const csti_problems *problems, const char *path, cst_err *err) {
    const csti_problem *first = &problems->list[0];

    assert(problems->count > 0);
    if (first->at.line == 0) return cst_fail(err, CST_CONFIG, "%s: %s", path, first->text);
    return cst_fail(err, CST_CONFIG, "%s:%u:%u: %s", path, first->at.line, first->at.column,
                    first->text);
}

csti_hint csti_hint_of(const char *name, const char *names, size_t names_count, size_t stride) {
    const char *pointers[HINT_NAMES_MAX];
    csti_hint hint = {""};
    const char *near;

    assert(names_count <= HINT_NAMES_MAX);
    for (size_t i = 0; i < names_count; i++) pointers[i] = names + i * stride;
    near = csti_nearest(name, pointers, names_count, sizeof *pointers);
    if (near) (void)snprintf(hint.text, sizeof hint.text, ". Did you mean '%s'?", near);
    return hint;
}

// ---- The file -----------------------------------------------------------------------------------

static cst_code file_read(const char *path, csti_arena *arena, const char **text_out,
                          size_t *bytes_out, cst_err *err) {
    FILE *file = fopen(path, "rb");
    void *text = NULL;
    size_t bytes = 0;
    cst_code code;

    if (!file)
        return cst_fail(err, errno == ENOENT ? CST_NOT_FOUND : CST_IO, "%s: %s", path,
                        strerror(errno));
    code = csti_arena_alloc(arena, CSTI_TOML_BYTES_MAX + 1, 1, &text, err);
    if (code == CST_OK) {
        bytes = fread(text, 1, CSTI_TOML_BYTES_MAX + 1, file);
        if (ferror(file)) code = cst_fail(err, CST_IO, "%s: %s", path, strerror(errno));
    }
    if (fclose(file) != 0 && code == CST_OK)
        code = cst_fail(err, CST_IO, "%s: %s", path, strerror(errno));
    *text_out = text;
    *bytes_out = bytes;
    return code;
}

// The folder that the file is in, absolute.
static cst_code folder_of(const char *path, csti_arena *arena, const char **out, cst_err *err) {
    const char *slash = strrchr(path, '/');
    char given[PATH_MAX];
    char absolute[PATH_MAX];
    const size_t bytes = slash ? (size_t)(slash - path) : 0;

    if (bytes >= sizeof given) return cst_fail(err, CST_LIMIT, "%.80s...: the path is long", path);
    memcpy(given, path, bytes);
    given[bytes] = '\0';
    if (!realpath(slash ? (bytes > 0 ? given : "/") : ".", absolute))
        return cst_fail(err, CST_IO, "%s: %s", path, strerror(errno));
    return csti_config_path(arena, "/", absolute, out, err);
}

cst_code csti_text_keep(csti_arena *arena, const char *text, const char **out, cst_err *err) {
    const size_t bytes = strlen(text) + 1;
    void *copy = NULL;
    const cst_code code = csti_arena_alloc(arena, bytes, 1, &copy, err);

    if (code == CST_OK) *out = memcpy(copy, text, bytes);
    return code;
}

cst_code csti_config_path(csti_arena *arena, const char *folder, const char *path, const char **out,
                          cst_err *err) {
    const char *const parts[2] = {path[0] == '/' ? "" : folder, path};
    void *copy = NULL;
    const cst_code code =
        csti_arena_alloc(arena, strlen(parts[0]) + strlen(path) + 3, 1, &copy, err);
    char *text = copy;
    size_t used = 0;

    if (code != CST_OK) return code;
    for (int i = 0; i < 2; i++) {
        for (const char *at = parts[i]; *at;) {
            const size_t bytes = strcspn(at, "/");

            if (bytes == 2 && at[0] == '.' && at[1] == '.') {
                while (used > 0 && text[--used] != '/') continue;
            } else if (bytes > 0 && !(bytes == 1 && at[0] == '.')) {
                text[used++] = '/';
                memcpy(text + used, at, bytes);
                used += bytes;
            }
            at += bytes + (at[bytes] == '/');
        }
    }
    if (used == 0) text[used++] = '/';
    text[used] = '\0';
    *out = text;
    return CST_OK;
}

// ---- Sections -----------------------------------------------------------------------------------

typedef struct section_reader {
    csti_config_reader *reader;
    const csti_config_section *section;
    const csti_toml_node *node; // NULL: it is not in the file
    void *base;
    const csti_toml_node *seen[CSTI_CONFIG_KEYS_MAX]; // whose value it has, whatever its name
    cst_err *err;
} section_reader;

static const char *opening(const csti_config_section *section) {
    return section->list ? "[[" : "[";
}

static const char *closing(const csti_config_section *section) {
    return section->list ? "]]" : "]";
}

// Of the sections in [then], which are called as those of the first stage are.
static bool is_of_then(const char *section) {
    return strncmp(section, THEN_PREFIX, sizeof THEN_PREFIX - 1) == 0;
}

static bool key_is_of(const csti_config_key *key, const csti_config_section *section) {
    return strcmp(key->section, section->name) == 0;
}

static bool has_key(const section_reader *in, const char *name) {
    for (uint32_t i = 0; i < in->node->children_count; i++)
        if (strcmp(in->reader->toml->nodes[in->node->first_child + i].key, name) == 0) return true;
    return false;
}

static cst_code known_read(section_reader *in, size_t index, const csti_toml_node *node) {
    in->seen[index] = node;
    in->reader->places[index] = node->value_at;
    return csti_config_value_read(in->reader, &csti_config_keys[index], node, in->base, in->err);
}

// Says so. One that is near is then read as if it were spelt right: what it says is checked, too,
// and nobody complains that it is missing.
static cst_code unknown_read(section_reader *in, const csti_toml_node *node) {
    csti_problems *problems = &in->reader->config->problems;
    const csti_config_section *section = in->section;
    const csti_config_refusal *refusal = csti_refusal_find(section->name, node->key, NULL);
    const char *names[CSTI_CONFIG_KEYS_MAX];
    size_t names_count = 0;
    const char *other = NULL;
    const char *near;

    if (refusal) {
        csti_problem_add(problems, node->at, "%s%s%s %s: %s", opening(section), section->name,
                         closing(section), node->key, refusal->why);
        return CST_OK;
    }
    for (size_t i = 0; i < csti_config_keys_count; i++) {
        if (key_is_of(&csti_config_keys[i], section))
            names[names_count++] = csti_config_keys[i].name;
        else if (strcmp(csti_config_keys[i].name, node->key) == 0 &&
                 (!other || !is_of_then(csti_config_keys[i].section)))
            other = csti_config_keys[i].section;
    }
    near = other ? NULL : csti_nearest(node->key, names, names_count, sizeof *names);
    csti_problem_add(problems, node->at, "%s%s%s has no key '%.40s'%s%s%s", opening(section),
                     section->name, closing(section), node->key,
                     other  ? ": it belongs to ["
                     : near ? ". Did you mean '"
                            : "",
                     other  ? other
                     : near ? near
                            : "",
                     other  ? "]"
                     : near ? "'?"
                            : "");
    in->reader->harmless_count++;
    for (size_t i = 0; near && i < csti_config_keys_count; i++)
        if (key_is_of(&csti_config_keys[i], section) &&
            strcmp(csti_config_keys[i].name, near) == 0 && !has_key(in, near) && !in->seen[i])
            return known_read(in, i, node);
    return CST_OK;
}

static cst_code key_read(section_reader *in, const csti_toml_node *node) {
    for (size_t i = 0; i < csti_config_keys_count; i++)
        if (key_is_of(&csti_config_keys[i], in->section) &&
            strcmp(csti_config_keys[i].name, node->key) == 0)
            return known_read(in, i, node);
    return unknown_read(in, node);
}

// What the section's `kind` says, "" if nothing sensible. Keys that belong to one kind go by it.
static const char *kind_of(const section_reader *in) {
    for (size_t i = 0; i < csti_config_keys_count; i++) {
        const csti_config_key *key = &csti_config_keys[i];

        if (!key_is_of(key, in->section) || strcmp(key->name, "kind") != 0) continue;
        if (!in->seen[i]) return key->fallback ? key->fallback : "";
        if (in->seen[i]->kind == CSTI_TOML_TEXT &&
            csti_choice_index(key->choices, in->seen[i]->text) >= 0)
            return in->seen[i]->text;
    }
    return "";
}

// "file|tcp" as "\"file\" or \"tcp\"".
static csti_label kinds_text(const char *kinds) {
    csti_label label = {"\""};
    size_t used = 1;

    for (const char *at = kinds; *at && used + 8 < sizeof label.text; at++) {
        if (*at != '|') {
            label.text[used++] = *at;
            continue;
        }
        memcpy(label.text + used, "\" or \"", 6);
        used += 6;
    }
    label.text[used] = '"';
    return label;
}

// Keys of another kind, keys that are missing, defaults.
static cst_code section_finish(section_reader *in) {
    csti_problems *problems = &in->reader->config->problems;
    const csti_place none = {0, 0};
    const csti_place at = in->node ? in->node->at : none;
    const char *kind = kind_of(in);
    cst_code code = CST_OK;

    for (size_t i = 0; i < csti_config_keys_count && code == CST_OK; i++) {
        const csti_config_key *key = &csti_config_keys[i];
        const bool fits = !key->only || csti_choice_index(key->only, kind) >= 0;

        if (!key_is_of(key, in->section)) continue;
        if (in->seen[i] && !fits && *kind) {
            csti_problem_add(problems, in->reader->places[i],
                             "%s belongs to kind = %s, and this one is \"%s\"",
                             csti_key_label(key).text, kinds_text(key->only).text, kind);
            in->reader->harmless_count++;
        } else if (!in->seen[i] && key->required && fits)
            csti_problem_add(problems, at, "%s is missing%s%s%s", csti_key_label(key).text,
                             key->only ? ": kind = \"" : "", key->only ? kind : "",
                             key->only ? "\" needs it" : "");
        else if (!in->seen[i])
            code = csti_config_default(in->reader, key, in->base, in->err);
    }
    return code;
}

// One table: a section, or an element of a list.
static cst_code section_read(csti_config_reader *reader, const csti_config_section *section,
                             const csti_toml_node *node, void *base, cst_err *err) {
    section_reader in = {
        .reader = reader, .section = section, .node = node, .base = base, .err = err};
    cst_code code = CST_OK;

    for (uint32_t i = 0; node && i < node->children_count && code == CST_OK; i++)
        code = key_read(&in, &reader->toml->nodes[node->first_child + i]);
    return code == CST_OK ? section_finish(&in) : code;
}

// Where element `index` of a list lies in the config; its place is noted there.
static void *element_at(csti_job_config *config, const char *section, uint32_t index,
                        csti_place at) {
    if (strcmp(section, "filter") == 0) {
        config->filters[index].at = at;
        config->filters_count = index + 1;
        return &config->filters[index];
    }
    if (strcmp(section, "operator") == 0) {
        config->operators[index].at = at;
        config->operators_count = index + 1;
        return &config->operators[index];
    }
    if (strcmp(section, THEN_PREFIX "aggregate") == 0) {
        config->then.aggregates[index].at = at;
        config->then.aggregates_count = index + 1;
        return &config->then.aggregates[index];
    }
    assert(strcmp(section, "aggregate") == 0);
    config->aggregates[index].at = at;
    config->aggregates_count = index + 1;
    return &config->aggregates[index];
}

static cst_code list_read(csti_config_reader *reader, const csti_config_section *section,
                          const csti_toml_node *node, cst_err *err) {
    csti_problems *problems = &reader->config->problems;
    cst_code code = CST_OK;

    for (uint32_t i = 0; i < node->children_count && code == CST_OK; i++) {
        const csti_toml_node *item = &reader->toml->nodes[node->first_child + i];

        if (item->kind != CSTI_TOML_TABLE) {
            csti_problem_add(problems, item->at, "each [[%s]] is a table", section->name);
        } else if (i == section->count_max) {
            csti_problem_add(problems, item->at, "[[%s]]: there are %u, at most %u", section->name,
                             node->children_count, section->count_max);
            break;
        } else {
            code = section_read(reader, section, item,
                                element_at(reader->config, section->name, i, item->at), err);
        }
    }
    return code;
}

// `name`: with that of the section that it is in.
static void section_unknown(csti_config_reader *reader, const char *name,
                            const csti_toml_node *node) {
    csti_problems *problems = &reader->config->problems;
    const csti_config_refusal *refusal = csti_refusal_find(name, NULL, NULL);
    const char *near = NULL;

    if (refusal) {
        csti_problem_add(problems, node->at, "[%s]: %s", name, refusal->why);
        return;
    }
    if (name == node->key && node->kind != CSTI_TOML_TABLE && node->kind != CSTI_TOML_ARRAY)
        for (size_t i = 0; i < csti_config_keys_count; i++)
            if (strcmp(csti_config_keys[i].name, node->key) == 0) {
                csti_problem_add(problems, node->at,
                                 "'%.40s' stands before all sections. Did you mean it in [%s]?",
                                 node->key, csti_config_keys[i].section);
                return;
            }
    near = csti_nearest(name, csti_config_sections, csti_config_sections_count,
                        sizeof *csti_config_sections);
    csti_problem_add(problems, node->at, "there is no section [%.40s]%s%s%s", name,
                     near ? ". Did you mean [" : "", near ? near : "", near ? "]?" : "");
}

static cst_code section_dispatch(csti_config_reader *reader, const csti_config_section *section,
                                 const csti_toml_node *node, cst_err *err) {
    csti_problems *problems = &reader->config->problems;
    const csti_toml_kind wanted = section->list ? CSTI_TOML_ARRAY : CSTI_TOML_TABLE;
    const uint32_t before = problems->count - reader->harmless_count;
    cst_code code = CST_OK;

    if (node->kind == wanted)
        code = section->list ? list_read(reader, section, node, err)
                             : section_read(reader, section, node, reader->config, err);
    else if (section->list)
        csti_problem_add(problems, node->at, "there may be several: write [[%s]], not [%s]",
                         section->name, section->name);
    else
        csti_problem_add(problems, node->at, "there is one: write [%s], and keys under it",
                         section->name);
    reader->sections_wrong[section - csti_config_sections] =
        problems->count - reader->harmless_count > before;
    return code;
}

static cst_code named_read(csti_config_reader *reader, const char *name, const csti_toml_node *node,
                           bool *found, cst_err *err) {
    size_t s = 0;

    while (s < csti_config_sections_count && strcmp(csti_config_sections[s].name, name) != 0) s++;
    if (s == csti_config_sections_count) {
        section_unknown(reader, name, node);
        return CST_OK;
    }
    found[s] = true;
    return section_dispatch(reader, &csti_config_sections[s], node, err);
}

// A section of sections.
static cst_code then_read(csti_config_reader *reader, const csti_toml_node *then, bool *found,
                          cst_err *err) {
    cst_code code = CST_OK;

    reader->config->then.at = then->at;
    if (then->kind != CSTI_TOML_TABLE)
        csti_problem_add(&reader->config->problems, then->at,
                         "[then] has sections: write [then.key], [then.window], "
                         "[[then.aggregate]]");
    for (uint32_t i = 0;
         then->kind == CSTI_TOML_TABLE && i < then->children_count && code == CST_OK; i++) {
        const csti_toml_node *node = &reader->toml->nodes[then->first_child + i];
        char name[SECTION_NAME_BYTES];

        (void)snprintf(name, sizeof name, THEN_PREFIX "%.40s", node->key);
        code = named_read(reader, name, node, found, err);
    }
    return code;
}

// What of [then] is not there, though it is.
static void then_missing(csti_config_reader *reader, size_t index) {
    const csti_config_section *section = &csti_config_sections[index];
    const csti_then_config *then = &reader->config->then;

    if (then->at.line == 0 || strcmp(section->name, THEN_PREFIX "window") == 0) return;
    reader->sections_wrong[index] = true;
    csti_problem_add(&reader->config->problems, then->at, "[then] needs %s%s%s: %s",
                     opening(section), section->name, closing(section), section->about);
}

static cst_code sections_read(csti_config_reader *reader, cst_err *err) {
    const csti_toml_node *root = &reader->toml->nodes[0];
    bool found[CSTI_CONFIG_SECTIONS_MAX] = {false};
    const csti_place none = {0, 0};
    cst_code code = CST_OK;

    assert(csti_config_sections_count <= CSTI_CONFIG_SECTIONS_MAX);
    for (uint32_t i = 0; i < root->children_count && code == CST_OK; i++) {
        const csti_toml_node *node = &reader->toml->nodes[root->first_child + i];

        code = strcmp(node->key, THEN) == 0 ? then_read(reader, node, found, err)
                                            : named_read(reader, node->key, node, found, err);
    }
    for (size_t s = 0; s < csti_config_sections_count && code == CST_OK; s++) {
        const csti_config_section *section = &csti_config_sections[s];

        if (found[s]) continue;
        reader->sections_wrong[s] = section->required;
        if (section->required)
            csti_problem_add(&reader->config->problems, none, "a job needs %s%s%s: %s",
                             opening(section), section->name, closing(section), section->about);
        else if (is_of_then(section->name))
            then_missing(reader, s);
        else if (!section->list && strcmp(section->name, "project") != 0)
            code = section_read(reader, section, NULL, reader->config, err);
    }
    return code;
}

// ---- The whole ----------------------------------------------------------------------------------

static cst_code text_read(csti_config_reader *reader, csti_toml *toml, cst_err *err) {
    csti_job_config *config = reader->config;
    const char *text = NULL;
    size_t bytes = 0;
    csti_place place = {0, 0};
    cst_err why = {.code = CST_OK};
    cst_code code = file_read(config->path, &config->arena, &text, &bytes, err);

    if (code == CST_OK) code = folder_of(config->path, &config->arena, &reader->folder, err);
    config->folder = reader->folder;
    if (code != CST_OK) return code;
    code = csti_toml_parse(text, bytes, &config->arena, toml, &place, &why);
    if (code == CST_NO_MEMORY) return cst_fail(err, code, "%s", why.text);
    if (code != CST_OK) csti_problem_add(&config->problems, place, "%s", why.text);
    reader->toml = toml;
    return CST_OK;
}

cst_code csti_config_read(const char *path, const csti_config_overrides *overrides,
                          csti_job_config *out, cst_err *err) {
    csti_config_reader reader = {.config = out};
    csti_toml toml = {NULL, 0};
    cst_code code;

    *out = (csti_job_config){.source.generate.skew = -1};
    csti_arena_init(&out->arena, CSTI_CONFIG_TEXT_BYTES_MAX);
    code = csti_text_keep(&out->arena, path, &out->path, err);
    if (code != CST_OK) return code;
    code = text_read(&reader, &toml, err);
    if (code == CST_OK && out->problems.count == 0) {
        code = sections_read(&reader, err);
        if (code == CST_OK) code = csti_config_complete(&reader, overrides, err);
    }
    if (code != CST_OK || out->problems.count == 0) return code;
    problems_sort(&out->problems);
    return csti_problems_fail(&out->problems, path, err);
}

void csti_config_close(csti_job_config *config) {
    csti_arena_release(&config->arena);
}
