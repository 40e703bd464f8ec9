#include "base/topology.h"
#include "codec/types.h"
#include "object/s3_uri.h"
#include "server/config_internal.h"
#include "server/operator.h"
#include "stream/published.h"
#include "stream/tcp_server.h"

#include <constellation/device.h>

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    PARTITIONS_DEFAULT_MAX = 16,
    PARTITION_BYTES_MIN = 64 << 20,
    PARTITION_BYTES_MIN_LMDB = 16 << 20,
    STAGED_BYTES_DEFAULT = 512 << 20,
    GENERATOR_NAMES_MAX = 16,
    SINK_TEXT_BYTES = 4096, // fits a manifest's text
};

typedef struct checker {
    csti_config_reader *reader;
    csti_job_config *config;
    csti_problems *problems;
    cst_err *err;
} checker;

csti_place csti_config_place(const csti_config_reader *reader, const char *section,
                             const char *name) {
    const csti_place none = {0, 0};

    for (size_t i = 0; i < csti_config_keys_count; i++)
        if (strcmp(csti_config_keys[i].section, section) == 0 &&
            strcmp(csti_config_keys[i].name, name) == 0)
            return reader->places[i];
    return none;
}

static bool is_given(const checker *c, const char *section, const char *name) {
    return csti_config_place(c->reader, section, name).line != 0;
}

static bool is_wrong(const checker *c, const char *section) {
    for (size_t i = 0; i < csti_config_sections_count; i++)
        if (strcmp(csti_config_sections[i].name, section) == 0) return c->reader->sections_wrong[i];
    return false;
}

// ---- What depends on other keys -----------------------------------------------------------------

static cst_code partitions_default(csti_job_config *config, cst_err *err) {
    csti_topology topology;
    uint32_t cores = 0;
    cst_code code;

    if (config->partitions != 0) return CST_OK;
    code = csti_topology_take(NULL, &topology, err);
    if (code != CST_OK) return code;
    for (uint32_t i = 0; i < topology.cpus_count; i++) cores += topology.cpus[i].thread == 0;
    if (cores < 1) cores = 1;
    config->partitions = cores < PARTITIONS_DEFAULT_MAX ? cores : PARTITIONS_DEFAULT_MAX;
    return CST_OK;
}

#define LMDB_SCHEME "lmdb:"
enum { LMDB_SCHEME_BYTES = sizeof LMDB_SCHEME - 1 };

static bool is_lmdb(const csti_job_config *config) {
    return config->state_store && strncmp(config->state_store, LMDB_SCHEME, LMDB_SCHEME_BYTES) == 0;
}

static cst_code state_place(const checker *c) {
    csti_job_config *config = c->config;

    if (!is_lmdb(config) || !config->state_store[LMDB_SCHEME_BYTES]) return CST_OK;
    return csti_config_path(&config->arena, c->reader->folder,
                            config->state_store + LMDB_SCHEME_BYTES, &config->state_folder, c->err);
}

// "file:" and an absolute path.
static cst_code store_place(const checker *c, const char *folder, const char *uri, cst_err *err) {
    csti_arena *arena = &c->config->arena;
    const char *path = NULL;
    void *text = NULL;
    cst_code code;

    c->config->checkpoint_store = uri;
    if (strncmp(uri, "file:", 5) != 0 || !uri[5]) return CST_OK;
    code = csti_config_path(arena, folder, uri + 5, &path, err);
    if (code == CST_OK) code = csti_arena_alloc(arena, strlen(path) + 6, 1, &text, err);
    if (code != CST_OK) return code;
    (void)sprintf(text, "file:%s", path);
    c->config->checkpoint_store = text;
    return CST_OK;
}

static cst_code store_default(const checker *c, const csti_config_overrides *overrides) {
    char here[PATH_MAX];

    if (overrides && overrides->checkpoint_store) {
        if (!getcwd(here, sizeof here)) return cst_fail(c->err, CST_IO, "the current folder");
        return store_place(c, here, overrides->checkpoint_store, c->err);
    }
    if (c->config->checkpoint_store)
        return store_place(c, c->reader->folder, c->config->checkpoint_store, c->err);
    return c->config->dir ? store_place(c, c->config->dir, "file:checkpoints", c->err) : CST_OK;
}

