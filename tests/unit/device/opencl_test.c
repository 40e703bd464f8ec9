// What an OpenCL device says of itself, of what is not there, and where its programs come from.
#include "device/backend.h"

#include <constellation/driver.h>

#include "opencl_there.h"
#include "test.h"

#include <dirent.h>
#include <sys/stat.h>

enum { PATH_BYTES = 256, HEAD_BYTES = 40 }; // of a program in the cache: docs/formats.md

static void refused(const char *uri, cst_code code, const char *why) {
    cst_device *device = NULL;
    cst_err err = {0};

    CHECK_CODE(cst_device_open(uri, &device, &err), code);
    if (!strstr(err.text, why)) TEST_FAIL("%s: '%s' does not say '%s'", uri, err.text, why);
}

TEST(a_library_that_is_not_there_is_said_with_what_to_install) {
    if (!opencl_is_there()) return;
    refused("opencl:?library=/nowhere/libOpenCL.so", CST_UNSUPPORTED, "ocl-icd-libopencl1");
    refused("opencl:?library=libm.so.6", CST_UNSUPPORTED, "clGetPlatformIDs");
}

TEST(a_name_that_cannot_be_is_said) {
    if (!opencl_is_there()) return;
    refused("opencl:x", CST_DEVICE_URI, "opencl:x: a platform, or PLATFORM/DEVICE, from 0");
    refused("opencl:0/", CST_DEVICE_URI, "PLATFORM/DEVICE");
    refused("opencl:0/1x", CST_DEVICE_URI, "PLATFORM/DEVICE");
    refused("opencl:15", CST_UNSUPPORTED, "platforms, from 0");
    refused("opencl:0/63", CST_UNSUPPORTED, "devices, from 0");
    refused("opencl:?piece_rows=12", CST_DEVICE_URI, "piece_rows=12");
    refused("opencl:?speed=1", CST_DEVICE_URI, "no parameter 'speed'");
}

TEST(its_limits_are_those_that_the_driver_says) {
    cst_device *device = NULL;
    cst_queue *queue = NULL;
    cst_device_table *table = NULL;
    cst_capabilities can;
    cst_err err = {0};
    cst_table_options options = {.layout = CST_TABLE_INLINE,
                                 .key_bytes = 8,
                                 .program = {.value_bytes = 8, .presence_offset = CST_NO_OFFSET},
                                 .numa_node = -1};

    if (!opencl_is_there()) return;
    CHECK_OK(cst_device_open("opencl:0/0", &device, NULL));
    cst_device_capabilities(device, &can);
    CHECK_EQ(can.ops, (1 << CST_OPS_COUNT) - 1);
    CHECK(can.memory_bytes > 0);
    CHECK(!can.wide_tables);
    options.budget_bytes = 8 * can.memory_bytes;
    CHECK_OK(cst_queue_open(device, NULL, &queue, NULL));
    CHECK_CODE(cst_device_table_open(queue, &options, NULL, &table, &err), CST_LIMIT);
    CHECK(strstr(err.text, "CL_DEVICE_MAX_MEM_ALLOC_SIZE"));
    options.layout = CST_TABLE_WIDE;
    CHECK_CODE(cst_device_table_open(queue, &options, NULL, &table, &err), CST_UNSUPPORTED);
    cst_queue_close(queue);
    cst_device_close(device);
}

// ---- Programs -----------------------------------------------------------------------------------

// A folder with one program in it, that the cache of another name put there.
static void cache_make(char *folder, char *file, char *uri) {
    struct dirent *entry;
    cst_device *device = NULL;
    DIR *listing;
    int count = 0;

    (void)snprintf(folder, PATH_BYTES, "%s/opencl-cache.XXXXXX", CST_BINARY_DIR);
    CHECK(mkdtemp(folder));
    (void)snprintf(uri, PATH_BYTES, "opencl:?cache=%s/deep/er", folder);
    CHECK_OK(cst_device_open(uri, &device, NULL));
    cst_device_close(device);
    (void)snprintf(file, PATH_BYTES, "%s/deep/er", folder);
    CHECK(listing = opendir(file));
    while ((entry = readdir(listing)) != NULL) {
        if (entry->d_name[0] == '.') continue;
        (void)snprintf(file, PATH_BYTES, "%s/deep/er/%.64s", folder, entry->d_name);
        count++;
    }
    CHECK_EQ(count, 1);
    (void)closedir(listing);
}

static void cache_remove(const char *folder) {
    char command[PATH_BYTES + 16];

    (void)snprintf(command, sizeof command, "rm -r '%s'", folder);
    CHECK_EQ(system(command), 0);
}

static uint8_t *file_read(const char *path, size_t *count_out) {
    FILE *file = fopen(path, "rb");
    struct stat stat;
    uint8_t *bytes;

    CHECK(file && fstat(fileno(file), &stat) == 0);
    *count_out = (size_t)stat.st_size;
    CHECK(bytes = malloc(*count_out + 1));
    CHECK_EQ(fread(bytes, 1, *count_out, file), *count_out);
    (void)fclose(file);
    return bytes;
}

