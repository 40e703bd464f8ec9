// hugepages.h: memory for the peers on 2 MiB pages, faulted in before it is used, counted.
//
// Ours gets its memory that way; so do they, or the page size would decide the comparison.
#ifndef CST_BENCH_HUGEPAGES_H
#define CST_BENCH_HUGEPAGES_H

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <sys/mman.h>

namespace peers {

constexpr std::size_t kHugepageBytes = std::size_t{2} << 20;
constexpr std::size_t kMappedFrom = std::size_t{256} << 10; // smaller ones come from malloc
#ifdef MADV_POPULATE_WRITE
constexpr int kPopulateWrite = MADV_POPULATE_WRITE;
#else
constexpr int kPopulateWrite = 23; // Linux 5.14
#endif

inline std::size_t round_up(std::size_t bytes) {
    return (bytes + kHugepageBytes - 1) / kHugepageBytes * kHugepageBytes;
}

inline void *map_hugepages(std::size_t bytes) {
    const std::size_t wanted = round_up(bytes);
    void *mapping = mmap(nullptr, wanted + kHugepageBytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) throw std::bad_alloc();
    auto *first = static_cast<char *>(mapping);
    auto *base = reinterpret_cast<char *>(round_up(reinterpret_cast<std::uintptr_t>(first)));
    const auto before = static_cast<std::size_t>(base - first);
    if (before > 0) munmap(first, before);
    munmap(base + wanted, kHugepageBytes - before);
    madvise(base, wanted, MADV_HUGEPAGE);
    if (madvise(base, wanted, kPopulateWrite) != 0)
        for (std::size_t at = 0; at < wanted; at += 4096) base[at] = 0;
    return base;
}

// A standard allocator over it. Tag keeps one map's bytes apart from another's.
template <class T, class Tag> struct Hugepages {
    using value_type = T;
    static inline std::size_t live_bytes = 0;

    Hugepages() = default;
    template <class U> Hugepages(const Hugepages<U, Tag> &) noexcept {}
    template <class U> struct rebind { using other = Hugepages<U, Tag>; };
    static std::size_t &live() { return Hugepages<char, Tag>::live_bytes; }

    T *allocate(std::size_t count) {
        const std::size_t bytes = count * sizeof(T);
        void *memory = nullptr;
        if (bytes >= kMappedFrom)
            memory = map_hugepages(bytes);
        else if (posix_memalign(&memory, 64, bytes) != 0)
            throw std::bad_alloc();
        live() += bytes;
        return static_cast<T *>(memory);
    }
    void deallocate(T *memory, std::size_t count) noexcept {
        const std::size_t bytes = count * sizeof(T);
        if (bytes >= kMappedFrom)
            munmap(memory, round_up(bytes));
        else
            std::free(memory);
        live() -= bytes;
    }
    template <class U> bool operator==(const Hugepages<U, Tag> &) const { return true; }
    template <class U> bool operator!=(const Hugepages<U, Tag> &) const { return false; }
};

} // namespace peers

#endif
