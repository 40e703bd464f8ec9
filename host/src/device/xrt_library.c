// xrt_library.c: XRT's native API, from libxrt_coreutil.so.2, which is loaded when a device is
// opened and stays: a program on a machine without it lists xrt: as absent, and runs.
#define _GNU_SOURCE 1 // RTLD_DEFAULT, on_exit
#include "device/xrt_internal.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char library_name[] = "libxrt_coreutil.so.2";

// X(member, function, result, parameters): as xrt/xrt_*.h declare them.
#define XRT_FUNCTION_MAP(X)                                                                        \
    X(device_open, xrtDeviceOpen, void *, (unsigned))                                              \
    X(device_open_bdf, xrtDeviceOpenByBDF, void *, (const char *))                                 \
    X(device_close, xrtDeviceClose, int, (void *))                                                 \
    X(load, xrtDeviceLoadXclbinFile, int, (void *, const char *))                                  \
    X(uuid, xrtDeviceGetXclbinUUID, int, (void *, unsigned char *))                                \
    X(kernel_open, xrtPLKernelOpenExclusive, void *,                                               \
      (void *, const unsigned char *, const char *))                                               \
    X(kernel_close, xrtKernelClose, int, (void *))                                                 \
    X(register_read, xrtKernelReadRegister, int, (void *, uint32_t, uint32_t *))                   \
    X(register_write, xrtKernelWriteRegister, int, (void *, uint32_t, uint32_t))                   \
    X(buffer_alloc, xrtBOAlloc, void *, (void *, size_t, uint64_t, uint32_t))                      \
    X(buffer_free, xrtBOFree, int, (void *))                                                       \
    X(buffer_map, xrtBOMap, void *, (void *))                                                      \
    X(buffer_address, xrtBOAddress, uint64_t, (void *))                                            \
    X(buffer_sync, xrtBOSync, int, (void *, int, size_t, size_t))                                  \
    X(buffer_part, xrtBOSubAlloc, void *, (void *, size_t, size_t))                                \
    X(run_open, xrtRunOpen, void *, (void *))                                                      \
    X(run_close, xrtRunClose, int, (void *))                                                       \
    X(run_argument, xrtRunSetArg, int, (void *, int, ...))                                         \
    X(run_start, xrtRunStart, int, (void *))                                                       \
    X(run_state, xrtRunState, int, (void *))

struct xrt_api {
#define XRT_MEMBER(MEMBER, FUNCTION, RESULT, PARAMETERS) RESULT(*MEMBER) PARAMETERS;
    XRT_FUNCTION_MAP(XRT_MEMBER)
#undef XRT_MEMBER
    csti_xrt_guard_arm arm; // NULL: no emulation
    csti_xrt_guard_end end;
};

// ---- The library --------------------------------------------------------------------------------

// The process's: XRT cannot be there twice.
static xrt_api the_api;
static bool the_api_is_loaded;
static pthread_mutex_t the_api_lock = PTHREAD_MUTEX_INITIALIZER;

static bool symbol_take(void *library, const char *name, void *out) {
    void *symbol = dlsym(library, name);

    memcpy(out, &symbol, sizeof symbol); // ISO C has no cast from object to function
    return symbol != NULL;
}

