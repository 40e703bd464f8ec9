// xrt.c: cards by XRT: which there are, what is loaded into them, who has which unit.
#include "base/park.h"
#include "base/topology.h"
#include "device/xrt_internal.h"

#include <stdio.h>
#include <stdlib.h>

static const char container_variable[] = "CST_XCLBIN";
enum { TIMEOUT_MS = 10000, TIMEOUT_EMULATED_MS = 60000, TIMEOUT_MS_MAX = 3600000 };
enum { WAIT_PAUSE_NS = 50000, SILENCE_MS_MAX = 10000 };

// ---- The process's cards ------------------------------------------------------------------------

// Of XRT, a card is open once in a process: its library cannot do better.
static xrt_card *cards;
static pthread_mutex_t cards_lock = PTHREAD_MUTEX_INITIALIZER;

cst_code xrt_unit_take(xrt_card *card, uint32_t *number_out, cst_err *err) {
    const uint32_t count = card->xclbin.units_count;
    uint32_t number = 0;

    pthread_mutex_lock(&cards_lock);
    while (number < count && (card->units_taken >> number & 1)) number++;
    if (number < count) card->units_taken |= UINT32_C(1) << number;
    pthread_mutex_unlock(&cards_lock);
    if (number == count)
        return cst_fail(err, CST_LIMIT,
                        "xrt:%s has %u units, and each has its queue: a partition takes one",
                        card->id, count);
    *number_out = number;
    return CST_OK;
}

void xrt_unit_give(xrt_card *card, uint32_t number) {
    pthread_mutex_lock(&cards_lock);
    card->units_taken &= ~(UINT32_C(1) << number);
    pthread_mutex_unlock(&cards_lock);
}

// Of a card that nobody uses any more.
static void card_close(xrt_card *card) {
    for (xrt_card **link = &cards; *link; link = &(*link)->next) {
        if (*link != card) continue;
        *link = card->next;
        break;
    }
    if (card->device) xrt_device_close(card);
    pthread_mutex_destroy(&card->calls);
    pthread_mutex_destroy(&card->images);
    free(card);
}

// XRT's emulation makes up a card behind those that it was told of.
static bool card_is_there(const xrt_card *card) {
    const char *cards_count = getenv(CSTI_XRT_CARDS);

    return !xrt_api_emulates(card->api) || !cards_count ||
           strtoul(card->id, NULL, 10) < strtoul(cards_count, NULL, 10);
}

static cst_code card_load(xrt_card *card, cst_err *err) {
    cst_code code = CST_OK;

    if (!card_is_there(card) || !xrt_device_open(card))
        return cst_fail(err, CST_DEVICE_LOST, "xrt:%s: XRT has no such card", card->id);
    if (!xrt_device_load(card))
        return cst_fail(err, CST_DEVICE_IMAGE, "xrt:%s does not take %s", card->id, card->path);
    for (uint32_t u = 0; u < card->xclbin.units_count && code == CST_OK; u++)
        code = xrt_unit_check(card, u, err);
    return code;
}

static cst_code card_open(const xrt_api *api, const char *id, const char *path, uint64_t ms,
                          xrt_card **out, cst_err *err) {
    xrt_card *card = calloc(1, sizeof *card);
    cst_code code;

    if (!card) return cst_fail(err, CST_NO_MEMORY, "a card");
    card->api = api;
    card->uses = 1;
    card->silence_ms = ms < SILENCE_MS_MAX ? (int)ms : SILENCE_MS_MAX;
    pthread_mutex_init(&card->calls, NULL);
    pthread_mutex_init(&card->images, NULL);
    (void)snprintf(card->id, sizeof card->id, "%s", id);
    (void)snprintf(card->path, sizeof card->path, "%s", path);
    code = xrt_xclbin_read(path, &card->xclbin, err);
    if (code == CST_OK) code = card_load(card, err);
    if (code != CST_OK) {
        card_close(card);
        return code;
    }
    card->next = cards;
    cards = card;
    *out = card;
    return CST_OK;
}

static xrt_card *card_find(const char *id) {
    for (xrt_card *card = cards; card; card = card->next)
        if (strcmp(card->id, id) == 0) return card;
    return NULL;
}

