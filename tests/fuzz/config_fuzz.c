// config_fuzz.c: the text of a job file.
//
// Whatever it holds is read or refused, each problem has a place that is in the text, and of a job
// without a problem a table's shape can be made, twice the same.
#define _GNU_SOURCE // memfd_create
#include "fuzz/fuzz.h"
#include "server/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void require(int condition) {
    if (!condition) abort();
}

static uint32_t lines_count(const uint8_t *bytes, size_t count) {
    uint32_t lines = 1;

    for (size_t i = 0; i < count; i++) lines += bytes[i] == '\n';
    return lines;
}

static void check_problems(const csti_problems *problems, uint32_t lines) {
    const uint32_t kept =
        problems->count < CSTI_CONFIG_PROBLEMS_MAX ? problems->count : CSTI_CONFIG_PROBLEMS_MAX;
    for (uint32_t i = 0; i < kept; i++) {
        require(problems->list[i].text[0] != '\0');
        require(problems->list[i].at.line <= lines);
        require(i == 0 || problems->list[i - 1].at.line <= problems->list[i].at.line);
    }
}

static void check_shape(const csti_job_config *config) {
    cst_operator_shape rows;
    csti_job_shape shape;
    csti_job_shape again;
    csti_arena arena;

    csti_arena_init(&arena, 1 << 20);
    require(csti_job_rows_shape(config, &rows, NULL) == CST_OK);
    require(csti_job_shape_make(config, &rows, &arena, &shape, NULL) == CST_OK);
    require(csti_job_shape_make(config, &rows, &arena, &again, NULL) == CST_OK);
    require(strcmp(shape.identity.value, again.identity.value) == 0);
    require(shape.table.key_bytes <= CST_INLINE_KEY_BYTES_MAX);
    require(shape.program.accumulators_count == config->aggregates_count);
    csti_arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    static csti_job_config config;
    const int file = memfd_create("job", 0);
    char path[64];
    cst_err err = {.code = CST_OK};
    cst_code code;

    require(file >= 0);
    require(write(file, bytes, count) == (ssize_t)count);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    code = csti_config_read(path, NULL, &config, &err);
    require(code == CST_OK || code == CST_CONFIG);
    require(code == err.code);
    require((code == CST_OK) == (config.problems.count == 0));
    check_problems(&config.problems, lines_count(bytes, count));
    if (code == CST_OK) check_shape(&config);
    csti_config_close(&config);
    require(close(file) == 0);
    return 0;
}
