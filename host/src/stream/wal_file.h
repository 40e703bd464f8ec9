// wal_file.h: the folder of a write-ahead log: names, new files, what was cut off.
//
//   create ─► T-B.new: header, frames ─► fsync ─► link as T-B.wal ─► unlink T-B.new ─► fsync folder
//
//   00000000000000000005-00000000000000000040.wal       tenure 5, first record 40
//
// Promises   a file with its name is whole up to what it had when it got it, and its name is
//            durable once finish returns. No file is ever made over another one.
// Thread     a folder is shared, read-only. A file: one.
// Ring       1: each call waits for the disk.
// Errors     STORE_FULL, NO_MEMORY, IO name the file and say what was done; EXISTS.
#ifndef CST_STREAM_WAL_FILE_H
#define CST_STREAM_WAL_FILE_H

#include "stream/wal_format.h"

#include <sys/uio.h>

enum {
    CSTI_WAL_FILES_MAX = 1 << 16,
    CSTI_WAL_PATH_BYTES = 1024, // of the folder, for errors: longer ones are cut
};

typedef struct csti_wal_name {
    uint64_t tenure, base;
} csti_wal_name;

typedef struct csti_wal_folder {
    int fd; // -1: closed
    char path[CSTI_WAL_PATH_BYTES];
} csti_wal_folder;

// A file that is written to.
typedef struct csti_wal_file {
    int fd; // -1: none
    uint32_t seed;
    csti_wal_name name;
    char text[CSTI_WAL_NAME_BYTES]; // its name
    uint64_t bytes;                 // written
    uint64_t prepared_bytes;        // the disk has given so many
    uint64_t prepared_bytes_max;    // and is asked for no more; 0: for none
} csti_wal_file;

// Makes it if it is not there; its own name is durable then.
CST_CHECK_RESULT cst_code csti_wal_folder_open(const char *path, csti_wal_folder *out,
                                               cst_err *err);
void csti_wal_folder_close(csti_wal_folder *folder);
// The files by tenure and base; *out is the caller's, to free. What is left of files of tenures
// below this one that never got their name is deleted. LIMIT: CSTI_WAL_FILES_MAX.
CST_CHECK_RESULT cst_code csti_wal_folder_list(const csti_wal_folder *folder, uint64_t tenure,
                                               csti_wal_name **out, size_t *count_out,
                                               cst_err *err);
// One that is gone already is deleted.
CST_CHECK_RESULT cst_code csti_wal_folder_delete(const csti_wal_folder *folder, csti_wal_name name,
                                                 cst_err *err);
void csti_wal_name_write(csti_wal_name name, char out[CSTI_WAL_NAME_BYTES]);
// What errno says, of this file.
cst_code csti_wal_fail(const csti_wal_folder *folder, const char *file, const char *doing,
                       int error, cst_err *err);

// The file has its header and no name yet. After an error there is none.
CST_CHECK_RESULT cst_code csti_wal_file_create(const csti_wal_folder *folder,
                                               const csti_wal_header *header, csti_wal_file *out,
                                               cst_err *err);
CST_CHECK_RESULT cst_code csti_wal_file_name(const csti_wal_folder *folder, csti_wal_file *file,
                                             cst_err *err);
// Closes it; a file without its name is gone then.
void csti_wal_file_close(const csti_wal_folder *folder, csti_wal_file *file);
// Behind what is written. After an error some of it may be there.
CST_CHECK_RESULT cst_code csti_wal_file_write(const csti_wal_folder *folder, csti_wal_file *file,
                                              const struct iovec *pieces, int pieces_count,
                                              cst_err *err);
CST_CHECK_RESULT cst_code csti_wal_file_sync(const csti_wal_folder *folder, csti_wal_file *file,
                                             cst_err *err);
// What was prepared and not written goes back to the disk; nothing depends on it.
void csti_wal_file_trim(csti_wal_file *file);

#endif
