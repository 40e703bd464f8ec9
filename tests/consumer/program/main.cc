// main.cc: what main.c does, by a program in C++: rows in, a delta out.
#include <constellation/constellation.h>

#include <cstdint>
#include <cstdio>
#include <memory>

namespace {
constexpr std::uint64_t kRows = 1000;

struct Close {
    void operator()(cst_table *table) const { cst_table_close(table); }
};
using Table = std::unique_ptr<cst_table, Close>;

Table open() {
    cst_table_options options = {};
    cst_table *table = nullptr;
    cst_err err = {};

    options.layout = CST_TABLE_INLINE;
    options.key_bytes = 8;
    options.program.value_bytes = 8;
    options.program.presence_offset = CST_NO_OFFSET;
    options.hash_key = {1, 2};
    options.budget_bytes = 64u << 20;
    options.numa_node = -1;
    if (cst_table_open(&options, &table, &err) != CST_OK)
        std::fprintf(stderr, "consumer: %s\n", err.text);
    return Table(table);
}

bool put_all(cst_table *table) {
    for (std::uint64_t row = 0; row < kRows; row++) {
        std::uint8_t key[8];

        cst_key_encode_u64(row, key);
        if (cst_table_put(table, key, sizeof key, &row, sizeof row) != CST_OK) return false;
    }
    return true;
}
} // namespace

int main() {
    const Table table = open();
    std::uint8_t key[8];
    std::uint64_t value = 0;
    std::size_t value_bytes = 0;

    if (!table || !put_all(table.get())) return 1;
    cst_key_encode_u64(7, key);
    if (cst_table_get(table.get(), key, sizeof key, &value, sizeof value, &value_bytes) != CST_OK)
        return 1;
    const cst_delta delta = cst_table_seal(table.get());
    if (value != 7 || delta.epoch != 1 || delta.from >= delta.to) return 1;
    std::puts("consumer: ok");
    return 0;
}
