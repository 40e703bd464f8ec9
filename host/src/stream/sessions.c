#include "stream/sessions.h"

#include "codec/group_hash.h"
#include "stream/outbox.h"
#include "stream/pane_parts.h"
#include "stream/session_set.h"
#include "table/image.h"
#include "table/program.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS_AHEAD = 16, // whose sessions are asked for at once
    SCAN_ROWS = 256,
    START_BYTES = CSTI_WINDOW_KEY_BYTES,
};
_Static_assert((int)START_BYTES == (int)CSTI_GROUP_TAIL_BYTES,
               "a start is what the group leaves out");

typedef struct session_cut session_cut;
struct session_cut {
    csti_pane_cut given; // first: it is known by this
    session_cut *next;
    csti_outbox_chunk *chunks;
    cst_bytes ranges[];
};

struct csti_sessions {
    cst_program program;
    cst_hash_key hash_key;
    csti_panes_metrics metrics;
    csti_emitter *emitter; // NULL: none
    int64_t gap_us;
    uint32_t last_offset; // in a value
    uint32_t body_bytes;  // of key and value, as a slot has them
    uint32_t value_at;    // in a body
    bool late_aside;
    uint32_t late_rows;
    int64_t closed_us;
    uint64_t epoch; // the open one, from 1
    csti_session_set *set;
    csti_outbox outbox;
    session_cut *cuts;
    _Atomic uint64_t lines_count;
};

// ---- Open ---------------------------------------------------------------------------------------

cst_code csti_sessions_open(const csti_panes_options *options, const csti_panes_metrics *metrics,
                            csti_sessions **out, cst_err *err) {
    csti_sessions *sessions = calloc(1, sizeof *sessions);
    cst_code code;

    assert(options->window.sessions);
    assert(options->window.size_us > 0);
    if (!sessions) return cst_fail(err, CST_NO_MEMORY, "sessions");
    sessions->program = options->table.program;
    sessions->hash_key = options->table.hash_key;
    sessions->metrics = *metrics;
    sessions->emitter = options->emitter;
    sessions->gap_us = options->window.size_us;
    sessions->last_offset = options->last_offset;
    sessions->late_aside = options->late_aside;
    sessions->closed_us = options->watermark_us;
    sessions->epoch = 1;
    csti_outbox_open(&sessions->outbox, &options->table);
    sessions->body_bytes = sessions->outbox.record_bytes - (uint32_t)sizeof(csti_record);
    sessions->value_at = sessions->outbox.value_offset - (uint32_t)sizeof(csti_record);
    code = csti_session_set_open(sessions->body_bytes, &sessions->set, err);
    if (code != CST_OK) {
        csti_sessions_close(sessions);
        return code;
    }
    *out = sessions;
    return CST_OK;
}

void csti_sessions_close(csti_sessions *sessions) {
    if (!sessions) return;
    while (sessions->cuts) csti_sessions_release(sessions, &sessions->cuts->given);
    csti_outbox_close(&sessions->outbox);
    csti_session_set_close(sessions->set);
    free(sessions);
}

// ---- Records ------------------------------------------------------------------------------------

static uint8_t *value_of(const csti_sessions *sessions, csti_session *session) {
    return session->body + sessions->value_at;
}

static cst_row_ref row_of(const csti_sessions *sessions, csti_session *session) {
    return (cst_row_ref){.hash = session->hash,
                         .key = session->body,
                         .value = value_of(sessions, session),
                         .key_bytes = session->key_bytes,
                         .value_bytes = sessions->program.value_bytes};
}

static bool has_record(const csti_sessions *sessions, const csti_session *session) {
    return session->epoch == sessions->epoch;
}

// Whether the chain has a row of it, under this key.
static bool is_stored(const csti_sessions *sessions, const csti_session *session) {
    return session->first_epoch < sessions->epoch;
}

// The session as it is now, as its record of the open epoch.
static cst_code record_put(csti_sessions *sessions, csti_session *session, uint32_t flags,
                           cst_err *err) {
    const cst_row_ref row = row_of(sessions, session);

    if (has_record(sessions, session)) {
        csti_outbox_head_put(&sessions->outbox, flags, &row, session->record);
    } else {
        const cst_code code =
            csti_outbox_take(&sessions->outbox, flags, &row, &session->record, err);

        if (code != CST_OK) return code;
        session->epoch = sessions->epoch;
    }
    memcpy(session->record + sizeof(csti_record), session->body, sessions->body_bytes);
    return CST_OK;
}

