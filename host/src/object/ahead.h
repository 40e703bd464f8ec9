// ahead.h: objects that are read one behind the other, and fetched before their turn has come.
//
//   wants:   [ object 0 ............ ][ object 1 ][ object 2 ...... ]
//   open ──► begins with the ends of each: what says what an object is
//   body ──► of object i: its size, and memory with both ends in place; the rest is on its way
//   wait ──► its first `bytes` bytes are there too; meanwhile what lies behind them is fetched
//
// A store whose objects are at hand (file:, sim:) has nothing to fetch: there `body` is
// cst_object_get, in its turn, and `wait` does not wait.
//
// Promises   bodies are those that cst_object_get would give, or its errors, whichever object is
//            first asked for; what failed of an object fails again, and nothing of the others.
//            Bytes that were waited for never change.
// Thread     body, wait: any, at the same time. open, close: nobody else.
// Ring       1: blocks, each request up to the store's deadline, and longer by what is on its way.
// Owner      names are the caller's until close, bodies the reader's.
// Errors     as cst_object_get's; of open: CST_NO_MEMORY.
#ifndef CST_OBJECT_AHEAD_H
#define CST_OBJECT_AHEAD_H

#include "object/backend.h"

struct csti_ahead_want {
    const char *name;
    uint64_t bytes;      // of the object: another size is no error, but is read at once
    uint64_t tail_bytes; // of its end, wanted with its beginning
};

typedef struct csti_ahead csti_ahead;

CST_CHECK_RESULT cst_code csti_ahead_open(cst_object_store *store, const csti_ahead_want *wants,
                                          size_t count, csti_ahead **out, cst_err *err);
// Its first CSTI_AHEAD_HEAD_BYTES and last tail_bytes can be read, the rest behind a wait.
CST_CHECK_RESULT cst_code csti_ahead_body(csti_ahead *ahead, size_t number, cst_object_body *out,
                                          cst_err *err);
// Of one whose body was given.
CST_CHECK_RESULT cst_code csti_ahead_wait(csti_ahead *ahead, size_t number, uint64_t bytes,
                                          cst_err *err);
// Cancels what is on its way. NULL is allowed.
void csti_ahead_close(csti_ahead *ahead);

enum { CSTI_AHEAD_HEAD_BYTES = 256 << 10 };

#endif
