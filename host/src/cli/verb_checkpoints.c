// verb_checkpoints.c: `constellation checkpoints list | show | verify`; what changes a store is in
// verb_compaction.c.
#include "checkpoint/chain.h"
#include "checkpoint/verify.h"
#include "cli/checkpoint_store.h"
#include "cli/progress.h"

#include <inttypes.h>
#include <string.h>

enum { MANIFEST_ARENA_BYTES = 512 << 20 };

// ---- list ---------------------------------------------------------------------------------------

typedef struct chains_size {
    uint64_t segments_count, bytes, new_bytes;
} chains_size;

// Of each stage, as the job file has it.
static uint32_t partitions_of(const csti_manifest *manifest) {
    return manifest->partitions_count / csti_manifest_stages_count(manifest);
}

static bool is_unaligned(const csti_manifest *manifest) {
    return csti_manifest_is_unaligned(manifest) || csti_manifest_has_rows(manifest);
}

static chains_size chains_measure(const csti_manifest *manifest) {
    chains_size size = {0};

    for (uint32_t p = 0; p < manifest->partitions_count; p++) {
        const csti_manifest_partition *partition = &manifest->partitions[p];

        size.segments_count += partition->segments_count;
        for (uint32_t s = 0; s < partition->segments_count; s++) {
            size.bytes += partition->segments[s].bytes;
            if (s >= partition->outbox_first) size.new_bytes += partition->segments[s].bytes;
        }
        if (partition->rows) {
            size.bytes += partition->rows->bytes;
            size.new_bytes += partition->rows->bytes;
        }
    }
    return size;
}

static uint64_t pins_count(const csti_meta_view *view, uint64_t id) {
    const int64_t now_us = csti_clock_wall_us(csti_clock_real());
    uint64_t count = 0;

    for (uint32_t i = 0; i < view->pins_count; i++)
        count += view->pins[i].id == id && view->pins[i].expires_us > now_us;
    return count;
}

static const char *state_name(const csti_meta_view *view, const csti_meta_checkpoint *checkpoint) {
    if (checkpoint->deleting) return "deleting";
    return checkpoint == csti_meta_view_newest(view) ? "newest" : "kept";
}

static void list_print_json(const csti_meta_view *view, const csti_meta_checkpoint *checkpoint,
                            const csti_manifest *manifest, const cst_err *damage) {
    printf("{\"id\":%" PRIu64 ",\"base_id\":%" PRIu64 ",\"committed_us\":%" PRId64
           ",\"tenure\":%" PRIu64 ",\"state\":\"%s\",\"pins\":%" PRIu64 ",\"manifest\":\"%s\"",
           checkpoint->id, checkpoint->base_id, checkpoint->committed_us, checkpoint->tenure,
           state_name(view, checkpoint), pins_count(view, checkpoint->id), checkpoint->manifest);
    if (manifest) {
        const chains_size size = chains_measure(manifest);

        printf(",\"partitions\":%u,\"segments\":%" PRIu64 ",\"bytes\":%" PRIu64
               ",\"new_bytes\":%" PRIu64 ",\"unaligned\":%s",
               partitions_of(manifest), size.segments_count, size.bytes, size.new_bytes,
               is_unaligned(manifest) ? "true" : "false");
    }
    if (damage) {
        printf(",\"error\":\"%s\",\"text\":", cst_code_name(damage->code));
        cli_json_text(stdout, damage->text, strlen(damage->text));
    }
    puts("}");
}

static void list_print(const csti_meta_view *view, const csti_meta_checkpoint *checkpoint,
                       const csti_manifest *manifest, const cst_err *damage) {
    const uint64_t pins = pins_count(view, checkpoint->id);
    char time[CLI_AMOUNT_BYTES], bytes[CLI_AMOUNT_BYTES], added[CLI_AMOUNT_BYTES];

    printf("%8" PRIu64 "  %-20s  %6" PRIu64, checkpoint->id,
           cli_time_text(checkpoint->committed_us, time), checkpoint->tenure);
    if (manifest) {
        const chains_size size = chains_measure(manifest);

        printf("  %10u  %8" PRIu64 "  %10s  %10s", partitions_of(manifest), size.segments_count,
               cli_bytes_text(size.bytes, bytes), cli_bytes_text(size.new_bytes, added));
    } else {
        printf("  %10s  %8s  %10s  %10s", "-", "-", "-", "-");
    }
    printf("  %s", damage ? "damaged" : state_name(view, checkpoint));
    if (manifest && is_unaligned(manifest)) fputs(", unaligned", stdout);
    if (pins > 0) printf(", read by %" PRIu64, pins);
    putchar('\n');
}

