#include "base/crc32c.h"
#include "base/fault_point.h"
#include "base/random.h"
#include "stream/wal_internal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

// The log as it is found: the newest file, the one it follows, and so on, oldest first in `links`.
typedef struct link {
    csti_wal_part part;
    csti_wal_name follows; // tenure 0: none
    uint64_t schema;
} link;

typedef struct recovery {
    const csti_wal_options *options;
    const csti_wal_folder *folder;
    csti_wal_report *report;
    csti_wal_name *names; // all files there are
    size_t names_count;
    link *links;
    size_t links_count;
    uint64_t end;     // behind the last record that counts
    uint64_t durable; // below it, proved
} recovery;

void csti_wal_header_make(const csti_wal_options *options, uint64_t nonce, uint64_t base,
                          csti_wal_name follows, csti_wal_header *out) {
    *out = (csti_wal_header){.nonce = nonce,
                             .schema = options->schema,
                             .incarnation = options->incarnation,
                             .tenure = options->tenure,
                             .base = base,
                             .follows_tenure = follows.tenure,
                             .follows_base = follows.tenure ? follows.base : 0};
    memcpy(out->job, options->job, strlen(options->job));
    csti_wal_header_seal(out);
}

// ---- Which files count --------------------------------------------------------------------------

static cst_code tenure_check(const recovery *r, cst_err *err) {
    const csti_wal_name *newest = &r->names[r->names_count - 1];
    char text[CSTI_WAL_NAME_BYTES];

    csti_wal_name_write(*newest, text);
    if (newest->tenure > r->options->tenure)
        return cst_fail(err, CST_FENCED,
                        "%s/%s is of tenure %" PRIu64 ", and this owner has %" PRIu64,
                        r->folder->path, text, newest->tenure, r->options->tenure);
    if (newest->tenure == r->options->tenure)
        return cst_fail(err, CST_EXISTS, "%s/%s is of this very tenure: each has its own",
                        r->folder->path, text);
    return CST_OK;
}

static cst_code link_read(const recovery *r, csti_wal_name name, link *out, cst_err *err) {
    csti_wal_cursor cursor;
    struct stat status;
    cst_code code = csti_wal_cursor_open(r->folder, name, &cursor, err);

    if (code != CST_OK) return code;
    if (cursor.header.job_bytes != strlen(r->options->job) ||
        memcmp(cursor.header.job, r->options->job, cursor.header.job_bytes) != 0)
        code = cst_fail(err, CST_JOB_MISMATCH,
                        "%s/%s belongs to job %.*s, and this one is %s: it needs a folder of its "
                        "own",
                        r->folder->path, cursor.text, (int)cursor.header.job_bytes,
                        cursor.header.job, r->options->job);
    else if (fstat(cursor.fd, &status) != 0)
        code = csti_wal_fail(r->folder, cursor.text, "reading its size", errno, err);
    else
        *out = (link){.part = {.name = name, .bytes = (uint64_t)status.st_size},
                      .follows = {.tenure = cursor.header.follows_tenure,
                                  .base = cursor.header.follows_base},
                      .schema = cursor.header.schema};
    csti_wal_cursor_close(&cursor);
    return code;
}

// Whether the walk back may end here, because nobody asks for what it cannot read.
static bool may_end(cst_code code) {
    return code == CST_WAL_GAP || code == CST_WAL_CORRUPT || code == CST_WAL_VERSION;
}

static void links_turn_round(recovery *r) {
    for (size_t i = 0; i < r->links_count / 2; i++) {
        const link newer = r->links[i];

        r->links[i] = r->links[r->links_count - 1 - i];
        r->links[r->links_count - 1 - i] = newer;
    }
}

