// prove.c: whether a store honours conditional writes, shown on objects made for it.
//
//   alone    if absent twice; an upload on top; if match with the right and an old etag
//   nothing  if match where nobody has written
//   race-N   a round of threads: one of them may win, and its bytes must be there
//
// No name is used again behind a deletion: a network may bring a request twice, and the second
// deletion may come in the middle of the next round, which then has two winners, and no liar.
//
// Every write has a nonce of its own, as all writers' have: by it a client tells its own object
// from another's. A racer that does not know what became of its write is no winner that it is known
// of, but may be who wrote what is there.
#include "object/backend.h"

#include "base/random.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 64 };

// The names of one proof.
typedef struct probes {
    char alone[NAME_BYTES];
    char nothing[NAME_BYTES];
    char race[NAME_BYTES]; // of all rounds, without their numbers
} probes;

static void race_name(const probes *p, uint32_t round, char out[NAME_BYTES]) {
    (void)snprintf(out, NAME_BYTES, "%.48s-%" PRIu32, p->race, round);
}

typedef struct racer {
    cst_object_store *store;
    const char *name;
    const cst_put_options *options;
    pthread_mutex_t *gate; // held until all are there
    uint64_t value;        // what it writes
    cst_code code;
    cst_err err;
} racer;

static cst_code put_value(cst_object_store *store, const char *name, uint64_t value,
                          const cst_put_options *options, cst_object_info *info_out, cst_err *err) {
    const cst_bytes range = {(const uint8_t *)&value, sizeof value};
    cst_put_options own = *options;
    const cst_code code = csti_random_fill(csti_random_real(), &own.nonce, sizeof own.nonce, err);

    if (code != CST_OK) return code;
    own.nonce |= 1; // 0 is none
    return cst_object_put(store, name, &range, 1, &own, info_out, err);
}

static cst_code upload_value(cst_object_store *store, const char *name, uint64_t value,
                             cst_err *err) {
    cst_object_upload *upload = NULL;
    uint64_t nonce = 0;
    cst_code code = csti_random_fill(csti_random_real(), &nonce, sizeof nonce, err);

    if (code == CST_OK) code = cst_object_upload_open(store, name, nonce | 1, &upload, err);
    if (code != CST_OK) return code;
    code = cst_object_upload_write(upload, &value, sizeof value, err);
    if (code == CST_OK) return cst_object_upload_finish(upload, NULL, err);
    cst_object_upload_abort(upload);
    return code;
}

static cst_code refuse(const cst_object_store *store, const char *name, const char *what,
                       cst_err *err) {
    return cst_fail(err, CST_OBJECT_REFUSED, "%s: %s: %s", store->uri, name, what);
}

// An answer other than the wanted: a lie if the store said OK or the opposite, else its own error.
static cst_code expect(const cst_object_store *store, const char *name, cst_code got,
                       cst_code wanted, const char *what, cst_err *err) {
    if (got == wanted) return CST_OK;
    if (got == CST_OK || got == CST_EXISTS || got == CST_OBJECT_CONFLICT || got == CST_NOT_FOUND)
        return refuse(store, name, what, err);
    return got;
}

static cst_code expect_value(cst_object_store *store, const char *name, uint64_t value,
                             const char *what, cst_err *err) {
    cst_object_body body;
    cst_code code = cst_object_get(store, name, 0, UINT64_MAX, &body, err);

    if (code != CST_OK) return expect(store, name, code, CST_OK, "what was written is gone", err);
    if (body.count != sizeof value || memcmp(body.bytes, &value, sizeof value) != 0)
        code = refuse(store, name, what, err);
    cst_object_body_release(store, &body);
    return code;
}

// ---- Alone --------------------------------------------------------------------------------------

static cst_code alone_absent(cst_object_store *store, const char *name, cst_object_info *info_out,
                             cst_err *err) {
    const cst_put_options absent = {.condition = CST_PUT_IF_ABSENT};
    cst_code code = put_value(store, name, 1, &absent, info_out, err);

    code = expect(store, name, code, CST_OK, "a first if-absent write was refused", err);
    if (code != CST_OK) return code;
    code = expect(store, name, put_value(store, name, 2, &absent, NULL, err), CST_EXISTS,
                  "a second if-absent write (PUT with If-None-Match: *) was taken", err);
    if (code != CST_OK) return code;
    code = expect(store, name, upload_value(store, name, 3, err), CST_EXISTS,
                  "an upload was taken over an object", err);
    if (code != CST_OK) return code;
    return expect_value(store, name, 1, "a refused write took effect", err);
}

