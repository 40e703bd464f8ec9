// The machine's bytes: docs/formats.md, Metadata.
#include "base/crc32c.h"
#include "meta/internal.h"
#include "meta/wire.h"

#include <assert.h>
#include <stdlib.h>

static const char magic[8] = {'C', 'S', 'T', 'M', 'E', 'T', '1', '\n'};

enum { AT_BODY = 32, AT_BYTES = 16, AT_CRC = 24, DELETING = 1 };

// ---- Write --------------------------------------------------------------------------------------

static void put_checkpoint(csti_wire_out *out, const csti_meta_machine *machine,
                           const csti_meta_checkpoint *checkpoint) {
    csti_wire_put_u64(out, checkpoint->id);
    csti_wire_put_u64(out, checkpoint->base_id);
    csti_wire_put_u64(out, checkpoint->tenure);
    csti_wire_put_u64(out, (uint64_t)checkpoint->committed_us);
    csti_wire_put_u32(out, checkpoint->crc);
    csti_wire_put_u32(out, checkpoint->deleting ? DELETING : 0);
    csti_wire_put_text(out, checkpoint->manifest);
    csti_wire_put_u32(out, checkpoint->fulls_count);
    for (uint32_t i = 0; i < checkpoint->fulls_count; i++) {
        bool found;
        const uint32_t at = csti_meta_full_place(machine, checkpoint->fulls[i].name, &found);

        assert(found);
        csti_wire_put_u32(out, at);
    }
}

static void put_arrays(csti_wire_out *out, const csti_meta_machine *machine) {
    csti_wire_put_u32(out, machine->partitions_count);
    for (uint32_t i = 0; i < machine->partitions_count; i++) {
        csti_wire_put_u64(out, machine->partitions[i].owner);
        csti_wire_put_u64(out, machine->partitions[i].tenure);
    }
    csti_wire_put_u32(out, machine->fulls_count);
    for (uint32_t i = 0; i < machine->fulls_count; i++) {
        csti_wire_put_text(out, machine->fulls[i].name);
        csti_wire_put_u32(out, machine->fulls[i].partition);
        csti_wire_put_u32(out, machine->fulls[i].crc);
        csti_wire_put_u64(out, machine->fulls[i].epoch);
        csti_wire_put_u64(out, machine->fulls[i].bytes);
        csti_wire_put_u64(out, machine->fulls[i].token);
    }
    csti_wire_put_u32(out, machine->checkpoints_count);
    for (uint32_t i = 0; i < machine->checkpoints_count; i++)
        put_checkpoint(out, machine, &machine->checkpoints[i]);
    csti_wire_put_u32(out, machine->aborted_count);
    for (uint32_t i = 0; i < machine->aborted_count; i++)
        csti_wire_put_u64(out, machine->aborted[i]);
    csti_wire_put_u32(out, machine->pins_count);
    for (uint32_t i = 0; i < machine->pins_count; i++) {
        csti_wire_put_u64(out, machine->pins[i].reader);
        csti_wire_put_u64(out, machine->pins[i].id);
        csti_wire_put_u64(out, (uint64_t)machine->pins[i].expires_us);
    }
    csti_wire_put_u32(out, machine->leases_count);
    for (uint32_t i = 0; i < machine->leases_count; i++) {
        csti_wire_put_text(out, machine->leases[i].name);
        csti_wire_put_u64(out, machine->leases[i].holder);
        csti_wire_put_u64(out, machine->leases[i].token);
        csti_wire_put_u64(out, (uint64_t)machine->leases[i].expires_us);
    }
    csti_wire_put_u32(out, machine->pending_count);
    for (uint32_t i = 0; i < machine->pending_count; i++)
        csti_wire_put_text(out, machine->pending[i]);
}

