#include "base/nearest.h"

#include <stdint.h>
#include <string.h>

// Edits that turn a into b: insert, delete, replace, each 1.
static size_t edit_distance(const char *a, const char *b) {
    size_t row[CSTI_NEAREST_NAME_BYTES_MAX + 1];
    const size_t a_bytes = strlen(a);
    const size_t b_bytes = strlen(b);

    if (a_bytes > CSTI_NEAREST_NAME_BYTES_MAX || b_bytes > CSTI_NEAREST_NAME_BYTES_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= b_bytes; j++) row[j] = j;
    for (size_t i = 1; i <= a_bytes; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b_bytes; j++) {
            const size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            const size_t added = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;

            diagonal = row[j];
            row[j] = replaced < added ? replaced : added;
        }
    }
    return row[b_bytes];
}

const char *csti_nearest(const char *name, const void *names, size_t count, size_t stride_bytes) {
    const char *best = NULL;
    size_t best_distance = strlen(name) / 3 + 2;

    for (size_t i = 0; i < count; i++) {
        const char *candidate = *(const char *const *)((const char *)names + i * stride_bytes);
        const size_t distance = edit_distance(name, candidate);

        if (distance >= best_distance) continue;
        best_distance = distance;
        best = candidate;
    }
    return best;
}