static void file_write(const char *path, const uint8_t *bytes, size_t count) {
    FILE *file = fopen(path, "wb");

    CHECK(file && fwrite(bytes, 1, count, file) == count);
    CHECK_EQ(fclose(file), 0);
}

// Cut, or with a bit wrong anywhere, head included: it is built again, and whole afterwards.
TEST(a_damaged_program_of_the_cache_is_built_again) {
    char folder[PATH_BYTES], file[PATH_BYTES], uri[PATH_BYTES];
    size_t whole_count, count;
    uint8_t *whole, *now;

    if (!opencl_is_there()) return;
    cache_make(folder, file, uri);
    whole = file_read(file, &whole_count);
    CHECK(whole_count > HEAD_BYTES && memcmp(whole, "CSTCLB1\n", 8) == 0);
    for (int damage = 0; damage < 4; damage++) {
        const size_t at = damage == 3 ? whole_count - 1 : (size_t)damage * 20;
        cst_device *device = NULL;

        whole[at] ^= 1;
        file_write(file, whole, damage == 2 ? whole_count / 2 : whole_count);
        whole[at] ^= 1;
        CHECK_OK(cst_device_open(uri, &device, NULL));
        cst_device_close(device);
        now = file_read(file, &count);
        CHECK(count > HEAD_BYTES && memcmp(now, whole, HEAD_BYTES - 16) == 0);
        free(now);
    }
    free(whole);
    cache_remove(folder);
}

// On a driver that has no compiler, as those of cards: a container, its kernels, and what else may
// be said of it.
static void card_check(const char *file) {
#ifdef CST_OPENCL_CARD
    static const int gaps[][2] = {{-1, -19}, {-30, -68}}; // of OpenCL 1.2's errors
    char uri[PATH_BYTES * 2], number[8];
    cst_device *device = NULL;
    cst_err err = {0};

    refused("opencl:0/0?cache=none&library=" CST_OPENCL_CARD, CST_UNSUPPORTED,
            "its driver has no compiler: binary=FILE");
    (void)snprintf(uri, sizeof uri, "opencl:0/0?binary=%.200s&library=" CST_OPENCL_CARD, file);
    CHECK_OK(cst_device_open(uri, &device, &err));
    if (cst_device_selftest(device, &err) != CST_OK) TEST_FAIL("%s", err.text);
    CHECK_EQ(setenv("OPENCL_CARD_LACKS", "scan_write", 1), 0);
    CHECK_CODE(cst_device_selftest(device, &err), CST_UNSUPPORTED);
    CHECK(strstr(err.text, "kernel scan_write: clCreateKernel: CL_INVALID_KERNEL_NAME (-46)"));
    cst_device_close(device);
    CHECK_EQ(unsetenv("OPENCL_CARD_LACKS"), 0);
    for (size_t g = 0; g < sizeof gaps / sizeof *gaps; g++) {
        for (int error = gaps[g][0]; error >= gaps[g][1]; error--) {
            (void)snprintf(number, sizeof number, "%d", error);
            CHECK_EQ(setenv("OPENCL_CARD_BUILD", number, 1), 0);
            refused(uri, CST_UNSUPPORTED, "clBuildProgram: CL_");
            refused(uri, CST_UNSUPPORTED, number);
        }
    }
    CHECK_EQ(setenv("OPENCL_CARD_BUILD", "-9999", 1), 0);
    refused(uri, CST_UNSUPPORTED, "an error without a name (-9999)");
    CHECK_EQ(unsetenv("OPENCL_CARD_BUILD"), 0);
#else
    (void)file;
    printf("not as a card's: there was no library to build that on; ");
#endif
}

// As a vendor's program for a card would be: what the driver itself gave, without its source.
TEST(a_program_of_a_file_gives_the_known_answers) {
    char folder[PATH_BYTES], file[PATH_BYTES], uri[PATH_BYTES];
    cst_device *device = NULL;
    cst_err err = {0};
    size_t count;
    uint8_t *bytes;

    if (!opencl_is_there()) return;
    cache_make(folder, file, uri);
    bytes = file_read(file, &count);
    file_write(file, bytes + HEAD_BYTES, count - HEAD_BYTES);
    free(bytes);
    (void)snprintf(uri, sizeof uri, "opencl:0/0?binary=%.200s", file);
    if (cst_device_open(uri, &device, &err) != CST_OK) TEST_FAIL("%s", err.text);
    if (cst_device_selftest(device, &err) != CST_OK) TEST_FAIL("%s", err.text);
    cst_device_close(device);
    card_check(file);
    file_write(file, (const uint8_t *)"no program", 10);
    refused(uri, CST_UNSUPPORTED, "CL_INVALID_BINARY");
    cache_remove(folder);
    refused(uri, CST_IO, "No such file");
}

TEST_MAIN
