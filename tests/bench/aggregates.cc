// aggregates.cc: the keyed aggregation of a job as one writes it against RocksDB: a merge operator.
//
// A row is an operand {1, value, value, value, value}; RocksDB folds operands when it flushes,
// compacts and reads. Batched writes, no log, no compression, a bloom filter, other than that as it
// comes; its background threads take what processors there are.
#include "peers_internal.h"

#include <memory>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/merge_operator.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <string>

namespace peers {
namespace {

constexpr std::size_t kWriteBufferBytes = std::size_t{128} << 20;
constexpr int kWriteBuffers = 4;
constexpr int kBackgroundThreads = 2;

struct Aggregate {
    std::uint64_t count, sum, least, most, newest;
};

class AggregateMerge : public rocksdb::AssociativeMergeOperator {
  public:
    bool Merge(const rocksdb::Slice &, const rocksdb::Slice *existing, const rocksdb::Slice &value,
               std::string *out, rocksdb::Logger *) const override {
        Aggregate newer;
        if (value.size() != sizeof newer) return false;
        std::memcpy(&newer, value.data(), sizeof newer);
        if (existing) {
            Aggregate older;
            if (existing->size() != sizeof older) return false;
            std::memcpy(&older, existing->data(), sizeof older);
            newer.count += older.count;
            newer.sum += older.sum;
            if (older.least < newer.least) newer.least = older.least;
            if (older.most > newer.most) newer.most = older.most;
        }
        out->assign(reinterpret_cast<const char *>(&newer), sizeof newer);
        return true;
    }
    const char *Name() const override { return "bench.aggregate"; }
};

struct Store {
    std::unique_ptr<rocksdb::DB> db;
    std::string path;
};

rocksdb::Options options() {
    rocksdb::BlockBasedTableOptions table;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    rocksdb::Options options;
    options.create_if_missing = true;
    options.merge_operator = std::make_shared<AggregateMerge>();
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    options.write_buffer_size = kWriteBufferBytes;
    options.max_write_buffer_number = kWriteBuffers;
    options.IncreaseParallelism(kBackgroundThreads);
    options.compression = rocksdb::kNoCompression;
    options.info_log_level = rocksdb::FATAL_LEVEL;
    options.avoid_flush_during_shutdown = true;
    return options;
}

void *open(const char *folder, std::uint32_t number) noexcept {
    try {
        rocksdb::DB *db = nullptr;
        const std::string path = std::string(folder) + "/aggregate-" + std::to_string(number);
        if (!rocksdb::DB::Open(options(), path, &db).ok()) return nullptr;
        return new Store{std::unique_ptr<rocksdb::DB>(db), path};
    } catch (...) {
        return nullptr;
    }
}

void close(void *opaque) noexcept {
    auto *store = static_cast<Store *>(opaque);
    const std::string path = store->path;
    delete store;
    rocksdb::DestroyDB(path, rocksdb::Options());
}

rocksdb::Slice key_slice(const std::uint8_t *keys, std::size_t i) {
    return {reinterpret_cast<const char *>(keys) + i * BENCH_KEY_BYTES, BENCH_KEY_BYTES};
}

std::size_t apply(void *opaque, const std::uint8_t *keys, const std::uint64_t *values,
                  std::size_t count) noexcept {
    try {
        rocksdb::WriteBatch batch;
        for (std::size_t i = 0; i < count; i++) {
            const Aggregate row = {1, values[i], values[i], values[i], values[i]};
            const rocksdb::Slice operand(reinterpret_cast<const char *>(&row), sizeof row);
            if (!batch.Merge(key_slice(keys, i), operand).ok()) return i;
        }
        rocksdb::WriteOptions write;
        write.disableWAL = true;
        return static_cast<Store *>(opaque)->db->Write(write, &batch).ok() ? count : 0;
    } catch (...) {
        return 0;
    }
}

bool get(void *opaque, const std::uint8_t *key, std::uint64_t value_out[5]) noexcept {
    try {
        std::string value;
        const rocksdb::Status status =
            static_cast<Store *>(opaque)->db->Get(rocksdb::ReadOptions(), key_slice(key, 0),
                                                  &value);
        if (!status.ok() || value.size() != sizeof(Aggregate)) return false;
        std::memcpy(value_out, value.data(), sizeof(Aggregate));
        return true;
    } catch (...) {
        return false;
    }
}

} // namespace

const bench_peer_aggregate aggregates[] = {{"RocksDB, merge operator", open, close, apply, get}};
const std::size_t aggregates_count = sizeof aggregates / sizeof *aggregates;

} // namespace peers
