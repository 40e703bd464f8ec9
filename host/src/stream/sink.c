#include "stream/sink.h"

#include "base/fault_point.h"
#include "state/segment.h"
#include "stream/sink_part.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    ROWS_AT_ONCE = 256,
    CHUNK_BYTES = 1 << 20,
    BUFFER_BYTES_MAX = 16 << 20, // a chunk and the longest line there can be
};
#define TEMPORARY_PREFIX "temp-"
#define ANY_PARTITION UINT32_MAX

struct csti_sink {
    csti_sink_kind kind;
    csti_sink_takes takes;
    csti_render_plan plan;
    uint64_t nonce;
    char *path;
    int folder; // -1: none
    const csti_clock *clock;
    uint64_t part_deadline_us; // 0: none
    csti_buffer text;
    csti_sink_stats stats;
};

// What takes the text of a segment: a part, or stdout.
typedef struct release {
    csti_sink *sink;
    csti_part *part; // NULL: stdout
    uint64_t begun_ns;
    uint64_t rows, bytes;
} release;

static cst_code folder_fail(const csti_sink *sink, const char *what, cst_err *err) {
    return cst_fail(err, CST_IO, "sink folder %s: %s: %s", sink->path, what, strerror(errno));
}

// ---- Names --------------------------------------------------------------------------------------

static void name_write(uint64_t epoch, uint32_t partition, char out[CSTI_PART_NAME_BYTES]) {
    (void)snprintf(out, CSTI_PART_NAME_BYTES, "%020" PRIu64 "-%05" PRIu32 ".ndjson", epoch,
                   partition);
}

// "{epoch:020}-{partition:05}.ndjson"; false: no part's name.
static bool name_read(const char *name, uint64_t *epoch_out, uint32_t *partition_out) {
    char again[CSTI_PART_NAME_BYTES];

    if (sscanf(name, "%20" SCNu64 "-%10" SCNu32, epoch_out, partition_out) != 2) return false;
    name_write(*epoch_out, *partition_out, again);
    return strcmp(name, again) == 0;
}

// "temp-{nonce:016x}-" and a part's name; false: no temporary's.
static bool temporary_read(const char *name, uint64_t *nonce_out) {
    char again[CSTI_PART_NAME_BYTES];
    uint64_t epoch;
    uint32_t partition;
    int bytes;

    if (sscanf(name, TEMPORARY_PREFIX "%16" SCNx64, nonce_out) != 1) return false;
    bytes = snprintf(again, sizeof again, TEMPORARY_PREFIX "%016" PRIx64 "-", *nonce_out);
    return strncmp(name, again, (size_t)bytes) == 0 && name_read(name + bytes, &epoch, &partition);
}

// ---- Open ---------------------------------------------------------------------------------------

