#include "stream/session_set.h"

#include "stream/session_timers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define DUE_NEVER INT64_MIN // of a session that has no timer

enum {
    CHUNK_BYTES = 256 << 10, // of sessions, and of keys
    HEADS_BITS = 12,         // buckets of a run
    HEADS = 1 << HEADS_BITS,
    RUNS_FIRST = 64, // pointers to runs, at first
    FEW_FIRST = 4,
    LINE_BYTES = 64,
};

struct csti_session_key {
    csti_session_key *next; // of its bucket
    uint64_t hash;
    uint32_t count, capacity; // capacity 0: the one session that it has
    union {
        csti_session *one;
        csti_session **many; // by start
    } sessions;
};

typedef struct pool_chunk pool_chunk;
struct pool_chunk {
    pool_chunk *next;
    _Alignas(16) uint8_t bytes[];
};

// Slots of one size. Free ones begin with a pointer to the next.
typedef struct slot_pool {
    size_t slot_bytes;
    pool_chunk *chunks;
    void *free;
    uint8_t *next, *end; // of the newest chunk, never taken so far
} slot_pool;

struct csti_session_set {
    slot_pool sessions, keys;
    csti_session_key ***runs; // of HEADS buckets each
    uint64_t runs_capacity;
    uint64_t buckets_count;
    uint64_t buckets_mask; // a power of two less 1, below buckets_count: those above it have split
    uint64_t sessions_count, keys_count;
    csti_timers timers;
    uint64_t many_bytes; // of lists of keys with several sessions
};

// ---- Slots --------------------------------------------------------------------------------------

static void *slot_take(slot_pool *pool) {
    void *slot = pool->free;

    if (slot) {
        memcpy(&pool->free, slot, sizeof pool->free);
    } else {
        if (pool->next == pool->end) {
            const size_t bytes = CHUNK_BYTES / pool->slot_bytes * pool->slot_bytes;
            pool_chunk *chunk = malloc(sizeof *chunk + bytes);

            if (!chunk) return NULL;
            chunk->next = pool->chunks;
            pool->chunks = chunk;
            pool->next = chunk->bytes;
            pool->end = chunk->bytes + bytes;
        }
        slot = pool->next;
        pool->next += pool->slot_bytes;
    }
    memset(slot, 0, pool->slot_bytes);
    return slot;
}

static void slot_give(slot_pool *pool, void *slot) {
    memcpy(slot, &pool->free, sizeof pool->free);
    pool->free = slot;
}

static void pool_free(slot_pool *pool) {
    for (pool_chunk *next = pool->chunks; next;) {
        pool_chunk *chunk = next;

        next = chunk->next;
        free(chunk);
    }
}

// ---- Buckets ------------------------------------------------------------------------------------

static csti_session_key **head_at(const csti_session_set *set, uint64_t bucket) {
    return &set->runs[bucket >> HEADS_BITS][bucket & (HEADS - 1)];
}

static csti_session_key **head_of(const csti_session_set *set, uint64_t hash) {
    const uint64_t wide = hash & (2 * set->buckets_mask + 1);

    return head_at(set, wide < set->buckets_count ? wide : hash & set->buckets_mask);
}

// Room for one bucket more.
static cst_code run_reserve(csti_session_set *set, cst_err *err) {
    const uint64_t run = set->buckets_count >> HEADS_BITS;

    if (set->buckets_count & (HEADS - 1)) return CST_OK;
    if (run == set->runs_capacity) {
        const uint64_t capacity = run ? 2 * run : (uint64_t)RUNS_FIRST;
        csti_session_key ***runs = realloc(set->runs, capacity * sizeof *runs);

        if (!runs) return cst_fail(err, CST_NO_MEMORY, "keys of sessions");
        set->runs = runs;
        set->runs_capacity = capacity;
    }
    set->runs[run] = calloc(HEADS, sizeof *set->runs[run]);
    return set->runs[run] ? CST_OK : cst_fail(err, CST_NO_MEMORY, "keys of sessions");
}

// Parts one bucket's keys into two.
static cst_code bucket_split(csti_session_set *set, cst_err *err) {
    csti_session_key *next, **low, **high;
    const cst_code code = run_reserve(set, err);

    if (code != CST_OK) return code;
    low = head_at(set, set->buckets_count & set->buckets_mask);
    high = head_at(set, set->buckets_count);
    next = *low;
    *low = NULL;
    while (next) {
        csti_session_key *key = next;
        csti_session_key **to = key->hash & (set->buckets_mask + 1) ? high : low;

        next = key->next;
        key->next = *to;
        *to = key;
    }
    set->buckets_count++;
    if (set->buckets_count == 2 * (set->buckets_mask + 1))
        set->buckets_mask = 2 * set->buckets_mask + 1;
    return CST_OK;
}

