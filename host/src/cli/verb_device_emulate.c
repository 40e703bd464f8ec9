// verb_device_emulate.c: `constellation device emulate`: a command under XRT's hardware emulation.
//
//   emulate ─┬─► COMMAND ─► libxrt_hwemu ─► constellation-card     dies with its host's socket
//            └─► the cleaner: waits until emulate is gone or done, ends COMMAND, removes the folder
//
//   /tmp/constellation.XXXXXX/   xrt/lib ─► XRT's libraries    kernel.xclbin   simulate.sh
//                                xrt.ini    emconfig.json      run/            and the card's
//                                sockets
//
// The folder's name is USER for COMMAND, as XRT puts its sockets into /tmp/$USER. A pipe that
// emulate alone can write to tells the cleaner of its end, whichever it was.
#define _GNU_SOURCE 1 // dladdr, pipe2
#include "base/clock.h"
#include "base/park.h"
#include "cli/cli.h"
#include "device/kernel_map.h"
#include "device/xrt_guard.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    UNITS_DEFAULT = 2,
    UNITS_MAX = 8,
    CARDS_MAX = 4,
    PACKET_BYTES = 256 << 10, // of a transfer; the ini's padding has to be longer
    PAD_BYTES = PACKET_BYTES + (64 << 10),
    NAME_BYTES = 512,
    REMOVE_TRIES = 200,
    REMOVE_PAUSE_MS = 10,
    FOLDERS_OPEN_MAX = 16,
    EXIT_NO_COMMAND = 127,
    EXIT_SIGNAL = 128,
};

static const char xrt_library[] = "libxrt_coreutil.so.2";
static const char folder_template[] = "/tmp/constellation.XXXXXX";

typedef struct emulation {
    const char *card;
    uint64_t units, cards;
    char folder[sizeof folder_template];
    char programs[NAME_BYTES]; // where this program is
    char guard[NAME_BYTES];    // beside our libraries, or where the loader looks
    char xrt[NAME_BYTES];      // where XRT's libraries are
} emulation;

// ---- What has to be there -----------------------------------------------------------------------

static cst_code programs_find(emulation *e, cst_err *err) {
    const ssize_t bytes = readlink("/proc/self/exe", e->programs, sizeof e->programs - 1);
    char *slash = bytes > 0 ? strrchr(e->programs, '/') : NULL;

    if (!slash) return cst_fail(err, CST_IO, "/proc/self/exe: %s", strerror(errno));
    *slash = 0;
    return CST_OK;
}

static cst_code guard_find(emulation *e, cst_err *err) {
    static const char name[] = "libconstellation-xrt-guard.so";
    void *library;

    (void)snprintf(e->guard, sizeof e->guard, "%.*s/../lib/%s", NAME_BYTES / 2, e->programs, name);
    if (access(e->guard, R_OK) == 0) return CST_OK;
    library = dlopen(name, RTLD_LAZY | RTLD_LOCAL);
    if (!library)
        return cst_fail(err, CST_UNSUPPORTED, "%s is not there. Build it: install libxrt-dev",
                        e->guard);
    (void)dlclose(library);
    (void)snprintf(e->guard, sizeof e->guard, "%s", name);
    return CST_OK;
}

static cst_code there(const char *folder, const char *name, cst_err *err) {
    char path[2 * NAME_BYTES];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (access(path, R_OK) == 0) return CST_OK;
    return cst_fail(err, CST_UNSUPPORTED,
                    "%s is not there. Build it: install Verilator and libxrt-dev, and configure "
                    "with -DCST_RTL=ON",
                    path);
}

// The folder of the library that the loader takes.
static cst_code xrt_find(emulation *e, cst_err *err) {
    void *library = dlopen(xrt_library, RTLD_NOW | RTLD_LOCAL);
    void *symbol = library ? dlsym(library, "xrtDeviceOpen") : NULL;
    Dl_info info = {0};
    char *slash;

    if (!symbol || !dladdr(symbol, &info) || !realpath(info.dli_fname, e->xrt))
        return cst_fail(err, CST_UNSUPPORTED, "XRT is not installed: %s", dlerror());
    slash = strrchr(e->xrt, '/');
    if (slash) *slash = 0;
    return there(e->xrt, "libxrt_hwemu.so.2", err);
}