// The entry in the parent must outlast a crash as its parts do, whoever made it, and however far
// he came.
static cst_code parent_sync(const csti_sink *sink, cst_err *err) {
    int parent = openat(sink->folder, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cst_code code = CST_OK;

    if (parent < 0 && errno == EACCES) return CST_OK; // not ours to look into
    if (parent < 0 || fsync(parent) != 0) code = folder_fail(sink, "fsync of its parent", err);
    if (parent >= 0) (void)close(parent);
    return code;
}

// A second descriptor for readdir: closedir takes it away.
static cst_code listing_open(const csti_sink *sink, DIR **out, cst_err *err) {
    const int folder = openat(sink->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    *out = folder < 0 ? NULL : fdopendir(folder);
    if (*out) return CST_OK;
    if (folder >= 0) (void)close(folder);
    return folder_fail(sink, "listing", err);
}

// The folder may hold files of other people: only what has a temporary's whole name goes.
static cst_code temporaries_remove(const csti_sink *sink, cst_err *err) {
    DIR *listing = NULL;
    cst_code code = listing_open(sink, &listing, err);
    const struct dirent *entry;

    if (code != CST_OK) return code;
    for (errno = 0; code == CST_OK && (entry = readdir(listing)) != NULL; errno = 0) {
        uint64_t nonce = 0;

        if (!temporary_read(entry->d_name, &nonce) || nonce == sink->nonce) continue;
        if (unlinkat(sink->folder, entry->d_name, 0) != 0 && errno != ENOENT)
            code = folder_fail(sink, "removing a left-over temporary", err);
    }
    if (code == CST_OK && errno != 0) code = folder_fail(sink, "listing", err);
    (void)closedir(listing);
    return code;
}

static cst_code folder_open(csti_sink *sink, cst_err *err) {
    cst_code code;

    if (mkdir(sink->path, 0777) != 0 && errno != EEXIST) return folder_fail(sink, "making it", err);
    sink->folder = open(sink->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (sink->folder < 0) return folder_fail(sink, "opening it", err);
    if (faccessat(sink->folder, ".", W_OK | X_OK, 0) != 0)
        return folder_fail(sink, "writing to it", err);
    code = parent_sync(sink, err);
    return code == CST_OK ? temporaries_remove(sink, err) : code;
}

cst_code csti_sink_open(const csti_sink_options *options, csti_sink **out, cst_err *err) {
    csti_sink *sink = NULL;
    cst_code code = CST_OK;

    if (options->kind == CSTI_SINK_FILE && (!options->path || !options->path[0]))
        return cst_fail(err, CST_USAGE, "sink: a file sink needs a folder");
    sink = calloc(1, sizeof *sink);
    if (!sink) return cst_fail(err, CST_NO_MEMORY, "a sink");
    sink->kind = options->kind;
    sink->takes = options->takes;
    sink->plan = options->plan;
    sink->nonce = options->nonce;
    sink->clock = options->clock;
    sink->part_deadline_us = options->part_deadline_us;
    sink->folder = -1;
    csti_buffer_init(&sink->text, BUFFER_BYTES_MAX);
    if (sink->kind == CSTI_SINK_FILE) {
        sink->path = strdup(options->path);
        code = sink->path ? folder_open(sink, err) : cst_fail(err, CST_NO_MEMORY, "a sink");
    }
    if (code != CST_OK) {
        csti_sink_close(sink);
        return code;
    }
    *out = sink;
    return CST_OK;
}

void csti_sink_close(csti_sink *sink) {
    if (!sink) return;
    if (sink->folder >= 0) (void)close(sink->folder);
    csti_buffer_release(&sink->text);
    free(sink->path);
    free(sink);
}

// ---- Release ------------------------------------------------------------------------------------

// Who has closed the pipe does not come back.
static cst_code stdout_fail(cst_err *err) {
    return cst_fail(err, errno == EPIPE ? CST_SINK : CST_IO, "sink stdout: %s", strerror(errno));
}

// Before each step of a part; behind the last one it is there, however late.
static cst_code deadline_check(const release *to, cst_err *err) {
    const csti_sink *sink = to->sink;

    if (sink->part_deadline_us == 0 ||
        csti_clock_now_ns(sink->clock) - to->begun_ns <= sink->part_deadline_us * 1000)
        return CST_OK;
    return cst_fail(err, CST_DEADLINE, "sink part %s/%s took longer than %" PRIu64 " us",
                    sink->path, to->part->name, sink->part_deadline_us);
}

static cst_code text_pass_on(release *to, cst_err *err) {
    csti_buffer *text = &to->sink->text;
    cst_code code = CST_OK;

    if (to->part) {
        code = deadline_check(to, err);
        if (code == CST_OK) code = csti_part_write(to->part, text->bytes, text->used_bytes, err);
    } else if (fwrite(text->bytes, 1, text->used_bytes, stdout) != text->used_bytes) {
        code = stdout_fail(err);
    }
    to->bytes += text->used_bytes;
    csti_buffer_reset(text);
    return code;
}

static bool is_taken(const csti_sink *sink, const cst_segment_row *row) {
    return sink->takes != CSTI_SINK_TAKES_CLOSED || (row->tombstone && row->row.value_bytes > 0);
}

static cst_code rows_render(release *to, const cst_segment_row *rows, uint32_t count,
                            cst_err *err) {
    csti_sink *sink = to->sink;

    for (uint32_t r = 0; r < count; r++) {
        const bool is_delete = rows[r].tombstone && sink->takes == CSTI_SINK_TAKES_CHANGES;
        cst_code code;

        if (!is_taken(sink, &rows[r])) continue;
        code = csti_render_row(&sink->plan, &rows[r].row, is_delete, &sink->text, err);
        if (code == CST_OK && sink->text.used_bytes >= CHUNK_BYTES) code = text_pass_on(to, err);
        if (code != CST_OK) return code;
        to->rows++;
    }
    return CST_OK;
}

static cst_code rows_next(const csti_sink *sink, const cst_segment *segment,
                          cst_segment_cursor *cursor, cst_segment_row *rows, uint32_t *count_out,
                          cst_err *err) {
    return sink->takes == CSTI_SINK_TAKES_ASIDE
               ? csti_segment_next_aside(segment, cursor, rows, ROWS_AT_ONCE, count_out, err)
               : cst_segment_next(segment, cursor, rows, ROWS_AT_ONCE, count_out, err);
}

// Whether the segment has a line; no part is made for none.
static cst_code lines_look(const csti_sink *sink, const cst_segment *segment, bool *any_out,
                           cst_err *err) {
    cst_segment_row rows[ROWS_AT_ONCE];
    cst_segment_cursor cursor = {0};
    uint32_t count = 0;

    *any_out = false;
    do {
        const cst_code code = rows_next(sink, segment, &cursor, rows, &count, err);

        if (code != CST_OK) return code;
        for (uint32_t r = 0; r < count && !*any_out; r++) *any_out = is_taken(sink, &rows[r]);
    } while (count > 0 && !*any_out);
    return CST_OK;
}

static cst_code segment_render(release *to, const cst_segment *segment, cst_err *err) {
    cst_segment_row rows[ROWS_AT_ONCE];
    cst_segment_cursor cursor = {0};
    uint32_t count = 0;

    csti_buffer_reset(&to->sink->text);
    do {
        cst_code code = rows_next(to->sink, segment, &cursor, rows, &count, err);

        if (code == CST_OK) code = rows_render(to, rows, count, err);
        if (code != CST_OK) return code;
    } while (count > 0);
    return text_pass_on(to, err);
}

static cst_code part_release(release *to, uint32_t partition, uint64_t epoch,
                             const cst_segment *segment, cst_err *err) {
    char name[CSTI_PART_NAME_BYTES];
    char temporary[CSTI_PART_NAME_BYTES];
    csti_part part = {.file = -1};
    cst_code code;

    name_write(epoch, partition, name);
    (void)snprintf(temporary, sizeof temporary, TEMPORARY_PREFIX "%016" PRIx64 "-%s",
                   to->sink->nonce, name);
    code = csti_part_open(to->sink->folder, to->sink->path, name, temporary, &part, err);
    to->part = &part;
    if (to->sink->part_deadline_us > 0) to->begun_ns = csti_clock_now_ns(to->sink->clock);
    if (code == CST_OK) code = segment_render(to, segment, err);
    if (code == CST_OK) code = deadline_check(to, err);
    if (code == CST_OK) code = csti_part_finish(&part, err);
    csti_part_close(&part);
    to->part = NULL;
    return code;
}

static cst_code stdout_release(release *to, const cst_segment *segment, cst_err *err) {
    cst_code code = segment_render(to, segment, err);

    if (code == CST_OK && fflush(stdout) != 0) code = stdout_fail(err);
    return code;
}

cst_code csti_sink_release(csti_sink *sink, uint32_t partition, cst_segment *segment,
                           cst_err *err) {
    release to = {.sink = sink};
    cst_segment_info info;
    cst_segment_summary summary;
    bool any = false;
    cst_code code = CST_OK;

    cst_segment_info_read(segment, &info);
    cst_segment_summary_read(segment, &summary);
    for (uint32_t p = 0; p < info.parts_count; p++)
        to.rows += summary.rows[p] + summary.tombstones[p];
    any = to.rows > 0;
    if (sink->takes != CSTI_SINK_TAKES_CHANGES && sink->kind != CSTI_SINK_NONE)
        code = lines_look(sink, segment, &any, err);
    if (code == CST_OK && !any) return CST_OK;
    if (sink->kind != CSTI_SINK_NONE) to.rows = 0;
    if (code == CST_OK && sink->kind == CSTI_SINK_STDOUT) code = stdout_release(&to, segment, err);
    if (code == CST_OK && sink->kind == CSTI_SINK_FILE) {
        code = part_release(&to, partition, info.epoch_to, segment, err);
        if (code == CST_EXISTS) { // another writer was first: now it is there, and is compared
            to = (release){.sink = sink};
            code = part_release(&to, partition, info.epoch_to, segment, err);
        }
    }
    if (code != CST_OK)
        return cst_fail_at(err, code, "partition %u, epoch %" PRIu64, partition, info.epoch_to);
    sink->stats.parts++;
    sink->stats.rows += to.rows;
    sink->stats.bytes += to.bytes;
    CSTI_FAULT_POINT(release_part);
    return CST_OK;
}

// ---- What is there ------------------------------------------------------------------------------

// The name of a part of this partition (ANY_PARTITION: of each) and this epoch or a later one; "":
// there is none.
static cst_code part_find(const csti_sink *sink, uint32_t partition, uint64_t epoch,
                          char name_out[CSTI_PART_NAME_BYTES], cst_err *err) {
    DIR *listing = NULL;
    const struct dirent *entry;
    bool found = false;
    cst_code code = listing_open(sink, &listing, err);

    name_out[0] = '\0';
    if (code != CST_OK) return code;
    for (errno = 0; !found && (entry = readdir(listing)) != NULL; errno = 0) {
        uint64_t part_epoch = 0;
        uint32_t part_partition = 0;

        if (!name_read(entry->d_name, &part_epoch, &part_partition)) continue;
        found = part_epoch >= epoch && (partition == ANY_PARTITION || part_partition == partition);
        if (found) (void)snprintf(name_out, CSTI_PART_NAME_BYTES, "%s", entry->d_name);
    }
    // What was not seen may be there: "none" would let rows out twice.
    if (!found && errno != 0) code = folder_fail(sink, "listing", err);
    (void)closedir(listing);
    return code;
}

cst_code csti_sink_has_released(csti_sink *sink, uint32_t partition, uint64_t epoch, bool *out,
                                cst_err *err) {
    char name[CSTI_PART_NAME_BYTES] = "";
    cst_code code = CST_OK;

    if (sink->kind == CSTI_SINK_FILE) code = part_find(sink, partition, epoch, name, err);
    if (code == CST_OK) *out = sink->kind == CSTI_SINK_STDOUT || name[0] != '\0';
    return code;
}

bool csti_sink_folder_has(const char *path, uint32_t partition, uint64_t epoch) {
    const int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char name[CSTI_PART_NAME_BYTES];
    bool found = false;

    name_write(epoch, partition, name);
    if (folder >= 0) {
        found = faccessat(folder, name, F_OK, 0) == 0;
        (void)close(folder);
    }
    return found;
}

cst_code csti_sink_unused_check(csti_sink *sink, cst_err *err) {
    char name[CSTI_PART_NAME_BYTES] = "";
    cst_code code = CST_OK;

    if (sink->kind == CSTI_SINK_FILE) code = part_find(sink, ANY_PARTITION, 0, name, err);
    if (code != CST_OK || name[0] == '\0') return code;
    return cst_fail(err, CST_SINK,
                    "sink folder %s holds %s, and there is no checkpoint yet that it could be of. "
                    "Empty the folder, or name another",
                    sink->path, name);
}

void csti_sink_stats_read(const csti_sink *sink, csti_sink_stats *out) {
    *out = sink->stats;
}
