// verb_compaction.c: `constellation checkpoints fold | gc | repair-orphans`: what changes a store.
// All of it is decided by the job's metadata, so that it may be done beside the running job; with
// --offline the verb takes the job's place first, and a job that still runs is fenced off.
#include "checkpoint/chain.h"
#include "checkpoint/compaction.h"
#include "cli/checkpoint_store.h"
#include "cli/progress.h"

#include <inttypes.h>
#include <string.h>

enum { FOLD_ARENA_BYTES = 512 << 20, KEEP_DEFAULT = 5 };

typedef struct compaction {
    cli_store store;
    csti_compaction_options options;
} compaction;

static const cli_option *offline_option(bool *offline, cli_option *out) {
    *out = (cli_option){"offline", CLI_KIND_FLAG, offline, NULL,
                        "take the job's place first: a job that still runs is fenced off"};
    return out;
}

static cst_code place_take(compaction *at, cst_err *err) {
    csti_meta_command command = {.kind = CSTI_META_CLAIM, .name = at->store.view.job};
    csti_meta_result result;
    cst_code code = csti_random_fill(csti_random_real(), &command.owner, sizeof command.owner, err);

    command.owner |= 1; // 0 is nobody
    if (code == CST_OK) code = csti_meta_propose(at->store.meta, &command, &result, err);
    if (code == CST_OK) code = cli_store_refresh(&at->store, err);
    if (code != CST_OK) return cst_fail_at(err, code, "taking the job's place");
    return CST_OK;
}

static cst_code compaction_open(const char *uri, bool offline, compaction *out, cst_err *err) {
    compaction at = {.options = {.clock = csti_clock_real(), .random = csti_random_real()}};
    cst_code code = cli_store_open(uri, CLI_STORE_META, &at.store, err);

    if (code != CST_OK) return code;
    if (at.store.view.owner == 0)
        code = cst_fail(err, CST_NOT_FOUND, "no job has run on this store");
    if (code == CST_OK && offline) code = place_take(&at, err);
    if (code != CST_OK) {
        cli_store_close(&at.store);
        return code;
    }
    at.options.store = at.store.store;
    at.options.meta = at.store.meta;
    at.options.owner = at.store.view.owner;
    at.options.tenure = at.store.view.tenure;
    *out = at;
    return CST_OK;
}

// ---- fold ---------------------------------------------------------------------------------------

static void fold_print(const cli_arguments *arguments, const csti_manifest_partition *partition,
                       const csti_manifest_segment *full) {
    const uint32_t count = csti_fold_segments(partition);
    char before_text[CLI_AMOUNT_BYTES], after_text[CLI_AMOUNT_BYTES];
    uint64_t before = 0;

    for (uint32_t s = 0; s < count; s++) before += partition->segments[s].bytes;
    if (arguments->common.json)
        printf("{\"event\":\"fold\",\"partition\":%u,\"segments\":%u,\"bytes\":%" PRIu64
               ",\"epoch\":%" PRIu64 ",\"full\":\"%s\",\"full_bytes\":%" PRIu64 "}\n",
               partition->partition, count, before, full->epoch_to, full->name, full->bytes);
    else
        printf("partition %u: %u segments, %s, became %s, %s, up to epoch %" PRIu64 "\n",
               partition->partition, count, cli_bytes_text(before, before_text), full->name,
               cli_bytes_text(full->bytes, after_text), full->epoch_to);
}

static cst_code folds_make(const compaction *at, const cli_arguments *arguments,
                           uint32_t *folds_out, cst_err *err) {
    const csti_meta_checkpoint *newest = csti_meta_view_newest(&at->store.view);
    csti_manifest_object object = {.bytes = 0};
    csti_arena arena;
    cst_code code;

    if (!newest) return cst_fail(err, CST_NOT_FOUND, "no checkpoint is committed");
    csti_arena_init(&arena, FOLD_ARENA_BYTES);
    code = csti_manifest_fetch(at->store.store, newest->id, newest->manifest, &newest->crc, &arena,
                               &object, err);
    for (uint32_t p = 0; code == CST_OK && p < object.manifest.partitions_count; p++) {
        const csti_manifest_partition *partition = &object.manifest.partitions[p];
        csti_manifest_segment full;

        if (csti_fold_segments(partition) == 0) continue;
        code = csti_fold_partition(&at->options, &object.manifest, p, &arena, &full, err);
        if (code != CST_OK) break;
        fold_print(arguments, partition, &full);
        ++*folds_out;
    }
    csti_arena_release(&arena);
    return code;
}

int cli_checkpoints_fold(int argc, char **argv) {
    bool offline = false;
    cli_option option;
    const cli_verb verb = {
        .name = "checkpoints fold",
        .arguments = "[--offline] STORE",
        .about = "Folds each partition's full and deltas into a new full, which the next checkpoint"
                 "\nstands on. What the newest checkpoint added is left to the next fold.",
        .options = offline_option(&offline, &option),
        .options_count = 1,
        .positional_min = 1,
        .positional_max = 1,
    };
    cli_arguments arguments;
    compaction at;
    uint32_t folds = 0;
    cst_err err = {0};
    const int status = cli_parse(&verb, argc, argv, &arguments);
    cst_code code;

    if (status != CLI_GO_ON) return status;
    code = compaction_open(arguments.positional[0], offline, &at, &err);
    if (code == CST_OK) {
        // The lease is this process's own, whoever owns the job.
        code =
            csti_random_fill(csti_random_real(), &at.options.owner, sizeof at.options.owner, &err);
        at.options.owner |= 1;
        if (code == CST_OK) code = folds_make(&at, &arguments, &folds, &err);
        cli_store_close(&at.store);
    }
    if (code != CST_OK)
        return cli_fail(&arguments.common, verb.name, arguments.positional[0], &err);
    if (folds == 0 && !arguments.common.json && !arguments.common.quiet) puts("nothing to fold");
    return CLI_DONE;
}