static cst_code fill(const checker *c, const csti_config_overrides *overrides) {
    csti_job_config *config = c->config;
    cst_code code = is_wrong(c, "job") ? CST_OK : partitions_default(config, c->err);
    const csti_place none = {0, 0};

    if (code == CST_OK && overrides && overrides->device)
        code = csti_text_keep(&config->arena, overrides->device, &config->device, c->err);
    if (code == CST_OK) code = store_default(c, overrides);
    if (code == CST_OK) code = state_place(c);
    if (code != CST_OK) return code;
    if (overrides && overrides->rows != 0) {
        if (config->source.kind != CSTI_SOURCE_GENERATOR)
            csti_problem_add(c->problems, none, "--rows is for a generator, and the source is not");
        config->source.rows = overrides->rows;
    }
    config->splits_given = config->source.stripes > 0;
    if (!config->splits_given) config->source.stripes = config->partitions;
    config->source.batch_rows = config->batch_rows;
    if (config->dir) {
        code = csti_config_path(&config->arena, config->dir, "wal", &config->source.wal_folder,
                                c->err);
        if (code != CST_OK) return code;
    }
    if (config->staged_bytes_max == 0)
        config->staged_bytes_max = config->budget_bytes / 4 < STAGED_BYTES_DEFAULT
                                       ? config->budget_bytes / 4
                                       : STAGED_BYTES_DEFAULT;
    config->event_time_at = csti_config_place(c->reader, "source", "event_time");
    config->project_at = csti_config_place(c->reader, "project", "columns");
    config->key_bytes_max_at = csti_config_place(c->reader, "key", "key_bytes_max");
    config->ttl_at = csti_config_place(c->reader, "state", "ttl");
    return CST_OK;
}

// ---- Sections one by one ------------------------------------------------------------------------

static void job_check(const checker *c) {
    const csti_job_config *config = c->config;
    const uint32_t least = is_lmdb(config) ? PARTITION_BYTES_MIN_LMDB : PARTITION_BYTES_MIN;
    const uint32_t stages = csti_job_stages_count(config);
    const char *name = config->name;

    for (const char *at = name; at && *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr("._-", *at)) {
            csti_problem_add(c->problems, csti_config_place(c->reader, "job", "name"),
                             "[job] name '%.64s': letters, digits, '.', '_' and '-' make a name",
                             name);
            break;
        }
    if (config->totals && config->partitions > CSTI_PUBLISHED_PARTITIONS_MAX)
        csti_problem_add(c->problems, csti_config_place(c->reader, "job", "totals"),
                         "[job] totals are of at most %d partitions, and these are %u",
                         CSTI_PUBLISHED_PARTITIONS_MAX, config->partitions);
    if (config->totals && config->ttl_us != CST_TTL_NONE)
        csti_problem_add(c->problems, csti_config_place(c->reader, "job", "totals"),
                         "[job] totals with a [state] ttl: what a key had added cannot be taken "
                         "out again when its time is over. Leave one of them out");
    if (is_wrong(c, "job") || is_wrong(c, "state")) return;
    if (config->budget_bytes / config->partitions / stages < least) {
        csti_place at = csti_config_place(c->reader, "state", "budget");

        if (at.line == 0) at = csti_config_place(c->reader, "job", "partitions");
        csti_problem_add(c->problems, at,
                         "%llu MiB for %u partitions%s: each needs %uMiB. A higher budget, or "
                         "fewer partitions",
                         (unsigned long long)config->budget_bytes >> 20, config->partitions,
                         stages > 1 ? " of each of two stages" : "", least >> 20);
    }
}

static void listen_check(const checker *c) {
    const csti_source_options *source = &c->config->source;
    cst_err why = {.code = CST_OK};

    if (source->kind == CSTI_SOURCE_TCP && source->listen &&
        csti_tcp_address_check(source->listen, &why) != CST_OK)
        csti_problem_add(c->problems, csti_config_place(c->reader, "source", "listen"),
                         "[source] listen: %s", why.text);
}

