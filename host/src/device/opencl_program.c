// opencl_program.c: the kernels as a program of one device. Compilers of drivers take seconds, so
// what one made is kept: docs/formats.md, Programs of OpenCL devices.
#define _GNU_SOURCE 1 // mkostemp
#include "device/opencl_internal.h"

#include "base/crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT_BYTES = 256, LOG_BYTES = 4096, LOG_SAID_BYTES = 160 };
static const char options_any[] = "-cl-std=CL1.2";
static const char options_processor[] = "-cl-std=CL1.2 -DOCL_PROCESSOR";
#define BINARY_BYTES_MAX ((uint64_t)1 << 30)

typedef struct program_head {
    char magic[8];
    uint64_t key[2];
    uint64_t bytes;
    uint32_t checksum;
    uint32_t reserved;
} program_head;
_Static_assert(sizeof(program_head) == 40, "as docs/formats.md has it");
static const char program_magic[8] = "CSTCLB1\n";

typedef struct bytes {
    uint8_t *data;
    size_t count;
} bytes;

// ---- What a program is of -----------------------------------------------------------------------

static const char *build_options(const ocl_device *device) {
    return device->is_processor ? options_processor : options_any;
}

// Source, options, platform, device and driver: equal keys, equal programs.
static void key_make(const ocl_device *device, uint64_t *key_out) {
    static const cl_platform_info platform_infos[] = {CL_PLATFORM_NAME, CL_PLATFORM_VERSION};
    static const cl_device_info device_infos[] = {CL_DEVICE_NAME, CL_DEVICE_VERSION,
                                                  CL_DRIVER_VERSION};
    char text[8 * TEXT_BYTES] = "";
    size_t used = 0;

    for (size_t i = 0; i < 2; i++, used += TEXT_BYTES)
        (void)device->cl.GetPlatformInfo(device->platform, platform_infos[i], TEXT_BYTES,
                                         text + used, NULL);
    for (size_t i = 0; i < 3; i++, used += TEXT_BYTES)
        (void)device->cl.GetDeviceInfo(device->id, device_infos[i], TEXT_BYTES, text + used, NULL);
    (void)snprintf(text + used, TEXT_BYTES, "%s", build_options(device));
    for (uint64_t half = 0; half < 2; half++) {
        const cst_hash_key of_source = {half, 0};
        const cst_hash_key of_text = {cst_hash(&of_source, csti_kernels_source,
                                               strlen(csti_kernels_source)),
                                      half};

        key_out[half] = cst_hash(&of_text, text, sizeof text);
    }
}

// ---- Files --------------------------------------------------------------------------------------

static cst_code file_read(const char *path, bytes *out, cst_err *err) {
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    cst_code code = CST_OK;
    struct stat stat;
    size_t done = 0;

    *out = (bytes){0};
    if (file < 0) return cst_fail(err, CST_IO, "%s: %s", path, strerror(errno));
    if (fstat(file, &stat) != 0 || stat.st_size <= 0 || (uint64_t)stat.st_size > BINARY_BYTES_MAX) {
        code = cst_fail(err, CST_IO, "%s: no file of 1 byte to 1 GiB", path);
        goto done;
    }
    out->data = malloc((size_t)stat.st_size);
    if (!out->data) {
        code = cst_fail(err, CST_NO_MEMORY, "%s", path);
        goto done;
    }
    while (done < (size_t)stat.st_size) {
        const ssize_t count = read(file, out->data + done, (size_t)stat.st_size - done);

        if (count <= 0) break;
        done += (size_t)count;
    }
    out->count = done;
done:
    (void)close(file);
    return code;
}

// The user's cache; false: he has none.
static bool cache_folder(const char *cache, char *out, size_t out_bytes) {
    const char *base = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    int used;

    if (cache && strcmp(cache, "none") == 0) return false;
    if (cache)
        used = snprintf(out, out_bytes, "%s", cache);
    else if (base && base[0] == '/')
        used = snprintf(out, out_bytes, "%s/constellation", base);
    else if (home && home[0] == '/')
        used = snprintf(out, out_bytes, "%s/.cache/constellation", home);
    else
        return false;
    return used > 0 && (size_t)used < out_bytes;
}

static void folders_make(char *path) {
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    (void)mkdir(path, 0700);
}

// Whole or not at all: under a name of its own first. A cache that cannot be written costs time
// alone.
static void cache_put(const char *folder, const char *path, const program_head *head,
                      const bytes *binary) {
    char made[OCL_PATH_BYTES], folder_made[OCL_PATH_BYTES];
    bool whole;
    int file;

    (void)snprintf(folder_made, sizeof folder_made, "%s", folder);
    folders_make(folder_made);
    if ((size_t)snprintf(made, sizeof made, "%s.XXXXXX", path) >= sizeof made) return;
    file = mkostemp(made, O_CLOEXEC);
    if (file < 0) return;
    whole = write(file, head, sizeof *head) == (ssize_t)sizeof *head &&
            write(file, binary->data, binary->count) == (ssize_t)binary->count;
    if (close(file) != 0) whole = false;
    if (!whole || rename(made, path) != 0) (void)unlink(made);
}

