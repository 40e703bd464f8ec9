// config.h: a job file, read, checked and filled in with its defaults before anything starts.
//
//   JOB.toml ──► csti_config_read ──► csti_job_config      every problem, with its place:
//                    bids.toml:14:1: [[aggregate]] has no key 'colunm'. Did you mean 'column'?
//   rows     csti_job_rows_shape    the columns that reach the key
//            csti_job_shape_make    what state they become
//
// docs/jobs.md shows a job file, and each key with its type, default and range: it is made from the
// table in config_keys.c, which reading goes by, too.
//
// Promises   unknown keys, wrong types, numbers out of range, columns that do not exist and
//            settings that contradict are all found here, with line, column and the nearest right
//            name. What this build cannot do (sessions, Kafka) is refused by name.
// Thread     one.
// Ring       2. Operators' libraries are opened, to ask for their columns.
// Owner      all text lies in the config; csti_config_close frees it, also after an error. Relative
//            paths are relative to the job file's folder, as csti_job_config has them already.
// Errors     CONFIG: err has the first problem; config->problems has all. IO, NOT_FOUND: the file.
#ifndef CST_SERVER_CONFIG_H
#define CST_SERVER_CONFIG_H

#include "base/arena.h"
#include "checkpoint/checkpointer.h"
#include "checkpoint/compaction.h"
#include "server/toml.h"
#include "stream/filter.h"
#include "stream/sink.h"
#include "stream/source.h"
#include "stream/window.h"

#include <constellation/operator.h>

enum {
    CSTI_CONFIG_FILTERS_MAX = 16,
    CSTI_CONFIG_OPERATORS_MAX = 8,
    CSTI_CONFIG_PROBLEMS_MAX = 64,
    CSTI_JOB_PARTITIONS_MAX = 128,
};

typedef struct csti_filter_config {
    char column[CSTI_COLUMN_NAME_BYTES];
    csti_compare compare;
    const char *value; // as text; read as the column's type
    csti_place at;
} csti_filter_config;

typedef struct csti_operator_config {
    const char *library; // absolute
    const char *options; // "" if the file has none
    csti_place at;
} csti_operator_config;

typedef struct csti_aggregate_config {
    char as[CSTI_FIELD_NAME_BYTES];
    cst_accumulate op;
    char column[CSTI_COLUMN_NAME_BYTES]; // "": a plain count
    csti_place at;
} csti_aggregate_config;

typedef struct csti_key_column_config {
    char column[CSTI_COLUMN_NAME_BYTES];
    bool descending;
    csti_place at;
} csti_key_column_config;

// A second stage: [key], [window] and [[aggregate]] of the rows that closed windows of the first
// give.
typedef struct csti_then_config {
    csti_place at; // line 0: there is one stage
    uint32_t keys_count;
    csti_key_column_config keys[CST_COLUMNS_MAX];
    uint32_t key_bytes_max; // 0: not in the file
    csti_place key_bytes_max_at;
    csti_window window; // of the next two; size_us 0: none
    uint64_t tumbling_us;
    uint64_t hopping_us[2];
    csti_place window_at;
    uint32_t aggregates_count;
    csti_aggregate_config aggregates[CST_ACCUMULATORS_MAX];
} csti_then_config;

typedef enum csti_device_policy {
    CSTI_DEVICE_RETURN,
    CSTI_DEVICE_STAY,
    CSTI_DEVICE_STOP
} csti_device_policy;

typedef enum csti_device_encode {
    CSTI_DEVICE_ENCODE_AUTO, // batches that are large enough, by what was measured
    CSTI_DEVICE_ENCODE_ALL,
    CSTI_DEVICE_ENCODE_NONE
} csti_device_encode;

typedef enum csti_every_kind { CSTI_EVERY_TIME, CSTI_EVERY_ROWS, CSTI_EVERY_AUTO } csti_every_kind;

typedef enum csti_late { CSTI_LATE_DROP, CSTI_LATE_SIDE } csti_late;
typedef enum csti_at_end { CSTI_AT_END_KEEP, CSTI_AT_END_CLOSE } csti_at_end;

typedef struct csti_problem {
    csti_place at; // line 0: the file as a whole
    char text[256];
} csti_problem;

typedef struct csti_problems {
    uint32_t count; // those behind CSTI_CONFIG_PROBLEMS_MAX are not kept
    csti_problem list[CSTI_CONFIG_PROBLEMS_MAX]; // in the order of the file
} csti_problems;

