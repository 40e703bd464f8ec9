// conformance.h: what every object store has to do, whatever keeps the bytes.
//
// The file that includes it defines, before:
//   static cst_object_store *fixture_open(void);             a fresh, empty store
//   static void fixture_close(cst_object_store *store);      and all it left
//   FIXTURE_IS_A_BUCKET    where it is: etags are made of the bytes, one name may go on behind
//   another,
//                          and a writer by match may not know whether it was he
//
// Promises   every case compares with a plain map, or with a value written down here.
#ifndef CST_TEST_OBJECT_CONFORMANCE_H
#define CST_TEST_OBJECT_CONFORMANCE_H

#include "unit/object/objects.h"

#include "object/backend.h"

#include <pthread.h>

#ifdef FIXTURE_IS_A_BUCKET // a step is a request to a server
#define STEPS(COUNT) ((COUNT) / 8)
#else
#define STEPS(COUNT) (COUNT)
#endif

// ---- Write --------------------------------------------------------------------------------------

TEST(what_was_put_is_read_back) {
    cst_object_store *store = fixture_open();
    cst_object_info info;

    CHECK_OK(put_text(store, "a/b", "hello", CST_PUT_IF_ABSENT, NULL, &info));
    CHECK_EQ(info.bytes, 5);
    CHECK(info.etag[0] != '\0');
    CHECK_OBJECT(store, "a/b", "hello");
    fixture_close(store);
}

TEST(ranges_stand_one_behind_the_other) {
    const cst_put_options absent = {.condition = CST_PUT_IF_ABSENT};
    const cst_bytes ranges[] = {{(const uint8_t *)"ab", 2},
                                {NULL, 0},
                                {(const uint8_t *)"", 0},
                                {(const uint8_t *)"cde", 3}};
    cst_object_store *store = fixture_open();

    CHECK_OK(cst_object_put(store, "x", ranges, 4, &absent, NULL, NULL));
    CHECK_OK(cst_object_put(store, "empty", NULL, 0, &absent, NULL, NULL));
    CHECK_OBJECT(store, "x", "abcde");
    CHECK_OBJECT(store, "empty", "");
    fixture_close(store);
}

TEST(if_absent_never_replaces) {
    cst_object_store *store = fixture_open();

    CHECK_OK(put_text(store, "a", "first", CST_PUT_IF_ABSENT, NULL, NULL));
    CHECK_CODE(put_text(store, "a", "second", CST_PUT_IF_ABSENT, NULL, NULL), CST_EXISTS);
    CHECK_OBJECT(store, "a", "first");
    CHECK_OK(cst_object_delete(store, "a", NULL));
    CHECK_OK(put_text(store, "a", "third", CST_PUT_IF_ABSENT, NULL, NULL));
    CHECK_OBJECT(store, "a", "third");
    fixture_close(store);
}

TEST(if_match_needs_the_newest_etag) {
    cst_object_store *store = fixture_open();
    cst_object_info first, second, now;

    CHECK_CODE(put_text(store, "a", "x", CST_PUT_IF_MATCH, "none", NULL), CST_OBJECT_CONFLICT);
    CHECK_OK(put_text(store, "a", "1", CST_PUT_IF_ABSENT, NULL, &first));
    CHECK_OK(put_text(store, "a", "2", CST_PUT_IF_MATCH, first.etag, &second));
    CHECK_CODE(put_text(store, "a", "3", CST_PUT_IF_MATCH, first.etag, NULL), CST_OBJECT_CONFLICT);
    CHECK_OBJECT(store, "a", "2");
    CHECK_OK(cst_object_head(store, "a", &now, NULL));
    CHECK_TEXT(now.etag, second.etag);
    CHECK_OK(cst_object_delete(store, "a", NULL));
    CHECK_CODE(put_text(store, "a", "4", CST_PUT_IF_MATCH, second.etag, NULL), CST_OBJECT_CONFLICT);
    fixture_close(store);
}

