// xrt_xclbin.c: a container of XRT's (xrt/xclbin.h), as far as a host has to know before it uses
// it.
//
//   0     magic "xclbin2"
//   304   bytes of all of it (8)
//   448   sections (4)
//   456   a section: kind (4), name (16), 0 (4), its offset (8), its bytes (8)
//
// Read here, and not by the library, so that what is wrong with it is said, and before a card is
// touched.
#include "device/xrt_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    AT_LENGTH = 304,
    AT_SECTIONS_COUNT = 448,
    AT_SECTIONS = 456,
    SECTION_BYTES = 40,
    SECTIONS_MAX = 64,
    FILE_BYTES_MAX = 512 << 20,
    BANKS_MAX = 256,
    CONNECTIONS_MAX = 4096,
};
enum { SECTION_XML = 2, SECTION_MEMORY = 6, SECTION_CONNECTIONS = 7, SECTION_KERNELS = 8 };
enum { IP_KERNEL = 1, CONTROL_SHIFT = 8, CONTROL_MASK = 255, CONTROL_CHAIN = 1 };
enum { MEMORY_BYTES = 40, CONNECTION_BYTES = 12, KERNEL_BYTES = 80, TABLE_HEAD_BYTES = 8 };

typedef struct section {
    const uint8_t *at; // NULL: there is none
    size_t bytes;
} section;

typedef struct container {
    const char *path;
    uint8_t *bytes;
    size_t bytes_count;
    section xml, memory, connections, kernels;
    char *text; // the xml, ended by a 0
} container;

// Of 4 or 8 bytes, little endian.
static uint64_t number_at(const uint8_t *at, size_t bytes) {
    uint64_t value = 0;

    memcpy(&value, at, bytes);
    return value;
}

static uint32_t u32_at(const uint8_t *at) {
    return (uint32_t)number_at(at, sizeof(uint32_t));
}

static uint64_t u64_at(const uint8_t *at) {
    return number_at(at, sizeof(uint64_t));
}

static cst_code damaged(const container *file, const char *what, cst_err *err) {
    return cst_fail(err, CST_DEVICE_IMAGE, "%s: %s", file->path, what);
}

// ---- The file -----------------------------------------------------------------------------------

static cst_code file_read(container *file, cst_err *err) {
    FILE *in = fopen(file->path, "rb");
    cst_code code = CST_OK;
    long bytes = -1;

    if (!in) return cst_fail(err, CST_IO, "%s: %s", file->path, strerror(errno));
    if (fseek(in, 0, SEEK_END) == 0) bytes = ftell(in);
    if (bytes < 0 || fseek(in, 0, SEEK_SET) != 0)
        code = cst_fail(err, CST_IO, "%s: cannot be read", file->path);
    else if (bytes < AT_SECTIONS || bytes > FILE_BYTES_MAX)
        code = damaged(file, "no container of XRT's: it has not its size", err);
    if (code == CST_OK) {
        file->bytes_count = (size_t)bytes;
        file->bytes = malloc(file->bytes_count);
        if (!file->bytes)
            code = cst_fail(err, CST_NO_MEMORY, "%s", file->path);
        else if (fread(file->bytes, 1, file->bytes_count, in) != file->bytes_count)
            code = cst_fail(err, CST_IO, "%s: cannot be read", file->path);
    }
    (void)fclose(in);
    return code;
}

static cst_code sections_find(container *file, cst_err *err) {
    const uint32_t count = u32_at(file->bytes + AT_SECTIONS_COUNT);

    if (memcmp(file->bytes, "xclbin2", 8) != 0)
        return damaged(file, "no container of XRT's: it does not begin with xclbin2", err);
    if (u64_at(file->bytes + AT_LENGTH) != file->bytes_count)
        return damaged(file, "damaged: it has another size than it says", err);
    if (count > SECTIONS_MAX || AT_SECTIONS + (size_t)count * SECTION_BYTES > file->bytes_count)
        return damaged(file, "damaged: so many sections do not fit into it", err);
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *header = file->bytes + AT_SECTIONS + (size_t)i * SECTION_BYTES;
        const uint64_t at = u64_at(header + 24), bytes = u64_at(header + 32);
        section *found = NULL;

        if (at > file->bytes_count || bytes > file->bytes_count - at)
            return damaged(file, "damaged: a section lies outside of it", err);
        switch (u32_at(header)) {
        case SECTION_XML:
            found = &file->xml;
            break;
        case SECTION_MEMORY:
            found = &file->memory;
            break;
        case SECTION_CONNECTIONS:
            found = &file->connections;
            break;
        case SECTION_KERNELS:
            found = &file->kernels;
            break;
        default:
            continue;
        }
        *found = (section){file->bytes + at, (size_t)bytes};
    }
    if (!file->xml.at || !file->memory.at || !file->connections.at || !file->kernels.at)
        return damaged(file, "it lacks one of the sections 2, 6, 7 and 8", err);
    return CST_OK;
}