typedef struct csti_job_config {
    const char *path; // of the job file
    // [job]
    const char *name;
    uint32_t partitions; // not in the file: one a core, at most 16
    const char *dir;     // absolute
    bool totals;
    // [source]
    csti_source_options source;
    bool splits_given;                       // else as many as the checkpoint has, or as partitions
    char event_time[CSTI_COLUMN_NAME_BYTES]; // "": none
    csti_place event_time_at;
    int64_t watermark_us; // how late rows may be
    uint64_t idle_us;     // an input without rows for so long is idle
    // [[filter]] [project] [[operator]]
    uint32_t filters_count;
    csti_filter_config filters[CSTI_CONFIG_FILTERS_MAX];
    uint32_t project_count; // 0: all columns
    char project[CST_COLUMNS_MAX][CSTI_COLUMN_NAME_BYTES];
    csti_place project_at;
    uint32_t operators_count;
    csti_operator_config operators[CSTI_CONFIG_OPERATORS_MAX];
    // [key] [[aggregate]]
    uint32_t keys_count;
    csti_key_column_config keys[CST_COLUMNS_MAX];
    uint32_t key_bytes_max; // longest encoded key of a variable schema; 0: not in the file, 64
    csti_place key_bytes_max_at;
    // [window]
    csti_window window; // of the next three; size_us 0: none
    uint64_t session_us;
    uint64_t tumbling_us;
    uint64_t hopping_us[2]; // length, hop
    csti_late late;
    const char *side_path; // absolute; NULL: not in the file
    csti_at_end at_end;
    csti_place window_at; // of tumbling, hopping or session
    uint32_t aggregates_count;
    csti_aggregate_config aggregates[CST_ACCUMULATORS_MAX];
    csti_then_config then; // [then]
    // [sink]
    csti_sink_kind sink;
    const char *sink_path; // absolute
    const char *folder;    // the job file's, absolute
    // What checkpoints say of it: "none", "stdout", "file:out/bids". A folder in that of the job
    // file is named from there on; one that no manifest can hold is left out.
    const char *sink_text;
    // [state]
    const char *state_store;  // "hash:", "lmdb:DIR"
    const char *state_folder; // lmdb: absolute; else NULL
    uint64_t budget_bytes;    // of all partitions together
    uint64_t ttl_us;          // how long a key stays without rows; CST_TTL_NONE: for good
    csti_place ttl_at;
    // [device]
    const char *device;
    const char *device_why; // why it cannot be reached now; NULL: it can
    csti_device_policy device_policy;
    csti_device_encode device_encode;
    uint64_t device_timeout_us, device_return_us;
    uint32_t batch_rows;
    // [checkpoint]
    const char *checkpoint_store; // file: made absolute
    csti_every_kind every_kind;
    uint64_t every;              // microseconds or rows; AUTO: 0
    uint64_t recovery_target_us; // AUTO
    csti_fold_policy fold;
    uint32_t keep;
    uint32_t epochs_max;
    uint64_t staged_bytes_max;
    uint64_t step_deadline_us, align_deadline_us;
    bool unaligned;                           // unaligned_after is in the file
    uint64_t unaligned_after_us;              // 0: none waits for barriers
    uint64_t align_rows_max, align_bytes_max; // 0: not in the file, none

    csti_problems problems;
    csti_arena arena;
} csti_job_config;

// Stages of keyed state.
static inline uint32_t csti_job_stages_count(const csti_job_config *config) {
    return config->then.at.line > 0 ? 2 : 1;
}

// What the command line says over the file; NULL, 0: as the file says.
typedef struct csti_config_overrides {
    const char *device;
    const char *checkpoint_store;
    uint64_t rows; // generator: stop behind so many
} csti_config_overrides;

CST_CHECK_RESULT cst_code csti_config_read(const char *path, const csti_config_overrides *overrides,
                                           csti_job_config *out, cst_err *err);
void csti_config_close(csti_job_config *config);

// The columns of the source's rows.
CST_CHECK_RESULT cst_code csti_job_source_shape(const csti_job_config *config,
                                                cst_operator_shape *out, cst_err *err);
// The columns that reach the key: the source's, projected, through every operator, each of which is
// opened and closed again.
CST_CHECK_RESULT cst_code csti_job_rows_shape(const csti_job_config *config,
                                              cst_operator_shape *out, cst_err *err);

// What a job's rows become: made from the config and the shape that reaches the key (after filters,
// projection and operators). CONFIG names the line and the column that is not there.
typedef struct csti_job_shape {
    cst_schema key;
    uint32_t key_columns[CST_COLUMNS_MAX]; // of the batch that reaches the key
    uint32_t key_bytes;                    // fixed; 0: variable
    cst_program program;
    uint32_t source_columns[CST_ACCUMULATORS_MAX]; // program source i is this column
    uint32_t sources_count;
    uint16_t clock_source;      // of the program: no column, the clock; CST_NO_COLUMN: none
    uint32_t event_time_column; // UINT32_MAX: none
    cst_table_options table;    // but hash key and node; the budget is one partition's
    csti_render_plan render;
    csti_job_identity identity; // text in `arena`; hash key all zeros
} csti_job_shape;
CST_CHECK_RESULT cst_code csti_job_shape_make(const csti_job_config *config,
                                              const cst_operator_shape *rows, csti_arena *arena,
                                              csti_job_shape *out, cst_err *err);
// The same of the second stage, whose rows are those that windows of the first one give.
CST_CHECK_RESULT cst_code csti_job_then_make(const csti_job_config *config,
                                             const csti_job_shape *first, csti_arena *arena,
                                             csti_job_shape *out, cst_err *err);

#endif
