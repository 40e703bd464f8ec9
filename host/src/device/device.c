#include "device/backend.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const csti_device_ops *const backends[] = {&csti_device_cpu, &csti_device_sim,
                                                  &csti_device_xrt, &csti_device_opencl,
                                                  &csti_device_fault};
enum { BACKENDS_COUNT = sizeof backends / sizeof *backends };

const csti_device_ops *csti_device_find(const char *scheme) {
    for (size_t i = 0; i < BACKENDS_COUNT; i++)
        if (strcmp(backends[i]->scheme, scheme) == 0) return backends[i];
    return NULL;
}

cst_code cst_device_open(const char *uri, cst_device **out, cst_err *err) {
    csti_uri parts;
    const csti_device_ops *ops;
    cst_device *device = NULL;
    cst_code code;

    if (!uri || !out) return cst_fail(err, CST_USAGE, "no device name, or no place for the device");
    code = csti_uri_parse(uri, &parts, err);
    if (code != CST_OK) return code;
    ops = csti_device_find(parts.scheme);
    if (!ops) return cst_fail(err, CST_DEVICE_URI, "no device scheme '%s:'", parts.scheme);
    code = ops->open(&parts, &device, err);
    if (code != CST_OK) return code;
    device->ops = ops;
    device->queues = NULL;
    atomic_flag_clear(&device->queues_busy);
    memcpy(device->uri, uri, strlen(uri) + 1);
    *out = device;
    return CST_OK;
}

void cst_device_close(cst_device *device) {
    if (!device) return;
    assert(!device->queues);
    device->ops->close(device);
}

void cst_device_capabilities(const cst_device *device, cst_capabilities *out) {
    *out = device->capabilities;
}

void cst_device_simulation(const cst_device *device, cst_simulation *out) {
    *out = (cst_simulation){0};
    if (device->ops->simulation) device->ops->simulation(device, out);
}

void cst_queue_counters(cst_queue *queue, cst_counter *out, size_t capacity, size_t *count_out) {
    *count_out = 0;
    if (queue->device->ops->counters) queue->device->ops->counters(queue, out, capacity, count_out);
}

const char *cst_device_uri(const cst_device *device) {
    return device->uri;
}

cst_code cst_device_check_table(const cst_device *device, const cst_table_options *options,
                                cst_err *err) {
    const cst_capabilities *can = &device->capabilities;
    const uint64_t entry_bytes =
        16 + ((uint64_t)options->key_bytes + 7) / 8 * 8 + options->program.value_bytes;

    if (options->layout == CST_TABLE_WIDE) {
        if (can->wide_tables) return CST_OK;
        return cst_fail(err, CST_UNSUPPORTED, "%s has no wide tables", device->uri);
    }
    if (options->key_bytes > can->key_bytes_max)
        return cst_fail(err, CST_KEY_TOO_LONG, "%s takes keys of %u bytes, not %u", device->uri,
                        can->key_bytes_max, options->key_bytes);
    if (entry_bytes > can->entry_bytes_max)
        return cst_fail(err, CST_VALUE_TOO_LONG, "%s takes entries of %u bytes, not %llu",
                        device->uri, can->entry_bytes_max, (unsigned long long)entry_bytes);
    return CST_OK;
}

cst_code cst_device_reset(cst_device *device, cst_err *err) {
    const cst_code code = device->ops->reset(device, err);

    if (code != CST_OK) return code;
    for (cst_queue *queue = device->queues; queue; queue = queue->next) {
        queue->generation++;
        queue->stop_seen = false;
        queue->given_up = false;
        queue->lost_why[0] = 0;
    }
    return CST_OK;
}

static void info_of(const char *uri, cst_device_info *out) {
    cst_device *device = NULL;
    cst_err err = {0};

    *out = (cst_device_info){0};
    (void)snprintf(out->uri, sizeof out->uri, "%s", uri);
    if (cst_device_open(uri, &device, &err) == CST_OK) {
        out->available = true;
        (void)snprintf(out->text, sizeof out->text, "%s", device->capabilities.name);
        cst_device_close(device);
        return;
    }
    (void)snprintf(out->text, sizeof out->text, "%.*s", (int)sizeof out->text - 1, err.text);
}

void cst_device_list(cst_device_info *out, size_t capacity, size_t *count_out) {
    static const char *const uris[] = {"cpu:", "cpu:scalar", "cpu:avx2", "cpu:avx512",
                                       "sim:", "opencl:",    "xrt:0"};

    *count_out = sizeof uris / sizeof *uris;
    for (size_t i = 0; i < *count_out && i < capacity; i++) info_of(uris[i], &out[i]);
}