#ifndef FIXTURE_IS_A_BUCKET
TEST(an_etag_never_comes_twice) {
    enum { WRITES = 200 };
    static char seen[WRITES][CST_OBJECT_ETAG_BYTES];
    cst_object_store *store = fixture_open();

    for (int i = 0; i < WRITES; i++) { // the same bytes again and again
        cst_object_info info;

        switch (i == 0 ? 0 : test_random_below(3)) {
        case 0:
            CHECK_OK(cst_object_delete(store, "a", NULL));
            CHECK_OK(put_text(store, "a", "same", CST_PUT_IF_ABSENT, NULL, &info));
            break;
        case 1:
            CHECK_OK(put_text(store, "a", "same", CST_PUT_REPLACE, NULL, &info));
            break;
        default:
            CHECK_OK(put_text(store, "a", "same", CST_PUT_IF_MATCH, seen[i - 1], &info));
            break;
        }
        memcpy(seen[i], info.etag, sizeof seen[i]);
        for (int j = 0; j < i; j++) CHECK(strcmp(seen[j], seen[i]) != 0);
    }
    fixture_close(store);
}
#endif

TEST(replace_makes_and_overwrites) {
    cst_object_store *store = fixture_open();

    CHECK_OK(put_text(store, "_latest", "long first text", CST_PUT_REPLACE, NULL, NULL));
    CHECK_OK(put_text(store, "_latest", "2", CST_PUT_REPLACE, NULL, NULL));
    CHECK_OBJECT(store, "_latest", "2");
    fixture_close(store);
}

TEST(a_malformed_call_is_refused) {
    const cst_put_options none = {0};
    const cst_put_options no_etag = {.condition = CST_PUT_IF_MATCH};
    cst_object_store *store = fixture_open();

    CHECK_CODE(cst_object_put(store, "a", NULL, 0, &none, NULL, NULL), CST_USAGE);
    CHECK_CODE(cst_object_put(store, "a", NULL, 0, &no_etag, NULL, NULL), CST_USAGE);
    CHECK_EQ(objects_count(store), 0);
    fixture_close(store);
}

// ---- Uploads ------------------------------------------------------------------------------------

TEST(an_upload_is_seen_when_it_is_finished) {
    cst_object_store *store = fixture_open();
    cst_object_upload *upload = NULL;
    cst_object_info info;
    uint64_t swept = 99;

    CHECK_OK(cst_object_upload_open(store, "u/v", 7, &upload, NULL));
    CHECK_OK(cst_object_upload_write(upload, "he", 2, NULL));
    CHECK_OK(cst_object_upload_refer(upload, "l", 1, NULL));
    CHECK_EQ(objects_count(store), 0);
    CHECK_CODE(cst_object_head(store, "u/v", &info, NULL), CST_NOT_FOUND);
    CHECK_OK(cst_object_sweep_uploads(store, &swept, NULL));
    CHECK_EQ(swept, 0);
    CHECK_OK(cst_object_upload_write(upload, "", 0, NULL));
    CHECK_OK(cst_object_upload_refer(upload, "", 0, NULL));
    CHECK_OK(cst_object_upload_write(upload, "lo", 2, NULL));
    CHECK_OK(cst_object_upload_finish(upload, &info, NULL));
    CHECK_EQ(info.bytes, 5);
    CHECK_OBJECT(store, "u/v", "hello");
    fixture_close(store);
}

TEST(an_upload_never_replaces) {
    cst_object_store *store = fixture_open();
    cst_object_upload *upload = NULL;

    CHECK_OK(cst_object_upload_open(store, "u", 7, &upload, NULL));
    CHECK_OK(put_text(store, "u", "faster", CST_PUT_IF_ABSENT, NULL, NULL));
    CHECK_CODE(cst_object_upload_finish(upload, NULL, NULL), CST_EXISTS);
    CHECK_OBJECT(store, "u", "faster");
    fixture_close(store);
}