// From the newest file back to the oldest that is there: at least to the one that holds the record
// at `from`, or would.
static cst_code links_walk(recovery *r, cst_err *err) {
    const uint64_t from = r->options->from;
    csti_wal_name name = r->names[r->names_count - 1];
    uint64_t end = CSTI_WAL_NO_END;

    r->links = calloc(r->names_count + 1, sizeof *r->links); // the last one may be missing
    if (!r->links) return cst_fail(err, CST_NO_MEMORY, "the files in %s", r->folder->path);
    for (;;) {
        link *at = &r->links[r->links_count];
        cst_code code;

        // Each begins before the one that follows it, so no name comes twice.
        assert(r->links_count <= r->names_count);
        code = link_read(r, name, at, end <= from ? NULL : err);
        if (end <= from && may_end(code)) break;
        if (code == CST_WAL_GAP)
            return cst_fail_at(err, code, "records from %" PRIu64 " on are asked for", from);
        if (code != CST_OK) return code;
        at->part.end = end;
        r->links_count++;
        end = name.base;
        name = at->follows;
        if (name.tenure != 0) continue;
        if (end <= from) break;
        return cst_fail(err, CST_WAL_GAP,
                        "%s: its first record is %" PRIu64 ", and records from %" PRIu64
                        " on are asked for",
                        r->folder->path, end, from);
    }
    links_turn_round(r);
    return CST_OK;
}

// ---- What is in them ----------------------------------------------------------------------------

static cst_code record_take(recovery *r, const link *from, const csti_wal_record *record,
                            cst_err *err) {
    char text[CSTI_WAL_NAME_BYTES];

    r->report->records++;
    csti_wal_name_write(from->part.name, text);
    if (from->schema != r->options->schema)
        return cst_fail(err, CST_SCHEMA_MISMATCH,
                        "%s/%s: record %" PRIu64 " and those behind it were taken with other "
                        "columns. Run the job as it was until they are in a checkpoint",
                        r->folder->path, text, record->position);
    if (!r->options->recovered) return CST_OK;
    return r->options->recovered(r->options->context, record, err);
}

static cst_code hole_fail(const csti_wal_cursor *cursor, uint64_t end, cst_err *err) {
    char why[160];

    (void)snprintf(why, sizeof why, "%s, and the file that follows begins at record %" PRIu64,
                   cursor->why, end);
    return csti_wal_cursor_fail(cursor, cursor->is_empty ? CST_WAL_GAP : CST_WAL_CORRUPT, why, err);
}

// In the newest file no record follows. Its end, unless a mark behind says that more was durable;
// then a record that came meanwhile, or damage. *ended_out: there was none.
static cst_code end_judge(csti_wal_cursor *cursor, csti_wal_record *record, bool *ended_out,
                          cst_err *err) {
    const char *what = cursor->why;
    char why[200];
    csti_wal_rest rest;
    cst_code code = csti_wal_cursor_rest(cursor, &rest, err);

    *ended_out = code == CST_OK && rest.mark_durable <= cursor->position;
    if (code != CST_OK || *ended_out) return code;
    code = csti_wal_cursor_next(cursor, record, err);
    if (code != CST_NOT_FOUND) return code;
    (void)snprintf(why, sizeof why,
                   "%s, and byte %" PRIu64 " says that records below %" PRIu64 " were durable",
                   what, rest.mark_offset, rest.mark_durable);
    return csti_wal_cursor_fail(cursor, CST_WAL_CORRUPT, why, err);
}

static cst_code records_scan(recovery *r, const link *from, csti_wal_cursor *cursor, cst_err *err) {
    while (cursor->position < from->part.end) {
        csti_wal_record record;
        bool ended = false;
        cst_code code = csti_wal_cursor_next(cursor, &record, err);

        if (code == CST_NOT_FOUND && from->part.end != CSTI_WAL_NO_END)
            return hole_fail(cursor, from->part.end, err);
        if (code == CST_NOT_FOUND) code = end_judge(cursor, &record, &ended, err);
        if (code == CST_OK && ended) return CST_OK;
        if (code == CST_OK && record.position >= r->options->from)
            code = record_take(r, from, &record, err);
        if (code != CST_OK) return code;
    }
    return CST_OK;
}