static cst_code surroundings_find(emulation *e, cst_err *err) {
    cst_code code = programs_find(e, err);

    if (code == CST_OK) code = there(e->programs, "constellation-card", err);
    if (code == CST_OK) code = there(e->programs, "constellation-mkxclbin", err);
    if (code == CST_OK) code = guard_find(e, err);
    if (code == CST_OK) code = xrt_find(e, err);
    return code;
}

// ---- The folder ---------------------------------------------------------------------------------

static cst_code file_write(const emulation *e, const char *name, const char *text, cst_err *err) {
    char path[NAME_BYTES];
    FILE *out;

    (void)snprintf(path, sizeof path, "%s/%s", e->folder, name);
    out = fopen(path, "w");
    if (out && fputs(text, out) >= 0 && fclose(out) == 0) return CST_OK;
    return cst_fail(err, CST_IO, "%s: %s", path, strerror(errno));
}

// XRT 2.13 loses its buffer when it grows, and the first message is the environment, with the ini
// in it: so that one is the largest.
static cst_code ini_write(const emulation *e, cst_err *err) {
    static const char form[] = "[Emulation]\npacket_size=%d\nsystem_dpa=false\nkeep_run_dir=false\n"
                               "suppress_infos=true\n[Runtime]\nkds=false\n[Debug]\npad=%s\n";
    char *pad = malloc(PAD_BYTES + 1);
    char *text = malloc(PAD_BYTES + sizeof form + 16);
    cst_code code = CST_OK;

    if (!pad || !text) {
        code = cst_fail(err, CST_NO_MEMORY, "xrt.ini");
    } else {
        memset(pad, 'x', PAD_BYTES);
        pad[PAD_BYTES] = 0;
        (void)snprintf(text, PAD_BYTES + sizeof form + 16, form, PACKET_BYTES, pad);
        code = file_write(e, "xrt.ini", text, err);
    }
    free(pad);
    free(text);
    return code;
}

static cst_code links_make(const emulation *e, cst_err *err) {
    char path[NAME_BYTES];
    bool made;

    (void)snprintf(path, sizeof path, "%s/run", e->folder);
    made = mkdir(path, 0700) == 0;
    (void)snprintf(path, sizeof path, "%s/xrt", e->folder);
    made = made && mkdir(path, 0700) == 0;
    (void)snprintf(path, sizeof path, "%s/xrt/lib", e->folder);
    if (made && symlink(e->xrt, path) == 0) return CST_OK;
    return cst_fail(err, CST_IO, "%s: %s", path, strerror(errno));
}

static int wait_status(pid_t child) {
    int status = 0;

    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return EXIT_NO_COMMAND;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_SIGNAL + WTERMSIG(status);
}

static cst_code container_make(const emulation *e, cst_err *err) {
    char program[2 * NAME_BYTES], simulate[NAME_BYTES], out[NAME_BYTES], units[8];
    pid_t child;

    (void)snprintf(program, sizeof program, "%s/constellation-mkxclbin", e->programs);
    (void)snprintf(simulate, sizeof simulate, "%s/simulate.sh", e->folder);
    (void)snprintf(out, sizeof out, "%s/kernel.xclbin", e->folder);
    (void)snprintf(units, sizeof units, "%u", (unsigned)e->units);
    child = fork();
    if (child == 0) {
        (void)execl(program, program, "--card", e->card, "--units", units, "--simulate", simulate,
                    out, (char *)NULL);
        _exit(EXIT_NO_COMMAND);
    }
    if (child > 0 && wait_status(child) == 0) return CST_OK;
    return cst_fail(err, CST_IO, "%s made no container", program);
}

