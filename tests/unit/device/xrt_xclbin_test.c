// What a container may say, and what of it is refused, bit by bit: written here, apart from what
// writes the emulated card's.
#include "device/xrt_internal.h"

#include "test.h"

#include <unistd.h>

enum {
    AT_LENGTH = 304,
    AT_SECTIONS_COUNT = 448,
    AT_SECTIONS = 456,
    SECTIONS = 4,
    BANKS = 32,
    CONNECTIONS = 18,
    FILE_BYTES = 16384,
};

typedef struct container {
    uint8_t bytes[FILE_BYTES];
    size_t count, sections;
} container;

static void put(container *file, size_t at, uint64_t value, size_t bytes) {
    memcpy(file->bytes + at, &value, bytes);
}

static size_t section_add(container *file, uint32_t kind, const void *bytes, size_t count) {
    const size_t header = AT_SECTIONS + file->sections++ * 40, at = file->count;

    put(file, header, kind, 4);
    put(file, header + 24, at, 8);
    put(file, header + 32, count, 8);
    if (bytes) memcpy(file->bytes + at, bytes, count);
    file->count += count;
    put(file, AT_SECTIONS_COUNT, file->sections, 4);
    put(file, AT_LENGTH, file->count, 8);
    return at;
}

static void text_add(container *file) {
    static char text[8192];
    size_t used = (size_t)snprintf(text, sizeof text, "<kernel name=\"%s\">", CSTI_KERNEL_NAME);

#define ARGUMENT(NAME, ID, OFFSET, BYTES, KIND, WORD)                                              \
    used += (size_t)snprintf(text + used, sizeof text - used,                                      \
                             "<arg name=\"%s\" id=\"%d\" offset=\"0x%x\"/>", WORD, ID, OFFSET);
    CSTI_KERNEL_ARGUMENT_MAP(ARGUMENT)
#undef ARGUMENT
    for (unsigned c = 0; c < CSTI_KERNEL_CHANNELS; c++)
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "<arg name=\"c%02u\" id=\"%u\" offset=\"0x%x\"/>", c,
                                 CSTI_KERNEL_ARGUMENT_CHANNEL + c, CSTI_KERNEL_AT_CHANNEL + 8 * c);
    (void)section_add(file, 2, text, used);
}

// One unit; channel c in bank c, batches in banks 16 and 17.
static void container_make(container *file) {
    size_t at;

    *file = (container){.count = AT_SECTIONS + SECTIONS * 40};
    memcpy(file->bytes, "xclbin2", 8);
    text_add(file);
    at = section_add(file, 6, NULL, 8 + BANKS * 40);
    put(file, at, BANKS, 4);
    for (uint64_t bank = 0; bank < BANKS; bank++) {
        put(file, at + 8 + bank * 40 + 8, 512 << 10, 8);
        put(file, at + 8 + bank * 40 + 16, bank << 29, 8);
    }
    at = section_add(file, 8, NULL, 8 + 80);
    put(file, at, 1, 4);
    put(file, at + 8, 1, 4);
    put(file, at + 8 + 4, 1 << 8, 4);
    memcpy(file->bytes + at + 8 + 16, "cst_kernel_state:unit", 22);
    at = section_add(file, 7, NULL, 4 + CONNECTIONS * 12);
    put(file, at, CONNECTIONS, 4);
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        put(file, at + 4 + i * 12, i < 16 ? CSTI_KERNEL_ARGUMENT_CHANNEL + i : 0, 4);
        put(file, at + 4 + i * 12 + 8, i, 4);
    }
}

static cst_code container_read(const container *file, xrt_xclbin *out, cst_err *err) {
    char path[] = "/tmp/cst-xclbin.XXXXXX";
    const int made = mkstemp(path);
    cst_code code;

    CHECK(made >= 0);
    CHECK_EQ(write(made, file->bytes, file->count), (ssize_t)file->count);
    (void)close(made);
    code = xrt_xclbin_read(path, out, err);
    (void)unlink(path);
    return code;
}

TEST(a_container_says_its_units_and_their_memory) {
    container file;
    xrt_xclbin found;

    container_make(&file);
    CHECK_OK(container_read(&file, &found, NULL));
    CHECK_EQ(found.units_count, 1);
    CHECK(strcmp(found.units[0], "cst_kernel_state:{unit}") == 0);
    CHECK_EQ(found.image_bank[0], 0);
    CHECK_EQ(found.rows_bank[0], 16);
    CHECK_EQ(found.results_bank[0], 17);
    CHECK_EQ(found.bank_bytes, UINT64_C(512) << 20);
}

// Nothing is read outside of it (ASan), and what is refused leaves the result as it was.
TEST(one_wrong_bit_anywhere_is_refused_or_makes_no_difference) {
    container file;
    uint32_t refused = 0;

    for (uint32_t i = 0; i < 4000; i++) {
        xrt_xclbin found = {.units_count = 77};
        cst_err err = {0};
        cst_code code;

        container_make(&file);
        file.bytes[test_random_below(file.count)] ^= (uint8_t)(1u << test_random_below(8));
        code = container_read(&file, &found, &err);
        if (code == CST_OK) {
            CHECK(found.units_count <= XRT_UNITS_MAX);
            continue;
        }
        CHECK_EQ(code, CST_DEVICE_IMAGE);
        CHECK_EQ(found.units_count, 77);
        CHECK(strstr(err.text, "/tmp/cst-xclbin."));
        refused++;
    }
    CHECK(refused > 1000);
}

TEST(one_that_ends_early_is_refused) {
    container file;
    size_t count;

    container_make(&file);
    count = file.count;
    for (file.count = 0; file.count < count; file.count += 1 + test_random_below(16)) {
        xrt_xclbin found;

        CHECK_CODE(container_read(&file, &found, NULL), CST_DEVICE_IMAGE);
    }
}

// Counts that are negative, or larger than what is there.
TEST(a_count_that_cannot_be_is_refused) {
    static const uint64_t counts[] = {UINT32_MAX, INT32_MAX, 1 << 20, 200};

    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        for (size_t section = 1; section < SECTIONS; section++) {
            container file;
            xrt_xclbin found;
            uint64_t at;

            container_make(&file);
            memcpy(&at, file.bytes + AT_SECTIONS + section * 40 + 24, sizeof at);
            put(&file, at, counts[c], 4);
            CHECK_CODE(container_read(&file, &found, NULL), CST_DEVICE_IMAGE);
        }
    }
}

TEST_MAIN
