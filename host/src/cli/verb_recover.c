// verb_recover.c: `constellation recover --from-listing STORE`.
#include "checkpoint/recovery.h"
#include "cli/checkpoint_store.h"
#include "cli/progress.h"

#include <inttypes.h>
#include <string.h>

static void note_print(const cli_common *common, const csti_recovery_note *note) {
    if (!common->json) {
        if (note->code != CST_OK || !common->quiet)
            fprintf(note->code == CST_OK ? stdout : stderr, "checkpoint %" PRIu64 ": %s\n",
                    note->id, note->text);
        return;
    }
    printf("{\"event\":\"%s\",\"id\":%" PRIu64 ",\"error\":\"%s\",\"text\":",
           note->code == CST_OK ? "chosen" : "skipped", note->id, cst_code_name(note->code));
    cli_json_text(stdout, note->text, strlen(note->text));
    puts("}");
}

static cst_code recover_step(void *context, uint64_t bytes_done, uint64_t bytes_all, cst_err *err) {
    (void)err; // a signal ends the program: nothing is written before all is read
    cli_progress_show(context, bytes_done, bytes_all);
    return CST_OK;
}

static cst_code recover_run(const cli_arguments *arguments, bool accept_repeats,
                            csti_recovery_report *report, cst_err *err) {
    cli_progress progress = cli_progress_begin(&arguments->common, "recover");
    csti_listing_options options = {
        .meta = {.clock = csti_clock_real(), .random = csti_random_real()},
        .accept_repeats = accept_repeats,
        .step = recover_step,
        .step_context = &progress,
    };
    cli_store store = {.store = NULL};
    cst_code code = cli_store_open(arguments->positional[0], CLI_STORE_ONLY, &store, err);

    if (code != CST_OK) return code;
    options.meta.store = store.store;
    code = csti_random_fill(options.meta.random, &options.owner, sizeof options.owner, err);
    options.owner |= 1; // 0 is nobody
    if (code == CST_OK) code = csti_recover_from_listing(&options, report, err);
    cli_progress_end(&progress);
    cli_store_close(&store);
    return code;
}

int cli_recover(int argc, char **argv) {
    bool from_listing = false, accept_repeats = false;
    const cli_option options[] = {
        {"from-listing", CLI_KIND_FLAG, &from_listing, NULL,
         "rebuild lost metadata from the manifests in the store"},
        {"accept-repeats", CLI_KIND_FLAG, &accept_repeats, NULL,
         "go back behind a damaged checkpoint, though its output may repeat"},
    };
    const cli_verb verb = {
        .name = "recover",
        .arguments = "--from-listing [--accept-repeats] STORE",
        .about = "When the metadata of a store is lost or damaged: finds the newest checkpoint of "
                 "which\nevery byte verifies, and begins new metadata with it, as a new "
                 "incarnation. Whatever still\nruns on the old one can commit nothing more. A "
                 "job's own recovery needs no verb: run it.",
        .options = options,
        .options_count = sizeof options / sizeof *options,
        .positional_min = 1,
        .positional_max = 1,
    };
    static csti_recovery_report report; // large
    cli_arguments arguments;
    cst_err err = {0};
    const int status = cli_parse(&verb, argc, argv, &arguments);
    cst_code code;

    if (status != CLI_GO_ON) return status;
    if (!from_listing)
        return cli_failf(&arguments.common, verb.name, NULL, CST_USAGE,
                         "say --from-listing. A job recovers by itself when it is run.");
    code = recover_run(&arguments, accept_repeats, &report, &err);
    for (uint32_t i = 0; i < report.notes_count; i++)
        note_print(&arguments.common, &report.notes[i]);
    if (code != CST_OK)
        return cli_fail(&arguments.common, verb.name, arguments.positional[0], &err);
    if (arguments.common.json)
        printf("{\"event\":\"done\",\"recovered_from\":%" PRIu64 ",\"objects\":%" PRIu64
               ",\"bytes\":%" PRIu64 "}\n",
               report.chosen_id, report.objects_read, report.bytes_read);
    return CLI_DONE;
}