static int list_one(const cli_store *store, const csti_meta_checkpoint *checkpoint, bool json,
                    cst_err *err) {
    csti_manifest_object object = {.bytes = 0};
    csti_arena arena;
    cst_code code = CST_OK;
    bool damaged;

    csti_arena_init(&arena, MANIFEST_ARENA_BYTES);
    if (!checkpoint->deleting)
        code = csti_manifest_fetch(store->store, checkpoint->id, checkpoint->manifest,
                                   &checkpoint->crc, &arena, &object, err);
    damaged = code != CST_OK;
    (json ? list_print_json : list_print)(&store->view, checkpoint,
                                          object.bytes > 0 ? &object.manifest : NULL,
                                          damaged ? err : NULL);
    csti_arena_release(&arena);
    return damaged ? cli_status_of(code) : CLI_DONE;
}

static int checkpoints_list(int argc, char **argv) {
    static const cli_verb verb = {
        .name = "checkpoints list",
        .arguments = "STORE",
        .about = "Lists the committed checkpoints of a store, oldest first: how much of the state "
                 "each\nconsists of, and how much of that it added.",
        .positional_min = 1,
        .positional_max = 1,
    };
    cli_arguments arguments;
    cli_store store = {.store = NULL};
    cst_err err = {0}, first = {0};
    int status = cli_parse(&verb, argc, argv, &arguments);

    if (status != CLI_GO_ON) return status;
    if (cli_store_open(arguments.positional[0], CLI_STORE_META, &store, &err) != CST_OK)
        return cli_fail(&arguments.common, verb.name, arguments.positional[0], &err);
    status = CLI_DONE;
    if (!arguments.common.json && store.view.checkpoints_count > 0)
        printf("%8s  %-20s  %6s  %10s  %8s  %10s  %10s  %s\n", "id", "committed", "tenure",
               "partitions", "segments", "bytes", "new", "state");
    for (uint32_t i = 0; i < store.view.checkpoints_count; i++) {
        const int one = list_one(&store, &store.view.checkpoints[i], arguments.common.json, &err);

        if (one != CLI_DONE && status == CLI_DONE) first = err;
        if (one != CLI_DONE && status == CLI_DONE) status = one;
    }
    if (store.view.checkpoints_count == 0 && !arguments.common.json && !arguments.common.quiet)
        fprintf(stderr, "%s: no checkpoint is committed\n", arguments.positional[0]);
    if (status != CLI_DONE)
        (void)cli_fail(&arguments.common, verb.name, arguments.positional[0], &first);
    cli_store_close(&store);
    return status;
}

// ---- show ---------------------------------------------------------------------------------------

static const char *kind_name(cst_segment_kind kind) {
    return kind == CST_SEGMENT_DELTA ? "delta" : "full";
}

static void show_partition(const csti_manifest_partition *partition) {
    char text[CLI_AMOUNT_BYTES];

    printf("\npartition %u%s: key groups %u to %u, tenure %" PRIu64 ", %" PRIu64 " rows applied",
           partition->partition, partition->stage > 0 ? " (second stage)" : "",
           partition->group_from, partition->group_to - 1, partition->tenure,
           partition->rows_count);
    if (partition->watermark_us != INT64_MIN)
        printf(", watermark %s", cli_time_text(partition->watermark_us, text));
    putchar('\n');
    for (uint32_t s = 0; s < partition->segments_count; s++) {
        const csti_manifest_segment *segment = &partition->segments[s];

        printf("  %-5s %6" PRIu64 " to %-6" PRIu64 " %10s  %08" PRIx32 "  %s%s\n",
               kind_name(segment->kind), segment->epoch_from, segment->epoch_to,
               cli_bytes_text(segment->bytes, text), segment->checksum, segment->name,
               s >= partition->outbox_first ? "  new" : "");
    }
    if (partition->rows)
        printf("  rows  %6" PRIu64 " under way  %10s  %08" PRIx32 "  %s  new\n",
               partition->rows->rows_count, cli_bytes_text(partition->rows->bytes, text),
               partition->rows->checksum, partition->rows->name);
}

// What partitions have of the rows behind the offset.
static void show_skips(const csti_manifest *manifest, const csti_manifest_split *split) {
    for (uint32_t p = 0; split->skips && p < manifest->partitions_count; p++)
        if (split->skips[p] > 0)
            printf(", partition %u has %" PRIu64 " rows behind it", p, split->skips[p]);
}