cst_code csti_session_set_open(uint32_t body_bytes, csti_session_set **out, cst_err *err) {
    csti_session_set *set = calloc(1, sizeof *set);
    cst_code code;

    if (!set) return cst_fail(err, CST_NO_MEMORY, "sessions");
    set->sessions.slot_bytes = (sizeof(csti_session) + body_bytes + 15) & ~(size_t)15;
    csti_timers_open(&set->timers);
    set->keys.slot_bytes = (sizeof(csti_session_key) + 15) & ~(size_t)15;
    code = run_reserve(set, err);
    if (code != CST_OK) {
        csti_session_set_close(set);
        return code;
    }
    set->buckets_count = HEADS;
    set->buckets_mask = HEADS - 1;
    *out = set;
    return CST_OK;
}

static void lists_free(const csti_session_set *set) {
    for (uint64_t bucket = 0; bucket < set->buckets_count; bucket++)
        for (csti_session_key *key = *head_at(set, bucket); key; key = key->next)
            if (key->capacity > 0) free(key->sessions.many);
}

void csti_session_set_close(csti_session_set *set) {
    if (!set) return;
    lists_free(set);
    // A run is there for each HEADS buckets, but for one that found no memory.
    for (uint64_t run = 0; run < set->buckets_count >> HEADS_BITS; run++) free(set->runs[run]);
    if (set->buckets_count & (HEADS - 1)) free(set->runs[set->buckets_count >> HEADS_BITS]);
    free(set->runs);
    csti_timers_close(&set->timers);
    pool_free(&set->sessions);
    pool_free(&set->keys);
    free(set);
}

// ---- Keys ---------------------------------------------------------------------------------------

static csti_session *session_at(const csti_session_key *key, uint32_t at) {
    assert(at < key->count);
    return key->capacity > 0 ? key->sessions.many[at] : key->sessions.one;
}

csti_session_key *csti_session_set_find(const csti_session_set *set, uint64_t key_hash,
                                        const uint8_t *key, uint32_t key_bytes) {
    for (csti_session_key *at = *head_of(set, key_hash); at; at = at->next) {
        const csti_session *any;

        if (at->hash != key_hash) continue;
        any = session_at(at, 0);
        if (any->key_bytes == key_bytes + sizeof(int64_t) && memcmp(any->body, key, key_bytes) == 0)
            return at;
    }
    return NULL;
}

void csti_session_set_ask(const csti_session_set *set, const uint64_t *key_hashes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) __builtin_prefetch(head_of(set, key_hashes[i]));
    for (uint32_t i = 0; i < count; i++) __builtin_prefetch(*head_of(set, key_hashes[i]));
    for (uint32_t i = 0; i < count; i++) {
        const csti_session_key *key = *head_of(set, key_hashes[i]);

        if (!key) continue;
        __builtin_prefetch(key->sessions.one); // or the list
        __builtin_prefetch((const uint8_t *)key->sessions.one + LINE_BYTES);
    }
    for (uint32_t i = 0; i < count; i++) {
        const csti_session_key *key = *head_of(set, key_hashes[i]);

        if (!key || key->capacity > 0 || !key->sessions.one->record) continue;
        __builtin_prefetch(key->sessions.one->record, 1);
        __builtin_prefetch(key->sessions.one->record + LINE_BYTES, 1);
    }
}