static void put_recent(csti_wire_out *out, const csti_meta_machine *machine) {
    csti_wire_put_u32(out, machine->recent_count);
    for (uint32_t i = 0; i < machine->recent_count; i++) {
        const uint64_t index = machine->index - machine->recent_count + 1 + i;
        const csti_meta_recent *recent = &machine->recent[index % CSTI_META_RECENT_MAX];

        csti_wire_put_u64(out, recent->request_id);
        csti_wire_put_u64(out, recent->tenure);
        csti_wire_put_u64(out, recent->token);
        csti_wire_put_u32(out, (uint32_t)recent->code);
    }
}

cst_code csti_meta_machine_encode(const csti_meta_machine *machine, csti_buffer *out,
                                  cst_err *err) {
    const size_t start = out->used_bytes;
    csti_wire_out wire = {.buffer = out, .code = CST_OK, .err = err};
    uint8_t *bytes;
    size_t count;

    csti_wire_put(&wire, magic, sizeof magic);
    csti_wire_put_u32(&wire, CSTI_META_VERSION);
    csti_wire_put_u32(&wire, 0); // reserved
    csti_wire_put_u64(&wire, 0); // bytes
    csti_wire_put_u32(&wire, 0); // CRC32C
    csti_wire_put_u32(&wire, 0); // reserved
    csti_wire_put_u64(&wire, machine->incarnation);
    csti_wire_put_u64(&wire, machine->index);
    csti_wire_put_u64(&wire, (uint64_t)machine->now_us);
    csti_wire_put_u64(&wire, machine->owner);
    csti_wire_put_u64(&wire, machine->tenure);
    csti_wire_put_text(&wire, machine->job);
    put_arrays(&wire, machine);
    put_recent(&wire, machine);
    if (wire.code != CST_OK) {
        out->used_bytes = start;
        return wire.code;
    }
    count = out->used_bytes - start;
    bytes = out->bytes + start;
    csti_store_le64(bytes + AT_BYTES, count);
    csti_store_le32(bytes + AT_CRC, csti_crc32c(0, bytes, count));
    return CST_OK;
}

// ---- Read ---------------------------------------------------------------------------------------

// Every taker: what is wrong goes into in->why; the code is CST_OK or CST_NO_MEMORY.

static char *text_copy(const char *text, size_t count) {
    char *copy = malloc(count + 1);

    if (!copy) return NULL;
    memcpy(copy, text, count);
    copy[count] = 0;
    return copy;
}

// NULL: wrong, or no memory.
static char *take_text(csti_wire_in *in, cst_code *code) {
    size_t count;
    const char *text = csti_wire_text(in, &count);
    char *copy;

    if (text && count == 0) in->why = "an empty name";
    if (in->why || !text) return NULL;
    copy = text_copy(text, count);
    if (!copy) *code = CST_NO_MEMORY;
    return copy;
}

static void wrong_unless(csti_wire_in *in, bool right, const char *why) {
    if (!right && !in->why) in->why = why;
}

static bool goes_on(const csti_wire_in *in, cst_code code) {
    return code == CST_OK && !in->why;
}

static cst_code take_partitions(csti_wire_in *in, csti_meta_machine *machine) {
    const uint32_t count = csti_wire_count(in, CSTI_META_PARTITIONS_MAX);
    csti_meta_partition *partitions =
        csti_meta_grown(NULL, &machine->partitions_capacity, count, sizeof *partitions);

    if (!partitions) return CST_NO_MEMORY;
    machine->partitions = partitions;
    for (uint32_t i = 0; i < count && !in->why; i++) {
        partitions[i].owner = csti_wire_u64(in);
        partitions[i].tenure = csti_wire_u64(in);
        wrong_unless(in, partitions[i].tenure <= machine->tenure,
                     "a partition's tenure is too high");
        machine->partitions_count++;
    }
    wrong_unless(in, (count > 0) == (machine->job != NULL), "partitions without a job");
    return CST_OK;
}