static cst_code card_take(const xrt_api *api, const char *id, const char *path, uint64_t ms,
                          xrt_card **out, cst_err *err) {
    xrt_card *card;
    cst_code code = CST_OK;

    pthread_mutex_lock(&cards_lock);
    card = card_find(id);
    if (!card)
        code = card_open(api, id, path, ms, out, err);
    else if (strcmp(card->path, path) != 0)
        code = cst_fail(err, CST_DEVICE_URI, "xrt:%s: %s is loaded, not %s", id, card->path, path);
    else
        card->uses++;
    if (code == CST_OK && card) *out = card;
    pthread_mutex_unlock(&cards_lock);
    return code;
}

static void card_give(xrt_card *card) {
    pthread_mutex_lock(&cards_lock);
    if (--card->uses == 0) card_close(card);
    pthread_mutex_unlock(&cards_lock);
}

// ---- The device ---------------------------------------------------------------------------------

static void xrt_close(cst_device *base) {
    xrt_device *device = (xrt_device *)base;

    if (device->card) card_give(device->card);
    free(device);
}

// Of a card that is named by its PCIe address: XRT's C functions give none for an index. Where the
// system does not say, memory is not placed.
static int32_t card_node(const xrt_card *card) {
    int node = -1;

    if (xrt_api_emulates(card->api) || !strchr(card->id, ':')) return -1;
    return csti_topology_card_node(CSTI_SYSFS, card->id, &node, NULL) == CST_OK ? node : -1;
}

static void capabilities_fill(const xrt_device *device, cst_capabilities *can) {
    const xrt_card *card = device->card;

    *can = (cst_capabilities){
        .ops = (1u << CST_OPS_COUNT) - 1,
        .key_bytes_max = CARD_KEY_BYTES_MAX,
        .entry_bytes_max = CARD_ENTRY_BYTES_MAX,
        .queue_depth_max = CST_QUEUE_DEPTH_MAX,
        .batch_rows_max = CST_BATCH_ROWS_MAX,
        .memory_bytes = CSTI_KERNEL_CHANNELS * card->xclbin.bank_bytes,
        .numa_node = card_node(card),
    };
    (void)snprintf(can->name, sizeof can->name, "%s, %u units of " CSTI_KERNEL_NAME,
                   xrt_api_emulates(card->api) ? "emulated card" : "card",
                   card->xclbin.units_count);
}

static cst_code start_take(csti_uri *uri, xrt_start *out, cst_err *err) {
    static const char *const words[] = {"ring", "run"};
    size_t which = XRT_START_BEST;
    const cst_code code = csti_uri_take_word(uri, "start", words, 2, &which, err);

    *out = (xrt_start)which;
    return code;
}