TEST(an_aborted_upload_leaves_nothing) {
    cst_object_store *store = fixture_open();
    cst_object_upload *upload = NULL;
    uint64_t swept = 99;

    CHECK_OK(cst_object_upload_open(store, "u/v/w", 7, &upload, NULL));
    CHECK_OK(cst_object_upload_write(upload, "hello", 5, NULL));
    cst_object_upload_abort(upload);
    cst_object_upload_abort(NULL);
    CHECK_EQ(objects_count(store), 0);
    CHECK_OK(cst_object_sweep_uploads(store, &swept, NULL));
    CHECK_EQ(swept, 0);
    fixture_close(store);
}

// ---- Read ---------------------------------------------------------------------------------------

TEST(any_range_of_an_object_can_be_read) {
    enum { BYTES = 300000 };
    static uint8_t bytes[BYTES];
    const cst_put_options absent = {.condition = CST_PUT_IF_ABSENT};
    const cst_bytes whole = {bytes, BYTES};
    cst_object_store *store = fixture_open();

    for (size_t i = 0; i < BYTES; i++) bytes[i] = (uint8_t)test_random();
    CHECK_OK(cst_object_put(store, "big", &whole, 1, &absent, NULL, NULL));
    for (int i = 0; i < STEPS(300); i++) {
        const uint64_t align = UINT64_C(1) << test_random_below(18);
        const uint64_t offset = test_random_below(BYTES + 1) / align * align;
        const uint64_t asked = i % 5 == 0 ? UINT64_MAX : test_random_below(BYTES);
        const uint64_t left = BYTES - offset;
        cst_object_body body;

        CHECK_OK(cst_object_get(store, "big", offset, asked, &body, NULL));
        CHECK_EQ(body.count, asked < left ? asked : left);
        CHECK_EQ(body.info.bytes, BYTES);
        CHECK_EQ((uintptr_t)body.bytes % 64, 0);
        CHECK_BYTES(body.bytes, bytes + offset, body.count);
        cst_object_body_release(store, &body);
        CHECK(!body.bytes);
    }
    fixture_close(store);
}

TEST(behind_the_end_is_an_error_that_says_so) {
    cst_object_store *store = fixture_open();
    cst_object_body body;

    CHECK_OK(put_text(store, "a", "abc", CST_PUT_IF_ABSENT, NULL, NULL));
    CHECK_OK(cst_object_get(store, "a", 3, UINT64_MAX, &body, NULL));
    CHECK_EQ(body.count, 0);
    CHECK(body.bytes);
    cst_object_body_release(store, &body);
    CHECK_CODE(cst_object_get(store, "a", 4, 0, &body, NULL), CST_LIMIT);
    CHECK_CODE(cst_object_get(store, "b", 0, 1, &body, NULL), CST_NOT_FOUND);
    CHECK_CODE(cst_object_get(store, "a/b", 0, 1, &body, NULL), CST_NOT_FOUND);
    fixture_close(store);
}

TEST(a_body_outlives_its_object) {
    cst_object_store *store = fixture_open();
    char *text = calloc(1, 200001);
    cst_object_body small, large;

    memset(text, 'x', 200000);
    CHECK_OK(put_text(store, "small", "abc", CST_PUT_IF_ABSENT, NULL, NULL));
    CHECK_OK(put_text(store, "large", text, CST_PUT_IF_ABSENT, NULL, NULL));
    CHECK_OK(cst_object_get(store, "small", 0, UINT64_MAX, &small, NULL));
    CHECK_OK(cst_object_get(store, "large", 0, UINT64_MAX, &large, NULL));
    CHECK_OK(put_text(store, "large", "other", CST_PUT_REPLACE, NULL, NULL));
    CHECK_OK(cst_object_delete(store, "small", NULL));
    CHECK_BYTES(small.bytes, "abc", 3);
    CHECK_BYTES(large.bytes, text, 200000);
    cst_object_body_release(store, &small);
    cst_object_body_release(store, &large);
    free(text);
    fixture_close(store);
}