static csti_place tls_place(const checker *c, csti_tls_file file) {
    static const char *const settings[CSTI_TLS_FILES] = {CSTI_TLS_SETTINGS};

    return csti_config_place(c->reader, "source", settings[file]);
}

// Their files are read now: what is wrong with them is better known before a producer comes.
static void tls_check(const checker *c) {
    static const char *const settings[CSTI_TLS_FILES] = {CSTI_TLS_SETTINGS};
    const csti_tls_files *files = &c->config->source.tls;
    const bool cert = files->paths[CSTI_TLS_CERT], key = files->paths[CSTI_TLS_KEY];
    csti_tls_context *context = NULL;
    cst_err why = {.code = CST_OK};
    csti_tls_file wrong;

    if (c->config->source.kind != CSTI_SOURCE_TCP || is_wrong(c, "source")) return;
    if (cert != key || (files->paths[CSTI_TLS_TRUSTED] && !cert)) {
        wrong = cert ? CSTI_TLS_CERT : key ? CSTI_TLS_KEY : CSTI_TLS_TRUSTED;
        csti_problem_add(c->problems, tls_place(c, wrong), "[source] %s needs %s, too",
                         settings[wrong],
                         cert  ? "tls_key"
                         : key ? "tls_cert"
                               : "both others");
    } else if (cert && csti_tls_server_open(files, &context, &wrong, &why) != CST_OK) {
        csti_problem_add(c->problems, tls_place(c, wrong), "[source] %s: %s", settings[wrong],
                         why.text);
    }
    csti_tls_context_close(context);
}

static void source_check(const checker *c) {
    static const char *const needing[] = {"watermark", "idle"};

    listen_check(c);
    tls_check(c);
    if (is_given(c, "source", "header") && c->config->source.kind == CSTI_SOURCE_FILE &&
        c->config->source.format == CSTI_FILE_NDJSON)
        csti_problem_add(c->problems, csti_config_place(c->reader, "source", "header"),
                         "[source] header is for csv: each NDJSON line names its columns");
    for (size_t i = 0; i < sizeof needing / sizeof *needing; i++)
        if (is_given(c, "source", needing[i]) && !is_given(c, "source", "event_time"))
            csti_problem_add(c->problems, csti_config_place(c->reader, "source", needing[i]),
                             "[source] %s without event_time means nothing: name the column, or "
                             "leave it out",
                             needing[i]);
}

static csti_place window_place(const checker *c, const char *name) {
    return csti_config_place(c->reader, "window", name);
}

// Where the file says how windows lie; line 0: it does not. It says so once.
static csti_place window_kind_place(const checker *c) {
    static const char *const kinds[] = {"tumbling", "hopping", "session"};
    csti_place first = {0};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!is_given(c, "window", kinds[i])) continue;
        if (first.line == 0)
            first = window_place(c, kinds[i]);
        else if (!is_wrong(c, "window"))
            csti_problem_add(c->problems, window_place(c, kinds[i]),
                             "[window] takes one of tumbling, hopping and session");
    }
    return first;
}

// How windows lie; size_us 0 where that is not said.
static void window_fill(const checker *c) {
    csti_job_config *config = c->config;
    const uint64_t length_us = config->tumbling_us ? config->tumbling_us : config->hopping_us[0];
    const uint64_t hop_us = config->tumbling_us ? config->tumbling_us : config->hopping_us[1];

    if (is_given(c, "window", "tumbling") || is_given(c, "window", "hopping")) {
        if (hop_us > 0)
            config->window =
                (csti_window){.size_us = (int64_t)length_us, .hop_us = (int64_t)hop_us};
    } else if (config->session_us > 0) {
        config->window = (csti_window){.size_us = (int64_t)config->session_us,
                                       .hop_us = (int64_t)config->session_us,
                                       .sessions = true};
    }
}