static void show_print(const csti_meta_checkpoint *checkpoint, const csti_manifest *manifest) {
    char time[CLI_AMOUNT_BYTES];

    printf("checkpoint  %" PRIu64 ", after %" PRIu64 "\n", manifest->id, manifest->base_id);
    printf("job         %s, incarnation %" PRIu64 ", tenure %" PRIu64 "\n", manifest->job,
           manifest->incarnation, manifest->tenure);
    printf("made        %s\n", cli_time_text(manifest->created_us, time));
    printf("committed   %s\n", cli_time_text(checkpoint->committed_us, time));
    printf("manifest    %s\n", checkpoint->manifest);
    if (is_unaligned(manifest)) puts("unaligned   partitions stand at rows of their own");
    printf("key         %s\n", manifest->key_schema);
    printf("value       %s\n", manifest->value);
    if (manifest->then) {
        printf("then key    %s\n", manifest->then->key_schema);
        printf("then value  %s\n", manifest->then->value);
    }
    printf("sink        %s\n", manifest->sink);
    for (uint32_t i = 0; i < manifest->splits_count; i++) {
        const csti_manifest_split *split = &manifest->splits[i];

        printf("source      %s: %s", split->split, split->offset);
        if (split->watermark_us != INT64_MIN)
            printf(", watermark %s", cli_time_text(split->watermark_us, time));
        fputs(split->ended ? ", ended" : "", stdout);
        show_skips(manifest, split);
        putchar('\n');
    }
    for (uint32_t p = 0; p < manifest->partitions_count; p++)
        show_partition(&manifest->partitions[p]);
}

// The manifest as it stands, on one line: no text in it has line ends.
static cst_code show_print_json(const csti_manifest *manifest, cst_err *err) {
    csti_buffer text;
    cst_code code;

    csti_buffer_init(&text, CSTI_MANIFEST_BYTES_MAX);
    code = csti_manifest_write(manifest, &text, err);
    for (size_t i = 0; code == CST_OK && i < text.used_bytes; i++)
        if (text.bytes[i] != '\n') putchar(text.bytes[i]);
    if (code == CST_OK) putchar('\n');
    csti_buffer_release(&text);
    return code;
}

static cst_code show_read(cli_store *store, uint64_t id, csti_arena *arena,
                          const csti_meta_checkpoint **checkpoint_out, csti_manifest_object *out,
                          cst_err *err) {
    csti_pin pin = {.id = 0};
    cst_code code =
        csti_pin_take(store->meta, csti_clock_real(), csti_random_real(), id, &pin, err);

    // A store that is only read has no pins.
    if (code == CST_OBJECT_DENIED || code == CST_IO) code = CST_OK;
    if (code == CST_OK) code = cli_store_refresh(store, err);
    for (uint32_t i = 0; code == CST_OK && i < store->view.checkpoints_count; i++)
        if (store->view.checkpoints[i].id == id) *checkpoint_out = &store->view.checkpoints[i];
    if (code == CST_OK && !*checkpoint_out)
        code = cst_fail(err, CST_NOT_FOUND, "checkpoint %" PRIu64 " is not in the metadata", id);
    if (code == CST_OK)
        code = csti_manifest_fetch(store->store, id, (*checkpoint_out)->manifest,
                                   &(*checkpoint_out)->crc, arena, out, err);
    csti_pin_end(&pin);
    return code;
}

static int checkpoints_show(int argc, char **argv) {
    static const cli_verb verb = {
        .name = "checkpoints show",
        .arguments = "ID STORE",
        .about = "Shows what a checkpoint consists of: where its sources stood, and each "
                 "partition's\nsegments. ID is a number, or newest. --json prints the manifest.",
        .positional_min = 2,
        .positional_max = 2,
    };
    cli_arguments arguments;
    cli_store store = {.store = NULL};
    const csti_meta_checkpoint *checkpoint = NULL;
    csti_manifest_object object = {.bytes = 0};
    csti_arena arena;
    uint64_t id = 0;
    cst_err err = {0};
    cst_code code;
    const int status = cli_parse(&verb, argc, argv, &arguments);

    if (status != CLI_GO_ON) return status;
    csti_arena_init(&arena, MANIFEST_ARENA_BYTES);
    code = cli_store_open(arguments.positional[1], CLI_STORE_META, &store, &err);
    if (code == CST_OK) code = cli_store_id(&store, arguments.positional[0], &id, &err);
    if (code == CST_OK) code = show_read(&store, id, &arena, &checkpoint, &object, &err);
    if (code == CST_OK && arguments.common.json)
        code = show_print_json(&object.manifest, &err);
    else if (code == CST_OK)
        show_print(checkpoint, &object.manifest);
    if (store.store) cli_store_close(&store);
    csti_arena_release(&arena);
    if (code == CST_OK) return CLI_DONE;
    return cli_fail(&arguments.common, verb.name, arguments.positional[1], &err);
}

// ---- verify -------------------------------------------------------------------------------------

typedef struct verify_print {
    const cli_arguments *arguments;
    cli_progress progress;
} verify_print;