// With the right etag, in whatever form the store wants it. *lacks_out: it has no if match at all.
static cst_code match_first(cst_object_store *store, const char *name, const cst_object_info *first,
                            bool *lacks_out, cst_err *err) {
    const cst_put_options match = {.condition = CST_PUT_IF_MATCH, .etag = first->etag};
    cst_code code;

    *lacks_out = false;
    do {
        code = put_value(store, name, 4, &match, NULL, err);
        if (code != CST_OBJECT_CONFLICT && code != CST_UNSUPPORTED) break;
        *lacks_out = !store->ops->match_other || !store->ops->match_other(store);
    } while (!*lacks_out);
    if (*lacks_out && store->ops->match_other) return CST_OK;
    return expect(store, name, code, CST_OK, "an if-match write with the etag was refused", err);
}

static cst_code alone_match(cst_object_store *store, const char *name, const cst_object_info *first,
                            bool *lacks_out, cst_err *err) {
    const cst_put_options match = {.condition = CST_PUT_IF_MATCH, .etag = first->etag};
    cst_code code = match_first(store, name, first, lacks_out, err);

    if (code != CST_OK) return code;
    if (*lacks_out) return expect_value(store, name, 1, "a refused write took effect", err);
    code = put_value(store, name, 5, &match, NULL, err);
    if (code == CST_OBJECT_AMBIGUOUS) code = CST_OBJECT_CONFLICT; // the value says which
    code = expect(store, name, code, CST_OBJECT_CONFLICT,
                  "an if-match write with an old etag was taken", err);
    if (code != CST_OK) return code;
    return expect_value(store, name, 4, "a refused write took effect", err);
}

static cst_code alone(cst_object_store *store, const probes *p, bool *lacks_out, cst_err *err) {
    cst_object_info first = {0};
    cst_code code = alone_absent(store, p->alone, &first, err);
    const cst_put_options match = {.condition = CST_PUT_IF_MATCH, .etag = first.etag};

    if (code == CST_OK) code = alone_match(store, p->alone, &first, lacks_out, err);
    if (code != CST_OK || *lacks_out) return code;
    code = put_value(store, p->nothing, 6, &match, NULL, err);
    // An answer that was lost, and a second one: nothing is there, so neither was taken.
    if (code == CST_OBJECT_AMBIGUOUS &&
        cst_object_head(store, p->nothing, &first, err) == CST_NOT_FOUND)
        code = CST_OBJECT_CONFLICT;
    return expect(store, p->nothing, code, CST_OBJECT_CONFLICT,
                  "an if-match write of a missing object was taken", err);
}

// ---- In a race ----------------------------------------------------------------------------------

static void *racer_run(void *context) {
    racer *one = context;

    (void)pthread_mutex_lock(one->gate);
    (void)pthread_mutex_unlock(one->gate);
    one->code = put_value(one->store, one->name, one->value, one->options, NULL, &one->err);
    return NULL;
}

// The only winner; without one, who wrote what is there. NULL: nobody did.
static cst_code race_winner(cst_object_store *store, const char *name, const racer *racers,
                            const racer **out, cst_err *err) {
    cst_object_body body;
    cst_code code;

    if (*out) return CST_OK;
    code = cst_object_get(store, name, 0, UINT64_MAX, &body, err);
    if (code == CST_NOT_FOUND) return CST_OK;
    if (code != CST_OK) return code;
    for (uint32_t i = 0; i < store->ops->racers; i++)
        if (racers[i].code == CST_OBJECT_AMBIGUOUS && body.count == sizeof racers[i].value &&
            memcmp(body.bytes, &racers[i].value, sizeof racers[i].value) == 0)
            *out = &racers[i];
    cst_object_body_release(store, &body);
    return CST_OK;
}

static cst_code race_judge(cst_object_store *store, const char *name, const racer *racers,
                           cst_code loss, cst_err *err) {
    const racer *winner = NULL;
    cst_code code;

    for (uint32_t i = 0; i < store->ops->racers; i++) {
        if (racers[i].code == loss || racers[i].code == CST_OBJECT_AMBIGUOUS) continue;
        if (racers[i].code != CST_OK) {
            if (err) *err = racers[i].err;
            return racers[i].code;
        }
        if (winner) return refuse(store, name, "two writers won one race", err);
        winner = &racers[i];
    }
    code = race_winner(store, name, racers, &winner, err);
    if (code != CST_OK) return code;
    if (!winner) return refuse(store, name, "nobody won a race", err);
    return expect_value(store, name, winner->value, "a race's loser took effect", err);
}

