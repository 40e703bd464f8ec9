// vectors.h: reads the golden vectors' plain form: fields parted by " | ", lines of '#' skipped.
#ifndef TESTS_UNIT_CODEC_VECTORS_H
#define TESTS_UNIT_CODEC_VECTORS_H

#include "test.h"

enum { VECTOR_LINE_BYTES = 1 << 18, VECTOR_FIELDS_MAX = 8 };

typedef struct vectors {
    FILE *file;
    uint32_t line_number;
    char line[VECTOR_LINE_BYTES];
    char *fields[VECTOR_FIELDS_MAX];
} vectors;

static inline void vectors_open(vectors *v, const char *name) {
    char path[1024];

    (void)snprintf(path, sizeof path, "%s/%s", CST_VECTORS_DIR, name);
    v->file = fopen(path, "r");
    v->line_number = 0;
    if (!v->file) TEST_FAIL("cannot open %s", path);
    CHECK(fgets(v->line, sizeof v->line, v->file));
    CHECK_TEXT(v->line, "# version 1\n");
}

// True with `fields_count` fields; false at the end, when the file is closed.
static inline bool vectors_next(vectors *v, int fields_count) {
    do {
        v->line_number++;
        if (!fgets(v->line, sizeof v->line, v->file)) {
            fclose(v->file);
            return false;
        }
    } while (v->line[0] == '#');
    v->line[strcspn(v->line, "\n")] = '\0';
    v->fields[0] = v->line;
    for (int field = 1; field < fields_count; field++) {
        char *bar = strchr(v->fields[field - 1], '|');
        if (!bar) TEST_FAIL("line %u: %d fields wanted", v->line_number, fields_count);
        v->fields[field] = bar[1] == ' ' ? bar + 2 : bar + 1;
        *bar = '\0';
        if (bar > v->fields[field - 1] && bar[-1] == ' ') bar[-1] = '\0';
    }
    return true;
}

// Bytes of a hex field; the count is returned.
static inline size_t vectors_hex(const char *text, uint8_t *out, size_t capacity) {
    const size_t count = strlen(text) / 2;

    CHECK(count <= capacity);
    for (size_t i = 0; i < count; i++) {
        unsigned byte = 0;
        CHECK_EQ(sscanf(text + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
    return count;
}

#endif
