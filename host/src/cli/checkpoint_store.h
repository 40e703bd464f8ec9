// checkpoint_store.h: a checkpoint store as the verbs open it, with the metadata it holds.
//
// Promises   a folder that is not there is not made. The metadata is read, never begun.
// Thread     one.
// Owner      the view's texts lie in the arena, until the next refresh.
#ifndef CST_CLI_CHECKPOINT_STORE_H
#define CST_CLI_CHECKPOINT_STORE_H

#include "meta/meta.h"

typedef struct cli_store {
    cst_object_store *store;
    csti_meta *meta;
    csti_arena arena;
    csti_meta_view view;
} cli_store;

// NOT_FOUND, META_*, store errors. With `without_meta` the metadata is left alone.
typedef enum cli_store_with { CLI_STORE_META, CLI_STORE_ONLY } cli_store_with;
CST_CHECK_RESULT cst_code cli_store_open(const char *uri, cli_store_with with, cli_store *out,
                                         cst_err *err);
CST_CHECK_RESULT cst_code cli_store_refresh(cli_store *store, cst_err *err);
void cli_store_close(cli_store *store);

// "17", or "newest". PARSE; NOT_FOUND: there is none that is newest.
CST_CHECK_RESULT cst_code cli_store_id(const cli_store *store, const char *text, uint64_t *out,
                                       cst_err *err);

#endif
