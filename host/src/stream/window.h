// window.h: which windows a row belongs to, and the step that writes each into a column of its own.
//
//   size 30, hop 10        0    10    20    30    40    50      a window holds its start,
//   row at 34                         [-----------)             not its end
//                                [-----------)
//                           [-----------)                       starts 10, 20, 30: three rows go on
//
//   in     auction price at               out    auction price at window_start
//          7       120   34                      7       120   34 10
//                                                7       120   34 20
//                                                7       120   34 30
//
// Sessions (sessions.h) are found where keys are: a row's start is its own time.
//
// Starts are multiples of the hop, counted from 1970, so that they do not depend on any row. A
// tumbling window's hop is its size: each row goes on once, and nothing is copied.
//
// Promises   rows of one window keep their order. A batch comes out with size / hop rows for each.
// Thread     one a step.
// Ring       1.
// Owner      what comes out refers to the step and to what went in; it holds until the next run.
// Errors     SOURCE_RECORD: a time beyond CSTI_WINDOW_TIME_MAX_US, or, for sessions, a row that
//            deletes; csti_window_step_bad_row says which row; LIMIT: no place for one more column;
//            NO_MEMORY.
#ifndef CST_STREAM_WINDOW_H
#define CST_STREAM_WINDOW_H

#include "stream/project.h"

enum {
    CSTI_WINDOW_OVERLAP_MAX = 1024, // windows of one row
    CSTI_WINDOW_KEY_BYTES = 8,      // of an encoded key: its end is the window's start
};
#define CSTI_WINDOW_START "window_start" // the last column of the key
#define CSTI_WINDOW_END "window_end"     // of a result
#define CSTI_WINDOW_TIME_MAX_US (INT64_C(1) << 61)

typedef struct csti_window {
    int64_t size_us; // 0: there are no windows; of sessions, the gap that ends one
    int64_t hop_us;
    bool sessions; // with hop_us as size_us
} csti_window;

static inline uint32_t csti_window_overlap(csti_window window) {
    return (uint32_t)(window.size_us / window.hop_us);
}

// The start of the last window that holds the time; the others begin a hop earlier each.
static inline int64_t csti_window_last(csti_window window, int64_t time_us) {
    const int64_t over_us = time_us % window.hop_us;

    return time_us - (over_us < 0 ? over_us + window.hop_us : over_us);
}

// The start that an encoded key ends with.
int64_t csti_window_of_key(const uint8_t *key, uint32_t key_bytes);

void csti_window_to_key(int64_t start_us, uint8_t *out); // CSTI_WINDOW_KEY_BYTES

typedef struct csti_window_step csti_window_step;

// `time_column`: a timestamp that is never null. `rows_max`: of a batch that comes in.
CST_CHECK_RESULT cst_code csti_window_step_open(csti_window window, const csti_row_shape *shape,
                                                uint32_t time_column, uint32_t rows_max,
                                                csti_window_step **out, cst_err *err);
void csti_window_step_close(csti_window_step *step);                        // NULL is allowed
const csti_row_shape *csti_window_step_shape(const csti_window_step *step); // of what comes out
CST_CHECK_RESULT cst_code csti_window_step_run(csti_window_step *step, const cst_batch *in,
                                               cst_batch *out, cst_err *err);
// Whether the last run failed for a row, and for which.
bool csti_window_step_bad_row(const csti_window_step *step, uint32_t *row_out);

#endif