// `section`: where it stands.
static void hopping_check(const checker *c, const char *section, const uint64_t *hopping_us) {
    const csti_place at = csti_config_place(c->reader, section, "hopping");
    csti_amount length, hop;

    if (at.line == 0 || hopping_us[0] == 0 || hopping_us[1] == 0) return;
    length = csti_amount_write(hopping_us[0], csti_duration_units, csti_duration_units_count);
    hop = csti_amount_write(hopping_us[1], csti_duration_units, csti_duration_units_count);
    if (hopping_us[0] % hopping_us[1] != 0)
        csti_problem_add(c->problems, at,
                         "[%s] hopping: %s is no multiple of %s: windows of one start would "
                         "end at different hops",
                         section, length.text, hop.text);
    else if (hopping_us[0] / hopping_us[1] > CSTI_WINDOW_OVERLAP_MAX)
        csti_problem_add(c->problems, at,
                         "[%s] hopping: a row would be in %llu windows, at most %d: a longer "
                         "hop",
                         section, (unsigned long long)(hopping_us[0] / hopping_us[1]),
                         CSTI_WINDOW_OVERLAP_MAX);
}

static void window_check(const checker *c) {
    csti_job_config *config = c->config;
    const bool side = is_given(c, "window", "side");
    bool windows;

    config->window_at = window_kind_place(c);
    if (is_wrong(c, "window")) return;
    windows = config->window_at.line > 0;
    window_fill(c);
    hopping_check(c, "window", config->hopping_us);
    if (!windows && (side || is_given(c, "window", "late") || is_given(c, "window", "at_end")))
        csti_problem_add(c->problems, window_place(c, side ? "side" : "late"),
                         "[window] needs tumbling, hopping or session");
    if (side != (config->late == CSTI_LATE_SIDE))
        csti_problem_add(c->problems, window_place(c, side ? "side" : "late"),
                         side ? "[window] side is a folder for late = \"side\""
                              : "[window] late = \"side\" needs a folder: side = \"out/late\"");
    if (!windows) return;
    if (!is_given(c, "source", "event_time") && !is_wrong(c, "source"))
        csti_problem_add(c->problems, config->window_at,
                         "[window] needs [source] event_time: the column that says when a row "
                         "happened");
    if (config->totals)
        csti_problem_add(c->problems, csti_config_place(c->reader, "job", "totals"),
                         "[job] totals are of all rows of a key, and a windowed job does not keep "
                         "them");
    if (config->ttl_us != CST_TTL_NONE)
        csti_problem_add(
            c->problems, csti_config_place(c->reader, "state", "ttl"),
            "[state] ttl: the rows of a window go when it closes. Leave one of the two "
            "out");
    if (config->at_end == CSTI_AT_END_CLOSE && config->source.follow)
        csti_problem_add(c->problems, window_place(c, "at_end"),
                         "[window] at_end = \"close\": files that are followed have no end");
}

static void then_window_check(const checker *c) {
    csti_then_config *then = &c->config->then;
    const bool tumbling = is_given(c, "then.window", "tumbling");
    const uint64_t length_us = tumbling ? then->tumbling_us : then->hopping_us[0];
    const uint64_t hop_us = tumbling ? then->tumbling_us : then->hopping_us[1];

    then->window_at =
        csti_config_place(c->reader, "then.window", tumbling ? "tumbling" : "hopping");
    if (is_wrong(c, "then.window")) return;
    if (tumbling && is_given(c, "then.window", "hopping"))
        csti_problem_add(c->problems, csti_config_place(c->reader, "then.window", "hopping"),
                         "[then.window] takes one of tumbling and hopping");
    hopping_check(c, "then.window", then->hopping_us);
    if (then->window_at.line > 0 && hop_us > 0)
        then->window = (csti_window){.size_us = (int64_t)length_us, .hop_us = (int64_t)hop_us};
}