// Under its key there is nothing more: a tombstone takes out what the chain has.
static cst_code record_end(csti_sessions *sessions, csti_session *session, cst_err *err) {
    cst_row_ref row = row_of(sessions, session);

    row.value_bytes = 0;
    if (!is_stored(sessions, session)) {
        assert(has_record(sessions, session));
        row = (cst_row_ref){0};
        csti_outbox_head_put(&sessions->outbox, CSTI_RECORD_GAP, &row, session->record);
        memset(session->record + sizeof(csti_record), 0, sessions->body_bytes);
        return CST_OK;
    }
    if (has_record(sessions, session)) {
        csti_outbox_head_put(&sessions->outbox, CSTI_RECORD_TOMBSTONE, &row, session->record);
    } else {
        const cst_code code =
            csti_outbox_take(&sessions->outbox, CSTI_RECORD_TOMBSTONE, &row, &session->record, err);

        if (code != CST_OK) return code;
    }
    memset(session->record + sizeof(csti_record), 0, sessions->body_bytes);
    memcpy(session->record + sizeof(csti_record), session->body, session->key_bytes);
    return CST_OK;
}

static void start_put(const csti_sessions *sessions, csti_session *session, int64_t start_us) {
    session->start_us = start_us;
    csti_window_to_key(start_us, session->body + session->key_bytes - START_BYTES);
    session->hash =
        csti_group_hash(&sessions->hash_key, session->body, session->key_bytes, START_BYTES);
}

// ---- Rows ---------------------------------------------------------------------------------------

static bool is_over(const csti_sessions *sessions, int64_t last_us) {
    return last_us + sessions->gap_us <= sessions->closed_us;
}

static void lines_count(csti_sessions *sessions, uint32_t count) {
    // Relaxed: a number that is looked at.
    atomic_store_explicit(&sessions->lines_count,
                          atomic_load_explicit(&sessions->lines_count, memory_order_relaxed) +
                              count,
                          memory_order_relaxed);
    csti_metric_add(sessions->metrics.lines, count);
}

static cst_code late_row(csti_sessions *sessions, const cst_rows *rows, uint32_t row, cst_bytes key,
                         cst_err *err) {
    const uint64_t hash = csti_group_hash(&sessions->hash_key, key.data, key.count, START_BYTES);
    cst_code code;

    sessions->late_rows++;
    csti_metric_add(sessions->metrics.late, 1);
    if (!sessions->late_aside) return CST_OK;
    code = csti_outbox_put_late(&sessions->outbox, &sessions->program, rows, row, key, hash, err);
    if (code == CST_OK) lines_count(sessions, 1);
    return code;
}

// What a value becomes with the row. An error leaves it as it is.
static cst_code row_fold(const csti_sessions *sessions, const cst_rows *rows, uint32_t row,
                         bool fresh, uint8_t *value, cst_err *err) {
    uint8_t next[CST_INLINE_ENTRY_BYTES_MAX];
    cst_code code;

    memcpy(next, value, sessions->program.value_bytes);
    code = csti_program_fold(&sessions->program, rows, row, fresh, next);
    if (code != CST_OK) return cst_fail(err, code, "a row of a session");
    memcpy(value, next, sessions->program.value_bytes);
    return CST_OK;
}

static cst_code session_begin(csti_sessions *sessions, const cst_rows *rows, uint32_t row,
                              csti_session_key *of, cst_err *err) {
    const cst_bytes key = csti_key_at(rows, row);
    const int64_t time_us = csti_window_of_key(key.data, (uint32_t)key.count);
    uint8_t value[CST_INLINE_ENTRY_BYTES_MAX] = {0};
    csti_session *session = NULL;
    cst_code code = row_fold(sessions, rows, row, true, value, err);

    if (code == CST_OK)
        code = csti_session_set_add(sessions->set, of, rows->hashes[row], time_us,
                                    time_us + sessions->gap_us, &session, err);
    if (code != CST_OK) return code;
    session->key_bytes = (uint32_t)key.count;
    session->first_epoch = sessions->epoch;
    memcpy(session->body, key.data, key.count);
    memcpy(value_of(sessions, session), value, sessions->program.value_bytes);
    start_put(sessions, session, time_us);
    return record_put(sessions, session, CSTI_RECORD_PRESENT, err);
}

// The row is in front of its first.
static cst_code session_extend(csti_sessions *sessions, const cst_rows *rows, uint32_t row,
                               int64_t time_us, csti_session *session, cst_err *err) {
    cst_code code = row_fold(sessions, rows, row, false, value_of(sessions, session), err);

    if (code == CST_OK && is_stored(sessions, session)) {
        code = record_end(sessions, session, err);
        session->epoch = 0;
        session->first_epoch = sessions->epoch;
    }
    if (code != CST_OK) return code;
    start_put(sessions, session, time_us);
    return record_put(sessions, session, CSTI_RECORD_PRESENT, err);
}

