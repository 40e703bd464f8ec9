// config_internal.h: what the files that read a job share.
//
//   config.c          the file, its sections and keys
//   config_values.c   one key's value
//   config_checks.c   what no key shows alone: columns, places, contradictions
//   shape.c           key, program and table, from config and columns
//
// Thread     one.
// Ring       2.
#ifndef CST_SERVER_CONFIG_INTERNAL_H
#define CST_SERVER_CONFIG_INTERNAL_H

#include "server/config.h"
#include "server/config_keys.h"

enum { CSTI_CONFIG_TEXT_BYTES_MAX = 8 << 20, CSTI_CONFIG_SECTIONS_MAX = 16 };

typedef struct csti_config_reader {
    csti_job_config *config;
    const csti_toml *toml;
    const char *folder;                      // the job file's, absolute
    csti_place places[CSTI_CONFIG_KEYS_MAX]; // of each key's value; line 0: not in the file
    uint32_t harmless_count; // problems that leave the rest of their section to go by
    bool sections_wrong[CSTI_CONFIG_SECTIONS_MAX]; // they have problems that do not
} csti_config_reader;

// Adds one; those behind CSTI_CONFIG_PROBLEMS_MAX are only counted.
void csti_problem_add(csti_problems *problems, csti_place at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// CST_CONFIG with the first of them and its place in the file.
CST_CHECK_RESULT cst_code csti_problems_fail(const csti_problems *problems, const char *path,
                                             cst_err *err);

// "Did you mean 'x'?" behind `names_count` names that stand `stride` bytes apart as arrays of char;
// "" if none is near.
typedef struct csti_hint {
    char text[96];
} csti_hint;
csti_hint csti_hint_of(const char *name, const char *names, size_t names_count, size_t stride);

// A copy of the text in the arena.
CST_CHECK_RESULT cst_code csti_text_keep(csti_arena *arena, const char *text, const char **out,
                                         cst_err *err);

// ---- config_values.c ----------------------------------------------------------------------------

// Reads a value into base + key->offset. What is wrong with it becomes a problem; CST_NO_MEMORY.
CST_CHECK_RESULT cst_code csti_config_value_read(csti_config_reader *reader,
                                                 const csti_config_key *key,
                                                 const csti_toml_node *node, void *base,
                                                 cst_err *err);
// The key's default.
CST_CHECK_RESULT cst_code csti_config_default(csti_config_reader *reader,
                                              const csti_config_key *key, void *base, cst_err *err);
// Which of "a|b|c" the text is; -1: none.
int csti_choice_index(const char *choices, const char *text);
// The refusal that holds for it; NULL: none. `key` and `value` may be NULL.
const csti_config_refusal *csti_refusal_find(const char *section, const char *key,
                                             const char *value);
// "[source] rows", "[[filter]] op".
typedef struct csti_label {
    char text[64];
} csti_label;
csti_label csti_key_label(const csti_config_key *key);
// An absolute path without ".", ".." and "//", in the arena; relative ones stand in `folder`.
CST_CHECK_RESULT cst_code csti_config_path(csti_arena *arena, const char *folder, const char *path,
                                           const char **out, cst_err *err);

// ---- config_checks.c, shape.c -------------------------------------------------------------------

// Fills in what depends on other keys, then checks it all.
CST_CHECK_RESULT cst_code csti_config_complete(csti_config_reader *reader,
                                               const csti_config_overrides *overrides,
                                               cst_err *err);
// The place of a key that stands in the file; of line 0 else.
csti_place csti_config_place(const csti_config_reader *reader, const char *section,
                             const char *name);
// Builds as much as it can; every column that does not fit becomes a problem.
CST_CHECK_RESULT cst_code csti_shape_build(const csti_job_config *config,
                                           const cst_operator_shape *rows, csti_arena *arena,
                                           csti_problems *problems, csti_job_shape *out,
                                           cst_err *err);
// The same of the second stage. `first` has no problem.
CST_CHECK_RESULT cst_code csti_shape_build_then(const csti_job_config *config,
                                                const csti_job_shape *first, csti_arena *arena,
                                                csti_problems *problems, csti_job_shape *out,
                                                cst_err *err);
// The columns that [project] lets pass.
void csti_shape_project(const csti_job_config *config, const cst_operator_shape *in,
                        csti_problems *problems, cst_operator_shape *out);
// The column that windows add, if the job has any. False: it has no place, and a problem says so.
bool csti_shape_window(const csti_job_config *config, csti_problems *problems,
                       cst_operator_shape *rows);
// Which column has the name; UINT32_MAX: none, and a problem says so. `what` is who asks.
uint32_t csti_shape_find(const cst_operator_shape *rows, const char *name, csti_place at,
                         const char *what, csti_problems *problems);

#endif