// ---- gc, repair-orphans -------------------------------------------------------------------------

typedef struct gc_print {
    const cli_arguments *arguments;
    bool dry;
} gc_print;

static void gc_visit(void *context, const char *name) {
    const gc_print *to = context;

    if (to->arguments->common.json)
        printf("{\"event\":\"%s\",\"object\":\"%s\"}\n", to->dry ? "would_delete" : "delete", name);
    else if (to->dry)
        puts(name);
}

static void gc_end(const gc_print *to, const csti_gc_report *report) {
    char bytes[CLI_AMOUNT_BYTES];

    if (to->arguments->common.json) {
        printf("{\"event\":\"done\",\"dry_run\":%s,\"checkpoints\":%" PRIu64 ",\"objects\":%" PRIu64
               ",\"bytes\":%" PRIu64 ",\"pending\":%" PRIu64 ",\"pinned\":%" PRIu64
               ",\"uploads\":%" PRIu64 "}\n",
               to->dry ? "true" : "false", report->retired_checkpoints, report->deleted_objects,
               report->deleted_bytes, report->pending_objects, report->pinned,
               report->swept_uploads);
        return;
    }
    if (to->arguments->common.quiet) return;
    printf("%s%" PRIu64 " checkpoints, %" PRIu64 " objects, %s",
           to->dry ? "would delete " : "deleted ", report->retired_checkpoints,
           report->deleted_objects, cli_bytes_text(report->deleted_bytes, bytes));
    if (report->pending_objects > 0)
        printf("; %" PRIu64 " left over from before", report->pending_objects);
    if (report->pinned > 0) printf("; %" PRIu64 " checkpoints are being read", report->pinned);
    if (report->swept_uploads > 0) printf("; %" PRIu64 " abandoned uploads", report->swept_uploads);
    putchar('\n');
}

static int gc_run(const cli_arguments *arguments, const char *what, bool offline, uint64_t keep,
                  csti_gc_mode mode) {
    gc_print to = {.arguments = arguments, .dry = mode == CSTI_GC_DRY};
    csti_gc_report report = {0};
    compaction at;
    cst_err err = {0};
    cst_code code = compaction_open(arguments->positional[0], offline, &at, &err);

    if (code == CST_OK) {
        at.options.keep = (uint32_t)keep;
        code = csti_gc(&at.options, mode, gc_visit, &to, &report, &err);
        cli_store_close(&at.store);
    }
    if (code != CST_OK) return cli_fail(&arguments->common, what, arguments->positional[0], &err);
    gc_end(&to, &report);
    return CLI_DONE;
}

int cli_checkpoints_gc(int argc, char **argv) {
    bool offline = false, dry = false;
    uint64_t keep = KEEP_DEFAULT;
    const cli_option options[] = {
        {"keep", CLI_KIND_U64, &keep, "N", "how many checkpoints stay, the newest first; 5"},
        {"dry-run", CLI_KIND_FLAG, &dry, NULL, "only name what would be deleted"},
        {"offline", CLI_KIND_FLAG, &offline, NULL,
         "take the job's place first: a job that still runs is fenced off"},
    };
    const cli_verb verb = {
        .name = "checkpoints gc",
        .arguments = "[--keep N] [--dry-run] [--offline] STORE",
        .about =
            "Deletes old checkpoints, and the segments that no other one needs. Ends deletions "
            "that\nwere begun before.",
        .options = options,
        .options_count = sizeof options / sizeof *options,
        .positional_min = 1,
        .positional_max = 1,
    };
    cli_arguments arguments;
    const int status = cli_parse(&verb, argc, argv, &arguments);

    if (status != CLI_GO_ON) return status;
    if (keep == 0 || keep > CSTI_META_CHECKPOINTS_MAX)
        return cli_failf(&arguments.common, verb.name, "--keep", CST_USAGE,
                         "%" PRIu64 " is not 1 to %d. The newest always stays.", keep,
                         CSTI_META_CHECKPOINTS_MAX);
    if (dry && offline)
        return cli_failf(&arguments.common, verb.name, "--offline", CST_USAGE,
                         "a dry run takes nobody's place. Leave one of them out.");
    return gc_run(&arguments, verb.name, offline, keep, dry ? CSTI_GC_DRY : CSTI_GC_RETIRE);
}

int cli_checkpoints_repair(int argc, char **argv) {
    bool offline = false;
    cli_option option;
    const cli_verb verb = {
        .name = "checkpoints repair-orphans",
        .arguments = "[--offline] STORE",
        .about = "Deletes what no checkpoint ever named: objects of checkpoints that can no longer "
                 "be\ncommitted, fulls that nobody registered, uploads that were abandoned.",
        .options = offline_option(&offline, &option),
        .options_count = 1,
        .positional_min = 1,
        .positional_max = 1,
    };
    cli_arguments arguments;
    const int status = cli_parse(&verb, argc, argv, &arguments);

    if (status != CLI_GO_ON) return status;
    return gc_run(&arguments, verb.name, offline, CSTI_META_CHECKPOINTS_MAX, CSTI_GC_ORPHANS);
}