static cst_code take_fulls(csti_wire_in *in, csti_meta_machine *machine) {
    const uint32_t count = csti_wire_count(in, CSTI_META_FULLS_MAX);
    cst_code code = CST_OK;

    for (uint32_t i = 0; i < count && goes_on(in, code); i++) {
        csti_meta_full *fulls =
            csti_meta_grown(machine->fulls, &machine->fulls_capacity, i + 1, sizeof *fulls);
        if (!fulls) return CST_NO_MEMORY;
        machine->fulls = fulls;
        fulls[i] = (csti_meta_full){.name = take_text(in, &code)};
        if (!fulls[i].name) break;
        machine->fulls_count++;
        fulls[i].partition = csti_wire_u32(in);
        fulls[i].crc = csti_wire_u32(in);
        fulls[i].epoch = csti_wire_u64(in);
        fulls[i].bytes = csti_wire_u64(in);
        fulls[i].token = csti_wire_u64(in);
        wrong_unless(in, i == 0 || strcmp(fulls[i - 1].name, fulls[i].name) < 0,
                     "fulls out of order");
    }
    return code;
}

static cst_code take_refs(csti_wire_in *in, csti_meta_machine *machine,
                          csti_meta_checkpoint *checkpoint) {
    const uint32_t count = csti_wire_count(in, CSTI_META_PARTITIONS_MAX);
    csti_meta_full_ref *refs;

    wrong_unless(in, count <= CSTI_META_FULL_REFS_MAX - machine->refs_count, "too many fulls");
    wrong_unless(in, !checkpoint->deleting || count == 0, "a deleting checkpoint with fulls");
    if (in->why) return CST_OK;
    refs = calloc(count + 1, sizeof *refs);
    if (!refs) return CST_NO_MEMORY;
    checkpoint->fulls = refs;
    for (uint32_t i = 0; i < count && !in->why; i++) {
        const uint32_t at = csti_wire_u32(in);

        wrong_unless(in, at < machine->fulls_count, "a full that is not there");
        if (in->why) break;
        refs[i].partition = machine->fulls[at].partition;
        refs[i].epoch = machine->fulls[at].epoch;
        refs[i].name = machine->fulls[at].name;
        checkpoint->fulls_count++;
        machine->refs_count++;
    }
    return CST_OK;
}

static cst_code take_checkpoint(csti_wire_in *in, csti_meta_machine *machine,
                                csti_meta_checkpoint *out) {
    uint32_t flags;
    cst_code code = CST_OK;

    *out = (csti_meta_checkpoint){0};
    out->id = csti_wire_u64(in);
    out->base_id = csti_wire_u64(in);
    out->tenure = csti_wire_u64(in);
    out->committed_us = csti_wire_i64(in);
    out->crc = csti_wire_u32(in);
    flags = csti_wire_u32(in);
    out->deleting = flags == DELETING;
    wrong_unless(in, flags <= DELETING, "a checkpoint with unknown flags");
    wrong_unless(in, out->base_id < out->id, "a checkpoint that stands on a later one");
    wrong_unless(in, out->tenure <= machine->tenure, "a checkpoint of a later tenure");
    out->manifest = take_text(in, &code);
    if (!out->manifest) return code;
    machine->checkpoints_count++; // from here on its texts are the machine's
    return take_refs(in, machine, out);
}

static cst_code take_checkpoints(csti_wire_in *in, csti_meta_machine *machine) {
    const uint32_t count = csti_wire_count(in, CSTI_META_CHECKPOINTS_MAX);
    cst_code code = CST_OK;

    for (uint32_t i = 0; i < count && goes_on(in, code); i++) {
        csti_meta_checkpoint *checkpoints =
            csti_meta_grown(machine->checkpoints, &machine->checkpoints_capacity, i + 1,
                            sizeof *checkpoints);
        if (!checkpoints) return CST_NO_MEMORY;
        machine->checkpoints = checkpoints;
        code = take_checkpoint(in, machine, &checkpoints[i]);
        if (!goes_on(in, code)) break;
        wrong_unless(in, i == 0 || checkpoints[i - 1].id < checkpoints[i].id,
                     "checkpoints out of order");
        wrong_unless(in, i + 1 < count || !checkpoints[i].deleting,
                     "the newest checkpoint is deleting");
    }
    return code;
}