// Values are counted from `value` on: other bytes than those that are there, of which a server may
// make its etag.
static cst_code race(cst_object_store *store, const char *name, const cst_put_options *options,
                     uint64_t value, cst_code loss, cst_err *err) {
    const uint32_t racers_count = store->ops->racers;
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_t threads[CSTI_OBJECT_RACERS_MAX];
    racer racers[CSTI_OBJECT_RACERS_MAX] = {{0}};
    uint32_t started = 0;

    (void)pthread_mutex_lock(&gate);
    for (; started < racers_count; started++) {
        racers[started] = (racer){store, name, options, &gate, value + started, CST_OK, {0}};
        if (pthread_create(&threads[started], NULL, racer_run, &racers[started]) != 0) break;
    }
    (void)pthread_mutex_unlock(&gate);
    for (uint32_t i = 0; i < started; i++) (void)pthread_join(threads[i], NULL);
    (void)pthread_mutex_destroy(&gate);
    if (started < racers_count) return cst_fail(err, CST_NO_MEMORY, "%s: a thread", store->uri);
    return race_judge(store, name, racers, loss, err);
}

// Several rounds, each for a name that nobody had; their objects stay.
static cst_code race_absent(cst_object_store *store, const probes *p, cst_err *err) {
    const cst_put_options absent = {.condition = CST_PUT_IF_ABSENT};
    cst_code code = CST_OK;

    for (uint32_t i = 0; i < store->ops->rounds && code == CST_OK; i++) {
        char name[NAME_BYTES];

        race_name(p, i, name);
        code = race(store, name, &absent, 100, CST_EXISTS, err);
    }
    return code;
}

static cst_code race_match(cst_object_store *store, const probes *p, cst_err *err) {
    char name[NAME_BYTES];
    cst_object_info info;
    cst_put_options match = {.condition = CST_PUT_IF_MATCH};
    cst_code code;

    race_name(p, 0, name);
    code = cst_object_head(store, name, &info, err);
    if (code != CST_OK) return expect(store, name, code, CST_OK, "what was written is gone", err);
    match.etag = info.etag;
    return race(store, name, &match, 200, CST_OBJECT_CONFLICT, err);
}

// All of them; of the first that cannot be deleted, why.
static cst_code probes_delete(cst_object_store *store, const probes *p, cst_err *err) {
    cst_code code = cst_object_delete(store, p->alone, err);

    for (uint32_t i = 0; i < store->ops->rounds; i++) {
        char name[NAME_BYTES];
        cst_err why;
        cst_code deleted;

        race_name(p, i, name);
        deleted = cst_object_delete(store, name, &why);
        if (code != CST_OK || deleted == CST_OK) continue;
        code = deleted;
        if (err) *err = why;
    }
    return code;
}

cst_code cst_object_store_prove(cst_object_store *store, cst_err *err) {
    probes p;
    char folder[NAME_BYTES];
    uint64_t nonce;
    cst_err why;
    bool lacks_match = false;
    cst_code code = csti_random_fill(csti_random_real(), &nonce, sizeof nonce, err);
    cst_code deleted;

    if (code != CST_OK) return code;
    (void)snprintf(folder, sizeof folder, "probe/%016" PRIx64, nonce);
    (void)snprintf(p.alone, sizeof p.alone, "%.32s/alone", folder);
    (void)snprintf(p.nothing, sizeof p.nothing, "%.32s/nothing", folder);
    (void)snprintf(p.race, sizeof p.race, "%.32s/race", folder);
    code = alone(store, &p, &lacks_match, err);
    if (code == CST_OK) code = race_absent(store, &p, err);
    if (code == CST_OK && !lacks_match) code = race_match(store, &p, err);
    if (code == CST_OK && store->ops->probe) code = store->ops->probe(store, folder, err);
    deleted = probes_delete(store, &p, &why);
    // Probes that cannot be deleted matter only if all else was well.
    if (code != CST_OK || deleted == CST_OK) return code;
    if (err) *err = why;
    return deleted;
}
