// error.h: what can go wrong, as values.
//
// Every function that can fail returns a cst_code and, if the caller passes one, fills a cst_err
// with the sentence a person needs: what failed, where, why, and what to do about it.
//
//   cst_err err = {0};
//   if (cst_schema_parse("u64,desc strin", &schema, &err) != CST_OK) fputs(err.text, stderr);
//
// Promises   codes never change number and are never reused; text may change at any time.
// Thread     values: no state is shared, nothing is allocated.
// Ring       0 may return codes; text is made in rings 1 and 2.
#ifndef CONSTELLATION_ERROR_H
#define CONSTELLATION_ERROR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CST_API __attribute__((visibility("default")))
#define CST_CHECK_RESULT __attribute__((warn_unused_result))

// X(name, number, what it means, what to do)
#define CST_ERR_MAP(X)                                                                             \
    X(OK, 0, "success", "nothing")                                                                 \
    X(USAGE, 1, "a call or command is malformed", "see the function's comment or --help")          \
    X(NO_MEMORY, 2, "memory could not be allocated", "free memory or lower the budget")            \
    X(IO, 3, "an operating system call failed", "see the errno text")                              \
    X(LIMIT, 4, "a fixed limit was reached", "see docs/formats.md for the limits")                 \
    X(UNSUPPORTED, 5, "this object cannot do that", "ask its capabilities first")                  \
    X(AGAIN, 6, "not now: a queue is full or work is pending", "retry after polling")              \
    X(NOT_FOUND, 7, "the named thing does not exist", "check the name")                            \
    X(EXISTS, 8, "the named thing exists already", "choose another name")                          \
    X(ABORTED, 9, "not executed: an earlier command stopped the queue", "resume the queue")        \
    X(SCHEMA, 10, "a schema is malformed", "see docs/formats.md, Keys")                            \
    X(SCHEMA_MISMATCH, 11, "data does not fit the schema", "use the schema it was made with")      \
    X(BATCH, 12, "a batch contradicts itself", "check lengths and offsets")                        \
    X(KEY_CORRUPT, 13, "encoded key bytes are not canonical", "the key was damaged or cut")        \
    X(UTF8, 14, "a string column holds bytes that are not UTF-8", "use a binary column")           \
    X(VALUE_RANGE, 15, "a value lies outside its type", "correct the value")                       \
    X(PARSE, 16, "text could not be read as the type asked for", "correct the text")               \
    X(PLACEMENT, 17, "memory or a thread is not where it was asked for",                           \
      "free memory on that node, or ask for another")                                              \
    X(KEY_TOO_LONG, 20, "a key is longer than the table takes", "use a wide table")                \
    X(VALUE_TOO_LONG, 21, "a value is longer than the table takes", "use a wide table")            \
    X(TABLE_FULL, 22, "no free slot for the row in its segment", "GROW the segment, resume")       \
    X(TABLE_SKEW, 23, "a segment below a quarter full has no place for a row",                     \
      "the keys were chosen to collide: change the hash key")                                      \
    X(TABLE_BUDGET, 24, "the table's memory budget is used up", "raise the budget, or release")    \
    X(TABLE_NOT_READY, 25, "prepared memory has run out for the moment", "prepare, resume")        \
    X(TABLE_CORRUPT, 26, "a table image breaks its own rules", "restore from a checkpoint")        \
    X(SUM_OVERFLOW, 27, "an accumulator would overflow", "drop the row or widen the type")         \
    X(EPOCH, 28, "an epoch is out of order", "seal and release in order")                          \
    X(SEGMENT_MAGIC, 40, "not a Constellation segment", "check the file name")                     \
    X(SEGMENT_VERSION, 41, "a segment of a newer version", "use a newer program")                  \
    X(SEGMENT_TRUNCATED, 42, "a segment ends early", "use another checkpoint")                     \
    X(SEGMENT_CHECKSUM, 43, "stored and computed checksums differ", "use another checkpoint")      \
    X(SEGMENT_IDENTITY, 44, "a segment of another table or epoch", "check the names")              \
    X(SEGMENT_SCHEMA, 45, "a segment made with another schema or program", "use that schema")      \
    X(SEGMENT_HASH_KEY, 46, "a segment made with another hash key", "use that hash key")           \
    X(SEGMENT_RECORD, 47, "a record inside a segment is malformed", "use another checkpoint")      \
    X(SEGMENT_BASE, 48, "a delta that stands on another base", "restore its own base first")       \
    X(STORE_FULL, 60, "a persistent store has no room left", "free disk space or raise map size")  \
    X(STORE_CORRUPT, 61, "a persistent store is damaged", "restore from a checkpoint")             \
    X(DEVICE_URI, 80, "a device name is malformed or unknown", "see constellation device list")    \
    X(DEVICE_LOST, 81, "a device stopped answering", "reset it or use cpu:")                       \
    X(DEVICE_SELFTEST, 82, "a device gave wrong bits for a known answer", "use cpu:")              \
    X(DEVICE_IMAGE, 83, "a card's container is damaged, or another's", "make it anew")             \
    X(OBJECT_NAME, 100, "an object's or a store's name is malformed", "see docs/formats.md")       \
    X(OBJECT_CONFLICT, 101, "an object changed under a conditional write", "read it again")        \
    X(OBJECT_AMBIGUOUS, 102, "a write may have taken effect or not", "read back its nonce")        \
    X(OBJECT_UNAVAILABLE, 103, "the object store does not answer", "retry later")                  \
    X(OBJECT_DENIED, 104, "the object store forbids it", "check credentials and permissions")      \
    X(OBJECT_REFUSED, 105, "the object store does not honour conditional writes",                  \
      "use a store that does, as docs/s3.md names some; there is no fallback")                     \
    X(DEADLINE, 106, "a step took longer than it may", "see which step, and its setting")          \
    X(META_CORRUPT, 110, "the metadata log is damaged", "recover --from-listing")                  \
    X(META_VERSION, 111, "metadata of a newer version", "use a newer program")                     \
    X(META_MISSING, 112, "checkpoints are there, but no metadata", "recover --from-listing")       \
    X(FENCED, 120, "another owner has taken the place", "stop; the new owner goes on")             \
    X(JOB_RUNNING, 121, "the job is running already", "stop it, or use --takeover")                \
    X(JOB_MISMATCH, 122, "a store that belongs to another job", "check the job's name and store")  \
    X(CHECKPOINT_ORDER, 123, "a checkpoint id is not above the last one", "take a new id")         \
    X(CHECKPOINT_ABORTED, 124, "the checkpoint was aborted", "its changes go with the next")       \
    X(CHECKPOINT_RETIRED, 125, "the checkpoint or what it stands on is retired",                   \
      "use a newer one")                                                                           \
    X(CHECKPOINT_UNUSABLE, 126, "checkpoints exist and none can be used", "see the report")        \
    X(CHECKPOINT_REPEATS, 127, "the older checkpoint's output may repeat some rows",               \
      "--accept-repeats, if the sink can take that")                                               \
    X(PIN_EXPIRED, 128, "a reader's pin has expired", "start the read again")                      \
    X(PINNED, 129, "a reader still pins the checkpoint", "wait, or let its lease end")             \
    X(LEASE, 130, "a lease is held by another, or its token is old", "wait for its end")           \
    X(MANIFEST, 131, "a manifest is malformed", "use another checkpoint")                          \
    X(MANIFEST_VERSION, 132, "a manifest of a newer version", "use a newer program")               \
    X(CONFIG, 140, "a configuration is wrong", "correct the line named")                           \
    X(SOURCE_CHANGED, 141, "a source file shrank or was replaced", "restore the file, or reset")   \
    X(SOURCE_RECORD, 142, "a source record is malformed", "correct the record")                    \
    X(SINK, 143, "a sink cannot take the output", "see the reason")                                \
    X(OPERATOR, 144, "an operator failed or is not usable", "see the reason")                      \
    X(BARRIER_BUSY, 150, "a barrier is still pending", "wait until it was taken")                  \
    X(ALIGN_LIMIT, 151, "alignment buffered more than it may", "raise the bound")                  \
    X(ALIGN_TIMEOUT, 152, "alignment took longer than it may", "see the input it waits for")       \
    X(WAL_CORRUPT, 160, "a write-ahead log is damaged before its end", "restore the file named")   \
    X(WAL_VERSION, 161, "a write-ahead log of a newer version", "use a newer program")             \
    X(WAL_GAP, 162, "records of a write-ahead log are missing", "restore the files named")         \
    X(WAL_FULL, 163, "a write-ahead log's bound is used up", "wait for a checkpoint, or raise it") \
    X(PRODUCER_EXPIRED, 170, "a producer that is not known has to begin at row 1",                 \
      "begin at 1, under a new id if its rows were counted before")                                \
    X(PRODUCER_GAP, 171, "a producer's row is not the one behind its last", "send from next on")   \
    X(PRODUCER_REPLACED, 172, "a newer connection sends for this producer",                        \
      "use one connection a producer")                                                             \
    X(TLS, 180, "TLS: a file is of no use, or a connection was not secured",                       \
      "see the reason: file, certificate or protocol")                                             \
    X(INTERNAL, 99, "an invariant does not hold", "please report this")