static cst_code take_aborted(csti_wire_in *in, csti_meta_machine *machine) {
    const uint32_t count = csti_wire_count(in, CSTI_META_ABORTED_MAX);

    for (uint32_t i = 0; i < count && !in->why; i++) {
        uint64_t *aborted =
            csti_meta_grown(machine->aborted, &machine->aborted_capacity, i + 1, sizeof *aborted);
        if (!aborted) return CST_NO_MEMORY;
        machine->aborted = aborted;
        aborted[i] = csti_wire_u64(in);
        machine->aborted_count++;
        wrong_unless(in, aborted[i] > 0, "an aborted id of 0");
        wrong_unless(in, i == 0 || aborted[i - 1] < aborted[i], "aborted ids out of order");
    }
    return CST_OK;
}

static cst_code take_pins(csti_wire_in *in, csti_meta_machine *machine) {
    const uint32_t count = csti_wire_count(in, CSTI_META_PINS_MAX);
    const int64_t latest_us = csti_meta_expiry(machine, CSTI_META_TTL_US_MAX);

    for (uint32_t i = 0; i < count && !in->why; i++) {
        csti_meta_pin *pins =
            csti_meta_grown(machine->pins, &machine->pins_capacity, i + 1, sizeof *pins);
        if (!pins) return CST_NO_MEMORY;
        machine->pins = pins;
        pins[i].reader = csti_wire_u64(in);
        pins[i].id = csti_wire_u64(in);
        pins[i].expires_us = csti_wire_i64(in);
        machine->pins_count++;
        wrong_unless(in, pins[i].reader > 0, "a pin without reader");
        wrong_unless(in, pins[i].expires_us <= latest_us, "a pin for too long");
        wrong_unless(in, i == 0 || pins[i - 1].reader < pins[i].reader, "pins out of order");
    }
    return CST_OK;
}

static cst_code take_leases(csti_wire_in *in, csti_meta_machine *machine) {
    const uint32_t count = csti_wire_count(in, CSTI_META_LEASES_MAX);
    const int64_t latest_us = csti_meta_expiry(machine, CSTI_META_TTL_US_MAX);
    cst_code code = CST_OK;

    for (uint32_t i = 0; i < count && goes_on(in, code); i++) {
        csti_meta_lease *leases =
            csti_meta_grown(machine->leases, &machine->leases_capacity, i + 1, sizeof *leases);
        if (!leases) return CST_NO_MEMORY;
        machine->leases = leases;
        leases[i] = (csti_meta_lease){.name = take_text(in, &code)};
        if (!leases[i].name) break;
        machine->leases_count++;
        leases[i].holder = csti_wire_u64(in);
        leases[i].token = csti_wire_u64(in);
        leases[i].expires_us = csti_wire_i64(in);
        wrong_unless(in, leases[i].expires_us <= latest_us, "a lease for too long");
        wrong_unless(in, i == 0 || strcmp(leases[i - 1].name, leases[i].name) < 0,
                     "leases out of order");
    }
    return code;
}

static cst_code take_pending(csti_wire_in *in, csti_meta_machine *machine) {
    const uint32_t count = csti_wire_count(in, CSTI_META_PENDING_MAX);
    cst_code code = CST_OK;

    for (uint32_t i = 0; i < count && goes_on(in, code); i++) {
        char **pending =
            csti_meta_grown(machine->pending, &machine->pending_capacity, i + 1, sizeof *pending);
        if (!pending) return CST_NO_MEMORY;
        machine->pending = pending;
        pending[i] = take_text(in, &code);
        if (!pending[i]) break;
        machine->pending_count++;
        wrong_unless(in, i == 0 || strcmp(pending[i - 1], pending[i]) < 0, "names out of order");
    }
    return code;
}

