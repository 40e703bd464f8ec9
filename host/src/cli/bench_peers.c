#include "cli/bench.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char plugin_name[] = "libconstellation-peers.so";

// build/release/bin/constellation -> build/release/lib/libconstellation-peers.so
static cst_code plugin_path(char *path, size_t bytes, cst_err *err) {
    char program[512];
    const ssize_t count = readlink("/proc/self/exe", program, sizeof program - 1);
    char *slash;

    if (count <= 0) return cst_fail(err, CST_IO, "/proc/self/exe cannot be read");
    program[count] = 0;
    for (int up = 0; up < 2; up++) {
        slash = strrchr(program, '/');
        if (!slash) return cst_fail(err, CST_NOT_FOUND, "%s has no folder", program);
        *slash = 0;
    }
    if ((size_t)snprintf(path, bytes, "%s/lib/%s", program, plugin_name) >= bytes)
        return cst_fail(err, CST_LIMIT, "the program's path is too long");
    return CST_OK;
}

// Peers that allocate by malloc get hugepages from a tunable, which glibc reads at the start: the
// program begins again with it. Where that fails they go without, and nothing else changes.
void bench_peers_begin(char **argv) {
    static const char tunable[] = "glibc.malloc.hugetlb";
    const char *given = getenv("GLIBC_TUNABLES");
    char wanted[512];

    if (given && strstr(given, tunable)) return; // begun again, or somebody has chosen
    if ((size_t)snprintf(wanted, sizeof wanted, "%s%s%s=1", given ? given : "", given ? ":" : "",
                         tunable) >= sizeof wanted)
        return;
    if (setenv("GLIBC_TUNABLES", wanted, 1) == 0) (void)execv("/proc/self/exe", argv);
}

cst_code bench_peers_load(const bench_peers **out, cst_err *err) {
    char path[640];
    void *plugin, *symbol;
    bench_peers_entry entry;
    const bench_peers *peers;
    const cst_code code = plugin_path(path, sizeof path, err);

    if (code != CST_OK) return code;
    plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!plugin)
        return cst_fail(err, CST_NOT_FOUND,
                        "%s. Run scripts/deps --peers and build with -DCST_BENCH_PEERS=ON",
                        dlerror());
    symbol = dlsym(plugin, "bench_peers_table");
    if (!symbol) return cst_fail(err, CST_UNSUPPORTED, "%s is no table of peers", path);
    memcpy(&entry, &symbol, sizeof entry); // ISO C has no cast from object to function
    peers = entry();
    if (peers->version != BENCH_PEERS_VERSION)
        return cst_fail(err, CST_UNSUPPORTED, "%s is of another version. Build it again", path);
    *out = peers; // the plugin stays loaded until the program ends
    return CST_OK;
}