// Rows of a window that is closed are final: nothing that they added has to be taken out again.
static void then_check(const checker *c) {
    csti_job_config *config = c->config;

    if (config->then.at.line == 0) return;
    config->then.key_bytes_max_at = csti_config_place(c->reader, "then.key", "key_bytes_max");
    then_window_check(c);
    if (config->window_at.line == 0 && !is_wrong(c, "window"))
        csti_problem_add(c->problems, config->then.at,
                         "[then] takes rows of closed windows, which are final. Without [window] "
                         "each row changes a result that the second stage would have counted: add "
                         "[window], or leave [then] out");
}

static void unaligned_check(const checker *c) {
    csti_job_config *config = c->config;
    const csti_place at = csti_config_place(c->reader, "checkpoint", "unaligned_after");

    config->unaligned = is_given(c, "checkpoint", "unaligned_after");
    if (!config->unaligned) return;
    if (config->every_kind == CSTI_EVERY_ROWS)
        csti_problem_add(c->problems, at,
                         "[checkpoint] unaligned_after: every = \"N rows\" cuts the same rows on "
                         "every machine, which only aligned checkpoints do. Leave one of the two "
                         "out");
    if (config->unaligned_after_us >= config->align_deadline_us)
        csti_problem_add(c->problems, at,
                         "[checkpoint] unaligned_after is not below align_timeout, at which the "
                         "checkpoint is given up");
}

static void checkpoint_check(const checker *c) {
    const csti_job_config *config = c->config;

    if (!is_wrong(c, "checkpoint") && config->every_kind != CSTI_EVERY_AUTO &&
        is_given(c, "checkpoint", "recovery_target"))
        csti_problem_add(c->problems, csti_config_place(c->reader, "checkpoint", "recovery_target"),
                         "[checkpoint] recovery_target is for every = \"auto\": put that there, or "
                         "leave it out");
    if (!is_wrong(c, "checkpoint")) unaligned_check(c);
    if (is_wrong(c, "checkpoint") || is_wrong(c, "state")) return;
    if (config->staged_bytes_max > config->budget_bytes)
        csti_problem_add(c->problems, csti_config_place(c->reader, "checkpoint", "staged_max"),
                         "[checkpoint] staged_max is above the budget, which it is a part of");
}

// ---- Names with a scheme ------------------------------------------------------------------------

static void state_store_check(const checker *c) {
    const char *store = c->config->state_store;
    const csti_place at = csti_config_place(c->reader, "state", "store");

    if (is_wrong(c, "state") || strcmp(store, "hash:") == 0) return;
    if (is_lmdb(c->config) && c->config->window_at.line > 0)
        csti_problem_add(c->problems, at,
                         "[state] store: windows are kept in memory in this version: use hash:");
    if (c->config->state_folder) return;
    if (is_lmdb(c->config))
        csti_problem_add(c->problems, at, "[state] store: a folder is missing behind 'lmdb:'");
    else
        csti_problem_add(c->problems, at,
                         "[state] store '%.40s' is no store. There are hash: and lmdb:FOLDER",
                         store);
}

// A reason that lies in the file becomes a problem of it; one that lies in this machine is no
// problem of the file's.
static cst_code blame(const checker *c, csti_place at, const char *label, const cst_err *why) {
    if (why->code == CST_NO_MEMORY) return cst_fail(c->err, why->code, "%s%s", label, why->text);
    csti_problem_add(c->problems, at, "%s%s", label, why->text);
    return CST_OK;
}

static cst_code device_check(const checker *c, const csti_config_overrides *overrides) {
    const bool overridden = overrides && overrides->device;
    const csti_config_refusal *refusal =
        overridden ? csti_refusal_find("device", "uri", overrides->device) : NULL;
    const csti_place none = {0, 0};
    const csti_place at = overridden ? none : csti_config_place(c->reader, "device", "uri");
    const char *label = overridden ? "--device: " : "[device] uri: ";
    cst_err why = {.code = CST_OK};
    cst_device *device = NULL;
    cst_code code = CST_OK;

    if (refusal)
        csti_problem_add(c->problems, at, "--device '%.40s': %s", overrides->device, refusal->why);
    else if (overridden || !is_wrong(c, "device"))
        code = cst_device_open(c->config->device, &device, &why);
    cst_device_close(device);
    // It may be there by then, and what is to be done if not is [device] policy's to say.
    if (code == CST_DEVICE_LOST)
        return csti_text_keep(&c->config->arena, why.text, &c->config->device_why, c->err);
    return code == CST_OK ? CST_OK : blame(c, at, label, &why);
}

