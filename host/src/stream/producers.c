#include "stream/producers.h"

#include "base/random.h"
#include "stream/text_write.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_MIN = 64, BUCKETS_MAX = 1 << 18, SEQ_TEXT_BYTES = 20 };

cst_code csti_producers_open(csti_producers *producers, uint32_t count_wanted, cst_err *err) {
    uint32_t buckets_count = BUCKETS_MIN;
    cst_code code;

    *producers = (csti_producers){0};
    while (buckets_count < count_wanted && buckets_count < BUCKETS_MAX) buckets_count *= 2;
    // Ids that all fall into one bucket cannot be chosen without the key.
    code =
        csti_random_fill(csti_random_real(), &producers->hash_key, sizeof producers->hash_key, err);
    if (code != CST_OK) return code;
    producers->buckets = calloc(buckets_count, sizeof(csti_producer *));
    if (!producers->buckets)
        return cst_fail(err, CST_NO_MEMORY, "a table of %u producers", count_wanted);
    producers->buckets_count = buckets_count;
    return CST_OK;
}

void csti_producers_close(csti_producers *producers) {
    for (uint32_t b = 0; b < producers->buckets_count; b++)
        for (csti_producer *next, *at = producers->buckets[b]; at; at = next) {
            next = at->next;
            free(at);
        }
    free(producers->buckets);
    *producers = (csti_producers){0};
}

bool csti_producer_id_is_good(const char *id, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        const char c = id[i];
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (!letter && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != ':' && c != '-')
            return false;
    }
    return bytes >= 1 && bytes <= CSTI_PRODUCER_ID_BYTES_MAX;
}

// ---- The table ----------------------------------------------------------------------------------

// The link that points to the id's producer, or would.
static csti_producer **link_of(const csti_producers *producers, const char *id, uint32_t bytes) {
    const uint64_t hash = cst_hash(&producers->hash_key, id, bytes);
    csti_producer **link = &producers->buckets[hash & (producers->buckets_count - 1)];

    while (*link && ((*link)->id_bytes != bytes || memcmp((*link)->id, id, bytes) != 0))
        link = &(*link)->next;
    return link;
}

csti_producer *csti_producers_find(const csti_producers *producers, const char *id,
                                   uint32_t bytes) {
    return *link_of(producers, id, bytes);
}

csti_producer *csti_producers_add(csti_producers *producers, const char *id, uint32_t bytes) {
    csti_producer **link = link_of(producers, id, bytes);
    csti_producer *made = calloc(1, sizeof *made);

    assert(!*link);
    assert(csti_producer_id_is_good(id, bytes));
    if (!made) return NULL;
    memcpy(made->id, id, bytes);
    made->id_bytes = bytes;
    *link = made;
    return made;
}

static void order_leave(csti_producers *producers, csti_producer *producer) {
    *(producer->older ? &producer->older->newer : &producers->oldest) = producer->newer;
    *(producer->newer ? &producer->newer->older : &producers->newest) = producer->older;
    producer->older = producer->newer = NULL;
}

void csti_producers_raise(csti_producers *producers, csti_producer *producer, uint64_t seq) {
    assert(seq > producer->seq);
    if (producers->newest == producer) { // mostly: rows come in batches
        producer->seq = seq;
        return;
    }
    if (producer->seq == 0)
        producers->count++;
    else
        order_leave(producers, producer);
    producer->seq = seq;
    producer->older = producers->newest;
    *(producers->newest ? &producers->newest->newer : &producers->oldest) = producer;
    producers->newest = producer;
}

void csti_producers_remove(csti_producers *producers, csti_producer *producer) {
    csti_producer **link = link_of(producers, producer->id, producer->id_bytes);

    assert(*link == producer);
    *link = producer->next;
    if (producer->seq > 0) {
        order_leave(producers, producer);
        producers->count--;
    }
    free(producer);
}

cst_code csti_producers_note(csti_producers *producers, const char *id, uint32_t bytes,
                             uint64_t seq, cst_err *err) {
    csti_producer *producer = csti_producers_find(producers, id, bytes);

    if (!producer) producer = csti_producers_add(producers, id, bytes);
    if (!producer) return cst_fail(err, CST_NO_MEMORY, "producer %.*s", (int)bytes, id);
    if (seq > producer->seq) csti_producers_raise(producers, producer, seq);
    return CST_OK;
}

// ---- As text ------------------------------------------------------------------------------------

cst_code csti_producers_write(const csti_producers *producers, csti_buffer *out, cst_err *err) {
    for (const csti_producer *at = producers->oldest; at; at = at->newer) {
        const cst_code code =
            csti_buffer_reserve(out, 2 + CSTI_PRODUCER_ID_BYTES_MAX + SEQ_TEXT_BYTES, err);
        char *text = (char *)out->bytes + out->used_bytes;

        if (code != CST_OK) return code;
        if (at->older) *text++ = ' ';
        memcpy(text, at->id, at->id_bytes);
        text += at->id_bytes;
        *text++ = '=';
        text = csti_u64_text(text, at->seq);
        out->used_bytes = (size_t)(text - (char *)out->bytes);
    }
    return CST_OK;
}

// The number at `at`, from 1 to CSTI_PRODUCER_SEQ_MAX: behind it; NULL: there is none.
static const char *seq_read(const char *at, const char *end, uint64_t *out) {
    uint64_t value = 0;
    const char *from = at;

    for (; at < end && *at >= '0' && *at <= '9'; at++) {
        if (at - from >= SEQ_TEXT_BYTES - 1) return NULL; // 19 digits do not overflow
        value = value * 10 + (uint64_t)(*at - '0');
    }
    if (at == from || *from == '0' || value > CSTI_PRODUCER_SEQ_MAX) return NULL;
    *out = value;
    return at;
}

cst_code csti_producers_read(csti_producers *producers, const char *text, size_t bytes,
                             cst_err *err) {
    const char *const end = text + bytes;

    for (const char *at = text; at < end;) {
        const char *const equals = memchr(at, '=', (size_t)(end - at));
        const char *behind = NULL;
        uint64_t seq = 0;
        cst_code code;

        if (equals && csti_producer_id_is_good(at, (size_t)(equals - at)))
            behind = seq_read(equals + 1, end, &seq);
        if (!behind || (behind < end && (*behind != ' ' || behind + 1 == end)))
            return cst_fail(err, CST_PARSE, "no producer and its last row at byte %zu of '%.40s'",
                            (size_t)(at - text), text);
        code = csti_producers_note(producers, at, (uint32_t)(equals - at), seq, err);
        if (code != CST_OK) return code;
        at = behind + (behind < end);
    }
    return CST_OK;
}