// How many of the key's sessions start at the time or before.
static uint32_t place_of(const csti_session_key *key, int64_t time_us) {
    uint32_t from = 0, to = key->count;

    // Rows lie in order of their times, or nearly.
    if (session_at(key, to - 1)->start_us <= time_us) return to;
    while (from < to) {
        const uint32_t middle = from + (to - from) / 2;

        if (session_at(key, middle)->start_us <= time_us)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

void csti_session_set_beside(const csti_session_key *key, int64_t time_us,
                             csti_session **before_out, csti_session **behind_out) {
    const uint32_t at = place_of(key, time_us);

    *before_out = at > 0 ? session_at(key, at - 1) : NULL;
    *behind_out = at < key->count ? session_at(key, at) : NULL;
}

// Room for one session more.
static cst_code list_reserve(csti_session_set *set, csti_session_key *key, cst_err *err) {
    const uint32_t capacity = key->capacity > 0 ? 2 * key->capacity : (uint32_t)FEW_FIRST;
    csti_session **many;

    if (key->count == 0 || key->count < key->capacity) return CST_OK;
    many = realloc(key->capacity > 0 ? key->sessions.many : NULL, capacity * sizeof *many);
    if (!many) return cst_fail(err, CST_NO_MEMORY, "%u sessions of a key", capacity);
    if (key->capacity == 0) many[0] = key->sessions.one;
    set->many_bytes += (capacity - key->capacity) * sizeof *many;
    key->sessions.many = many;
    key->capacity = capacity;
    return CST_OK;
}

static void list_put(csti_session_key *key, csti_session *session) {
    uint32_t at;

    session->of = key;
    if (key->capacity == 0) {
        assert(key->count == 0);
        key->sessions.one = session;
        key->count = 1;
        return;
    }
    at = key->count > 0 ? place_of(key, session->start_us) : 0;
    memmove(&key->sessions.many[at + 1], &key->sessions.many[at],
            (key->count - at) * sizeof *key->sessions.many);
    key->sessions.many[at] = session;
    key->count++;
}

static void list_take(csti_session_key *key, const csti_session *session) {
    const uint32_t at = place_of(key, session->start_us) - 1;

    assert(session_at(key, at) == session);
    key->count--;
    if (key->capacity == 0) return;
    memmove(&key->sessions.many[at], &key->sessions.many[at + 1],
            (key->count - at) * sizeof *key->sessions.many);
}

static void key_remove(csti_session_set *set, csti_session_key *key) {
    csti_session_key **link = head_of(set, key->hash);

    while (*link != key) link = &(*link)->next;
    *link = key->next;
    if (key->capacity > 0) {
        set->many_bytes -= key->capacity * sizeof *key->sessions.many;
        free(key->sessions.many);
    }
    slot_give(&set->keys, key);
    set->keys_count--;
}

static csti_session_key *key_add(csti_session_set *set, uint64_t hash, cst_err *err) {
    csti_session_key *key = slot_take(&set->keys);
    csti_session_key **head;

    if (key && set->keys_count >= set->buckets_count && bucket_split(set, err) != CST_OK) {
        slot_give(&set->keys, key);
        return NULL;
    }
    if (!key) {
        (void)cst_fail(err, CST_NO_MEMORY, "the key of a session");
        return NULL;
    }
    head = head_of(set, hash);
    key->hash = hash;
    key->next = *head;
    *head = key;
    set->keys_count++;
    return key;
}

// ---- Timers -------------------------------------------------------------------------------------

bool csti_session_set_is_due(const csti_session_set *set, int64_t now_us) {
    return csti_timers_are_due(&set->timers, now_us);
}

cst_code csti_session_set_take(csti_session_set *set, int64_t now_us, uint32_t *steps,
                               csti_session **out, cst_err *err) {
    csti_timer timer;
    cst_code code;

    *out = NULL;
    do {
        csti_session *session;

        code = csti_timers_take(&set->timers, now_us, steps, &timer, err);
        session = timer.of;
        // A slot that another session has meanwhile has another time, or this is as good as its
        // own.
        if (session && session->due_us == timer.due_us) {
            session->due_us = DUE_NEVER;
            *out = session;
        }
    } while (code == CST_OK && timer.of && !*out);
    return code;
}

cst_code csti_session_set_put_off(csti_session_set *set, csti_session *session, int64_t due_us,
                                  cst_err *err) {
    session->due_us = due_us;
    return csti_timers_put(&set->timers, (csti_timer){due_us, session}, err);
}

// ---- Sessions -----------------------------------------------------------------------------------

cst_code csti_session_set_add(csti_session_set *set, csti_session_key *key, uint64_t key_hash,
                              int64_t start_us, int64_t due_us, csti_session **out, cst_err *err) {
    csti_session *session = slot_take(&set->sessions);
    cst_code code = session ? CST_OK : cst_fail(err, CST_NO_MEMORY, "a session");

    if (code != CST_OK) return code;
    if (key) code = list_reserve(set, key, err);
    // One that nobody has, if what follows fails: it is passed over.
    if (code == CST_OK) code = csti_timers_put(&set->timers, (csti_timer){due_us, session}, err);
    if (code == CST_OK && !key) {
        key = key_add(set, key_hash, err);
        code = key ? CST_OK : CST_NO_MEMORY;
    }
    session->due_us = code == CST_OK ? due_us : DUE_NEVER;
    if (code != CST_OK) {
        slot_give(&set->sessions, session);
        return code;
    }
    session->start_us = session->last_us = start_us;
    set->sessions_count++;
    list_put(key, session);
    *out = session;
    return CST_OK;
}

void csti_session_set_remove(csti_session_set *set, csti_session *session) {
    csti_session_key *key = session->of;

    list_take(key, session);
    if (key->count == 0) key_remove(set, key);
    session->due_us = DUE_NEVER;
    slot_give(&set->sessions, session);
    set->sessions_count--;
}

uint64_t csti_session_set_count(const csti_session_set *set) {
    return set->sessions_count;
}

void csti_session_set_bytes(const csti_session_set *set, uint64_t *sessions_out,
                            uint64_t *index_out) {
    *sessions_out = set->sessions_count * set->sessions.slot_bytes;
    *index_out = set->keys_count * set->keys.slot_bytes + set->many_bytes +
                 set->buckets_count * sizeof(void *) + csti_timers_bytes(&set->timers);
}