static void take_recent(csti_wire_in *in, csti_meta_machine *machine) {
    const uint32_t count = csti_wire_count(in, CSTI_META_RECENT_MAX);

    wrong_unless(in, count <= machine->index, "more commands than there were");
    for (uint32_t i = 0; i < count && !in->why; i++) {
        const uint64_t index = machine->index - count + 1 + i;
        csti_meta_recent *recent = &machine->recent[index % CSTI_META_RECENT_MAX];

        recent->request_id = csti_wire_u64(in);
        recent->tenure = csti_wire_u64(in);
        recent->token = csti_wire_u64(in);
        recent->code = (cst_code)csti_wire_u32(in);
    }
    machine->recent_count = in->why ? 0 : count;
}

static cst_code take_machine(csti_wire_in *in, csti_meta_machine *machine) {
    size_t job_bytes;
    const char *job;
    cst_code code;

    machine->index = csti_wire_u64(in);
    machine->now_us = csti_wire_i64(in);
    machine->owner = csti_wire_u64(in);
    machine->tenure = csti_wire_u64(in);
    wrong_unless(in, machine->tenure <= INT64_MAX, "a tenure above 2^63");
    job = csti_wire_text(in, &job_bytes);
    if (job && job_bytes > 0) {
        machine->job = text_copy(job, job_bytes);
        if (!machine->job) return CST_NO_MEMORY;
    }
    code = take_partitions(in, machine);
    if (goes_on(in, code)) code = take_fulls(in, machine);
    if (goes_on(in, code)) code = take_checkpoints(in, machine);
    if (goes_on(in, code)) code = take_aborted(in, machine);
    if (goes_on(in, code)) code = take_pins(in, machine);
    if (goes_on(in, code)) code = take_leases(in, machine);
    if (goes_on(in, code)) code = take_pending(in, machine);
    if (goes_on(in, code)) take_recent(in, machine);
    wrong_unless(in, code != CST_OK || in->at == in->count, "bytes behind its end");
    return code;
}

static const char *frame_fault(const uint8_t *bytes, size_t count) {
    static const uint8_t zeros[4];
    uint32_t crc;

    if (count < AT_BODY) return "it ends early";
    if (csti_load_le64(bytes + AT_BYTES) != count) return "its length is another";
    crc = csti_crc32c(0, bytes, AT_CRC);
    crc = csti_crc32c(crc, zeros, sizeof zeros);
    crc = csti_crc32c(crc, bytes + AT_CRC + 4, count - AT_CRC - 4);
    if (csti_load_le32(bytes + AT_CRC) != crc) return "stored and computed checksums differ";
    if (csti_load_le32(bytes + sizeof magic + 4) != 0 || csti_load_le32(bytes + AT_CRC + 4) != 0)
        return "a reserved field is not 0";
    return NULL;
}

cst_code csti_meta_machine_decode(const uint8_t *bytes, size_t count, csti_meta_machine **out,
                                  cst_err *err) {
    csti_wire_in in = {.bytes = bytes, .count = count, .at = AT_BODY};
    csti_meta_machine *machine = NULL;
    cst_code code;

    if (count < sizeof magic + 4 || memcmp(bytes, magic, sizeof magic) != 0)
        return cst_fail(err, CST_META_CORRUPT, "not a metadata snapshot");
    if (csti_load_le32(bytes + sizeof magic) != CSTI_META_VERSION)
        return cst_fail(err, CST_META_VERSION,
                        "metadata snapshot of version %u, this program reads %d",
                        csti_load_le32(bytes + sizeof magic), CSTI_META_VERSION);
    in.why = frame_fault(bytes, count);
    if (in.why) return cst_fail(err, CST_META_CORRUPT, "metadata snapshot: %s", in.why);
    code = csti_meta_machine_open(csti_wire_u64(&in), &machine, err);
    if (code != CST_OK) return code;
    code = take_machine(&in, machine);
    if (code != CST_OK)
        code = cst_fail(err, code, "metadata snapshot of %zu bytes", count);
    else if (in.why)
        code = cst_fail(err, CST_META_CORRUPT, "metadata snapshot, byte %zu of %zu: %s", in.at,
                        count, in.why);
    if (code != CST_OK) {
        csti_meta_machine_close(machine);
        return code;
    }
    *out = machine;
    return CST_OK;
}