static cst_code functions_take(void *library, xrt_api *api, cst_err *err) {
    const char *missing = NULL;

#define XRT_TAKE(MEMBER, FUNCTION, RESULT, PARAMETERS)                                             \
    if (!symbol_take(library, #FUNCTION, &api->MEMBER)) missing = #FUNCTION;
    XRT_FUNCTION_MAP(XRT_TAKE)
#undef XRT_TAKE
    if (missing)
        return cst_fail(err, CST_UNSUPPORTED, "%s has no %s: XRT 2.13 is what this was made for",
                        library_name, missing);
    return CST_OK;
}

// Without a card, or the emulation of one, the library says so on stderr and no more.
static cst_code surroundings_check(xrt_api *api, cst_err *err) {
    const char *mode = getenv("XCL_EMULATION_MODE");

    if (!getenv("XILINX_XRT"))
        return cst_fail(err, CST_UNSUPPORTED,
                        "XILINX_XRT names no folder: source XRT's setup.sh, or run under "
                        "constellation device emulate");
    if (!mode) {
        if (access("/sys/bus/pci/drivers/xocl", F_OK) == 0) return CST_OK;
        return cst_fail(err, CST_UNSUPPORTED,
                        "no card: its driver, xocl, is not loaded. An emulated one: constellation "
                        "device emulate");
    }
    if (strcmp(mode, "hw_emu") != 0)
        return cst_fail(err, CST_UNSUPPORTED, "XCL_EMULATION_MODE=%s: hw_emu is what there is",
                        mode);
    if (symbol_take(RTLD_DEFAULT, CSTI_XRT_GUARD_ARM, &api->arm) &&
        symbol_take(RTLD_DEFAULT, CSTI_XRT_GUARD_END, &api->end))
        return CST_OK;
    return cst_fail(err, CST_UNSUPPORTED,
                    "XRT's emulation waits for ever where a card is lost: run under constellation "
                    "device emulate");
}

static cst_code library_open(xrt_api *api, cst_err *err) {
    void *library = dlopen(library_name, RTLD_NOW | RTLD_LOCAL);
    cst_code code;

    if (!library) return cst_fail(err, CST_UNSUPPORTED, "XRT is not installed: %s", dlerror());
    code = functions_take(library, api, err);
    if (code == CST_OK) code = surroundings_check(api, err);
    if (code != CST_OK) (void)dlclose(library);
    return code;
}

cst_code xrt_api_load(const xrt_api **out, cst_err *err) {
    cst_code code = CST_OK;

    pthread_mutex_lock(&the_api_lock);
    if (!the_api_is_loaded) code = library_open(&the_api, err);
    if (code == CST_OK) the_api_is_loaded = true;
    pthread_mutex_unlock(&the_api_lock);
    *out = &the_api;
    return code;
}

bool xrt_api_emulates(const xrt_api *api) {
    return api->arm != NULL;
}

// ---- Calls --------------------------------------------------------------------------------------

typedef enum call_kind {
    CALL_OPEN,
    CALL_CLOSE,
    CALL_LOAD,
    CALL_KERNEL_OPEN,
    CALL_KERNEL_CLOSE,
    CALL_REGISTER_READ,
    CALL_REGISTER_WRITE,
    CALL_BUFFER_OPEN,
    CALL_BUFFER_CLOSE,
    CALL_BUFFER_MAP,
    CALL_BUFFER_ADDRESS,
    CALL_BUFFER_SYNC,
    CALL_BUFFER_PART,
    CALL_RUN_OPEN,
    CALL_RUN_CLOSE,
    CALL_RUN_BUFFER,
    CALL_RUN_NUMBER,
    CALL_RUN_START,
    CALL_RUN_STATE,
} call_kind;

typedef struct xrt_call {
    call_kind kind;
    void *handle;
    const char *text;
    uint64_t a, b;
    int direction; // or an argument's bytes
    void *result;  // of those that give one
    uint64_t number;
    bool done;
} xrt_call;

static void *device_open(const xrt_api *api, const char *id) {
    char *end;
    const unsigned long index = strtoul(id, &end, 10);

    return *end ? api->device_open_bdf(id) : api->device_open((unsigned)index);
}

// Of numbers an argument takes as many bytes as it has.
static int run_number(const xrt_api *api, const xrt_call *call) {
    if (call->direction == (int)sizeof(uint32_t))
        return api->run_argument(call->handle, (int)call->a, (uint32_t)call->b);
    return api->run_argument(call->handle, (int)call->a, call->b);
}

static void run_call_make(const xrt_api *api, xrt_call *call) {
    switch (call->kind) {
    case CALL_RUN_OPEN:
        call->result = api->run_open(call->handle);
        break;
    case CALL_RUN_CLOSE:
        (void)api->run_close(call->handle);
        break;
    case CALL_RUN_BUFFER:
        call->done = api->run_argument(call->handle, (int)call->a, call->result) == 0;
        break;
    case CALL_RUN_NUMBER:
        call->done = run_number(api, call) == 0;
        break;
    case CALL_RUN_START:
        call->done = api->run_start(call->handle) == 0;
        break;
    default:
        call->number = (uint64_t)api->run_state(call->handle);
        break;
    }
}

static void call_make(const xrt_card *card, xrt_call *call) {
    const xrt_api *api = card->api;
    uint32_t word = 0;

    switch (call->kind) {
    case CALL_OPEN:
        call->result = device_open(api, card->id);
        break;
    case CALL_CLOSE:
        (void)api->device_close(card->device);
        break;
    case CALL_LOAD:
        call->done =
            api->load(card->device, card->path) == 0 && api->uuid(card->device, call->handle) == 0;
        break;
    case CALL_KERNEL_OPEN:
        call->result = api->kernel_open(card->device, card->uuid, call->text);
        break;
    case CALL_KERNEL_CLOSE:
        (void)api->kernel_close(call->handle);
        break;
    case CALL_REGISTER_READ:
        call->done = api->register_read(call->handle, (uint32_t)call->a, &word) == 0;
        call->number = word;
        break;
    case CALL_REGISTER_WRITE:
        call->done = api->register_write(call->handle, (uint32_t)call->a, (uint32_t)call->b) == 0;
        break;
    case CALL_BUFFER_OPEN:
        call->result = api->buffer_alloc(card->device, call->a, 0, (uint32_t)call->b);
        break;
    case CALL_BUFFER_CLOSE:
        (void)api->buffer_free(call->handle);
        break;
    case CALL_BUFFER_MAP:
        call->result = api->buffer_map(call->handle);
        break;
    case CALL_BUFFER_ADDRESS:
        call->number = api->buffer_address(call->handle);
        break;
    case CALL_BUFFER_SYNC:
        call->done = api->buffer_sync(call->handle, call->direction, call->a, call->b) == 0;
        break;
    case CALL_BUFFER_PART:
        call->result = api->buffer_part(call->handle, call->a, call->b);
        break;
    default:
        run_call_make(api, call);
        break;
    }
}

// The library's destructors would wait for a card that is gone.
static void exit_without_destructors(int status, void *context) {
    (void)context;
    (void)fflush(NULL);
    _exit(status);
}

static void card_is_gone(xrt_card *card) {
    atomic_store_explicit(&card->gone, true, memory_order_release);
    if (!card->api->arm) return;
    card->api->arm(NULL);
    card->api->end(&card->process);
    (void)on_exit(exit_without_destructors, NULL);
}

void xrt_card_leave(xrt_card *card) {
    pthread_mutex_lock(&card->calls);
    if (!atomic_load_explicit(&card->gone, memory_order_acquire)) card_is_gone(card);
    pthread_mutex_unlock(&card->calls);
}

// In emulation a call that would not return comes back by a jump, over the library's own frames.
static void call_guarded(xrt_card *card, xrt_call *call) {
    csti_xrt_guarded at = {.silence_ms = card->silence_ms, .process = &card->process};

    pthread_mutex_lock(&card->calls);
    if (atomic_load_explicit(&card->gone, memory_order_acquire)) goto done;
    if (setjmp(at.place) != 0) {
        card_is_gone(card);
        *call = (xrt_call){.kind = call->kind};
        goto done;
    }
    card->api->arm(&at);
    call_make(card, call);
    card->api->arm(NULL);
done:
    pthread_mutex_unlock(&card->calls);
}

static void call_run(xrt_card *card, xrt_call *call) {
    if (card->api->arm)
        call_guarded(card, call);
    else if (!atomic_load_explicit(&card->gone, memory_order_acquire))
        call_make(card, call);
}

bool xrt_device_open(xrt_card *card) {
    xrt_call call = {.kind = CALL_OPEN};

    call_run(card, &call);
    card->device = call.result;
    return card->device != NULL;
}

bool xrt_device_load(xrt_card *card) {
    xrt_call call = {.kind = CALL_LOAD, .handle = card->uuid};

    call_run(card, &call);
    return call.done;
}

void xrt_device_close(xrt_card *card) {
    xrt_call call = {.kind = CALL_CLOSE};

    call_run(card, &call);
}

void *xrt_kernel_open(xrt_card *card, const char *name) {
    xrt_call call = {.kind = CALL_KERNEL_OPEN, .text = name};

    call_run(card, &call);
    return call.result;
}

void xrt_kernel_close(xrt_card *card, void *kernel) {
    xrt_call call = {.kind = CALL_KERNEL_CLOSE, .handle = kernel};

    if (kernel) call_run(card, &call);
}

bool xrt_register_write(xrt_card *card, void *kernel, uint32_t offset, uint32_t value) {
    xrt_call call = {.kind = CALL_REGISTER_WRITE, .handle = kernel, .a = offset, .b = value};

    call_run(card, &call);
    return call.done;
}

bool xrt_register_read(xrt_card *card, void *kernel, uint32_t offset, uint32_t *out) {
    xrt_call call = {.kind = CALL_REGISTER_READ, .handle = kernel, .a = offset};

    call_run(card, &call);
    *out = call.done ? (uint32_t)call.number : UINT32_MAX;
    return call.done;
}

void *xrt_buffer_open(xrt_card *card, uint64_t bytes, uint32_t bank) {
    xrt_call call = {.kind = CALL_BUFFER_OPEN, .a = bytes, .b = bank};

    call_run(card, &call);
    return call.result;
}

void *xrt_buffer_map(xrt_card *card, void *buffer) {
    xrt_call call = {.kind = CALL_BUFFER_MAP, .handle = buffer};

    call_run(card, &call);
    return call.result;
}

uint64_t xrt_buffer_address(xrt_card *card, void *buffer) {
    xrt_call call = {.kind = CALL_BUFFER_ADDRESS, .handle = buffer};

    call_run(card, &call);
    return call.number;
}

bool xrt_buffer_sync(xrt_card *card, void *buffer, card_direction direction, uint64_t bytes,
                     uint64_t offset) {
    xrt_call call = {.kind = CALL_BUFFER_SYNC,
                     .handle = buffer,
                     .direction = (int)direction,
                     .a = bytes,
                     .b = offset};

    call_run(card, &call);
    return call.done;
}

void xrt_buffer_close(xrt_card *card, void *buffer) {
    xrt_call call = {.kind = CALL_BUFFER_CLOSE, .handle = buffer};

    if (buffer) call_run(card, &call);
}

void *xrt_buffer_part(xrt_card *card, void *buffer, uint64_t bytes, uint64_t offset) {
    xrt_call call = {.kind = CALL_BUFFER_PART, .handle = buffer, .a = bytes, .b = offset};

    call_run(card, &call);
    return call.result;
}

void *xrt_run_open(xrt_card *card, void *kernel) {
    xrt_call call = {.kind = CALL_RUN_OPEN, .handle = kernel};

    call_run(card, &call);
    return call.result;
}

void xrt_run_close(xrt_card *card, void *run) {
    xrt_call call = {.kind = CALL_RUN_CLOSE, .handle = run};

    if (run) call_run(card, &call);
}

bool xrt_run_buffer(xrt_card *card, void *run, uint32_t argument, void *buffer) {
    xrt_call call = {.kind = CALL_RUN_BUFFER, .handle = run, .a = argument, .result = buffer};

    call_run(card, &call);
    return call.done;
}

bool xrt_run_number(xrt_card *card, void *run, uint32_t argument, uint64_t value, uint32_t bytes) {
    xrt_call call = {
        .kind = CALL_RUN_NUMBER, .handle = run, .direction = (int)bytes, .a = argument, .b = value};

    call_run(card, &call);
    return call.done;
}

bool xrt_run_start(xrt_card *card, void *run) {
    xrt_call call = {.kind = CALL_RUN_START, .handle = run};

    call_run(card, &call);
    return call.done;
}

uint32_t xrt_run_state(xrt_card *card, void *run) {
    xrt_call call = {.kind = CALL_RUN_STATE, .handle = run};

    call_run(card, &call);
    return (uint32_t)call.number;
}
