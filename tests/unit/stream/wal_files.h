// wal_files.h: write-ahead logs for tests: opened, and made byte by byte as docs/formats.md says.
#ifndef CST_TEST_STREAM_WAL_FILES_H
#define CST_TEST_STREAM_WAL_FILES_H

#include "base/bytes.h"
#include "base/crc32c.h"
#include "stream/wal_format.h"
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

#define WAL_SCHEMA UINT64_C(0x5ced)

enum { WAL_PATH_BYTES = 300, WAL_FILE_BYTES_MAX = 1 << 20, WAL_PAYLOAD_BYTES = 1 << 16 };

// ---- A folder -----------------------------------------------------------------------------------

typedef struct wal_folder {
    char path[200]; // of the log
} wal_folder;

static inline int wal_remove_one(const char *path, const struct stat *status, int kind,
                                 struct FTW *place) {
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

// In memory where that can be: what disks do is not what is tested.
static inline wal_folder wal_folder_make(void) {
    const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
    wal_folder folder;
    char above[150];

    (void)snprintf(above, sizeof above, "%s/cst-wal-XXXXXX", parent ? parent : "/tmp");
    CHECK(mkdtemp(above));
    (void)snprintf(folder.path, sizeof folder.path, "%s/wal", above);
    CHECK_EQ(mkdir(folder.path, 0777), 0);
    return folder;
}

static inline void wal_folder_remove(const wal_folder *folder) {
    char above[sizeof folder->path];

    memcpy(above, folder->path, sizeof above);
    *strrchr(above, '/') = 0;
    CHECK_EQ(nftw(above, wal_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static inline size_t wal_files_count(const wal_folder *folder) {
    DIR *listed = opendir(folder->path);
    const struct dirent *entry;
    size_t count = 0;

    CHECK(listed);
    while ((entry = readdir(listed)) != NULL) count += entry->d_name[0] != '.';
    (void)closedir(listed);
    return count;
}

static inline void wal_path(const wal_folder *folder, uint64_t tenure, uint64_t base,
                            char out[WAL_PATH_BYTES]) {
    (void)snprintf(out, WAL_PATH_BYTES, "%s/%020" PRIu64 "-%020" PRIu64 ".wal", folder->path,
                   tenure, base);
}

static inline bool wal_has_file(const wal_folder *folder, uint64_t tenure, uint64_t base) {
    char path[WAL_PATH_BYTES];

    wal_path(folder, tenure, base, path);
    return access(path, F_OK) == 0;
}

// A copy of a folder of tests/vectors, to be opened: opening writes.
static inline wal_folder wal_folder_copy(const char *name) {
    const wal_folder folder = wal_folder_make();
    char from[WAL_PATH_BYTES];
    const struct dirent *entry;
    DIR *listed;

    (void)snprintf(from, sizeof from, "%s/%s", CST_VECTORS_DIR, name);
    listed = opendir(from);
    CHECK(listed);
    while ((entry = readdir(listed)) != NULL) {
        char to[WAL_PATH_BYTES];
        static uint8_t bytes[1 << 16];
        ssize_t count;
        int fd;

        if (entry->d_name[0] == '.') continue;
        fd = openat(dirfd(listed), entry->d_name, O_RDONLY | O_CLOEXEC);
        count = read(fd, bytes, sizeof bytes);
        CHECK(count > 0 && count < (ssize_t)sizeof bytes);
        CHECK_EQ(close(fd), 0);
        (void)snprintf(to, sizeof to, "%s/%s", folder.path, entry->d_name);
        fd = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        CHECK_EQ(write(fd, bytes, (size_t)count), count);
        CHECK_EQ(close(fd), 0);
    }
    (void)closedir(listed);
    return folder;
}

// ---- Bytes of a file ----------------------------------------------------------------------------

typedef struct wal_bytes {
    uint8_t bytes[WAL_FILE_BYTES_MAX];
    size_t count;
    uint32_t seed;
    uint64_t tenure, base, position;
} wal_bytes;

// A file of job "j" that follows another one (tenure 0: none).
static inline void bytes_begin(wal_bytes *file, uint64_t tenure, uint64_t base,
                               uint64_t follows_tenure, uint64_t follows_base) {
    csti_wal_header header = {.nonce = 0x1234,
                              .schema = WAL_SCHEMA,
                              .incarnation = 1,
                              .tenure = tenure,
                              .base = base,
                              .follows_tenure = follows_tenure,
                              .follows_base = follows_base,
                              .job = "j"};

    csti_wal_header_seal(&header);
    memset(file, 0, sizeof *file);
    memcpy(file->bytes, &header, sizeof header);
    file->count = sizeof header;
    file->seed = header.crc32c;
    file->tenure = tenure;
    file->base = file->position = base;
}

static inline void bytes_mark(wal_bytes *file, uint64_t durable) {
    csti_wal_mark_make(file->position, durable, file->seed, file->bytes + file->count);
    file->count += CSTI_WAL_MARK_BYTES;
}

// The payload of the record at a position: 0 to 40 bytes, each of which follows from it.
static inline uint32_t wal_payload(uint64_t position, uint8_t *out) {
    const uint32_t bytes = (uint32_t)(position * 7 % 41);

    for (uint32_t i = 0; i < bytes; i++) out[i] = (uint8_t)(position * 31 + i * 7 + 1);
    return bytes;
}

static inline void bytes_record(wal_bytes *file) {
    uint8_t *at = file->bytes + file->count;
    csti_wal_head head = {.position = file->position,
                          .kind = (uint16_t)(file->position % 5),
                          .type = CSTI_WAL_RECORD};

    head.payload_bytes = wal_payload(file->position, at + sizeof head);
    head.payload_crc32c = csti_crc32c(0, at + sizeof head, head.payload_bytes);
    csti_wal_head_seal(&head, file->seed);
    memcpy(at, &head, sizeof head);
    file->count += csti_wal_frame_bytes(head.payload_bytes);
    file->position++;
}

// As an owner writes a group in `always`: all before it is durable.
static inline void bytes_group(wal_bytes *file, int records) {
    bytes_mark(file, file->position);
    while (records-- > 0) bytes_record(file);
}

static inline void bytes_put(const wal_bytes *file, const wal_folder *folder) {
    char path[WAL_PATH_BYTES];
    int fd;

    wal_path(folder, file->tenure, file->base, path);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    CHECK(fd >= 0);
    CHECK_EQ(ftruncate(fd, (off_t)file->count), 0);
    CHECK_EQ(write(fd, file->bytes, file->count), (ssize_t)file->count);
    CHECK_EQ(close(fd), 0);
}

static inline void bytes_get(wal_bytes *file, const wal_folder *folder, uint64_t tenure,
                             uint64_t base) {
    char path[WAL_PATH_BYTES];
    ssize_t count;
    int fd;

    wal_path(folder, tenure, base, path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    count = read(fd, file->bytes, sizeof file->bytes);
    CHECK(count >= 0 && count < (ssize_t)sizeof file->bytes);
    file->count = (size_t)count;
    file->tenure = tenure;
    file->base = base;
    CHECK_EQ(close(fd), 0);
}

// ---- A log --------------------------------------------------------------------------------------

// What a recovery gave: every record is the one of its position, and they have no gap.
typedef struct wal_seen {
    uint64_t first, next; // equal: none
} wal_seen;

static inline void wal_check_record(const csti_wal_record *record) {
    uint8_t wanted[64];
    const uint32_t bytes = wal_payload(record->position, wanted);

    CHECK_EQ(record->payload_bytes, bytes);
    CHECK_BYTES(record->payload, wanted, bytes);
    CHECK_EQ(record->kind, record->position % 5);
}

static inline cst_code wal_see(void *context, const csti_wal_record *record, cst_err *err) {
    wal_seen *seen = context;

    (void)err;
    if (seen->first == seen->next) seen->first = seen->next = record->position;
    CHECK_EQ(record->position, seen->next);
    wal_check_record(record);
    seen->next++;
    return CST_OK;
}

static inline csti_wal_options wal_options_of(const wal_folder *folder, uint64_t tenure,
                                              uint64_t from, wal_seen *seen) {
    return (csti_wal_options){.folder = folder->path,
                              .job = "j",
                              .schema = WAL_SCHEMA,
                              .tenure = tenure,
                              .incarnation = 1,
                              .from = from,
                              .memory_bytes = 64 << 10,
                              .file_bytes = 128 << 10,
                              .disk_bytes_max = 1 << 20,
                              .recovered = seen ? wal_see : NULL,
                              .context = seen};
}

static inline csti_wal *wal_open_from(const wal_folder *folder, uint64_t tenure, uint64_t from,
                                      wal_seen *seen, csti_wal_report *report) {
    const csti_wal_options options = wal_options_of(folder, tenure, from, seen);
    csti_wal *wal = NULL;
    cst_err err = {0};

    if (csti_wal_open(&options, &wal, report, &err) != CST_OK) TEST_FAIL("%s", err.text);
    return wal;
}

// Opens it only to see what is there.
static inline cst_code wal_look(const wal_folder *folder, uint64_t tenure, uint64_t from,
                                wal_seen *seen, csti_wal_report *report, cst_err *err) {
    const csti_wal_options options = wal_options_of(folder, tenure, from, seen);
    csti_wal *wal = NULL;
    const cst_code code = csti_wal_open(&options, &wal, report, err);

    if (code == CST_OK) csti_wal_close(wal);
    return code;
}

// The next record; its position.
static inline uint64_t wal_put(csti_wal *wal, uint64_t next) {
    uint8_t payload[64];
    const uint32_t bytes = wal_payload(next, payload);
    uint64_t position = UINT64_MAX;

    CHECK_OK(csti_wal_append(wal, (uint16_t)(next % 5), payload, bytes, &position, NULL));
    CHECK_EQ(position, next);
    return position;
}

static inline void wal_put_all(csti_wal *wal, uint64_t first, uint64_t end) {
    for (uint64_t i = first; i < end; i++) (void)wal_put(wal, i);
    CHECK_OK(csti_wal_flush(wal, NULL));
}

static inline void wal_check_reads(csti_wal *wal, uint64_t first, uint64_t end) {
    csti_wal_reader *reader = NULL;
    csti_wal_record record;

    CHECK_OK(csti_wal_reader_open(wal, first, &reader, NULL));
    for (uint64_t i = first; i < end; i++) {
        CHECK_EQ(csti_wal_reader_position(reader), i);
        CHECK_OK(csti_wal_reader_next(reader, &record, NULL));
        CHECK_EQ(record.position, i);
        wal_check_record(&record);
    }
    CHECK_CODE(csti_wal_reader_next(reader, &record, NULL), CST_AGAIN);
    csti_wal_reader_close(reader);
}

#endif
