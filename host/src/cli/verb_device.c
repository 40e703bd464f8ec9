// verb_device.c: `constellation device list | probe | selftest`, and the way to emulate.
#include "cli/cli.h"

#include "device/break_even.h"

#include <constellation/device.h>
#include <inttypes.h>
#include <string.h>

enum { DEVICES_MAX = 32 };

static void list_print(const cst_device_info *info, bool json) {
    if (!json) {
        printf("%-12s %-14s %s\n", info->uri, info->available ? "available" : "not available",
               info->text);
        return;
    }
    printf("{\"uri\":\"%s\",\"available\":%s,\"text\":", info->uri,
           info->available ? "true" : "false");
    cli_json_text(stdout, info->text, strlen(info->text));
    puts("}");
}

static int device_list(int argc, char **argv) {
    static const cli_verb verb = {
        .name = "device list",
        .arguments = "",
        .about = "Lists the devices this build knows, and whether this machine has them.",
    };
    cst_device_info devices[DEVICES_MAX];
    cli_arguments arguments;
    size_t count = 0;
    const int status = cli_parse(&verb, argc, argv, &arguments);

    if (status != CLI_GO_ON) return status;
    cst_device_list(devices, DEVICES_MAX, &count);
    for (size_t i = 0; i < count && i < DEVICES_MAX; i++)
        list_print(&devices[i], arguments.common.json);
    return CLI_DONE;
}

void cli_simulation_json(const cst_simulation *simulation) {
    if (!simulation->simulated) return;
    printf(",\"simulated\":true,\"clock_mhz\":%" PRIu32 ",\"cycles\":%" PRIu64
           ",\"transfer_us\":%" PRIu64,
           simulation->clock_khz / 1000, simulation->clocks, simulation->transfer_ns / 1000);
}

void cli_simulation_print(FILE *out, const char *label, const cst_simulation *simulation) {
    if (!simulation->simulated) return;
    fprintf(out,
            "%s%" PRIu64 " cycles, %.6f s of a card at %" PRIu32
            " MHz; %.6f s of transfers over PCIe\n",
            label, simulation->clocks,
            (double)simulation->clocks / ((double)simulation->clock_khz * 1000),
            simulation->clock_khz / 1000, (double)simulation->transfer_ns / 1e9);
}

static const char *const op_names[CST_OPS_COUNT] = {"encode",  "hash",   "apply",   "lookup",
                                                    "barrier", "scan",   "restore", "grow",
                                                    "expire",  "release"};

// Of keys of one u64; a job measures with its own. A processor has nothing to be compared with.
static cst_code probe_encode(cst_device *device, bool json, cst_err *err) {
    csti_break_even found;
    cst_schema keys;
    cst_code code = cst_schema_parse("u64", &keys, err);

    if (strncmp(cst_device_uri(device), "cpu:", 4) == 0) return code;
    if (code == CST_OK)
        code = csti_break_even_measure(device, &keys, csti_clock_real(), &found, err);
    if (code != CST_OK) return code;
    if (json) {
        printf(",\"encode\":{\"rows_min\":%" PRId64 ",\"command_ns\":%.0f,\"row_ns\":%.3f,"
               "\"processor_command_ns\":%.0f,\"processor_row_ns\":%.3f,\"modelled\":%s}",
               found.rows_min == CSTI_BREAK_EVEN_NEVER ? -1 : (int64_t)found.rows_min,
               found.device.command_ns, found.device.row_ns, found.processor.command_ns,
               found.processor.row_ns, found.device_modelled ? "true" : "false");
        return CST_OK;
    }
    printf(
        "u64 keys       %.2f us a batch and %.2f ns a row%s; the processor %.2f us and %.2f ns\n",
        found.device.command_ns / 1e3, found.device.row_ns,
        found.device_modelled ? ", by the model's clocks" : "", found.processor.command_ns / 1e3,
        found.processor.row_ns);
    if (found.rows_min == CSTI_BREAK_EVEN_NEVER)
        puts("encoded here   no batch: the processor is sooner");
    else
        printf("encoded here   batches of %" PRIu32 " rows and more\n", found.rows_min);
    return CST_OK;
}

static void probe_print(const char *uri, const cst_capabilities *can) {
    printf("device         %s\nname           %s\noperations    ", uri, can->name);
    for (size_t i = 0; i < CST_OPS_COUNT; i++)
        if (can->ops >> i & 1) printf(" %s", op_names[i]);
    printf("\nkey bytes      at most %u\nentry bytes    at most %u\nwide tables    %s\n",
           can->key_bytes_max, can->entry_bytes_max, can->wide_tables ? "yes" : "no");
    printf("memory         %" PRIu64 " MiB, %s\n", can->memory_bytes >> 20,
           can->shares_memory ? "shared with the host" : "its own");
    printf("queue depth    at most %u\nbatch rows     at most %u\nNUMA node      ",
           can->queue_depth_max, can->batch_rows_max);
    if (can->numa_node < 0)
        puts("any");
    else
        printf("%d\n", can->numa_node);
}