static void store_unknown(const checker *c, csti_place at, const char *label, const char *store) {
    if (strchr(store, ':'))
        csti_problem_add(c->problems, at,
                         "%s '%.40s' is no store. There are file:FOLDER, s3://BUCKET/PREFIX and "
                         "sim:",
                         label, store);
    else
        csti_problem_add(c->problems, at, "%s '%.40s' is no store. Did you mean 'file:%.40s'?",
                         label, store, store);
}

static void checkpoint_store_check(const checker *c, const csti_config_overrides *overrides) {
    const bool overridden = overrides && overrides->checkpoint_store;
    const char *store = c->config->checkpoint_store;
    const csti_place none = {0, 0};
    const csti_place at = overridden ? none : csti_config_place(c->reader, "checkpoint", "store");
    const char *label = overridden ? "--checkpoint-store" : "[checkpoint] store";
    const csti_config_refusal *refusal =
        overridden ? csti_refusal_find("checkpoint", "store", store) : NULL;

    csti_s3_uri s3;
    cst_err why = {.code = CST_OK};

    if (!store || (!overridden && is_wrong(c, "checkpoint"))) return;
    if (refusal)
        csti_problem_add(c->problems, at, "%s '%.40s': %s", label, store, refusal->why);
    else if (strcmp(store, "file:") == 0)
        csti_problem_add(c->problems, at, "%s: a folder is missing behind 'file:'", label);
    else if (strncmp(store, "s3:", 3) == 0) {
        if (csti_s3_uri_parse(store + 3, &s3, &why) != CST_OK)
            csti_problem_add(c->problems, at, "%s: %s", label, why.text);
    } else if (strncmp(store, "file:", 5) != 0 && strncmp(store, "sim:", 4) != 0)
        store_unknown(c, at, label, store);
}

// ---- Folders in each other ----------------------------------------------------------------------

// Whether `path` is `folder` or in it. Both are absolute, without "..".
static bool is_inside(const char *path, const char *folder) {
    const size_t bytes = strlen(folder);

    return strncmp(path, folder, bytes) == 0 && (path[bytes] == '\0' || path[bytes] == '/');
}

// `store` is its folder, or NULL; one in `dir` goes where that goes.
static void source_folder_check(const checker *c, const char *store) {
    const csti_job_config *config = c->config;
    const char *path = config->source.path;
    const csti_place at = csti_config_place(c->reader, "source", "path");
    const bool dir = config->dir && is_inside(config->dir, path);

    if (dir)
        csti_problem_add(c->problems, at, "[source] path: the job's dir (%.100s) lies in it",
                         config->dir);
    if (store && is_inside(store, path) && !(dir && is_inside(store, config->dir)))
        csti_problem_add(c->problems, at, "[source] path: checkpoints (%.100s) lie in it", store);
}

// Whether a manifest can hold it.
static bool is_plain(const char *text) {
    const size_t bytes = strlen(text);

    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) return false;
    return csti_utf8_error_at((const uint8_t *)text, bytes) == bytes;
}

// A job that is moved as a whole keeps its sink: what lies in its folder is named from there.
static cst_code sink_name(const checker *c) {
    static const char *const kinds[] = {
        [CSTI_SINK_NONE] = "none", [CSTI_SINK_STDOUT] = "stdout", [CSTI_SINK_FILE] = "file"};
    csti_job_config *config = c->config;
    const char *path = config->sink == CSTI_SINK_FILE ? config->sink_path : NULL;
    const size_t folder_bytes = strlen(config->folder);
    char text[SINK_TEXT_BYTES];

    if (path && is_inside(path, config->folder) && path[folder_bytes] == '/')
        path += folder_bytes + 1;
    if (!path || !is_plain(path) || strlen(path) >= sizeof text - sizeof "stdout:") path = NULL;
    (void)snprintf(text, sizeof text, "%s%s%s", kinds[config->sink], path ? ":" : "",
                   path ? path : "");
    return csti_text_keep(&config->arena, text, &config->sink_text, c->err);
}

