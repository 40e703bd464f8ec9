#include "cli/checkpoint_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { STORE_ARENA_BYTES = 256 << 20 };

// Opening for a writer makes the folder; a reader that misspelt it is told.
static cst_code folder_check(const char *uri, cst_err *err) {
    struct stat info;

    if (strncmp(uri, "file:", 5) != 0) return CST_OK;
    errno = 0;
    if (stat(uri + 5, &info) == 0 && S_ISDIR(info.st_mode)) return CST_OK;
    if (errno != 0 && errno != ENOENT && errno != ENOTDIR)
        return cst_fail(err, CST_IO, "%s: %s", uri + 5, strerror(errno));
    return cst_fail(err, CST_NOT_FOUND, "there is no such folder");
}

cst_code cli_store_refresh(cli_store *store, cst_err *err) {
    const cst_code code = csti_meta_refresh(store->meta, err);

    if (code != CST_OK) return code;
    csti_arena_reset(&store->arena);
    return csti_meta_read(store->meta, &store->arena, &store->view, err);
}

cst_code cli_store_open(const char *uri, cli_store_with with, cli_store *out, cst_err *err) {
    cli_store store = {.store = NULL};
    cst_code code = folder_check(uri, err);

    if (code != CST_OK) return code;
    csti_arena_init(&store.arena, STORE_ARENA_BYTES);
    code = cst_object_store_open(uri, NULL, &store.store, err);
    if (code == CST_OK && with == CLI_STORE_META) {
        const csti_meta_log_options options = {.store = store.store,
                                               .clock = csti_clock_real(),
                                               .random = csti_random_real()};

        code = csti_meta_open_log(&options, &store.meta, err);
        if (code == CST_OK) code = cli_store_refresh(&store, err);
    }
    if (code != CST_OK) {
        cli_store_close(&store);
        return code;
    }
    *out = store;
    return CST_OK;
}

void cli_store_close(cli_store *store) {
    csti_meta_close(store->meta);
    cst_object_store_close(store->store);
    csti_arena_release(&store->arena);
    *store = (cli_store){.store = NULL};
}

cst_code cli_store_id(const cli_store *store, const char *text, uint64_t *out, cst_err *err) {
    const csti_meta_checkpoint *newest = csti_meta_view_newest(&store->view);
    char *end = NULL;

    if (strcmp(text, "newest") == 0) {
        if (!newest) return cst_fail(err, CST_NOT_FOUND, "no checkpoint is committed");
        *out = newest->id;
        return CST_OK;
    }
    errno = 0;
    *out = text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
    if (*out == 0 || *end != '\0' || errno != 0)
        return cst_fail(err, CST_PARSE, "'%s' is no checkpoint id. Give a number, or newest.",
                        text);
    return CST_OK;
}