TEST(deleting_twice_is_deleting_once) {
    cst_object_store *store = fixture_open();

    CHECK_OK(cst_object_delete(store, "a/b/c", NULL));
    CHECK_OK(put_text(store, "a/b/c", "x", CST_PUT_IF_ABSENT, NULL, NULL));
    CHECK_OK(cst_object_delete(store, "a/b", NULL)); // no object
    CHECK_OK(cst_object_delete(store, "a/b/c/d", NULL));
    CHECK_OBJECT(store, "a/b/c", "x");
    CHECK_OK(cst_object_delete(store, "a/b/c", NULL));
    CHECK_OK(cst_object_delete(store, "a/b/c", NULL));
    CHECK_EQ(objects_count(store), 0);
    fixture_close(store);
}

// ---- Names --------------------------------------------------------------------------------------

TEST(names_are_checked_by_every_call) {
    static const char *const bad[] = {"",     "/",      "/a",   "a/",   "a//b",  ".",    "..",
                                      ".a",   "a/.b",   "a/..", "../a", "a b",   "a\nb", "a\\b",
                                      "\xc3", "a/../b", "*",    "a:b",  "a/./b", "~"};
    cst_object_store *store = fixture_open();

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const cst_put_options absent = {.condition = CST_PUT_IF_ABSENT};
        cst_object_upload *upload;
        cst_object_info info;
        cst_object_body body;

        CHECK_CODE(cst_object_put(store, bad[i], NULL, 0, &absent, NULL, NULL), CST_OBJECT_NAME);
        CHECK_CODE(cst_object_upload_open(store, bad[i], 0, &upload, NULL), CST_OBJECT_NAME);
        CHECK_CODE(cst_object_delete(store, bad[i], NULL), CST_OBJECT_NAME);
        CHECK_CODE(cst_object_get(store, bad[i], 0, 1, &body, NULL), CST_OBJECT_NAME);
        CHECK_CODE(cst_object_head(store, bad[i], &info, NULL), CST_OBJECT_NAME);
    }
    fixture_close(store);
}

TEST(the_longest_names_work) {
    cst_object_store *store = fixture_open();
    char name[CST_OBJECT_NAME_BYTES_MAX + 2];

    memset(name, 'n', sizeof name);
    name[CST_OBJECT_NAME_BYTES_MAX] = '\0';
    CHECK_CODE(put_text(store, name, "x", CST_PUT_IF_ABSENT, NULL, NULL), CST_OBJECT_NAME);
    name[255] = '/';
    CHECK_CODE(put_text(store, name, "x", CST_PUT_IF_ABSENT, NULL, NULL), CST_OBJECT_NAME);
    name[254] = '/';
    name[255] = 'n';
    name[510] = '/';
    CHECK_OK(put_text(store, name, "x", CST_PUT_IF_ABSENT, NULL, NULL));
    CHECK_OBJECT(store, name, "x");
    CHECK_EQ(objects_count(store), 1);
    name[CST_OBJECT_NAME_BYTES_MAX] = 'n';
    name[CST_OBJECT_NAME_BYTES_MAX + 1] = '\0';
    CHECK_CODE(put_text(store, name, "x", CST_PUT_IF_ABSENT, NULL, NULL), CST_OBJECT_NAME);
    for (size_t i = 0; i < CST_OBJECT_NAME_BYTES_MAX; i++) name[i] = i % 2 ? '/' : 'm';
    name[CST_OBJECT_NAME_BYTES_MAX - 1] = '\0';
    CHECK_OK(put_text(store, name, "deep", CST_PUT_IF_ABSENT, NULL, NULL));
    CHECK_EQ(objects_count(store), 2);
    CHECK_OK(cst_object_delete(store, name, NULL));
    CHECK_EQ(objects_count(store), 1);
    fixture_close(store);
}