static bool are_apart(const char *one, const char *other) {
    return !is_inside(one, other) && !is_inside(other, one);
}

// `store` is its folder, or NULL.
static void side_folder_check(const checker *c, const char *store) {
    const csti_job_config *config = c->config;
    const csti_place at = csti_config_place(c->reader, "window", "side");
    const char *side = config->side_path;

    if (store && !are_apart(side, store))
        csti_problem_add(c->problems, at,
                         "[window] side: late rows and checkpoints (%.100s) need folders of their "
                         "own",
                         store);
    if (config->sink == CSTI_SINK_FILE && config->sink_path && strcmp(side, config->sink_path) == 0)
        csti_problem_add(c->problems, at,
                         "[window] side: results and late rows need folders of their own");
    if (config->source.kind == CSTI_SOURCE_FILE && config->source.path &&
        is_inside(side, config->source.path))
        csti_problem_add(c->problems, at,
                         "[window] side lies in the source's folder: the job would read what it "
                         "writes");
}

// What is written there changes all the time.
static void state_folder_check(const checker *c, const char *store) {
    const csti_job_config *config = c->config;
    const char *path = config->state_folder;
    const csti_place at = csti_config_place(c->reader, "state", "store");
    const char *others[] = {store, config->sink == CSTI_SINK_FILE ? config->sink_path : NULL};
    static const char *const names[] = {"checkpoints", "results"};

    if (!path) return;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (others[i] && (is_inside(path, others[i]) || is_inside(others[i], path)))
            csti_problem_add(c->problems, at,
                             "[state] store: state and %s (%.100s) need folders of their own",
                             names[i], others[i]);
    if (config->source.kind == CSTI_SOURCE_FILE && config->source.path &&
        is_inside(path, config->source.path))
        csti_problem_add(c->problems, at,
                         "[state] store lies in the source's folder: the job would read what it "
                         "writes");
}

static void folders_check(const checker *c) {
    const csti_job_config *config = c->config;
    const char *store = config->checkpoint_store;
    const char *folder = store && strncmp(store, "file:", 5) == 0 && store[5] ? store + 5 : NULL;
    const csti_place at = csti_config_place(c->reader, "sink", "path");
    const bool files = config->source.kind == CSTI_SOURCE_FILE && config->source.path;

    if (config->sink == CSTI_SINK_FILE && config->sink_path) {
        if (folder &&
            (is_inside(config->sink_path, folder) || is_inside(folder, config->sink_path)))
            csti_problem_add(c->problems, at,
                             "[sink] path: results and checkpoints (%.100s) need folders of their "
                             "own",
                             folder);
        if (files && is_inside(config->sink_path, config->source.path))
            csti_problem_add(c->problems, at,
                             "[sink] path lies in the source's folder: the job would read what it "
                             "writes");
    }
    if (config->late == CSTI_LATE_SIDE && config->side_path) side_folder_check(c, folder);
    if (files) source_folder_check(c, folder);
    state_folder_check(c, folder);
}

// ---- Columns ------------------------------------------------------------------------------------

static cst_code filters_check(const checker *c, const cst_operator_shape *rows) {
    csti_row_shape shape = {.schema = rows->schema};
    cst_code code = CST_OK;

    memcpy(shape.names, rows->names, sizeof shape.names);
    for (uint32_t i = 0; i < c->config->filters_count && code == CST_OK; i++) {
        const csti_filter_config *filter = &c->config->filters[i];
        cst_err why = {.code = CST_OK};
        csti_filter made;

        if (!filter->column[0] || !filter->value || filter->compare == 0) continue;
        if (csti_shape_find(rows, filter->column, filter->at, "[[filter]] column", c->problems) !=
                UINT32_MAX &&
            csti_filter_make(&shape, filter->column, filter->compare, filter->value, &made, &why) !=
                CST_OK)
            code = blame(c, filter->at, "", &why);
    }
    return code;
}