static cst_code link_scan(recovery *r, const link *from, cst_err *err) {
    csti_wal_cursor cursor;
    csti_wal_rest rest;
    cst_code code = csti_wal_cursor_open(r->folder, from->part.name, &cursor, err);

    if (code != CST_OK) return code;
    code = records_scan(r, from, &cursor, err);
    if (code == CST_OK) code = csti_wal_cursor_marks(&cursor, err);
    if (code == CST_OK) code = csti_wal_cursor_rest(&cursor, &rest, err);
    if (code == CST_OK && rest.cut_bytes > 0) {
        r->report->cut_bytes += rest.cut_bytes;
        r->report->cut_offset = cursor.offset;
        memcpy(r->report->cut_file, cursor.text, sizeof cursor.text);
    }
    r->end = cursor.position;
    r->durable = cursor.durable;
    csti_wal_cursor_close(&cursor);
    return code;
}

// ---- This owner's first file --------------------------------------------------------------------

static cst_code record_rewrite(const recovery *r, csti_wal_file *file,
                               const csti_wal_record *record, cst_err *err) {
    const uint8_t zeros[CSTI_WAL_FRAME_ALIGNMENT] = {0};
    const size_t padding =
        csti_wal_frame_bytes(record->payload_bytes) - CSTI_WAL_HEAD_BYTES - record->payload_bytes;
    csti_wal_head head = {.payload_bytes = record->payload_bytes,
                          .position = record->position,
                          .kind = record->kind,
                          .type = CSTI_WAL_RECORD,
                          .payload_crc32c = csti_crc32c(0, record->payload, record->payload_bytes)};
    const struct iovec pieces[3] = {
        {&head, sizeof head},
        {(void *)(uintptr_t)record->payload, record->payload_bytes},
        {(void *)(uintptr_t)zeros, padding},
    };

    csti_wal_head_seal(&head, file->seed);
    r->report->rewritten++;
    return csti_wal_file_write(r->folder, file, pieces, 3, err);
}

// The records of the newest file from `base` on, and a mark that says that they are durable: they
// are, once the file has its name.
static cst_code tail_rewrite(const recovery *r, uint64_t base, csti_wal_file *file, cst_err *err) {
    uint8_t mark[CSTI_WAL_MARK_BYTES];
    const struct iovec piece = {mark, sizeof mark};
    csti_wal_cursor cursor;
    csti_wal_record record;
    cst_code code;

    code = csti_wal_cursor_open(r->folder, r->links[r->links_count - 1].part.name, &cursor, err);
    if (code != CST_OK) return code;
    while (code == CST_OK && cursor.position < r->end) {
        code = csti_wal_cursor_next(&cursor, &record, err);
        if (code == CST_NOT_FOUND) // it was there a moment ago
            code = csti_wal_cursor_fail(&cursor, CST_WAL_CORRUPT, cursor.why, err);
        if (code == CST_OK && record.position >= base) code = record_rewrite(r, file, &record, err);
    }
    csti_wal_cursor_close(&cursor);
    if (code != CST_OK) return code;
    csti_wal_mark_make(r->end, r->end, file->seed, mark);
    return csti_wal_file_write(r->folder, file, &piece, 1, err);
}

static cst_code file_begin(const recovery *r, uint64_t nonce, uint64_t base, csti_wal_file *out,
                           cst_err *err) {
    csti_wal_name follows = {0};
    csti_wal_header header;
    csti_wal_file file;
    cst_code code;

    for (size_t i = 0; i < r->links_count; i++)
        if (r->links[i].part.name.base < base) follows = r->links[i].part.name;
    csti_wal_header_make(r->options, nonce, base, follows, &header);
    code = csti_wal_file_create(r->folder, &header, &file, err);
    if (code != CST_OK) return code;
    if (base < r->end) code = tail_rewrite(r, base, &file, err);
    if (code == CST_OK) code = csti_wal_file_name(r->folder, &file, err);
    if (code != CST_OK) {
        csti_wal_file_close(r->folder, &file);
        return code;
    }
    *out = file;
    return CST_OK;
}

// ---- What stays ---------------------------------------------------------------------------------