// How many entries a section says that it has, if they fit.
static cst_code entries_count(const container *file, const section *of, size_t head, size_t each,
                              uint32_t *out, cst_err *err) {
    if (of->bytes < head) return damaged(file, "damaged: a section is too short", err);
    *out = u32_at(of->at);
    if (*out > (of->bytes - head) / each)
        return damaged(file, "damaged: a section has not the entries that it says", err);
    return CST_OK;
}

// ---- What stands in its text --------------------------------------------------------------------

// The value of an attribute of the element that begins there, if it is a number.
static bool attribute_is(const char *element, const char *name, uint64_t value) {
    const char *end = strchr(element, '>');
    char wanted[32];
    const char *at;

    (void)snprintf(wanted, sizeof wanted, " %s=\"", name);
    at = strstr(element, wanted);
    return end && at && at < end && strtoull(at + strlen(wanted), NULL, 0) == value;
}

static cst_code argument_check(const container *file, const char *kernel, const char *name,
                               uint32_t id, uint32_t offset, cst_err *err) {
    char wanted[64];
    const char *element;

    (void)snprintf(wanted, sizeof wanted, "<arg name=\"%s\"", name);
    element = strstr(kernel, wanted);
    if (!element || !attribute_is(element, "id", id) || !attribute_is(element, "offset", offset))
        return cst_fail(err, CST_DEVICE_IMAGE,
                        "%s: argument %u of its kernel is not %s at 0x%03x: made for another host",
                        file->path, id, name, offset);
    return CST_OK;
}

static cst_code text_check(container *file, cst_err *err) {
    const char *kernel;
    cst_code code = CST_OK;

    file->text = malloc(file->xml.bytes + 1);
    if (!file->text) return cst_fail(err, CST_NO_MEMORY, "%s", file->path);
    memcpy(file->text, file->xml.at, file->xml.bytes);
    file->text[file->xml.bytes] = 0;
    kernel = strstr(file->text, "<kernel name=\"" CSTI_KERNEL_NAME "\"");
    if (!kernel) return damaged(file, "it has no kernel " CSTI_KERNEL_NAME, err);
#define CHECK_ARGUMENT(NAME, ID, OFFSET, BYTES, KIND, WORD)                                        \
    if (code == CST_OK) code = argument_check(file, kernel, WORD, ID, OFFSET, err);
    CSTI_KERNEL_ARGUMENT_MAP(CHECK_ARGUMENT)
#undef CHECK_ARGUMENT
    for (uint32_t c = 0; c < CSTI_KERNEL_CHANNELS && code == CST_OK; c++) {
        char name[8];

        (void)snprintf(name, sizeof name, "c%02u", c % 100);
        code = argument_check(file, kernel, name, CSTI_KERNEL_ARGUMENT_CHANNEL + c,
                              CSTI_KERNEL_AT_CHANNEL + 8 * c, err);
    }
    return code;
}

// ---- Units and their memory ---------------------------------------------------------------------

// "kernel:instance" becomes the name that XRT opens it by.
static cst_code units_take(const container *file, xrt_xclbin *out, cst_err *err) {
    static const char prefix[] = CSTI_KERNEL_NAME ":";
    uint32_t count = 0;
    cst_code code =
        entries_count(file, &file->kernels, TABLE_HEAD_BYTES, KERNEL_BYTES, &count, err);

    for (uint32_t i = 0; i < count && code == CST_OK; i++) {
        const uint8_t *entry = file->kernels.at + TABLE_HEAD_BYTES + (size_t)i * KERNEL_BYTES;
        const char *name = (const char *)entry + 16;

        if (u32_at(entry) != IP_KERNEL || strncmp(name, prefix, sizeof prefix - 1) != 0) continue;
        if (!memchr(name, 0, XRT_NAME_BYTES) || strlen(name) + 3 > XRT_NAME_BYTES)
            return damaged(file, "damaged: a name without an end", err);
        if ((u32_at(entry + 4) >> CONTROL_SHIFT & CONTROL_MASK) != CONTROL_CHAIN)
            return damaged(file, "its kernel is not started by ap_ctrl_chain", err);
        if (i != out->units_count || out->units_count == XRT_UNITS_MAX)
            return damaged(file, "it has other kernels before ours, or more than 8 units", err);
        (void)snprintf(out->units[out->units_count++], XRT_NAME_BYTES, "%s{%s}", prefix,
                       name + sizeof prefix - 1);
    }
    if (code == CST_OK && out->units_count == 0)
        code = damaged(file, "it has no unit of " CSTI_KERNEL_NAME, err);
    return code;
}