cst_code cst_device_buffer_alloc(cst_device *device, size_t bytes, cst_device_buffer *out,
                                 cst_err *err) {
    if (bytes == 0) return cst_fail(err, CST_USAGE, "a device buffer of 0 bytes");
    return device->ops->buffer_alloc(device, bytes, out, err);
}

void cst_device_buffer_free(cst_device *device, cst_device_buffer *buffer) {
    if (!buffer->host) return;
    device->ops->buffer_free(device, buffer);
    *buffer = (cst_device_buffer){0};
}

cst_code cst_device_buffer_sync(cst_device *device, const cst_device_buffer *buffer, size_t offset,
                                size_t bytes, cst_sync direction, cst_err *err) {
    if (offset > buffer->bytes || bytes > buffer->bytes - offset)
        return cst_fail(err, CST_USAGE, "%zu bytes from %zu on, of a buffer of %zu", bytes, offset,
                        buffer->bytes);
    if (direction != CST_SYNC_TO_DEVICE && direction != CST_SYNC_FROM_DEVICE)
        return cst_fail(err, CST_USAGE, "direction %d is neither to nor from the device",
                        (int)direction);
    return device->ops->buffer_sync(device, buffer, offset, bytes, direction, err);
}

// ---- Tables -------------------------------------------------------------------------------------

static bool columns_equal(const cst_column *a, const cst_column *b) {
    return a->type == b->type && a->width == b->width && a->scale == b->scale &&
           a->descending == b->descending && a->nullable == b->nullable &&
           a->nulls_last == b->nulls_last;
}

bool csti_schema_equal(const cst_schema *a, const cst_schema *b) {
    if (a->columns_count != b->columns_count) return false;
    for (uint32_t c = 0; c < a->columns_count; c++)
        if (!columns_equal(&a->columns[c], &b->columns[c])) return false;
    return true;
}

static cst_code keys_check(const cst_table_options *options, const cst_schema *keys, cst_err *err) {
    const cst_code code = cst_schema_check(keys, err);
    uint32_t key_bytes;

    if (code != CST_OK) return code;
    key_bytes = cst_schema_key_bytes(keys);
    if (options->layout == CST_TABLE_INLINE && key_bytes > options->key_bytes)
        return cst_fail(err, CST_KEY_TOO_LONG, "the schema's keys have %u bytes, the table's %u",
                        key_bytes, options->key_bytes);
    return CST_OK;
}

static uint32_t sources_count(const cst_program *program) {
    uint32_t count = 0;

    for (uint32_t i = 0; i < program->accumulators_count && i < CST_ACCUMULATORS_MAX; i++) {
        const uint16_t source = program->accumulators[i].source;

        if (source != CST_NO_COLUMN && source >= count) count = source + 1u;
    }
    return count;
}

cst_code cst_device_table_open(cst_queue *queue, const cst_table_options *options,
                               const cst_schema *keys, cst_device_table **out, cst_err *err) {
    cst_device_table *table = NULL;
    cst_code code = cst_device_check_table(queue->device, options, err);

    if (code == CST_OK && sources_count(&options->program) > CST_COLUMNS_MAX)
        code =
            cst_fail(err, CST_LIMIT, "a program of more than %d source columns", CST_COLUMNS_MAX);
    if (code == CST_OK && keys) code = keys_check(options, keys, err);
    if (code == CST_OK) code = queue->device->ops->table_open(queue, options, keys, &table, err);
    if (code != CST_OK) return code;
    table->queue = queue;
    table->options = *options;
    table->has_keys = keys != NULL;
    if (keys) table->keys = *keys;
    table->sources_count = sources_count(&options->program);
    queue->tables_count++;
    *out = table;
    return CST_OK;
}

void cst_device_table_close(cst_device_table *table) {
    if (!table) return;
    table->queue->tables_count--;
    table->queue->device->ops->table_close(table);
}

const cst_table_options *cst_device_table_options(const cst_device_table *table) {
    return &table->options;
}

cst_queue *cst_device_table_queue(const cst_device_table *table) {
    return table->queue;
}

cst_code cst_device_table_prepare(cst_device_table *table, cst_err *err) {
    return table->queue->device->ops->table_prepare(table, err);
}

cst_table *cst_device_table_image(const cst_device_table *table) {
    return table->queue->device->ops->table_image(table);
}

const cst_table *cst_device_table_view(const cst_device_table *table) {
    return table->queue->device->ops->table_view(table);
}