#ifndef FIXTURE_IS_A_BUCKET
TEST(a_name_is_an_object_or_a_folder) {
    cst_object_store *store = fixture_open();
    cst_object_info info;

    CHECK_OK(put_text(store, "a/b", "x", CST_PUT_IF_ABSENT, NULL, NULL));
    CHECK_CODE(put_text(store, "a", "y", CST_PUT_IF_ABSENT, NULL, NULL), CST_OBJECT_NAME);
    CHECK_CODE(put_text(store, "a", "y", CST_PUT_REPLACE, NULL, NULL), CST_OBJECT_NAME);
    CHECK_CODE(put_text(store, "a/b/c", "y", CST_PUT_IF_ABSENT, NULL, NULL), CST_OBJECT_NAME);
    CHECK_CODE(put_text(store, "a/b/c/d", "y", CST_PUT_REPLACE, NULL, NULL), CST_OBJECT_NAME);
    CHECK_CODE(cst_object_head(store, "a", &info, NULL), CST_NOT_FOUND);
    CHECK_CODE(cst_object_head(store, "a/b/c", &info, NULL), CST_NOT_FOUND);
    CHECK_EQ(objects_count(store), 1);
    CHECK_OK(cst_object_delete(store, "a/b", NULL));
    CHECK_OK(put_text(store, "a", "y", CST_PUT_IF_ABSENT, NULL, NULL));
    fixture_close(store);
}
#endif

// ---- List ---------------------------------------------------------------------------------------

TEST(listing_is_in_order_of_bytes) {
    // '-' and '.' stand before '/', digits and letters behind it.
    static const char *const sorted[] = {"A",   "_",     "a-b",  "a.b", "a/-",
                                         "a/b", "a/c/d", "a/c0", "a0",  "b"};
    enum { COUNT = sizeof sorted / sizeof sorted[0] };
    cst_object_store *store = fixture_open();
    name_list names = {0};

    for (size_t i = 0; i < COUNT; i++)
        CHECK_OK(put_text(store, sorted[(i * 7 + 3) % COUNT], "x", CST_PUT_IF_ABSENT, NULL, NULL));
    CHECK_OK(cst_object_list(store, "", NULL, name_list_add, &names, NULL));
    CHECK_EQ(names.count, COUNT);
    for (size_t i = 0; i < COUNT; i++) CHECK_TEXT(names.names[i], sorted[i]);
    fixture_close(store);
}

TEST(listing_takes_prefix_and_after) {
    cst_object_store *store = fixture_open();
    static char made[400][24];
    size_t made_count = 0;

    for (int i = 0; i < STEPS(400); i++) {
        static const char letters[] = "ab-.0/";
        char name[24];
        size_t bytes = 1 + test_random_below(8);

        for (size_t j = 0; j < bytes; j++) name[j] = letters[test_random_below(6)];
        name[bytes] = '\0';
        if (put_text(store, name, "x", CST_PUT_IF_ABSENT, NULL, NULL) == CST_OK)
            memcpy(made[made_count++], name, sizeof name);
    }
    CHECK(made_count > STEPS(50));
    qsort(made, made_count, sizeof made[0], (int (*)(const void *, const void *))strcmp);
    for (int i = 0; i < STEPS(300); i++) {
        const char *near = made[test_random_below(made_count)];
        const char *after = i % 3 ? made[test_random_below(made_count)] : NULL;
        name_list names = {0};
        char prefix[24];
        size_t wanted = 0;

        (void)snprintf(prefix, sizeof prefix, "%.*s", (int)test_random_below(8), near);
        CHECK_OK(cst_object_list(store, prefix, after, name_list_add, &names, NULL));
        for (size_t j = 0; j < made_count; j++) {
            if (strncmp(made[j], prefix, strlen(prefix)) != 0) continue;
            if (after && strcmp(made[j], after) <= 0) continue;
            CHECK(wanted < names.count);
            CHECK_TEXT(names.names[wanted], made[j]);
            wanted++;
        }
        CHECK_EQ(names.count, wanted);
    }
    fixture_close(store);
}

