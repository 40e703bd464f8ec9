// stores.cc: RocksDB (memtable only, no WAL) and LMDB (no sync), as in-memory maps; and from disk,
// where a recovery is compared.
//
// Both choose their own pages: RocksDB's arena is asked to lie in large blocks, LMDB maps a file.
#include "peers_internal.h"

#include <lmdb.h>
#include <memory>
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <string>

namespace peers {
namespace {

struct Rocks {
    std::unique_ptr<rocksdb::DB> db;
    std::string path;

    static rocksdb::Slice key(const std::uint8_t *keys, std::size_t i) {
        return {reinterpret_cast<const char *>(keys) + i * BENCH_KEY_BYTES, BENCH_KEY_BYTES};
    }
    static rocksdb::Slice value(const std::uint8_t *values, std::size_t i) {
        return {reinterpret_cast<const char *>(value_at(values, i)), BENCH_VALUE_BYTES};
    }
};

void *rocks_open(std::uint64_t, const char *folder) noexcept {
    try {
        rocksdb::Options options;
        options.create_if_missing = true;
        options.error_if_exists = true;
        options.write_buffer_size = std::size_t{64} << 30; // never flushed
        options.arena_block_size = std::size_t{64} << 20;
        options.compression = rocksdb::kNoCompression;
        options.allow_concurrent_memtable_write = false;
        options.inplace_update_support = true; // an update of equal size leaves no second version
        options.avoid_flush_during_shutdown = true;
        options.info_log_level = rocksdb::FATAL_LEVEL;
        rocksdb::DB *db = nullptr;
        const std::string path = std::string(folder) + "/rocksdb";
        if (!rocksdb::DB::Open(options, path, &db).ok()) return nullptr;
        return new Rocks{std::unique_ptr<rocksdb::DB>(db), path};
    } catch (...) {
        return nullptr;
    }
}
void rocks_close(void *opaque) noexcept {
    auto *rocks = static_cast<Rocks *>(opaque);
    const std::string path = rocks->path;
    delete rocks;
    rocksdb::DestroyDB(path, rocksdb::Options());
}
bool rocks_settle(void *opaque) noexcept {
    auto &rocks = *static_cast<Rocks *>(opaque);
    if (!rocks.db->Flush(rocksdb::FlushOptions()).ok()) return false;
    rocks.db.reset();
    return true;
}
std::size_t rocks_read_again(void *opaque) noexcept {
    try {
        auto &rocks = *static_cast<Rocks *>(opaque);
        rocksdb::Options options;
        options.info_log_level = rocksdb::FATAL_LEVEL;
        rocksdb::DB *db = nullptr;
        rocks.db.reset();
        if (!rocksdb::DB::OpenForReadOnly(options, rocks.path, &db).ok()) return 0;
        rocks.db.reset(db);
        std::uint8_t row[BENCH_KEY_BYTES + BENCH_VALUE_BYTES];
        std::size_t count = 0;
        const std::unique_ptr<rocksdb::Iterator> at(db->NewIterator(rocksdb::ReadOptions()));
        for (at->SeekToFirst(); at->Valid(); at->Next(), count++) {
            std::memcpy(row, at->key().data(), BENCH_KEY_BYTES);
            std::memcpy(row + BENCH_KEY_BYTES, at->value().data(), BENCH_VALUE_BYTES);
            asm volatile("" : : "r"(row) : "memory"); // the copy is what is measured
        }
        return at->status().ok() ? count : 0;
    } catch (...) {
        return 0;
    }
}
std::size_t rocks_put(void *opaque, const std::uint8_t *keys, const std::uint8_t *values,
                      std::size_t count) noexcept {
    auto &db = *static_cast<Rocks *>(opaque)->db;
    rocksdb::WriteOptions write;
    write.disableWAL = true;
    std::size_t done = 0;
    for (std::size_t i = 0; i < count; i++)
        done += db.Put(write, Rocks::key(keys, i), Rocks::value(values, i)).ok();
    return done;
}
std::size_t rocks_erase(void *opaque, const std::uint8_t *keys, std::size_t count) noexcept {
    auto &db = *static_cast<Rocks *>(opaque)->db;
    rocksdb::WriteOptions write;
    write.disableWAL = true;
    std::size_t done = 0;
    for (std::size_t i = 0; i < count; i++) done += db.Delete(write, Rocks::key(keys, i)).ok();
    return done;
}
std::size_t rocks_get_dependent(void *opaque, const std::uint8_t *keys, std::size_t count,
                                std::uint8_t *values_out, std::uint64_t zero) noexcept {
    auto &db = *static_cast<Rocks *>(opaque)->db;
    const rocksdb::ReadOptions read;
    rocksdb::PinnableSlice value;
    std::uint64_t last = 0;
    std::size_t found = 0;
    for (std::size_t i = 0; i < count; i++) {
        value.Reset();
        if (!db.Get(read, db.DefaultColumnFamily(), Rocks::key(keys, i + (last & zero)), &value)
                 .ok())
            continue;
        std::memcpy(value_at(values_out, i), value.data(), BENCH_VALUE_BYTES);
        std::memcpy(&last, value.data(), sizeof last);
        found++;
    }
    return found;
}
std::size_t rocks_get(void *opaque, const std::uint8_t *keys, std::size_t count,
                      std::uint8_t *values_out) noexcept {
    return rocks_get_dependent(opaque, keys, count, values_out, 0);
}
std::uint64_t rocks_bytes(void *opaque) noexcept {
    std::uint64_t bytes = 0;
    static_cast<Rocks *>(opaque)->db->GetIntProperty("rocksdb.cur-size-all-mem-tables", &bytes);
    return bytes;
}

struct Lmdb {
    MDB_env *env = nullptr;
    MDB_dbi dbi = 0;
    std::string path;
};

// Runs body(transaction, cursor) in one transaction; returns what it counted.
template <class Body> std::size_t with_cursor(Lmdb &lmdb, unsigned flags, Body body) {
    MDB_txn *txn = nullptr;
    MDB_cursor *cursor = nullptr;
    if (mdb_txn_begin(lmdb.env, nullptr, flags, &txn) != 0) return 0;
    if (mdb_cursor_open(txn, lmdb.dbi, &cursor) != 0) {
        mdb_txn_abort(txn);
        return 0;
    }
    const std::size_t counted = body(cursor);
    mdb_cursor_close(cursor);
    return mdb_txn_commit(txn) == 0 ? counted : 0;
}
MDB_val lmdb_key(const std::uint8_t *keys, std::size_t i) {
    return {BENCH_KEY_BYTES, const_cast<std::uint8_t *>(keys + i * BENCH_KEY_BYTES)};
}

void lmdb_close(void *opaque) noexcept {
    auto *lmdb = static_cast<Lmdb *>(opaque);
    mdb_env_close(lmdb->env);
    std::remove(lmdb->path.c_str());
    std::remove((lmdb->path + "-lock").c_str());
    delete lmdb;
}
void *lmdb_open(std::uint64_t, const char *folder) noexcept {
    try {
        auto lmdb = std::make_unique<Lmdb>();
        MDB_txn *txn = nullptr;
        lmdb->path = std::string(folder) + "/lmdb";
        if (mdb_env_create(&lmdb->env) != 0) return nullptr;
        mdb_env_set_mapsize(lmdb->env, std::size_t{64} << 30);
        const unsigned flags =
            MDB_NOSUBDIR | MDB_WRITEMAP | MDB_NOSYNC | MDB_NOLOCK | MDB_NORDAHEAD;
        if (mdb_env_open(lmdb->env, lmdb->path.c_str(), flags, 0600) == 0 &&
            mdb_txn_begin(lmdb->env, nullptr, 0, &txn) == 0) {
            if (mdb_dbi_open(txn, nullptr, 0, &lmdb->dbi) == 0 && mdb_txn_commit(txn) == 0)
                return lmdb.release();
        }
        mdb_env_close(lmdb->env);
    } catch (...) {}
    return nullptr;
}
std::size_t lmdb_put(void *opaque, const std::uint8_t *keys, const std::uint8_t *values,
                     std::size_t count) noexcept {
    return with_cursor(*static_cast<Lmdb *>(opaque), 0, [&](MDB_cursor *cursor) {
        std::size_t done = 0;
        for (std::size_t i = 0; i < count; i++) {
            MDB_val key = lmdb_key(keys, i);
            MDB_val value = {BENCH_VALUE_BYTES, const_cast<std::uint8_t *>(value_at(values, i))};
            done += mdb_cursor_put(cursor, &key, &value, 0) == 0;
        }
        return done;
    });
}
std::size_t lmdb_erase(void *opaque, const std::uint8_t *keys, std::size_t count) noexcept {
    return with_cursor(*static_cast<Lmdb *>(opaque), 0, [&](MDB_cursor *cursor) {
        std::size_t done = 0;
        for (std::size_t i = 0; i < count; i++) {
            MDB_val key = lmdb_key(keys, i), value;
            if (mdb_cursor_get(cursor, &key, &value, MDB_SET) == 0)
                done += mdb_cursor_del(cursor, 0) == 0;
        }
        return done;
    });
}
std::size_t lmdb_get_dependent(void *opaque, const std::uint8_t *keys, std::size_t count,
                               std::uint8_t *values_out, std::uint64_t zero) noexcept {
    return with_cursor(*static_cast<Lmdb *>(opaque), MDB_RDONLY, [&](MDB_cursor *cursor) {
        std::size_t found = 0;
        std::uint64_t last = 0;
        for (std::size_t i = 0; i < count; i++) {
            MDB_val key = lmdb_key(keys, i + (last & zero)), value;
            if (mdb_cursor_get(cursor, &key, &value, MDB_SET) != 0) continue;
            std::memcpy(value_at(values_out, i), value.mv_data, BENCH_VALUE_BYTES);
            std::memcpy(&last, value.mv_data, sizeof last);
            found++;
        }
        return found;
    });
}
std::size_t lmdb_get(void *opaque, const std::uint8_t *keys, std::size_t count,
                     std::uint8_t *values_out) noexcept {
    return lmdb_get_dependent(opaque, keys, count, values_out, 0);
}
std::uint64_t lmdb_bytes(void *opaque) noexcept {
    auto &lmdb = *static_cast<Lmdb *>(opaque);
    MDB_envinfo info;
    MDB_stat stat;
    if (mdb_env_info(lmdb.env, &info) != 0 || mdb_env_stat(lmdb.env, &stat) != 0) return 0;
    return (info.me_last_pgno + 1) * stat.ms_psize;
}

} // namespace

const bench_peer_map rocksdb_map = {
    "RocksDB memtable",  nullptr,          true,      0,           nullptr,
    rocks_open,          rocks_close,      rocks_put, rocks_erase, rocks_get,
    rocks_get_dependent, rocks_put,        nullptr,   rocks_bytes, "RocksDB, opened and read",
    rocks_settle,        rocks_read_again,
};
const bench_peer_map lmdb_map = {
    "LMDB",
    nullptr,
    true,
    0,
    nullptr,
    lmdb_open,
    lmdb_close,
    lmdb_put,
    lmdb_erase,
    lmdb_get,
    lmdb_get_dependent,
    lmdb_put,
    nullptr,
    lmdb_bytes,
    nullptr, // its file is its memory: nothing is read again
    nullptr,
    nullptr,
};

} // namespace peers