// The banks that an argument of a unit is joined to, lowest and highest. False: to none.
static bool banks_of(const container *file, uint32_t connections, uint32_t unit, uint32_t argument,
                     uint32_t *first, uint32_t *last) {
    bool found = false;

    for (uint32_t i = 0; i < connections; i++) {
        const uint8_t *entry = file->connections.at + 4 + (size_t)i * CONNECTION_BYTES;
        const uint32_t bank = u32_at(entry + 8);

        if (u32_at(entry) != argument || u32_at(entry + 4) != unit) continue;
        if (!found || bank < *first) *first = bank;
        if (!found || bank > *last) *last = bank;
        found = true;
    }
    return found;
}

static uint64_t bank_base(const container *file, uint32_t bank) {
    return u64_at(file->memory.at + TABLE_HEAD_BYTES + (size_t)bank * MEMORY_BYTES + 16);
}

// Channels have a bank each, as far from each other as a bank is large.
static cst_code channels_check(const container *file, uint32_t connections, uint32_t banks,
                               uint32_t unit, xrt_xclbin *out, cst_err *err) {
    uint32_t first = 0, last = 0;

    for (uint32_t c = 0; c < CSTI_KERNEL_CHANNELS; c++) {
        const uint32_t argument = CSTI_KERNEL_ARGUMENT_CHANNEL + c;

        if (!banks_of(file, connections, unit, argument, &first, &last) || first != last ||
            last >= banks)
            return cst_fail(err, CST_DEVICE_IMAGE, "%s: m_axi_c%02u of unit %u has not one bank",
                            file->path, c, unit);
        if (c == 0) out->image_bank[unit] = first;
        if (first != out->image_bank[unit] + c ||
            bank_base(file, first) != bank_base(file, out->image_bank[unit]) + c * out->bank_bytes)
            return cst_fail(err, CST_DEVICE_IMAGE,
                            "%s: m_axi_c%02u of unit %u is not in the bank behind the one before "
                            "it",
                            file->path, c, unit);
    }
    return CST_OK;
}

static cst_code memory_take(const container *file, xrt_xclbin *out, cst_err *err) {
    uint32_t banks = 0, connections = 0;
    cst_code code = entries_count(file, &file->memory, TABLE_HEAD_BYTES, MEMORY_BYTES, &banks, err);

    if (code == CST_OK)
        code = entries_count(file, &file->connections, 4, CONNECTION_BYTES, &connections, err);
    if (code == CST_OK && (banks == 0 || banks > BANKS_MAX))
        code = damaged(file, "it has no memory, or more than 256 banks", err);
    if (code == CST_OK && connections > CONNECTIONS_MAX)
        code = damaged(file, "it has more than 4,096 connections", err);
    if (code != CST_OK) return code;
    out->bank_bytes = u64_at(file->memory.at + TABLE_HEAD_BYTES + 8) << 10; // it is in KiB
    for (uint32_t u = 0; u < out->units_count && code == CST_OK; u++) {
        code = channels_check(file, connections, banks, u, out, err);
        if (code == CST_OK && (!banks_of(file, connections, u, CSTI_KERNEL_ARGUMENT_RING,
                                         &out->rows_bank[u], &out->results_bank[u]) ||
                               out->results_bank[u] >= banks))
            code = damaged(file, CSTI_KERNEL_BATCH_PORT " has no bank", err);
    }
    return code;
}

cst_code xrt_xclbin_read(const char *path, xrt_xclbin *out, cst_err *err) {
    container file = {.path = path};
    xrt_xclbin found = {0};
    cst_code code = file_read(&file, err);

    if (code == CST_OK) code = sections_find(&file, err);
    if (code == CST_OK) code = text_check(&file, err);
    if (code == CST_OK) code = units_take(&file, &found, err);
    if (code == CST_OK) code = memory_take(&file, &found, err);
    if (code == CST_OK) *out = found;
    free(file.text);
    free(file.bytes);
    return code;
}