static void verify_damage(void *context, uint64_t id, const cst_err *err) {
    verify_print *to = context;

    cli_progress_end(&to->progress);
    if (!to->arguments->common.json) {
        fprintf(stderr, "checkpoint %" PRIu64 ": %s\n", id, err->text);
        return;
    }
    printf("{\"event\":\"damage\",\"id\":%" PRIu64 ",\"error\":\"%s\",\"text\":", id,
           cst_code_name(err->code));
    cli_json_text(stdout, err->text, strlen(err->text));
    puts("}");
}

static void verify_checkpoint(void *context, const csti_verify_checkpoint *checkpoint) {
    verify_print *to = context;
    char bytes[CLI_AMOUNT_BYTES];

    cli_progress_end(&to->progress);
    if (to->arguments->common.json)
        printf("{\"event\":\"checkpoint\",\"id\":%" PRIu64 ",\"objects\":%" PRIu64
               ",\"bytes\":%" PRIu64 ",\"damaged\":%s}\n",
               checkpoint->id, checkpoint->objects_count, checkpoint->bytes,
               checkpoint->damaged_count ? "true" : "false");
    else
        printf("checkpoint %" PRIu64 ": %" PRIu64 " objects, %s: %s\n", checkpoint->id,
               checkpoint->objects_count, cli_bytes_text(checkpoint->bytes, bytes),
               checkpoint->damaged_count ? "DAMAGED" : "good");
}

static void verify_progress(void *context, uint64_t bytes_done, uint64_t bytes_all) {
    verify_print *to = context;

    cli_progress_show(&to->progress, bytes_done, bytes_all);
}

static int verify_end(const cli_arguments *arguments, const csti_verify_report *report,
                      const cst_err *err, const char *what, const char *where) {
    char bytes[CLI_AMOUNT_BYTES];

    if (arguments->common.json)
        printf("{\"event\":\"done\",\"checkpoints\":%" PRIu64 ",\"damaged\":%" PRIu64
               ",\"objects\":%" PRIu64 ",\"bytes\":%" PRIu64 "}\n",
               report->checkpoints_count, report->damaged_count, report->objects_count,
               report->bytes);
    else if (!arguments->common.quiet)
        printf("%" PRIu64 " objects, %s were read\n", report->objects_count,
               cli_bytes_text(report->bytes, bytes));
    if (err->code == CST_OK) return CLI_DONE;
    return cli_fail(&arguments->common, what, where, err);
}

static int checkpoints_verify(int argc, char **argv) {
    static const cli_verb verb = {
        .name = "checkpoints verify",
        .arguments = "[ID] STORE",
        .about = "Reads every byte of all checkpoints, or of one, and compares every checksum, "
                 "record and\nhash. Names each damaged object and the offset in it.",
        .positional_min = 1,
        .positional_max = 2,
    };
    cli_arguments arguments;
    verify_print to = {.arguments = &arguments};
    csti_verify_report report = {0};
    csti_verify_options options = {.clock = csti_clock_real(),
                                   .random = csti_random_real(),
                                   .damage = verify_damage,
                                   .checkpoint = verify_checkpoint,
                                   .progress = verify_progress,
                                   .context = &to};
    cli_store store = {.store = NULL};
    cst_err err = {0};
    const char *where;
    cst_code code;
    int status = cli_parse(&verb, argc, argv, &arguments);

    if (status != CLI_GO_ON) return status;
    where = arguments.positional[arguments.positional_count - 1];
    code = cli_store_open(where, CLI_STORE_META, &store, &err);
    if (code == CST_OK && arguments.positional_count == 2)
        code = cli_store_id(&store, arguments.positional[0], &options.id, &err);
    if (code != CST_OK) {
        if (store.store) cli_store_close(&store);
        return cli_fail(&arguments.common, verb.name, where, &err);
    }
    options.store = store.store;
    options.meta = store.meta;
    to.progress = cli_progress_begin(&arguments.common, "verify");
    code = csti_verify(&options, &report, &err);
    cli_progress_end(&to.progress);
    if (code == CST_OK) err.code = CST_OK;
    status = verify_end(&arguments, &report, &err, verb.name, where);
    cli_store_close(&store);
    return status;
}

int cli_checkpoints(int argc, char **argv) {
    static const cli_choice choices[] = {
        {"list", checkpoints_list, "the committed checkpoints of a store"},
        {"show", checkpoints_show, "what one consists of"},
        {"verify", checkpoints_verify, "reads every byte and checksum"},
        {"fold", cli_checkpoints_fold, "makes new fulls of deltas"},
        {"gc", cli_checkpoints_gc, "deletes what nothing needs any more"},
        {"repair-orphans", cli_checkpoints_repair, "deletes what no checkpoint ever named"},
    };

    return cli_choose("constellation checkpoints", choices, sizeof choices / sizeof *choices, argc,
                      argv);
}
