// A command's rules and bytes: docs/formats.md, Metadata.
#include "base/arena.h"
#include "base/crc32c.h"
#include "meta/internal.h"
#include "meta/wire.h"

#include <assert.h>

static const char magic[8] = {'C', 'S', 'T', 'C', 'M', 'D', '1', '\n'};

enum { HEADER_BYTES = 144, AT_KIND = 12, AT_BYTES = 16, AT_CRC = 20 };

// ---- Which fields a kind has --------------------------------------------------------------------

enum field {
    OWNER = 1 << 0,
    TENURE = 1 << 1,
    ID = 1 << 2,
    BASE_ID = 1 << 3,
    EPOCH = 1 << 4,
    BYTES = 1 << 5,
    TOKEN = 1 << 6,
    READER = 1 << 7,
    TTL = 1 << 8,
    CRC = 1 << 9,
    PARTITION = 1 << 10,
    COUNT = 1 << 11,
    NAME = 1 << 12,
    LEASE = 1 << 13,
    TENURES = 1 << 14,
    FULLS = 1 << 15,
    IDS = 1 << 16,
    NAMES = 1 << 17,
    NOT_ZERO = OWNER | ID | READER | TTL | NAME | LEASE, // where the kind has them
};

static const struct kind {
    const char *name;
    uint32_t fields;
} kinds[] = {
    [CSTI_META_CLAIM] = {"CLAIM", NAME | OWNER | TENURE | COUNT},
    [CSTI_META_PARTITIONS] = {"PARTITIONS", OWNER | TENURE | COUNT},
    [CSTI_META_COMMIT] = {"COMMIT", OWNER | TENURE | ID | BASE_ID | NAME | CRC | TENURES | FULLS},
    [CSTI_META_ADOPT] = {"ADOPT", OWNER | TENURE | ID | BASE_ID | NAME | CRC | FULLS},
    [CSTI_META_ABORT] = {"ABORT", OWNER | TENURE | ID},
    [CSTI_META_REGISTER_FULL] = {"REGISTER_FULL",
                                 PARTITION | EPOCH | NAME | BYTES | CRC | LEASE | TOKEN},
    [CSTI_META_RETIRE] = {"RETIRE", OWNER | TENURE | IDS | NAMES},
    [CSTI_META_DELETED] = {"DELETED", IDS | NAMES},
    [CSTI_META_PIN] = {"PIN", READER | ID | TTL},
    [CSTI_META_UNPIN] = {"UNPIN", READER},
    [CSTI_META_LEASE] = {"LEASE", LEASE | OWNER | TTL},
    [CSTI_META_LEASE_END] = {"LEASE_END", LEASE | OWNER | TOKEN},
    [CSTI_META_TOKEN_RAISE] = {"TOKEN_RAISE", LEASE | TOKEN},
};

static bool is_kind(uint32_t kind) {
    return kind > 0 && kind < sizeof kinds / sizeof kinds[0];
}

const char *csti_meta_kind_name(csti_meta_kind kind) {
    return is_kind(kind) ? kinds[kind].name : "an unknown command";
}

// The fields that are not 0, NULL or empty.
static uint32_t fields_of(const csti_meta_command *command) {
    uint32_t fields = 0;

    if (command->owner) fields |= OWNER;
    if (command->tenure) fields |= TENURE;
    if (command->id) fields |= ID;
    if (command->base_id) fields |= BASE_ID;
    if (command->epoch) fields |= EPOCH;
    if (command->bytes) fields |= BYTES;
    if (command->token) fields |= TOKEN;
    if (command->reader) fields |= READER;
    if (command->ttl_us) fields |= TTL;
    if (command->crc) fields |= CRC;
    if (command->partition) fields |= PARTITION;
    if (command->count) fields |= COUNT;
    if (command->name && command->name[0]) fields |= NAME;
    if (command->lease && command->lease[0]) fields |= LEASE;
    if (command->tenures_count) fields |= TENURES;
    if (command->fulls_count) fields |= FULLS;
    if (command->ids_count) fields |= IDS;
    if (command->names_count) fields |= NAMES;
    return fields;
}

static bool name_is_good(const char *name) {
    return name && name[0] && csti_wire_text_is_good(name, strlen(name));
}

const char *csti_meta_command_fault(const csti_meta_command *command) {
    const uint32_t fields = fields_of(command);
    uint32_t wanted;

    if (!is_kind(command->kind)) return "no such kind";
    wanted = kinds[command->kind].fields;
    if (command->request_id == 0) return "no request id";
    if (fields & ~wanted) return "a field that the kind does not have";
    if (wanted & NOT_ZERO & ~fields) return "an owner, id, reader, ttl or name is missing";
    if (command->ttl_us > CSTI_META_TTL_US_MAX) return "a ttl of more than seven days";
    if ((command->tenure | command->token) > INT64_MAX) return "a tenure or token above 2^63";
    if (fields & NAME && !name_is_good(command->name)) return "a name that is not allowed";
    if (fields & LEASE && !name_is_good(command->lease)) return "a lease that is not allowed";
    if (command->tenures_count > CSTI_META_PARTITIONS_MAX) return "too many tenures";
    if (command->fulls_count > CSTI_META_PARTITIONS_MAX) return "too many fulls";
    if (command->ids_count > CSTI_META_CHECKPOINTS_MAX) return "too many ids";
    if (command->names_count > CSTI_META_PENDING_MAX) return "too many names";
    for (uint32_t i = 0; i < command->fulls_count; i++)
        if (!name_is_good(command->fulls[i].name)) return "the name of a full is not allowed";
    for (uint32_t i = 0; i < command->names_count; i++)
        if (!name_is_good(command->names[i])) return "one of the names is not allowed";
    return NULL;
}