// An index, or a PCIe address. XRT's emulation gives its cards addresses, 0000:00:INDEX.0, and
// knows none of them again: there they are taken for the index, so that a card has one name.
static cst_code id_take(const csti_uri *uri, const xrt_api *api, char *id, cst_err *err) {
    const size_t digits = strspn(uri->path, "0123456789");
    unsigned domain = 0, bus = 0, slot = 0, function = 0;
    int used = 0;

    if (strlen(uri->path) >= XRT_ID_BYTES) goto wrong;
    (void)snprintf(id, XRT_ID_BYTES, "%s", uri->path[0] ? uri->path : "0");
    if (digits == strlen(uri->path)) return CST_OK;
    if (sscanf(uri->path, "%4x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &used) != 4 ||
        uri->path[used])
        goto wrong;
    if (!xrt_api_emulates(api)) return CST_OK;
    if (domain || bus || function)
        return cst_fail(err, CST_DEVICE_LOST, "xrt:%s: XRT has no such card", uri->path);
    (void)snprintf(id, XRT_ID_BYTES, "%u", slot);
    return CST_OK;
wrong:
    return cst_fail(err, CST_DEVICE_URI, "xrt:%s: neither an index nor a PCIe address", uri->path);
}

static cst_code uri_take(csti_uri *uri, const xrt_api *api, const char **path, uint64_t *ms,
                         cst_err *err) {
    cst_code code;

    *ms = xrt_api_emulates(api) ? TIMEOUT_EMULATED_MS : TIMEOUT_MS;
    *path = getenv(container_variable);
    csti_uri_take_text(uri, "xclbin", path);
    code = csti_uri_take_u64(uri, "timeout_ms", TIMEOUT_MS_MAX, ms, err);
    if (code == CST_OK) code = csti_uri_check_empty(uri, "xclbin, timeout_ms, start=ring|run", err);
    if (code == CST_OK && (!*path || !**path))
        code =
            cst_fail(err, CST_DEVICE_URI, "xrt:%s: which container? xclbin=FILE behind '?', or %s",
                     uri->path, container_variable);
    if (code == CST_OK && strlen(*path) >= XRT_PATH_BYTES)
        code = cst_fail(err, CST_DEVICE_URI, "xclbin=: a path above %d bytes", XRT_PATH_BYTES - 1);
    return code;
}

static cst_code start_choose(xrt_device *device, cst_err *err) {
    const bool shown = device->card->registers_shown;

    if (device->start == XRT_START_RING && !shown)
        return cst_fail(err, CST_UNSUPPORTED,
                        "xrt:%s: start=ring: the kernel's registers cannot be written; start=run "
                        "does without",
                        device->card->id);
    if (device->start == XRT_START_BEST) device->start = shown ? XRT_START_RING : XRT_START_RUN;
    return CST_OK;
}

static cst_code xrt_open(csti_uri *uri, cst_device **out, cst_err *err) {
    xrt_device *device = NULL;
    const xrt_api *api = NULL;
    const char *path = NULL;
    char id[XRT_ID_BYTES];
    uint64_t ms = 0;
    xrt_start start = XRT_START_BEST;
    cst_code code = xrt_api_load(&api, err);

    if (code == CST_OK) code = id_take(uri, api, id, err);
    if (code == CST_OK) code = start_take(uri, &start, err);
    if (code == CST_OK) code = uri_take(uri, api, &path, &ms, err);
    if (code != CST_OK) return code;
    device = calloc(1, sizeof *device);
    if (!device) return cst_fail(err, CST_NO_MEMORY, "device xrt:");
    device->timeout_ns = ms * 1000000;
    device->start = start;
    code = card_take(api, id, path, ms, &device->card, err);
    if (code != CST_OK) {
        xrt_close(&device->base);
        return code;
    }
    code = start_choose(device, err);
    if (code != CST_OK) {
        xrt_close(&device->base);
        return code;
    }
    capabilities_fill(device, &device->base.capabilities);
    *out = &device->base;
    return CST_OK;
}

// ---- Queues -------------------------------------------------------------------------------------

// A queue takes a unit with its first table, or when it has keys to make and one is left over; else
// those are the processor's.
static cst_code xrt_queue_open(cst_device *base, uint32_t depth, cst_queue **out, cst_err *err) {
    (void)base;
    return card_queue_make(&xrt_link, depth, out, err);
}

static cst_code xrt_table_open(cst_queue *base, const cst_table_options *options,
                               const cst_schema *keys, cst_device_table **out, cst_err *err) {
    const cst_code code = card_run_open((card_queue *)base, err);

    return code == CST_OK ? card_table_open(base, options, keys, out, err) : code;
}

static cst_code xrt_wait(cst_queue *base, uint64_t deadline_ns) {
    card_queue *queue = (card_queue *)base;
    const csti_clock *clock = csti_clock_real();
    csti_parker parker;

    csti_parker_init(&parker);
    while (!csti_spsc_ring_front(&queue->completions)) {
        const uint64_t now_ns = csti_clock_now_ns(clock);

        if (card_entries_ready(queue))
            card_entries_run(queue);
        else if (now_ns >= deadline_ns)
            return CST_AGAIN;
        else
            (void)csti_park_until(&parker, now_ns + WAIT_PAUSE_NS);
    }
    return CST_OK;
}

// The circuit's, and how often a run was begun: of a ring a batch asks for none.
static void xrt_counters(cst_queue *base, cst_counter *out, size_t capacity, size_t *count_out) {
    const card_queue *queue = (const card_queue *)base;

    card_counters(base, out, capacity, count_out);
    if (!queue->card) return;
    if (*count_out < capacity)
        out[*count_out] = (cst_counter){"doorbells", xrt_unit_doorbells(queue->card)};
    ++*count_out;
}

const csti_device_ops csti_device_xrt = {
    .scheme = "xrt",
    .open = xrt_open,
    .close = xrt_close,
    CARD_OPS,
    .queue_open = xrt_queue_open,
    .table_open = xrt_table_open,
    .wait = xrt_wait,
    .counters = xrt_counters,
};