// The link of that name, if it holds records below `base`.
static link *link_kept(const recovery *r, csti_wal_name name, uint64_t base) {
    for (size_t i = 0; i < r->links_count; i++) {
        link *at = &r->links[i];

        if (at->part.name.tenure == name.tenure && at->part.name.base == name.base)
            return name.base < base ? at : NULL;
    }
    return NULL;
}

// 0: it is gone.
static uint64_t bytes_of(const recovery *r, csti_wal_name name) {
    char text[CSTI_WAL_NAME_BYTES];
    struct stat status;

    csti_wal_name_write(name, text);
    return fstatat(r->folder->fd, text, &status, 0) == 0 ? (uint64_t)status.st_size : 0;
}

// Nothing is deleted here: this owner may be fenced off already, and what it does not count may be
// what a later one does.
static void names_share(const recovery *r, uint64_t base, csti_wal_recovered *out) {
    for (size_t i = 0; i < r->names_count; i++) {
        link *kept = link_kept(r, r->names[i], base);

        if (!kept) {
            out->strays[out->strays_count++] =
                (csti_wal_part){.name = r->names[i], .bytes = bytes_of(r, r->names[i])};
            continue;
        }
        if (kept->part.end > base) kept->part.end = base;
        out->parts[out->parts_count++] = kept->part;
    }
}

static cst_code hand_over(recovery *r, csti_wal_recovered *out, cst_err *err) {
    const uint64_t from = r->options->from;
    const uint64_t base = r->end <= from ? from : r->durable > from ? r->durable : from;
    csti_wal_recovered made = {.file = {.fd = -1}, .next = r->end > from ? r->end : from};
    cst_code code = csti_random_fill(csti_random_real(), &made.nonce, sizeof made.nonce, err);

    if (code != CST_OK) return code;
    made.parts = calloc(r->names_count + 1, sizeof *made.parts);
    made.strays = calloc(r->names_count + 1, sizeof *made.strays);
    if (!made.parts || !made.strays)
        code = cst_fail(err, CST_NO_MEMORY, "the files in %s", r->folder->path);
    CSTI_FAULT_POINT(wal_recovered);
    if (code == CST_OK) code = file_begin(r, made.nonce, base, &made.file, err);
    if (code != CST_OK) {
        free(made.parts);
        free(made.strays);
        return code;
    }
    names_share(r, base, &made);
    made.parts[made.parts_count++] =
        (csti_wal_part){.name = made.file.name, .end = CSTI_WAL_NO_END, .bytes = made.file.bytes};
    r->report->strays = (uint32_t)made.strays_count;
    r->report->end = made.next;
    r->report->first = made.parts[0].name.base < made.next ? made.parts[0].name.base : made.next;
    *out = made;
    return CST_OK;
}

static cst_code nothing_found(const recovery *r, cst_err *err) {
    if (r->options->from == 0) return CST_OK;
    if (!r->options->may_be_missing)
        return cst_fail(err, CST_WAL_GAP,
                        "%s has no files, and records from %" PRIu64 " on are asked for. Restore "
                        "the folder, or give up what only it had",
                        r->folder->path, r->options->from);
    r->report->missing = true;
    return CST_OK;
}

cst_code csti_wal_recover(const csti_wal_options *options, const csti_wal_folder *folder,
                          csti_wal_recovered *out, csti_wal_report *report, cst_err *err) {
    recovery r = {.options = options, .folder = folder, .report = report, .end = options->from};
    cst_code code = csti_wal_folder_list(folder, options->tenure, &r.names, &r.names_count, err);

    if (code == CST_OK && r.names_count == 0) code = nothing_found(&r, err);
    if (code == CST_OK && r.names_count > 0) {
        code = tenure_check(&r, err);
        if (code == CST_OK) code = links_walk(&r, err);
    }
    for (size_t i = 0; i < r.links_count && code == CST_OK; i++)
        if (r.links[i].part.end > options->from) code = link_scan(&r, &r.links[i], err);
    report->files = (uint32_t)r.links_count;
    if (code == CST_OK) code = hand_over(&r, out, err);
    free(r.links);
    free(r.names);
    return code;
}