TEST(a_prefix_that_no_name_has_lists_nothing) {
    static const char *const prefixes[] = {"..",    "../", "/",       "a//",
                                           ".tmp/", ".",   "nobody/", "a/b/"};
    cst_object_store *store = fixture_open();

    CHECK_OK(put_text(store, "a/b", "x", CST_PUT_IF_ABSENT, NULL, NULL));
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        name_list names = {0};

        CHECK_OK(cst_object_list(store, prefixes[i], NULL, name_list_add, &names, NULL));
        CHECK_EQ(names.count, 0);
    }
    fixture_close(store);
}

static bool delete_visited(void *context, const char *name, const cst_object_info *info) {
    CHECK_EQ(info->bytes, 1);
    CHECK_OK(cst_object_delete(context, name, NULL));
    return strcmp(name, "d/07") != 0;
}

TEST(a_visitor_may_delete_and_may_stop) {
    cst_object_store *store = fixture_open();
    name_list names = {0};

    for (int i = 0; i < 10; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "d/%02d", i);
        CHECK_OK(put_text(store, name, "x", CST_PUT_IF_ABSENT, NULL, NULL));
    }
    CHECK_OK(cst_object_list(store, "d/", NULL, delete_visited, store, NULL));
    CHECK_OK(cst_object_list(store, "", NULL, name_list_add, &names, NULL));
    CHECK_EQ(names.count, 2);
    CHECK_TEXT(names.names[0], "d/08");
    fixture_close(store);
}

// ---- Against a plain map ------------------------------------------------------------------------

TEST(random_calls_agree_with_a_map) {
    enum { NAMES = 12, CALLS = STEPS(1500) };
    static const char *const names[NAMES] = {"a",     "b/c",   "b/d",   "b/e/f", "g-h",   "g/h",
                                             "i/j/k", "i/j/l", "i/m/n", "o.p",   "q/r/s", "q/t"};
    char values[NAMES][16] = {{0}};
    cst_object_info infos[NAMES] = {{0}};
    cst_object_store *store = fixture_open();

    for (int call = 0; call < CALLS; call++) {
        const size_t at = test_random_below(NAMES);
        const bool there = values[at][0] != '\0';
        char value[16];
        cst_object_info info = {0};
        cst_code wanted = CST_OK;

        (void)snprintf(value, sizeof value, "%d", call);
        switch (test_random_below(5)) {
        case 0:
            wanted = there ? CST_EXISTS : CST_OK;
            CHECK_CODE(put_text(store, names[at], value, CST_PUT_IF_ABSENT, NULL, &info), wanted);
            break;
        case 1:
            wanted = there ? CST_OK : CST_OBJECT_CONFLICT;
            CHECK_CODE(put_text(store, names[at], value, CST_PUT_IF_MATCH,
                                infos[at].etag[0] ? infos[at].etag : "none", &info),
                       wanted);
            break;
        case 2:
            CHECK_OK(put_text(store, names[at], value, CST_PUT_REPLACE, NULL, &info));
            break;
        case 3:
            CHECK_OK(cst_object_delete(store, names[at], NULL));
            value[0] = '\0';
            break;
        default:
            if (there) CHECK_OBJECT(store, names[at], values[at]);
            continue;
        }
        if (wanted != CST_OK) continue;
        memcpy(values[at], value, sizeof value);
        if (value[0] != '\0') infos[at] = info;
    }
    fixture_close(store);
}

// ---- Threads ------------------------------------------------------------------------------------

enum { THREADS = 4, ADDS = 25, RACES = 20 };

typedef struct adder {
    cst_object_store *store;
    int wins;
} adder;

#ifndef FIXTURE_IS_A_BUCKET
static void *add_by_match(void *context) {
    const adder *one = context;

    for (int i = 0; i < ADDS;) {
        cst_object_body body;
        uint64_t value;
        cst_bytes range = {(const uint8_t *)&value, sizeof value};
        cst_code code;

        CHECK_OK(cst_object_get(one->store, "sum", 0, UINT64_MAX, &body, NULL));
        memcpy(&value, body.bytes, sizeof value);
        value++;
        const cst_put_options match = {.condition = CST_PUT_IF_MATCH, .etag = body.info.etag};
        code = cst_object_put(one->store, "sum", &range, 1, &match, NULL, NULL);
        cst_object_body_release(one->store, &body);
        if (code == CST_OBJECT_CONFLICT) continue;
        CHECK_OK(code);
        i++;
    }
    return NULL;
}