// The source's columns; not known: a problem says why.
static cst_code source_shape(const checker *c, cst_operator_shape *out, bool *known_out) {
    cst_err why = {.code = CST_OK};
    const cst_code code =
        is_wrong(c, "source") ? CST_CONFIG : csti_job_source_shape(c->config, out, &why);
    char names[GENERATOR_NAMES_MAX][CSTI_COLUMN_NAME_BYTES];
    size_t count = 0;

    *known_out = code == CST_OK;
    if (code == CST_OK || code == CST_CONFIG) return CST_OK;
    if (code == CST_NO_MEMORY) return cst_fail(c->err, code, "[source]: %s", why.text);
    while (count < GENERATOR_NAMES_MAX && cst_generator_name(count)) {
        (void)snprintf(names[count], sizeof names[count], "%s", cst_generator_name(count));
        count++;
    }
    csti_problem_add(
        c->problems, csti_config_place(c->reader, "source", "name"), "[source] name: %s%s",
        why.text,
        code == CST_NOT_FOUND
            ? csti_hint_of(c->config->source.generator, names[0], count, sizeof names[0]).text
            : "");
    return CST_OK;
}

// Through every operator; not known: as above.
static cst_code operators_shape(const checker *c, cst_operator_shape *rows, bool *known_out) {
    *known_out = true;
    for (uint32_t i = 0; i < c->config->operators_count; i++) {
        const csti_operator_config *config = &c->config->operators[i];
        csti_operator *instance = NULL;
        cst_err why = {.code = CST_OK};

        if (csti_operator_open(config, rows, &instance, &why) != CST_OK) {
            *known_out = false;
            return blame(c, config->at, "[[operator]] ", &why);
        }
        *rows = *csti_operator_shape_out(instance);
        csti_operator_close(instance);
    }
    return CST_OK;
}

static cst_code columns_check(const checker *c) {
    csti_job_config *config = c->config;
    cst_operator_shape in;
    cst_operator_shape rows;
    csti_job_shape shape, then;
    bool known = false;
    uint32_t before;
    cst_code code = source_shape(c, &in, &known);

    if (code == CST_OK && known) code = filters_check(c, &in);
    if (code != CST_OK || !known) return code;
    before = c->problems->count;
    csti_shape_project(config, &in, c->problems, &rows);
    if (is_wrong(c, "window")) return CST_OK;
    if (c->problems->count > before || is_wrong(c, "project") || is_wrong(c, "operator"))
        return CST_OK;
    code = operators_shape(c, &rows, &known);
    if (code != CST_OK || !known) return code;
    if (!csti_shape_window(config, c->problems, &rows)) return CST_OK;
    before = c->problems->count;
    code = csti_shape_build(config, &rows, &config->arena, c->problems, &shape, c->err);
    if (code != CST_OK || config->then.at.line == 0 || config->window.size_us == 0) return code;
    if (c->problems->count > before || is_wrong(c, "key") || is_wrong(c, "aggregate"))
        return CST_OK; // columns that are not known
    return csti_shape_build_then(config, &shape, &config->arena, c->problems, &then, c->err);
}

cst_code csti_config_complete(csti_config_reader *reader, const csti_config_overrides *overrides,
                              cst_err *err) {
    const checker c = {reader, reader->config, &reader->config->problems, err};
    cst_code code = fill(&c, overrides);

    if (code != CST_OK) return code;
    job_check(&c);
    source_check(&c);
    window_check(&c);
    checkpoint_check(&c);
    then_check(&c);
    state_store_check(&c);
    checkpoint_store_check(&c, overrides);
    folders_check(&c);
    code = sink_name(&c);
    if (code != CST_OK) return code;
    code = device_check(&c, overrides);
    return code == CST_OK ? columns_check(&c) : code;
}