// ---- Write --------------------------------------------------------------------------------------

static void put_header(csti_wire_out *out, const csti_meta_command *command) {
    csti_wire_put(out, magic, sizeof magic);
    csti_wire_put_u32(out, CSTI_META_VERSION);
    csti_wire_put_u32(out, (uint32_t)command->kind);
    csti_wire_put_u32(out, 0); // bytes
    csti_wire_put_u32(out, 0); // CRC32C
    csti_wire_put_u64(out, command->request_id);
    csti_wire_put_u64(out, (uint64_t)command->time_us);
    csti_wire_put_u64(out, command->owner);
    csti_wire_put_u64(out, command->tenure);
    csti_wire_put_u64(out, command->id);
    csti_wire_put_u64(out, command->base_id);
    csti_wire_put_u64(out, command->epoch);
    csti_wire_put_u64(out, command->bytes);
    csti_wire_put_u64(out, command->token);
    csti_wire_put_u64(out, command->reader);
    csti_wire_put_u64(out, command->ttl_us);
    csti_wire_put_u32(out, command->crc);
    csti_wire_put_u32(out, command->partition);
    csti_wire_put_u32(out, command->count);
    csti_wire_put_u32(out, command->tenures_count);
    csti_wire_put_u32(out, command->fulls_count);
    csti_wire_put_u32(out, command->ids_count);
    csti_wire_put_u32(out, command->names_count);
    csti_wire_put_u32(out, 0); // reserved
}

static void put_body(csti_wire_out *out, const csti_meta_command *command) {
    csti_wire_put_text(out, command->name);
    csti_wire_put_text(out, command->lease);
    for (uint32_t i = 0; i < command->tenures_count; i++)
        csti_wire_put_u64(out, command->tenures[i]);
    for (uint32_t i = 0; i < command->fulls_count; i++) {
        csti_wire_put_u32(out, command->fulls[i].partition);
        csti_wire_put_u64(out, command->fulls[i].epoch);
        csti_wire_put_text(out, command->fulls[i].name);
    }
    for (uint32_t i = 0; i < command->ids_count; i++) csti_wire_put_u64(out, command->ids[i]);
    for (uint32_t i = 0; i < command->names_count; i++) csti_wire_put_text(out, command->names[i]);
}

cst_code csti_meta_command_encode(const csti_meta_command *command, csti_buffer *out,
                                  cst_err *err) {
    const char *fault = csti_meta_command_fault(command);
    const size_t start = out->used_bytes;
    csti_wire_out wire = {.buffer = out, .code = CST_OK, .err = err};
    uint8_t *bytes;
    size_t count;

    if (fault)
        return cst_fail(err, CST_USAGE, "metadata command %s: %s",
                        csti_meta_kind_name(command->kind), fault);
    put_header(&wire, command);
    assert(wire.code != CST_OK || out->used_bytes - start == HEADER_BYTES);
    put_body(&wire, command);
    count = out->used_bytes - start;
    if (wire.code == CST_OK && count > CSTI_META_COMMAND_BYTES_MAX)
        wire.code =
            cst_fail(err, CST_LIMIT, "metadata command %s: %zu bytes, more than %d",
                     csti_meta_kind_name(command->kind), count, CSTI_META_COMMAND_BYTES_MAX);
    if (wire.code != CST_OK) {
        out->used_bytes = start;
        return wire.code;
    }
    bytes = out->bytes + start;
    csti_store_le32(bytes + AT_BYTES, (uint32_t)count);
    csti_store_le32(bytes + AT_CRC, csti_crc32c(0, bytes, count));
    return CST_OK;
}

// ---- Read ---------------------------------------------------------------------------------------

// CRC32C of the bytes with the field that holds it as 0.
static uint32_t crc_without_field(const uint8_t *bytes, size_t count) {
    static const uint8_t zeros[4];
    uint32_t crc = csti_crc32c(0, bytes, AT_CRC);

    crc = csti_crc32c(crc, zeros, sizeof zeros);
    return csti_crc32c(crc, bytes + AT_CRC + 4, count - AT_CRC - 4);
}

static const char *frame_fault(const uint8_t *bytes, size_t count) {
    if (count < HEADER_BYTES) return "it ends early";
    if (csti_load_le32(bytes + AT_BYTES) != count) return "its length is another";
    if (csti_load_le32(bytes + AT_CRC) != crc_without_field(bytes, count))
        return "stored and computed checksums differ";
    return NULL;
}