// What the cache has for the key, if it is undamaged.
static bool cache_get(const char *path, const uint64_t *key, bytes *out) {
    program_head head;
    bytes file;

    if (file_read(path, &file, NULL) != CST_OK) return false;
    if (file.count > sizeof head) {
        memcpy(&head, file.data, sizeof head);
        if (memcmp(head.magic, program_magic, sizeof head.magic) == 0 && head.key[0] == key[0] &&
            head.key[1] == key[1] && head.bytes == file.count - sizeof head &&
            head.checksum == csti_crc32c(0, file.data + sizeof head, file.count - sizeof head)) {
            memmove(file.data, file.data + sizeof head, file.count - sizeof head);
            *out = (bytes){file.data, file.count - sizeof head};
            return true;
        }
    }
    free(file.data);
    return false;
}

// ---- Programs -----------------------------------------------------------------------------------

// The compiler's first lines of complaint, in one.
static void log_say(const ocl_device *device, cl_program program, char *out) {
    static const char none[] = "it does not say why";
    char *log = calloc(1, LOG_BYTES + 1);

    (void)snprintf(out, LOG_SAID_BYTES, "%s", none);
    if (!log) return;
    (void)device->cl.GetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, LOG_BYTES, log,
                                         NULL);
    for (char *at = log; *at; at++)
        if (*at == '\n') *at = ' ';
    if (*log) (void)snprintf(out, LOG_SAID_BYTES, "%s", log);
    free(log);
}

static cst_code build(ocl_device *device, cl_program program, const char *what, cst_err *err) {
    const cl_int error =
        device->cl.BuildProgram(program, 1, &device->id, build_options(device), NULL, NULL);
    char log[LOG_SAID_BYTES];

    if (error == CL_SUCCESS) {
        device->program = program;
        return CST_OK;
    }
    log_say(device, program, log);
    (void)device->cl.ReleaseProgram(program);
    return cst_fail(err, CST_UNSUPPORTED, "%s: clBuildProgram: %s (%d): %s", what,
                    ocl_error_name(error), error, log);
}

static cst_code build_binary(ocl_device *device, const bytes *binary, const char *what,
                             cst_err *err) {
    const unsigned char *data = binary->data;
    cl_int status = CL_SUCCESS, error = CL_SUCCESS;
    cl_program program = device->cl.CreateProgramWithBinary(device->context, 1, &device->id,
                                                            &binary->count, &data, &status, &error);

    if (error == CL_SUCCESS && status == CL_SUCCESS) return build(device, program, what, err);
    if (program) (void)device->cl.ReleaseProgram(program);
    (void)ocl_fail(err, CST_UNSUPPORTED, "clCreateProgramWithBinary",
                   error == CL_SUCCESS ? status : error);
    return cst_fail_at(err, CST_UNSUPPORTED, "%s", what);
}

static cst_code build_source(ocl_device *device, cst_err *err) {
    const char *source = csti_kernels_source;
    const size_t count = strlen(source);
    cl_bool compiles = CL_FALSE;
    cl_int error = device->cl.GetDeviceInfo(device->id, CL_DEVICE_COMPILER_AVAILABLE,
                                            sizeof compiles, &compiles, NULL);
    cl_program program;

    if (error != CL_SUCCESS)
        return ocl_fail(err, CST_UNSUPPORTED, "CL_DEVICE_COMPILER_AVAILABLE", error);
    if (!compiles)
        return cst_fail(err, CST_UNSUPPORTED,
                        "its driver has no compiler: binary=FILE names the kernels as the vendor's "
                        "tools made them");
    program = device->cl.CreateProgramWithSource(device->context, 1, &source, &count, &error);
    if (error != CL_SUCCESS)
        return ocl_fail(err, CST_UNSUPPORTED, "clCreateProgramWithSource", error);
    return build(device, program, "the kernels", err);
}

static bool binary_of(const ocl_device *device, bytes *out) {
    size_t count = 0;

    if (device->cl.GetProgramInfo(device->program, CL_PROGRAM_BINARY_SIZES, sizeof count, &count,
                                  NULL) != CL_SUCCESS ||
        count == 0)
        return false;
    *out = (bytes){malloc(count), count};
    if (out->data && device->cl.GetProgramInfo(device->program, CL_PROGRAM_BINARIES,
                                               sizeof out->data, &out->data, NULL) == CL_SUCCESS)
        return true;
    free(out->data);
    return false;
}

cst_code ocl_program_make(ocl_device *device, const char *binary, const char *cache, cst_err *err) {
    char folder[OCL_PATH_BYTES - 64], path[OCL_PATH_BYTES];
    bytes made = {0};
    program_head head = {.reserved = 0};
    cst_code code;

    if (binary) {
        code = file_read(binary, &made, err);
        if (code == CST_OK) code = build_binary(device, &made, binary, err);
        free(made.data);
        return code;
    }
    if (!cache_folder(cache, folder, sizeof folder)) return build_source(device, err);
    key_make(device, head.key);
    (void)snprintf(path, sizeof path, "%s/opencl-%016" PRIx64 "%016" PRIx64, folder, head.key[0],
                   head.key[1]);
    if (cache_get(path, head.key, &made)) {
        code = build_binary(device, &made, path, NULL); // of another build of the driver, perhaps
        free(made.data);
        device->from_cache = code == CST_OK;
        if (code == CST_OK) return CST_OK;
    }
    code = build_source(device, err);
    if (code != CST_OK || !binary_of(device, &made)) return code;
    memcpy(head.magic, program_magic, sizeof head.magic);
    head.bytes = made.count;
    head.checksum = csti_crc32c(0, made.data, made.count);
    cache_put(folder, path, &head, &made);
    free(made.data);
    return CST_OK;
}
