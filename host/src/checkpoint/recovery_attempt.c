#include "checkpoint/recovery_attempt.h"

#include "base/fault_point.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ATTEMPT_ARENA_BYTES = 512 << 20 };

void csti_attempt_init(csti_attempt *attempt, const csti_recovery_options *options,
                       csti_recovery_report *report) {
    memset(attempt, 0, sizeof *attempt);
    attempt->options = options;
    attempt->report = report;
    csti_arena_init(&attempt->arena, ATTEMPT_ARENA_BYTES);
}

void csti_attempt_close(csti_attempt *attempt) {
    for (uint32_t i = 0; i < attempt->chains_count; i++)
        csti_chain_close(attempt->options->store, &attempt->chains[i]);
    attempt->chains = NULL;
    attempt->chains_count = 0;
    memset(&attempt->object, 0, sizeof attempt->object);
    csti_arena_reset(&attempt->arena);
}

void csti_attempt_note(csti_attempt *attempt, uint64_t id, cst_code code, const char *format, ...) {
    csti_recovery_report *report = attempt->report;
    csti_recovery_note note = {.id = id, .code = code};
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(note.text, sizeof note.text, format, arguments);
    va_end(arguments);
    CSTI_LOG(attempt->options->logger, code == CST_OK ? CSTI_LOG_INFO : CSTI_LOG_WARN,
             "recovery_checkpoint", csti_log_u64("id", id),
             csti_log_text("code", cst_code_name(code)), csti_log_text("text", note.text));
    if (report->notes_count == CSTI_RECOVERY_NOTES_MAX)
        report->notes_lost++;
    else
        report->notes[report->notes_count++] = note;
}

// ---- Open ---------------------------------------------------------------------------------------

static cst_code pin_check(const csti_attempt *attempt, cst_code code, cst_err *err) {
    // What was pinned and is not there: the pin was too old, or it is damage.
    cst_err pin_err = {.code = CST_OK};

    if (!attempt->options->pin || (code != CST_OK && code != CST_NOT_FOUND)) return code;
    if (csti_pin_hold(attempt->options->pin, &pin_err) != CST_PIN_EXPIRED) return code;
    if (err) *err = pin_err;
    return CST_PIN_EXPIRED;
}

cst_code csti_attempt_manifest(csti_attempt *attempt, uint64_t id, const char *name,
                               const uint32_t *crc_wanted, cst_err *err) {
    const csti_recovery_options *options = attempt->options;
    const uint64_t begin_ns = csti_clock_now_ns(options->clock);
    const cst_code code = csti_manifest_fetch(options->store, id, name, crc_wanted, &attempt->arena,
                                              &attempt->object, err);

    attempt->report->read_ns += csti_clock_now_ns(options->clock) - begin_ns;
    if (code != CST_OK) return pin_check(attempt, code, err);
    attempt->report->objects_read++;
    attempt->report->bytes_read += attempt->object.bytes;
    CSTI_FAULT_POINT(recovery_manifest);
    return CST_OK;
}

cst_code csti_attempt_step(void *context, uint64_t bytes, cst_err *err) {
    const csti_attempt *attempt = context;
    const csti_recovery_options *options = attempt->options;

    if (!options->step) return CST_OK;
    return options->step(options->step_context, attempt->bytes_done + bytes, attempt->bytes_all,
                         err);
}

// What is only opened counts for nothing where all of it is verified behind that.
static cst_code opened_step(void *context, uint64_t bytes, cst_err *err) {
    const csti_attempt *attempt = context;

    return csti_attempt_step(context, attempt->options->verify_all ? 0 : bytes, err);
}

static uint64_t chains_bytes(const csti_manifest *manifest) {
    uint64_t bytes = 0;

    for (uint32_t p = 0; p < manifest->partitions_count; p++)
        for (uint32_t s = 0; s < manifest->partitions[p].segments_count; s++)
            bytes += manifest->partitions[p].segments[s].bytes;
    return bytes;
}

static cst_code chain_open(csti_attempt *attempt, uint32_t p, cst_err *err) {
    const csti_manifest *manifest = &attempt->object.manifest;
    const csti_manifest_partition *partition = &manifest->partitions[p];
    const csti_read_step step = {opened_step, attempt};
    const cst_code code =
        csti_chain_open(attempt->options->store, manifest, p, 0, partition->segments_count,
                        &attempt->arena, &step, &attempt->chains[p], err);

    if (code != CST_OK) return code;
    attempt->chains_count = p + 1;
    if (partition->rows) {
        const cst_code rows =
            csti_chain_open_rows(attempt->options->store, manifest, p, &attempt->chains[p], err);

        if (rows != CST_OK) return rows;
        attempt->report->objects_read++;
        attempt->report->bytes_read += partition->rows->bytes;
    }
    for (uint32_t i = 0; i < partition->segments_count; i++) {
        attempt->report->objects_read++;
        attempt->report->bytes_read += partition->segments[i].bytes;
        if (!attempt->options->verify_all) attempt->bytes_done += partition->segments[i].bytes;
    }
    return CST_OK;
}