typedef enum cst_code {
#define CST_ERR_ENUM(name, number, text, advice) CST_##name = (number),
    CST_ERR_MAP(CST_ERR_ENUM)
#undef CST_ERR_ENUM
} cst_code;

enum { CST_ERR_TEXT_BYTES = 512 };

typedef struct cst_err {
    cst_code code;
    char text[CST_ERR_TEXT_BYTES]; // "WHAT failed: WHERE: WHY. WHAT TO DO", no newline
} cst_err;

// The stable name, as in "CST_SEGMENT_CHECKSUM"; "CST_UNKNOWN" for a number that is no code.
CST_API const char *cst_code_name(cst_code code);
// One line on what the code means and what to do about it.
CST_API const char *cst_code_text(cst_code code);
CST_API const char *cst_code_advice(cst_code code);

// Fills *err (NULL is allowed) and returns `code`, so that a failure is one line at its place.
CST_API cst_code cst_fail(cst_err *err, cst_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// Puts "prefix: " in front of what *err says: the outer place names itself on the way up.
CST_API cst_code cst_fail_at(cst_err *err, cst_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#ifdef __clang_analyzer__ // sees one file at a time: tell it that the code comes back as it went in
#define cst_fail(err, code, ...) ((void)cst_fail(err, code, __VA_ARGS__), (code))
#define cst_fail_at(err, code, ...) ((void)cst_fail_at(err, code, __VA_ARGS__), (code))
#endif

#ifdef __cplusplus
}
#endif
#endif
