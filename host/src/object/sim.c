// sim.c: the world, its clients and their faults.
//
//   names      sorted; a deleted one stays for a while without bytes, for stale listings
//   late       writes whose answer was lost, until they arrive
#include "object/sim.h"

#include "base/buffer.h"
#include "base/park.h"
#include "base/random.h"
#include "device/uri.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MILLION = 1000000,
    ALIGNMENT = 64,
    LATE_MAX = 16,
    LATE_ARRIVES_ONE_IN = 8, // calls
    GRAVES_MAX = 1024,       // deleted names that are kept
    UPLOAD_BYTES_MAX = 1 << 30,
    DEADLINE_US_DEFAULT = 30 * 1000 * 1000,
    RACE_NS = 10 * 1000 * 1000, // how long a lying race waits for others to join
};

// Immutable, counted bytes.
typedef struct blob {
    _Atomic uint32_t references;
    size_t count;
    uint8_t bytes[] __attribute__((aligned(ALIGNMENT)));
} blob;

typedef struct object {
    char *name;
    blob *body; // NULL: deleted
    uint64_t nonce;
    uint64_t written_at; // number of the write; the etag
    uint64_t created_at, deleted_at;
} object;

typedef struct write_call {
    const char *name;
    blob *body; // NULL: a delete
    cst_put_condition condition;
    const char *etag;
    uint64_t nonce;
} write_call;

typedef struct late_write {
    char name[CST_OBJECT_NAME_BYTES_MAX + 1];
    char etag[CST_OBJECT_ETAG_BYTES];
    write_call call; // its texts are the two above
} late_write;

struct csti_object_sim_world {
    pthread_mutex_t lock;
    csti_random_sim random;
    csti_object_sim_lie lie;
    object *objects; // by name
    size_t objects_count, objects_capacity, graves_count;
    uint64_t writes_count;
    late_write late[LATE_MAX];
    size_t late_count;
    uint64_t uploads_left; // by the dead
    uint64_t lost_count;   // late writes that never came
};

typedef struct sim_store {
    cst_object_store base;
    csti_object_sim_world *world;
    csti_object_sim_world *own; // closed with the store; NULL: the world is shared
    csti_object_sim_options options;
    csti_random_sim random; // under the world's lock
    bool dead;              // too
} sim_store;

typedef struct sim_upload {
    cst_object_upload base;
    csti_buffer bytes;
} sim_upload;

typedef enum outcome {
    DONE,
    FAILED_BEFORE,
    FAILED_AFTER,
    LOST_DONE,
    LOST_NEVER,
    LOST_LATE
} outcome;

static sim_store *self(cst_object_store *store) {
    return (sim_store *)store;
}

// ---- Bytes --------------------------------------------------------------------------------------