static cst_code chain_verify(csti_attempt *attempt, uint32_t p, cst_err *err) {
    const csti_manifest *manifest = &attempt->object.manifest;
    const csti_manifest_stage stage = csti_manifest_stage_of(manifest, &manifest->partitions[p]);
    const csti_read_step step = {csti_attempt_step, attempt};

    for (uint32_t i = 0; i < attempt->chains[p].segments_count; i++) {
        cst_code code =
            csti_segment_verify(attempt->chains[p].segments[i], &stage.hash_key, &step, err);

        if (code != CST_OK) return code;
        attempt->bytes_done += manifest->partitions[p].segments[i].bytes;
        code = csti_attempt_step(attempt, 0, err);
        if (code != CST_OK) return code;
    }
    return CST_OK;
}

cst_code csti_attempt_chains(csti_attempt *attempt, cst_err *err) {
    const csti_clock *clock = attempt->options->clock;
    const csti_manifest *manifest = &attempt->object.manifest;
    const uint64_t begin_ns = csti_clock_now_ns(clock);
    uint64_t opened_ns;
    cst_code code =
        csti_arena_alloc(&attempt->arena, manifest->partitions_count * sizeof *attempt->chains,
                         _Alignof(csti_chain), (void **)&attempt->chains, err);

    if (code != CST_OK) return code;
    memset(attempt->chains, 0, manifest->partitions_count * sizeof *attempt->chains);
    attempt->bytes_done = 0;
    attempt->bytes_all = chains_bytes(manifest);
    for (uint32_t p = 0; code == CST_OK && p < manifest->partitions_count; p++)
        code = pin_check(attempt, chain_open(attempt, p, err), err);
    opened_ns = csti_clock_now_ns(clock);
    attempt->report->read_ns += opened_ns - begin_ns;
    if (!attempt->options->verify_all) return code;
    for (uint32_t p = 0; code == CST_OK && p < manifest->partitions_count; p++)
        code = pin_check(attempt, chain_verify(attempt, p, err), err);
    attempt->report->verify_ns += csti_clock_now_ns(clock) - opened_ns;
    return code;
}

// ---- Whether it is what was asked for -----------------------------------------------------------

cst_code csti_attempt_expect(csti_attempt *attempt, cst_err *err) {
    if (!attempt->options->expect) return CST_OK;
    return csti_manifest_expect(&attempt->object.manifest, attempt->options->expect, err);
}

static bool part_is_among(const csti_job_identity *identity, const cst_segment_part *part) {
    for (uint32_t i = 0; i < identity->parts_count; i++)
        if (memcmp(part, &identity->parts[i], sizeof *part) == 0) return true;
    return identity->parts_count == 0;
}

static cst_code parts_expect(const csti_job_identity *identity, uint32_t stage, const char *name,
                             const cst_segment *segment, cst_err *err) {
    cst_segment_info info;

    cst_segment_info_read(segment, &info);
    for (uint32_t i = 0; i < info.parts_count; i++) {
        const cst_segment_part *part = &info.parts[i];

        if (part_is_among(identity, part)) continue;
        return cst_fail(
            err, CST_JOB_MISMATCH,
            "segment %s holds keys of up to %u bytes and values of %u, not of %u and %u: "
            "put [%skey] key_bytes_max back, or begin anew with another store and, for a "
            "file sink, another folder",
            name, part->key_bytes, part->value_bytes, identity->parts[0].key_bytes,
            identity->parts[0].value_bytes, stage > 0 ? "then." : "");
    }
    return CST_OK;
}

cst_code csti_attempt_parts(csti_attempt *attempt, cst_err *err) {
    const csti_job_identity *identity = attempt->options->expect;
    cst_code code = CST_OK;

    for (uint32_t p = 0; identity && p < attempt->chains_count; p++) {
        const csti_manifest_partition *partition = &attempt->object.manifest.partitions[p];

        for (uint32_t i = 0; code == CST_OK && i < attempt->chains[p].segments_count; i++)
            code = parts_expect(partition->stage > 0 ? identity->then : identity, partition->stage,
                                partition->segments[i].name, attempt->chains[p].segments[i], err);
    }
    return code;
}

// ---- What going back behind it would repeat -----------------------------------------------------

// Whether segment `s` is known to hold no record. One that cannot be opened is not.
static bool is_empty(csti_attempt *attempt, uint32_t p, uint32_t s) {
    cst_segment_summary summary;
    csti_chain chain = {.segments_count = 0};
    uint64_t records = 0;
    cst_err err;

    if (csti_chain_open(attempt->options->store, &attempt->object.manifest, p, s, s + 1,
                        &attempt->arena, NULL, &chain, &err) != CST_OK)
        return false;
    cst_segment_summary_read(chain.segments[0], &summary);
    for (uint32_t part = 0; part < CST_SEGMENT_PARTS_MAX; part++)
        records += summary.rows[part] + summary.tombstones[part];
    csti_chain_close(attempt->options->store, &chain);
    return records == 0;
}

bool csti_attempt_has_output(csti_attempt *attempt) {
    const csti_manifest *manifest = &attempt->object.manifest;

    if (strcmp(manifest->sink, "none") == 0) return false;
    for (uint32_t p = 0; p < manifest->partitions_count; p++) {
        const csti_manifest_partition *partition = &manifest->partitions[p];

        for (uint32_t s = partition->outbox_first; s < partition->segments_count; s++)
            if (!is_empty(attempt, p, s)) return true;
    }
    return false;
}