static void probe_print_json(const char *uri, const cst_capabilities *can) {
    const char *comma = "";

    fputs("{\"uri\":", stdout);
    cli_json_text(stdout, uri, strlen(uri));
    fputs(",\"name\":", stdout);
    cli_json_text(stdout, can->name, strlen(can->name));
    fputs(",\"operations\":[", stdout);
    for (size_t i = 0; i < CST_OPS_COUNT; i++) {
        if (!(can->ops >> i & 1)) continue;
        printf("%s\"%s\"", comma, op_names[i]);
        comma = ",";
    }
    printf("],\"key_bytes_max\":%u,\"entry_bytes_max\":%u,\"wide_tables\":%s,"
           "\"shares_memory\":%s,\"memory_bytes\":%" PRIu64 ",\"queue_depth_max\":%u,"
           "\"batch_rows_max\":%u,\"numa_node\":%d",
           can->key_bytes_max, can->entry_bytes_max, can->wide_tables ? "true" : "false",
           can->shares_memory ? "true" : "false", can->memory_bytes, can->queue_depth_max,
           can->batch_rows_max, can->numa_node);
}

// The exit status of a verb about one device is 5 whatever went wrong with the device.
static int device_fail(const cli_arguments *arguments, const char *what, const cst_err *err) {
    const int status = cli_fail(&arguments->common, what, arguments->positional[0], err);

    return status == CLI_USAGE ? status : CLI_DEVICE;
}

static int device_probe(int argc, char **argv) {
    static const cli_verb verb = {
        .name = "device probe",
        .arguments = "URI",
        .about = "Opens a device and says what it can do, and where memory of it lies.",
        .positional_min = 1,
        .positional_max = 1,
    };
    cst_device *device = NULL;
    cst_capabilities can;
    cli_arguments arguments;
    cst_err err = {0};
    const int status = cli_parse(&verb, argc, argv, &arguments);
    cst_code code;

    if (status != CLI_GO_ON) return status;
    if (cst_device_open(arguments.positional[0], &device, &err) != CST_OK)
        return device_fail(&arguments, verb.name, &err);
    cst_device_capabilities(device, &can);
    if (arguments.common.json)
        probe_print_json(arguments.positional[0], &can);
    else
        probe_print(arguments.positional[0], &can);
    code = probe_encode(device, arguments.common.json, &err);
    if (code == CST_OK) code = cli_device_place(device, arguments.common.json, &err);
    if (arguments.common.json) puts("}");
    cst_device_close(device);
    return code == CST_OK ? CLI_DONE : device_fail(&arguments, verb.name, &err);
}

static int device_selftest(int argc, char **argv) {
    static const cli_verb verb = {
        .name = "device selftest",
        .arguments = "URI",
        .about = "Has a device encode keys, hash them and keep a small table, and compares every "
                 "bit\nwith known answers.",
        .positional_min = 1,
        .positional_max = 1,
    };
    cst_device *device = NULL;
    cst_simulation simulation = {0};
    cli_arguments arguments;
    cst_err err = {0};
    const int status = cli_parse(&verb, argc, argv, &arguments);
    cst_code code;

    if (status != CLI_GO_ON) return status;
    code = cst_device_open(arguments.positional[0], &device, &err);
    if (code == CST_OK) code = cst_device_selftest(device, &err);
    if (device) cst_device_simulation(device, &simulation);
    cst_device_close(device);
    if (code != CST_OK) return device_fail(&arguments, verb.name, &err);
    if (arguments.common.json) {
        fputs("{\"uri\":", stdout);
        cli_json_text(stdout, arguments.positional[0], strlen(arguments.positional[0]));
        fputs(",\"selftest\":\"ok\"", stdout);
        cli_simulation_json(&simulation);
        puts("}");
    } else {
        printf("%s: keys, hashes and table give the known answers\n", arguments.positional[0]);
        cli_simulation_print(stdout, "simulated: ", &simulation);
    }
    return CLI_DONE;
}

int cli_device(int argc, char **argv) {
    static const cli_choice choices[] = {
        {"list", device_list, "the devices there are"},
        {"probe", device_probe, "what a device can do"},
        {"selftest", device_selftest, "whether a device gives the right bits"},
        {"emulate", cli_device_emulate, "runs a command with an emulated card"},
    };

    return cli_choose("constellation device", choices, sizeof choices / sizeof *choices, argc,
                      argv);
}