static cst_code folder_fill(const emulation *e, cst_err *err) {
    char text[3 * NAME_BYTES];
    cst_code code = links_make(e, err);

    if (code == CST_OK) code = ini_write(e, err);
    (void)snprintf(text, sizeof text,
                   "{\"Version\":{\"FileVersion\":\"2.0\"},\"Platform\":{\"Boards\":[{\"Devices\":["
                   "{\"Name\":\"constellation_%s\",\"NumDevices\":%u}]}]}}\n",
                   e->card, (unsigned)e->cards);
    if (code == CST_OK) code = file_write(e, "emconfig.json", text, err);
    (void)
        snprintf(text, sizeof text,
                 "#!/bin/sh\nunset LD_PRELOAD\nexec '%s/constellation-card' --card %s --units %u\n",
                 e->programs, e->card, (unsigned)e->units);
    if (code == CST_OK) code = file_write(e, "simulate.sh", text, err);
    if (code == CST_OK) code = container_make(e, err);
    return code;
}

static int entry_remove(const char *path, const struct stat *about, int kind, struct FTW *at) {
    (void)about;
    (void)kind;
    (void)at;
    (void)remove(path);
    return 0;
}

// What is still being written to is tried again, for a while.
static void folder_remove(const char *folder) {
    csti_parker parker;

    csti_parker_init(&parker);
    for (int i = 0; i < REMOVE_TRIES && access(folder, F_OK) == 0; i++) {
        (void)nftw(folder, entry_remove, FOLDERS_OPEN_MAX, FTW_DEPTH | FTW_PHYS);
        if (access(folder, F_OK) != 0) return;
        (void)csti_park_until(&parker, csti_clock_now_ns(csti_clock_real()) +
                                           UINT64_C(1000000) * REMOVE_PAUSE_MS);
    }
}

// ---- Processes ----------------------------------------------------------------------------------

static void variable_set(const emulation *e, const char *name, const char *rest) {
    char value[NAME_BYTES];

    (void)snprintf(value, sizeof value, "%s%s", e->folder, rest);
    if (setenv(name, value, 1) != 0) _exit(EXIT_NO_COMMAND);
}

static void command_run(const emulation *e, char *const *command) {
    const char *loaded = getenv("LD_PRELOAD");
    char preload[4 * NAME_BYTES], cards[8];

    (void)snprintf(cards, sizeof cards, "%u", (unsigned)e->cards);
    (void)snprintf(preload, sizeof preload, "%s%s%s", e->guard, loaded ? ":" : "",
                   loaded ? loaded : "");
    variable_set(e, "XILINX_XRT", "/xrt");
    variable_set(e, "XRT_INI_PATH", "/xrt.ini");
    variable_set(e, "EMCONFIG_PATH", "");
    variable_set(e, "SDACCEL_EM_RUN_DIR", "/run");
    variable_set(e, "CST_XCLBIN", "/kernel.xclbin");
    if (setenv("XCL_EMULATION_MODE", "hw_emu", 1) != 0 || setenv(CSTI_XRT_CARDS, cards, 1) != 0 ||
        setenv("USER", strrchr(e->folder, '/') + 1, 1) != 0 ||
        setenv("LD_PRELOAD", preload, 1) != 0)
        _exit(EXIT_NO_COMMAND);
    (void)execvp(command[0], command);
    fprintf(stderr, "constellation: device emulate: %s: %s\n", command[0], strerror(errno));
    _exit(EXIT_NO_COMMAND);
}

// Until nobody can write to the pipe any more, or the command has ended. It outlives emulate.
static void cleaner_run(const emulation *e, int ended) {
    char byte;

    (void)setsid();
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    while (read(ended, &byte, 1) < 0 && errno == EINTR) {}
    folder_remove(e->folder);
    _exit(0);
}

