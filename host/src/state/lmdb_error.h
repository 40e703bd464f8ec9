// lmdb_error.h: what LMDB says, as our codes.
//
// Thread     any.
// Ring       1.
#ifndef CST_STATE_LMDB_ERROR_H
#define CST_STATE_LMDB_ERROR_H

#include <constellation/error.h>

#include <lmdb.h>

// STORE_FULL: map or disk; STORE_CORRUPT, NOT_FOUND, NO_MEMORY, IO. LMDB calls a short write EIO:
// the folder and the environment are asked whether the disk is full. `env` may be NULL.
cst_code csti_lmdb_code(int error, MDB_env *env, const char *folder);

#endif