// `behind`: the one that the row joins to this; NULL: none.
static cst_code session_join(csti_sessions *sessions, const cst_rows *rows, uint32_t row,
                             int64_t time_us, csti_session *session, csti_session *behind,
                             cst_err *err) {
    uint8_t *value = value_of(sessions, session);
    cst_code code = row_fold(sessions, rows, row, false, value, err);

    if (time_us > session->last_us) session->last_us = time_us;
    if (code == CST_OK && behind) {
        code = csti_program_merge(&sessions->program, value_of(sessions, behind), value);
        if (code != CST_OK) return cst_fail(err, code, "two sessions that a row joins");
        code = record_end(sessions, behind, err);
        session->last_us = behind->last_us;
        csti_session_set_remove(sessions->set, behind);
    }
    return code == CST_OK ? record_put(sessions, session, CSTI_RECORD_PRESENT, err) : code;
}

static cst_code row_put(csti_sessions *sessions, const cst_rows *rows, uint32_t row, cst_err *err) {
    const cst_bytes key = csti_key_at(rows, row);
    const int64_t time_us = csti_window_of_key(key.data, (uint32_t)key.count);
    const int64_t gap_us = sessions->gap_us;
    csti_session *session = NULL, *behind = NULL;
    csti_session_key *of;

    if (is_over(sessions, time_us)) return late_row(sessions, rows, row, key, err);
    of = csti_session_set_find(sessions->set, rows->hashes[row], key.data,
                               (uint32_t)key.count - START_BYTES);
    if (of) csti_session_set_beside(of, time_us, &session, &behind);
    if (session && (time_us - session->last_us >= gap_us || is_over(sessions, session->last_us)))
        session = NULL;
    if (behind && behind->start_us - time_us >= gap_us) behind = NULL;
    if (session) return session_join(sessions, rows, row, time_us, session, behind, err);
    if (behind) return session_extend(sessions, rows, row, time_us, behind, err);
    return session_begin(sessions, rows, row, of, err);
}

cst_code csti_sessions_rows(csti_sessions *sessions, const cst_rows *rows, uint32_t *done_out,
                            cst_err *err) {
    cst_code code = CST_OK;
    uint32_t row = 0;

    assert(csti_program_takes(&sessions->program, rows));
    sessions->late_rows = 0;
    for (; row < rows->rows_count && code == CST_OK; row++) {
        const uint32_t left = rows->rows_count - row;

        if (row % ROWS_AHEAD == 0)
            csti_session_set_ask(sessions->set, rows->hashes + row,
                                 left < ROWS_AHEAD ? left : (uint32_t)ROWS_AHEAD);
        code = row_put(sessions, rows, row, err);
    }
    *done_out = code == CST_OK ? row : row - 1;
    csti_metric_set(sessions->metrics.open, (int64_t)csti_session_set_count(sessions->set));
    return code;
}

uint32_t csti_sessions_late_rows(const csti_sessions *sessions) {
    return sessions->late_rows;
}

// ---- Closing ------------------------------------------------------------------------------------

void csti_sessions_watermark(csti_sessions *sessions, int64_t watermark_us) {
    if (watermark_us > sessions->closed_us) sessions->closed_us = watermark_us;
}

bool csti_sessions_is_closing(const csti_sessions *sessions) {
    return csti_session_set_is_due(sessions->set, sessions->closed_us);
}

// A session whose timer has come.
static cst_code timer_take(csti_sessions *sessions, csti_session *session, uint32_t *closed,
                           cst_err *err) {
    cst_code code;

    if (!is_over(sessions, session->last_us))
        return csti_session_set_put_off(sessions->set, session, session->last_us + sessions->gap_us,
                                        err);
    const cst_row_ref row = row_of(sessions, session);

    code = record_put(sessions, session, CSTI_RECORD_TOMBSTONE, err);
    if (code == CST_OK && sessions->emitter) code = csti_emitter_put(sessions->emitter, &row, err);
    if (code != CST_OK) return code;
    csti_session_set_remove(sessions->set, session);
    (*closed)++;
    return CST_OK;
}