static void take_header(csti_wire_in *in, csti_meta_command *out) {
    (void)csti_wire_take(in, AT_KIND);
    out->kind = (csti_meta_kind)csti_wire_u32(in);
    (void)csti_wire_take(in, 8); // bytes, CRC32C
    out->request_id = csti_wire_u64(in);
    out->time_us = csti_wire_i64(in);
    out->owner = csti_wire_u64(in);
    out->tenure = csti_wire_u64(in);
    out->id = csti_wire_u64(in);
    out->base_id = csti_wire_u64(in);
    out->epoch = csti_wire_u64(in);
    out->bytes = csti_wire_u64(in);
    out->token = csti_wire_u64(in);
    out->reader = csti_wire_u64(in);
    out->ttl_us = csti_wire_u64(in);
    out->crc = csti_wire_u32(in);
    out->partition = csti_wire_u32(in);
    out->count = csti_wire_u32(in);
    out->tenures_count = csti_wire_count(in, CSTI_META_PARTITIONS_MAX);
    out->fulls_count = csti_wire_count(in, CSTI_META_PARTITIONS_MAX);
    out->ids_count = csti_wire_count(in, CSTI_META_CHECKPOINTS_MAX);
    out->names_count = csti_wire_count(in, CSTI_META_PENDING_MAX);
    if (csti_wire_u32(in) != 0 && !in->why) in->why = "a reserved field is not 0";
}

// The text, ended, in the arena; NULL if it is empty, or on a failure.
static const char *take_text(csti_wire_in *in, csti_arena *arena, cst_code *code, cst_err *err) {
    size_t count;
    const char *text = csti_wire_text(in, &count);
    void *copy = NULL;

    if (!text || count == 0 || *code != CST_OK) return NULL;
    *code = csti_arena_alloc(arena, count + 1, 1, &copy, err);
    if (*code != CST_OK) return NULL;
    memcpy(copy, text, count);
    ((char *)copy)[count] = 0;
    return copy;
}

static const uint64_t *take_numbers(csti_wire_in *in, uint32_t count, csti_arena *arena,
                                    cst_code *code, cst_err *err) {
    void *numbers = NULL;

    if (*code == CST_OK)
        *code = csti_arena_alloc(arena, count * sizeof(uint64_t), sizeof(uint64_t), &numbers, err);
    for (uint32_t i = 0; i < count && *code == CST_OK; i++)
        ((uint64_t *)numbers)[i] = csti_wire_u64(in);
    return numbers;
}

static cst_code take_body(csti_wire_in *in, csti_arena *arena, csti_meta_command *out,
                          cst_err *err) {
    csti_meta_full_ref *fulls = NULL;
    const char **names = NULL;
    void *memory = NULL;
    cst_code code = CST_OK;

    out->name = take_text(in, arena, &code, err);
    out->lease = take_text(in, arena, &code, err);
    out->tenures = take_numbers(in, out->tenures_count, arena, &code, err);
    if (code != CST_OK) return code;
    code = csti_arena_alloc(arena, out->fulls_count * sizeof *fulls, _Alignof(csti_meta_full_ref),
                            &memory, err);
    fulls = memory;
    for (uint32_t i = 0; i < out->fulls_count && code == CST_OK && !in->why; i++) {
        fulls[i].partition = csti_wire_u32(in);
        fulls[i].epoch = csti_wire_u64(in);
        fulls[i].name = take_text(in, arena, &code, err);
    }
    out->ids = take_numbers(in, out->ids_count, arena, &code, err);
    if (code != CST_OK) return code;
    code =
        csti_arena_alloc(arena, out->names_count * sizeof *names, _Alignof(char *), &memory, err);
    names = memory;
    for (uint32_t i = 0; i < out->names_count && code == CST_OK && !in->why; i++)
        names[i] = take_text(in, arena, &code, err);
    out->fulls = fulls;
    out->names = names;
    return code;
}

cst_code csti_meta_command_decode(const uint8_t *bytes, size_t count, csti_arena *arena,
                                  csti_meta_command *out, cst_err *err) {
    csti_wire_in in = {.bytes = bytes, .count = count};
    csti_meta_command command = {0};
    cst_code code;

    if (count < AT_KIND || memcmp(bytes, magic, sizeof magic) != 0)
        return cst_fail(err, CST_META_CORRUPT, "not a metadata command");
    if (csti_load_le32(bytes + sizeof magic) != CSTI_META_VERSION)
        return cst_fail(err, CST_META_VERSION,
                        "metadata command of version %u, this program reads %d",
                        csti_load_le32(bytes + sizeof magic), CSTI_META_VERSION);
    in.why = frame_fault(bytes, count);
    if (!in.why) take_header(&in, &command);
    if (!in.why) {
        code = take_body(&in, arena, &command, err);
        if (code != CST_OK) return code;
    }
    if (!in.why && in.at != count) in.why = "bytes behind its end";
    if (!in.why) in.why = csti_meta_command_fault(&command);
    if (in.why)
        return cst_fail(err, CST_META_CORRUPT, "metadata command, byte %zu of %zu: %s", in.at,
                        count, in.why);
    *out = command;
    return CST_OK;
}