static blob *blob_make(size_t count) {
    const size_t bytes = (sizeof(blob) + count + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    blob *made = aligned_alloc(ALIGNMENT, bytes);

    if (!made) return NULL;
    atomic_init(&made->references, 1);
    made->count = count;
    return made;
}

static blob *blob_take(blob *body) {
    // Relaxed: whoever takes one holds one.
    (void)atomic_fetch_add_explicit(&body->references, 1, memory_order_relaxed);
    return body;
}

static void blob_drop(blob *body) {
    // Release, and acquire by the last one: it frees what the others have read.
    if (body && atomic_fetch_sub_explicit(&body->references, 1, memory_order_acq_rel) == 1)
        free(body);
}

static blob *blob_of(const cst_bytes *ranges, size_t ranges_count) {
    size_t count = 0;
    blob *made;

    for (size_t i = 0; i < ranges_count; i++) count += ranges[i].count;
    made = blob_make(count);
    if (!made) return NULL;
    count = 0;
    for (size_t i = 0; i < ranges_count; i++) {
        if (ranges[i].count > 0) memcpy(made->bytes + count, ranges[i].data, ranges[i].count);
        count += ranges[i].count;
    }
    return made;
}

// ---- Names (under the lock) ---------------------------------------------------------------------

static size_t lower_bound(const csti_object_sim_world *world, const char *name) {
    size_t from = 0;
    size_t to = world->objects_count;

    while (from < to) {
        const size_t middle = from + (to - from) / 2;

        if (strcmp(world->objects[middle].name, name) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

// Deleted ones as well.
static object *find(const csti_object_sim_world *world, const char *name) {
    const size_t at = lower_bound(world, name);

    if (at == world->objects_count || strcmp(world->objects[at].name, name) != 0) return NULL;
    return &world->objects[at];
}

static void graves_clear(csti_object_sim_world *world) {
    size_t kept = 0;

    for (size_t i = 0; i < world->objects_count; i++) {
        if (world->objects[i].body)
            world->objects[kept++] = world->objects[i];
        else
            free(world->objects[i].name);
    }
    world->objects_count = kept;
    world->graves_count = 0;
}

static object *insert(csti_object_sim_world *world, const char *name) {
    object *made = NULL;
    char *copy = NULL;
    size_t at;

    if (world->graves_count > GRAVES_MAX) graves_clear(world);
    if (world->objects_count == world->objects_capacity) {
        const size_t capacity = world->objects_capacity ? 2 * world->objects_capacity : 64;
        object *grown = realloc(world->objects, capacity * sizeof *grown);

        if (!grown) return NULL;
        world->objects = grown;
        world->objects_capacity = capacity;
    }
    copy = strdup(name);
    if (!copy) return NULL;
    at = lower_bound(world, name);
    made = &world->objects[at];
    memmove(made + 1, made, (world->objects_count - at) * sizeof *made);
    world->objects_count++;
    *made = (object){.name = copy};
    world->graves_count++; // until it has bytes
    return made;
}

static void info_of(const object *from, cst_object_info *out) {
    *out = (cst_object_info){.bytes = from->body->count, .nonce = from->nonce};
    (void)snprintf(out->etag, sizeof out->etag, "%016" PRIx64, from->written_at);
}

// As in a folder: an object's name cannot go on behind another's.
static bool is_in_the_way(const csti_object_sim_world *world, const char *name) {
    char path[CST_OBJECT_NAME_BYTES_MAX + 2];
    const size_t bytes = strlen(name);

    (void)snprintf(path, sizeof path, "%s/", name);
    for (size_t i = lower_bound(world, path);
         i < world->objects_count && strncmp(world->objects[i].name, path, bytes + 1) == 0; i++)
        if (world->objects[i].body) return true;
    for (char *slash = strchr(path, '/'); slash < path + bytes; slash = strchr(slash + 1, '/')) {
        const object *above;

        *slash = '\0';
        above = find(world, path);
        *slash = '/';
        if (above && above->body) return true;
    }
    return false;
}

// ---- Writes (under the lock) --------------------------------------------------------------------

static cst_code write_check(const csti_object_sim_world *world, const write_call *call,
                            cst_err *err) {
    const object *there = find(world, call->name);
    cst_object_info info;

    if (there && !there->body) there = NULL;
    if (is_in_the_way(world, call->name))
        return cst_fail(err, CST_OBJECT_NAME, "sim: %s: an object and a folder cannot share a name",
                        call->name);
    if (call->condition == CST_PUT_IF_ABSENT && there && world->lie != CSTI_OBJECT_SIM_OVERWRITES)
        return cst_fail(err, CST_EXISTS, "sim: %s is there already", call->name);
    if (call->condition != CST_PUT_IF_MATCH) return CST_OK;
    if (!there)
        return cst_fail(err, CST_OBJECT_CONFLICT, "sim: %s is not there any more", call->name);
    info_of(there, &info);
    if (strcmp(info.etag, call->etag) == 0 || world->lie == CSTI_OBJECT_SIM_UNMATCHED)
        return CST_OK;
    return cst_fail(err, CST_OBJECT_CONFLICT, "sim: %s has etag %s, not %s", call->name, info.etag,
                    call->etag);
}

static cst_code write_do(csti_object_sim_world *world, const write_call *call,
                         cst_object_info *info_out, cst_err *err) {
    object *there = find(world, call->name);

    if (!there) there = insert(world, call->name);
    if (!there) return cst_fail(err, CST_NO_MEMORY, "sim: %s", call->name);
    world->writes_count++;
    if (!there->body) {
        there->created_at = world->writes_count;
        world->graves_count--;
    }
    blob_drop(there->body);
    there->body = blob_take(call->body);
    there->nonce = call->nonce;
    there->written_at = world->writes_count;
    there->deleted_at = 0;
    info_of(there, info_out);
    return CST_OK;
}

static void delete_do(csti_object_sim_world *world, const char *name) {
    object *there = find(world, name);

    if (!there || !there->body) return;
    blob_drop(there->body);
    there->body = NULL;
    there->deleted_at = ++world->writes_count;
    world->graves_count++;
}

// With the lie, everybody who comes in the meantime finds the name as this caller found it.
static cst_code write_effect(csti_object_sim_world *world, const write_call *call,
                             cst_object_info *info_out, cst_err *err) {
    cst_code code;

    if (!call->body) {
        delete_do(world, call->name);
        return CST_OK;
    }
    code = write_check(world, call, err);
    if (code != CST_OK) return code;
    if (world->lie == CSTI_OBJECT_SIM_RACES) {
        csti_parker parker;

        (void)pthread_mutex_unlock(&world->lock);
        csti_parker_init(&parker);
        (void)csti_park_until(&parker, csti_clock_now_ns(csti_clock_real()) + RACE_NS);
        (void)pthread_mutex_lock(&world->lock);
    }
    return write_do(world, call, info_out, err);
}

static void late_arrive(csti_object_sim_world *world, size_t index) {
    const late_write *late = &world->late[index];
    cst_object_info info;

    if (!late->call.body)
        delete_do(world, late->name);
    else if (write_check(world, &late->call, NULL) == CST_OK &&
             write_do(world, &late->call, &info, NULL) != CST_OK)
        world->lost_count++; // for want of memory: never done
    blob_drop(late->call.body);
    world->late_count--;
    for (size_t i = index; i < world->late_count; i++) {
        world->late[i] = world->late[i + 1];
        world->late[i].call.name = world->late[i].name;
        world->late[i].call.etag = world->late[i].etag;
    }
}

static void late_add(csti_object_sim_world *world, const write_call *call) {
    late_write *late;

    if (world->late_count == LATE_MAX) late_arrive(world, 0);
    late = &world->late[world->late_count++];
    *late = (late_write){.call = *call};
    memcpy(late->name, call->name, strlen(call->name) + 1);
    if (call->etag) memcpy(late->etag, call->etag, strlen(call->etag) + 1);
    late->call.name = late->name;
    late->call.etag = late->etag;
    if (call->body) (void)blob_take(call->body);
}

// ---- One call -----------------------------------------------------------------------------------

static void yield(const sim_store *store, csti_object_sim_moment moment, const char *call,
                  const char *name) {
    if (store->options.yield)
        store->options.yield(store->options.yield_context, moment, call, name);
}

static bool chance(sim_store *store, uint32_t in_a_million) {
    return in_a_million > 0 && csti_random_sim_next(&store->random) % MILLION < in_a_million;
}

static outcome outcome_draw(sim_store *store, bool writes) {
    const csti_object_sim_faults *faults = &store->options.faults;
    csti_clock_sim *clock = store->options.clock;
    bool lost = chance(store, faults->lost);
    uint64_t delay_us = 0;

    if (chance(store, faults->delayed))
        delay_us = csti_random_sim_next(&store->random) % (faults->delay_us_max + 1);
    if (delay_us >= store->base.deadline_us) lost = true;
    if (lost) delay_us = store->base.deadline_us;
    if (clock) csti_clock_sim_advance(clock, delay_us * 1000);
    if (store->dead) return FAILED_BEFORE;
    if (lost && !writes) return LOST_NEVER;
    if (lost) return LOST_DONE + csti_random_sim_next(&store->random) % 3;
    if (chance(store, faults->error_before)) return FAILED_BEFORE;
    return chance(store, faults->error_after) ? FAILED_AFTER : DONE;
}

// Returns with the world's lock held.
static outcome call_begin(sim_store *store, const char *call, const char *name, bool writes) {
    csti_object_sim_world *world = store->world;

    yield(store, CSTI_OBJECT_SIM_BEFORE, call, name);
    (void)pthread_mutex_lock(&world->lock);
    if (world->late_count > 0 && csti_random_sim_next(&world->random) % LATE_ARRIVES_ONE_IN == 0)
        late_arrive(world, csti_random_sim_next(&world->random) % world->late_count);
    return outcome_draw(store, writes);
}

// Lets the lock go; what the caller is told.
static cst_code call_end(sim_store *store, const char *call, const char *name, bool writes,
                         outcome how, cst_code code, cst_err *err) {
    (void)pthread_mutex_unlock(&store->world->lock);
    yield(store, CSTI_OBJECT_SIM_AFTER, call, name);
    switch (how) {
    case DONE:
        return code;
    case FAILED_BEFORE:
        return cst_fail(err, CST_OBJECT_UNAVAILABLE, "sim: %s of %s failed on purpose", call, name);
    case FAILED_AFTER:
        return cst_fail(err, writes ? CST_OBJECT_AMBIGUOUS : CST_OBJECT_UNAVAILABLE,
                        "sim: %s of %s failed on purpose, after its effect", call, name);
    case LOST_DONE:
    case LOST_NEVER:
    case LOST_LATE:
        break;
    }
    return cst_fail(err, CST_DEADLINE, "sim: %s of %s: no answer came", call, name);
}

static cst_code write_call_do(sim_store *store, const char *what, const write_call *call,
                              cst_object_info *info_out, cst_err *err) {
    const outcome how = call_begin(store, what, call->name, true);
    cst_code code = CST_OK;

    if (how == DONE || how == FAILED_AFTER || how == LOST_DONE)
        code = write_effect(store->world, call, info_out, err);
    else if (how == LOST_LATE)
        late_add(store->world, call);
    return call_end(store, what, call->name, true, how, code, err);
}

// ---- The store ----------------------------------------------------------------------------------

static cst_code sim_put(cst_object_store *base, const char *name, const cst_bytes *ranges,
                        size_t ranges_count, const cst_put_options *options,
                        cst_object_info *info_out, cst_err *err) {
    blob *body = blob_of(ranges, ranges_count);
    const write_call call = {name, body, options->condition, options->etag, options->nonce};
    cst_code code;

    if (!body) return cst_fail(err, CST_NO_MEMORY, "sim: %s", name);
    code = write_call_do(self(base), "put", &call, info_out, err);
    blob_drop(body);
    return code;
}

static cst_code sim_remove(cst_object_store *base, const char *name, cst_err *err) {
    const write_call call = {.name = name};
    cst_object_info info;

    return write_call_do(self(base), "delete", &call, &info, err);
}

static cst_code sim_upload_open(cst_object_store *base, const char *name, uint64_t nonce,
                                cst_object_upload **out, cst_err *err) {
    sim_upload *upload = calloc(1, sizeof *upload);
    cst_code code;

    (void)nonce;
    if (!upload) return cst_fail(err, CST_NO_MEMORY, "sim: %s", name);
    csti_buffer_init(&upload->bytes, UPLOAD_BYTES_MAX);
    code = call_end(self(base), "upload_open", name, false,
                    call_begin(self(base), "upload_open", name, false), CST_OK, err);
    if (code != CST_OK) {
        free(upload);
        return code;
    }
    *out = &upload->base;
    return CST_OK;
}

static cst_code sim_upload_write(cst_object_upload *base, const void *bytes, size_t count,
                                 cst_err *err) {
    sim_upload *upload = (sim_upload *)base;
    sim_store *store = self(base->store);
    cst_code code = call_end(store, "upload_write", base->name, false,
                             call_begin(store, "upload_write", base->name, false), CST_OK, err);

    if (code == CST_OK) code = csti_buffer_append(&upload->bytes, bytes, count, err);
    return code;
}

static void upload_free(sim_upload *upload) {
    csti_buffer_release(&upload->bytes);
    free(upload);
}

static void sim_upload_abort(cst_object_upload *base) {
    sim_store *store = self(base->store);

    (void)pthread_mutex_lock(&store->world->lock);
    if (store->dead) store->world->uploads_left++;
    (void)pthread_mutex_unlock(&store->world->lock);
    upload_free((sim_upload *)base);
}

static cst_code sim_upload_finish(cst_object_upload *base, cst_object_info *info_out,
                                  cst_err *err) {
    sim_upload *upload = (sim_upload *)base;
    const cst_bytes range = {upload->bytes.bytes, upload->bytes.used_bytes};
    blob *body = blob_of(&range, 1);
    const write_call call = {base->name, body, CST_PUT_IF_ABSENT, NULL, base->nonce};
    cst_code code;

    if (body)
        code = write_call_do(self(base->store), "upload_finish", &call, info_out, err);
    else
        code = cst_fail(err, CST_NO_MEMORY, "sim: %s", base->name);
    blob_drop(body);
    upload_free(upload);
    return code;
}

static cst_code missing(const char *name, cst_err *err) {
    return cst_fail(err, CST_NOT_FOUND, "sim: there is no object %s", name);
}

static cst_code slice(blob *body, uint64_t offset, size_t count, cst_object_body *out,
                      cst_err *err) {
    blob *part = offset % ALIGNMENT == 0 ? blob_take(body) : blob_make(count);

    if (!part) return cst_fail(err, CST_NO_MEMORY, "sim: %zu bytes", count);
    if (part != body) memcpy(part->bytes, body->bytes + offset, count);
    out->bytes = part == body ? body->bytes + offset : part->bytes;
    out->handle = part;
    return CST_OK;
}

static cst_code sim_get(cst_object_store *base, const char *name, uint64_t offset, uint64_t count,
                        cst_object_body *out, cst_err *err) {
    sim_store *store = self(base);
    const outcome how = call_begin(store, "get", name, false);
    const object *there = find(store->world, name);
    cst_code code = CST_OK;

    if (how != DONE) return call_end(store, "get", name, false, how, code, err);
    if (!there || !there->body) {
        code = missing(name, err);
    } else {
        info_of(there, &out->info);
        if (offset > out->info.bytes)
            code = cst_fail(err, CST_LIMIT, "sim: %s has %" PRIu64 " bytes", name, out->info.bytes);
    }
    if (code == CST_OK) {
        const uint64_t left = out->info.bytes - offset;

        out->count = (size_t)(count < left ? count : left);
        code = slice(there->body, offset, out->count, out, err);
    }
    return call_end(store, "get", name, false, how, code, err);
}

static void sim_body_release(cst_object_store *store, cst_object_body *body) {
    (void)store;
    blob_drop(body->handle);
}

static cst_code sim_head(cst_object_store *base, const char *name, cst_object_info *out,
                         cst_err *err) {
    sim_store *store = self(base);
    const outcome how = call_begin(store, "head", name, false);
    const object *there = find(store->world, name);
    cst_code code = CST_OK;

    if (there && there->body)
        info_of(there, out);
    else if (how == DONE)
        code = missing(name, err);
    return call_end(store, "head", name, false, how, code, err);
}

// ---- List ---------------------------------------------------------------------------------------

typedef struct listed {
    cst_object_info info;
    char name[CST_OBJECT_NAME_BYTES_MAX + 1];
} listed;

// What a listing as of write number `at` shows.
static bool is_seen(const object *there, uint64_t at, listed *out) {
    if (there->created_at > at || (there->deleted_at != 0 && there->deleted_at <= at)) return false;
    if (there->body)
        info_of(there, &out->info);
    else
        out->info = (cst_object_info){0};
    memcpy(out->name, there->name, strlen(there->name) + 1);
    return true;
}

static cst_code list_copy(const csti_object_sim_world *world, const char *prefix, const char *after,
                          uint64_t at, csti_buffer *out, cst_err *err) {
    const char *from = strcmp(prefix, after) > 0 ? prefix : after;
    cst_code code = CST_OK;

    for (size_t i = lower_bound(world, from); i < world->objects_count && code == CST_OK; i++) {
        const object *there = &world->objects[i];
        listed entry;

        if (strncmp(there->name, prefix, strlen(prefix)) != 0) break;
        if (strcmp(there->name, after) <= 0) continue;
        if (is_seen(there, at, &entry)) code = csti_buffer_append(out, &entry, sizeof entry, err);
    }
    return code;
}

static cst_code sim_list(cst_object_store *base, const char *prefix, const char *after,
                         cst_object_visit visit, void *context, cst_err *err) {
    sim_store *store = self(base);
    const outcome how = call_begin(store, "list", prefix, false);
    const csti_object_sim_faults *faults = &store->options.faults;
    uint64_t at = store->world->writes_count;
    const listed *entries;
    csti_buffer found;
    cst_code code = CST_OK;

    csti_buffer_init(&found, SIZE_MAX / 2);
    if (chance(store, faults->stale_list)) {
        const uint64_t ago = csti_random_sim_next(&store->random) % (faults->stale_writes_max + 1);
        at -= ago < at ? ago : at;
    }
    if (how == DONE) code = list_copy(store->world, prefix, after, at, &found, err);
    code = call_end(store, "list", prefix, false, how, code, err);
    entries = (const listed *)(const void *)found.bytes;
    for (size_t i = 0; code == CST_OK && i < found.used_bytes / sizeof(listed); i++)
        if (!visit(context, entries[i].name, &entries[i].info)) break;
    csti_buffer_release(&found);
    return code;
}

static cst_code sim_sweep(cst_object_store *base, uint64_t *swept_out, cst_err *err) {
    sim_store *store = self(base);
    const outcome how = call_begin(store, "sweep_uploads", "", false);

    if (how == DONE) {
        *swept_out = store->world->uploads_left;
        store->world->uploads_left = 0;
    }
    return call_end(store, "sweep_uploads", "", false, how, CST_OK, err);
}

// ---- Worlds and clients -------------------------------------------------------------------------

cst_code csti_object_sim_world_open(uint64_t seed, csti_object_sim_world **out, cst_err *err) {
    csti_object_sim_world *world = calloc(1, sizeof *world);

    if (!world) return cst_fail(err, CST_NO_MEMORY, "sim: a world");
    (void)pthread_mutex_init(&world->lock, NULL); // cannot fail without attributes
    csti_random_sim_init(&world->random, seed);
    *out = world;
    return CST_OK;
}

void csti_object_sim_world_close(csti_object_sim_world *world) {
    if (!world) return;
    for (size_t i = 0; i < world->late_count; i++) blob_drop(world->late[i].call.body);
    for (size_t i = 0; i < world->objects_count; i++) {
        blob_drop(world->objects[i].body);
        free(world->objects[i].name);
    }
    free(world->objects);
    (void)pthread_mutex_destroy(&world->lock);
    free(world);
}

void csti_object_sim_world_lie(csti_object_sim_world *world, csti_object_sim_lie lie) {
    (void)pthread_mutex_lock(&world->lock);
    world->lie = lie;
    (void)pthread_mutex_unlock(&world->lock);
}

cst_code csti_object_sim_client_open(csti_object_sim_world *world,
                                     const csti_object_sim_options *options, cst_object_store **out,
                                     cst_err *err) {
    sim_store *store = calloc(1, sizeof *store);

    if (!store) return cst_fail(err, CST_NO_MEMORY, "sim: a client");
    store->base.ops = &csti_object_sim;
    store->base.uri = strdup("sim:");
    store->base.deadline_us = options->deadline_us ? options->deadline_us : DEADLINE_US_DEFAULT;
    store->world = world;
    store->options = *options;
    csti_random_sim_init(&store->random, options->seed);
    if (!store->base.uri) {
        free(store);
        return cst_fail(err, CST_NO_MEMORY, "sim: a client");
    }
    *out = &store->base;
    return CST_OK;
}

void csti_object_sim_client_faults(cst_object_store *client, const csti_object_sim_faults *faults) {
    sim_store *store = self(client);

    (void)pthread_mutex_lock(&store->world->lock);
    store->options.faults = *faults;
    (void)pthread_mutex_unlock(&store->world->lock);
}

void csti_object_sim_client_kill(cst_object_store *client) {
    sim_store *store = self(client);

    (void)pthread_mutex_lock(&store->world->lock);
    store->dead = true;
    (void)pthread_mutex_unlock(&store->world->lock);
}

static void sim_close(cst_object_store *base) {
    sim_store *store = self(base);

    csti_object_sim_world_close(store->own);
    free(store);
}

// sim:?seed=7&before=1000: a world of its own; the chances are csti_object_sim_faults'.
static cst_code options_read(const char *place, csti_object_sim_options *out, cst_err *err) {
    char text[CSTI_URI_BYTES_MAX];
    csti_uri uri;
    cst_err inner = {0};
    const struct {
        const char *name;
        uint32_t *chance;
    } chances[] = {{"before", &out->faults.error_before},
                   {"after", &out->faults.error_after},
                   {"lost", &out->faults.lost},
                   {"stale", &out->faults.stale_list}};
    cst_code code;

    (void)snprintf(text, sizeof text, "sim:%s", place);
    code = csti_uri_parse(text, &uri, &inner);
    if (code == CST_OK) code = csti_uri_take_u64(&uri, "seed", UINT64_MAX, &out->seed, &inner);
    for (size_t i = 0; i < sizeof chances / sizeof chances[0] && code == CST_OK; i++) {
        uint64_t value = 0;

        code = csti_uri_take_u64(&uri, chances[i].name, MILLION, &value, &inner);
        *chances[i].chance = (uint32_t)value;
    }
    if (code == CST_OK)
        code = csti_uri_check_empty(&uri, "seed=N, before=, after=, lost=, stale=PARTS_PER_MILLION",
                                    &inner);
    if (code == CST_OK && uri.path[0] == '\0') return CST_OK;
    return cst_fail(err, CST_OBJECT_NAME, "object store '%s': %s", text,
                    code == CST_OK ? "nothing may follow sim: but ?seed=N" : inner.text);
}

static cst_code sim_open(const char *place, const cst_object_store_options *options,
                         cst_object_store **out, cst_err *err) {
    csti_object_sim_options sim = {.deadline_us = options->deadline_us,
                                   .faults = {.stale_writes_max = LATE_MAX}};
    csti_object_sim_world *world = NULL;
    cst_object_store *store = NULL;
    cst_code code = options_read(place, &sim, err);

    if (code == CST_OK) code = csti_object_sim_world_open(sim.seed, &world, err);
    if (code == CST_OK) code = csti_object_sim_client_open(world, &sim, &store, err);
    if (code != CST_OK) {
        csti_object_sim_world_close(world);
        return code;
    }
    self(store)->own = world;
    free(store->uri); // the caller gives it the whole one
    store->uri = NULL;
    *out = store;
    return CST_OK;
}

const csti_object_ops csti_object_sim = {
    .scheme = "sim",
    .racers = 4,
    .rounds = 1,
    .open = sim_open,
    .close = sim_close,
    .put = sim_put,
    .upload_open = sim_upload_open,
    .upload_write = sim_upload_write,
    .upload_finish = sim_upload_finish,
    .upload_abort = sim_upload_abort,
    .remove = sim_remove,
    .get = sim_get,
    .body_release = sim_body_release,
    .head = sim_head,
    .list = sim_list,
    .sweep_uploads = sim_sweep,
};