cst_code csti_sessions_close_some(csti_sessions *sessions, uint32_t count, cst_err *err) {
    // A session's timer comes once a row of it at most; half as much again to order them.
    uint32_t steps = count + count / 2;
    uint32_t closed = 0;
    cst_code code = CST_OK;

    while (steps > 0 && code == CST_OK) {
        csti_session *session = NULL;

        if (sessions->emitter && csti_emitter_room(sessions->emitter) == 0) break;
        code = csti_session_set_take(sessions->set, sessions->closed_us, &steps, &session, err);
        if (code != CST_OK || !session) break;
        code = timer_take(sessions, session, &closed, err);
    }
    lines_count(sessions, closed);
    csti_metric_add(sessions->metrics.closed, closed);
    csti_metric_set(sessions->metrics.open, (int64_t)csti_session_set_count(sessions->set));
    return code;
}

uint64_t csti_sessions_lines(const csti_sessions *sessions) {
    return atomic_load_explicit(&sessions->lines_count, memory_order_relaxed);
}

// ---- Epochs -------------------------------------------------------------------------------------

cst_code csti_sessions_seal(csti_sessions *sessions, const csti_pane_cut **out, cst_err *err) {
    const size_t count = csti_outbox_ranges_count(sessions->outbox.first);
    session_cut *cut = calloc(1, sizeof *cut + count * sizeof *cut->ranges);

    if (!cut) return cst_fail(err, CST_NO_MEMORY, "%zu ranges of a delta", count);
    csti_outbox_ranges(sessions->outbox.first, cut->ranges);
    for (size_t r = 0; r < count; r++) cut->given.bytes += cut->ranges[r].count;
    cut->given.ranges = cut->ranges;
    cut->given.ranges_count = count;
    cut->chunks = csti_outbox_cut(&sessions->outbox);
    cut->next = sessions->cuts;
    sessions->cuts = cut;
    sessions->epoch++;
    *out = &cut->given;
    return CST_OK;
}

void csti_sessions_release(csti_sessions *sessions, const csti_pane_cut *given) {
    session_cut **link = &sessions->cuts;
    session_cut *cut;

    while (&(*link)->given != given) link = &(*link)->next;
    cut = *link;
    *link = cut->next;
    csti_outbox_free(&sessions->outbox, cut->chunks);
    free(cut);
}

// ---- Stats, fill --------------------------------------------------------------------------------

void csti_sessions_stats_read(const csti_sessions *sessions, cst_table_stats *out) {
    *out = (cst_table_stats){.rows_count = csti_session_set_count(sessions->set),
                             .log_bytes = sessions->outbox.bytes};
    csti_session_set_bytes(sessions->set, &out->slots_bytes, &out->index_bytes);
    out->used_bytes = out->slots_bytes + out->index_bytes + out->log_bytes;
}

static cst_code fill_row(csti_sessions *sessions, const cst_row_ref *row, cst_err *err) {
    const uint32_t group_bytes = row->key_bytes - START_BYTES;
    const uint64_t hash = cst_hash(&sessions->hash_key, row->key, group_bytes);
    const int64_t start_us = csti_window_of_key(row->key, row->key_bytes);
    csti_session *session = NULL;
    int64_t last_us;
    cst_code code;

    assert(row->value_bytes == sessions->program.value_bytes);
    memcpy(&last_us, row->value + sessions->last_offset, sizeof last_us);
    if (last_us < start_us)
        return cst_fail(err, CST_SEGMENT_RECORD,
                        "a session from %" PRId64 " us on has its last row at %" PRId64 " us",
                        start_us, last_us);
    code = csti_session_set_add(sessions->set,
                                csti_session_set_find(sessions->set, hash, row->key, group_bytes),
                                hash, start_us, last_us + sessions->gap_us, &session, err);
    if (code != CST_OK) return code;
    session->hash = row->hash;
    session->last_us = last_us;
    session->key_bytes = row->key_bytes;
    memcpy(session->body, row->key, row->key_bytes);
    memcpy(value_of(sessions, session), row->value, row->value_bytes);
    return CST_OK;
}

cst_code csti_sessions_fill(csti_sessions *sessions, cst_table *from, cst_err *err) {
    cst_row_ref rows[SCAN_ROWS];
    cst_scan scan = {0};
    uint32_t count = SCAN_ROWS;
    cst_code code = CST_OK;

    while (code == CST_OK && count > 0) {
        code = cst_table_scan(from, &scan, rows, SCAN_ROWS, &count);
        if (code != CST_OK) return cst_fail(err, code, "the rows that were restored");
        for (uint32_t r = 0; r < count && code == CST_OK; r++)
            code = fill_row(sessions, &rows[r], err);
    }
    csti_metric_set(sessions->metrics.open, (int64_t)csti_session_set_count(sessions->set));
    return code;
}