// Interrupts of a terminal reach the command by themselves; those that are sent to this process
// end it by the signal of its parent's end.
static int processes_run(const emulation *e, char *const *command, cst_err *err) {
    int ends[2] = {-1, -1};
    pid_t cleaner, child;
    int status;

    if (pipe2(ends, O_CLOEXEC) != 0) {
        (void)cst_fail(err, CST_IO, "a pipe: %s", strerror(errno));
        return CLI_FAILED;
    }
    cleaner = fork();
    if (cleaner == 0) {
        (void)close(ends[1]);
        cleaner_run(e, ends[0]);
    }
    child = cleaner > 0 ? fork() : -1;
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        command_run(e, command);
    }
    (void)signal(SIGINT, SIG_IGN);
    (void)close(ends[0]);
    status = child > 0 ? wait_status(child) : CLI_FAILED;
    if (child < 0) (void)cst_fail(err, CST_IO, "fork: %s", strerror(errno));
    (void)close(ends[1]);
    if (cleaner > 0) (void)wait_status(cleaner);
    return status;
}

static int emulate(emulation *e, char *const *command, cst_err *err) {
    cst_code code = surroundings_find(e, err);
    int status = CLI_DEVICE;

    if (code != CST_OK) return status;
    memcpy(e->folder, folder_template, sizeof folder_template);
    if (!mkdtemp(e->folder)) {
        (void)cst_fail(err, CST_IO, "%s: %s", e->folder, strerror(errno));
        return status;
    }
    code = folder_fill(e, err);
    if (code == CST_OK) status = processes_run(e, command, err);
    folder_remove(e->folder);
    return status;
}

// ---- The verb -----------------------------------------------------------------------------------

// What stands behind "--" is the command's, options and all.
static int words_before(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--") == 0) return i;
    return argc;
}

// "u50, u55c, u280, "
#define CARD_NAME(NAME, PLATFORM, BANKS, MIB, MHZ) NAME ", "
#define CARD_NAMES CSTI_KERNEL_CARD_MAP(CARD_NAME)

static bool card_is_known(const char *name) {
#define CARD_IS(NAME, PLATFORM, BANKS, MIB, MHZ) strcmp(name, NAME) == 0 ||
    return CSTI_KERNEL_CARD_MAP(CARD_IS) false;
#undef CARD_IS
}

int cli_device_emulate(int argc, char **argv) {
    emulation e = {.card = "u55c", .units = UNITS_DEFAULT, .cards = 1};
    const cli_option options[] = {
        {"card", CLI_KIND_TEXT, &e.card, "CARD", "what is emulated: u50, u55c (as it is) or u280"},
        {"cards", CLI_KIND_U64, &e.cards, "N", "how many, 1 to 4: 1; xrt:0, xrt:1, ..."},
        {"units", CLI_KIND_U64, &e.units, "N", "kernels on each, 1 to 8: 2; a partition takes one"},
    };
    const cli_verb verb = {
        .name = "device emulate",
        .arguments = "[--card CARD] [--cards N] [--units N] -- COMMAND...",
        .about = "Runs a command that finds an emulated card at xrt:0: XRT's own library, and the "
                 "kernel\nunder Verilator in a process beside it. Exits as the command does.",
        .options = options,
        .options_count = sizeof options / sizeof *options,
    };
    const int before = words_before(argc, argv);
    cli_arguments arguments;
    cst_err err = {0};
    int status = cli_parse(&verb, before, argv, &arguments);

    if (status != CLI_GO_ON) return status;
    if (before + 1 >= argc)
        return cli_failf(&arguments.common, verb.name, NULL, CST_USAGE,
                         "no command: constellation device emulate -- COMMAND...");
    if (!card_is_known(e.card))
        return cli_failf(&arguments.common, verb.name, NULL, CST_USAGE,
                         "--card %s: none of " CARD_NAMES "which are emulated", e.card);
    if (e.units < 1 || e.units > UNITS_MAX)
        return cli_failf(&arguments.common, verb.name, NULL, CST_USAGE, "--units %llu: 1 to %d",
                         (unsigned long long)e.units, UNITS_MAX);
    if (e.cards < 1 || e.cards > CARDS_MAX)
        return cli_failf(&arguments.common, verb.name, NULL, CST_USAGE, "--cards %llu: 1 to %d",
                         (unsigned long long)e.cards, CARDS_MAX);
    status = emulate(&e, argv + before + 1, &err);
    if (err.code != CST_OK) (void)cli_fail(&arguments.common, verb.name, NULL, &err);
    return status;
}