TEST(threads_that_add_by_match_lose_nothing) {
    const cst_put_options absent = {.condition = CST_PUT_IF_ABSENT};
    cst_object_store *store = fixture_open();
    pthread_t threads[THREADS];
    adder one = {.store = store};
    uint64_t value = 0;
    const cst_bytes range = {(const uint8_t *)&value, sizeof value};
    cst_object_body body;

    CHECK_OK(cst_object_put(store, "sum", &range, 1, &absent, NULL, NULL));
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, add_by_match, &one), 0);
    for (int i = 0; i < THREADS; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_OK(cst_object_get(store, "sum", 0, UINT64_MAX, &body, NULL));
    memcpy(&value, body.bytes, sizeof value);
    CHECK_EQ(value, THREADS * ADDS);
    cst_object_body_release(store, &body);
    fixture_close(store);
}
#endif

// Writers and deleters share folders that come and go.
static void *race_by_absent(void *context) {
    adder *one = context;

    for (int i = 0; i < RACES; i++) {
        cst_code code;
        char name[32];

        (void)snprintf(name, sizeof name, "r/%d/deep/x", i);
        code = put_text(one->store, name, "x", CST_PUT_IF_ABSENT, NULL, NULL);
        if (code == CST_OK) one->wins++;
        if (code != CST_OK) CHECK_CODE(code, CST_EXISTS);
        (void)snprintf(name, sizeof name, "r/%d/deep/%p", i, context);
        CHECK_OK(put_text(one->store, name, "x", CST_PUT_IF_ABSENT, NULL, NULL));
        CHECK_OK(cst_object_delete(one->store, name, NULL));
    }
    return NULL;
}

TEST(of_threads_that_race_one_wins) {
    cst_object_store *store = fixture_open();
    pthread_t threads[THREADS];
    adder ones[THREADS];
    int wins = 0;

    for (int i = 0; i < THREADS; i++) {
        ones[i] = (adder){.store = store};
        CHECK_EQ(pthread_create(&threads[i], NULL, race_by_absent, &ones[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
        wins += ones[i].wins;
    }
    CHECK_EQ(wins, RACES);
    CHECK_EQ(objects_count(store), RACES);
    fixture_close(store);
}

TEST(many_are_deleted_at_once_and_those_that_miss_are_no_error) {
    static const char *const doomed[] = {"m/a", "m/b", "m/missing", "m/d", "m/e"};
    static const char *const bad[] = {"m/d", "no good name"};
    cst_object_store *store = fixture_open();

    for (size_t i = 0; i < 5; i++)
        if (i != 2) CHECK_OK(put_text(store, doomed[i], "x", CST_PUT_IF_ABSENT, NULL, NULL));
    CHECK_CODE(csti_object_delete_many(store, bad, 2, NULL), CST_OBJECT_NAME);
    CHECK_EQ(objects_count(store), 4);
    CHECK_OK(csti_object_delete_many(store, doomed, 4, NULL));
    CHECK_EQ(objects_count(store), 1);
    CHECK_OBJECT(store, "m/e", "x");
    CHECK_OK(csti_object_delete_many(store, doomed, 0, NULL));
    CHECK_OK(csti_object_delete_many(store, doomed, 5, NULL));
    CHECK_EQ(objects_count(store), 0);
    fixture_close(store);
}

TEST(a_store_proves_itself_and_leaves_nothing) {
    cst_object_store *store = fixture_open();
    cst_err err = {0};

    if (cst_object_store_prove(store, &err) != CST_OK) TEST_FAIL("%s", err.text);
    CHECK_EQ(objects_count(store), 0);
    fixture_close(store);
}

#endif
