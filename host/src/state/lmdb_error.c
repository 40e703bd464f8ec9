#include "state/lmdb_error.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#define DISK_FULL_BYTES ((uint64_t)1 << 20)

static bool disk_is_full(MDB_env *env, const char *folder) {
    struct statvfs disk;
    struct rlimit limit;
    MDB_envinfo info;

    if (statvfs(folder, &disk) == 0 && (uint64_t)disk.f_bavail * disk.f_frsize < DISK_FULL_BYTES)
        return true;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return false;
    return env && mdb_env_info(env, &info) == 0 && limit.rlim_cur < info.me_mapsize;
}

cst_code csti_lmdb_code(int error, MDB_env *env, const char *folder) {
    switch (error) {
    case MDB_SUCCESS:
        return CST_OK;
    case MDB_NOTFOUND:
        return CST_NOT_FOUND;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return CST_STORE_FULL;
    case EIO:
        return disk_is_full(env, folder) ? CST_STORE_FULL : CST_IO;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
    case MDB_PANIC:
        return CST_STORE_CORRUPT;
    case ENOMEM:
        return CST_NO_MEMORY;
    default:
        return CST_IO;
    }
}
