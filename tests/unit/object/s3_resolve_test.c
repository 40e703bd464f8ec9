// A name server that has no answer yet: this program's getaddrinfo stands before libc's.
#define _GNU_SOURCE 1 // strcasestr, RTLD_NEXT
#include "unit/object/s3_server.h"

#include <dlfcn.h>
#include <netdb.h>

static _Atomic int failures_left;
static _Atomic int asked_count;

// The one host of these tests; libcurl, which is to see this, asks for no other.
__attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **list_out) {
    int (*libc)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

    (void)node;
    atomic_fetch_add(&asked_count, 1);
    if (atomic_load(&failures_left) > 0) {
        atomic_fetch_sub(&failures_left, 1);
        return EAI_NONAME;
    }
    *(void **)&libc = dlsym(RTLD_NEXT, "getaddrinfo");
    return libc("127.0.0.1", service, hints, list_out);
}

static cst_object_store *begin(const s3_reply *reply, uint64_t deadline_us) {
    const cst_object_store_options options = {.deadline_us = deadline_us};
    cst_object_store *store = NULL;
    char uri[128];

    s3_environment();
    s3_listen(reply, 1);
    (void)snprintf(uri, sizeof uri, "s3://bkt/p?endpoint=http://a.store.invalid:%u",
                   s3_server.port);
    atomic_store(&asked_count, 0);
    CHECK_OK(cst_object_store_open(uri, &options, &store, NULL));
    return store;
}

static const s3_reply found = {"206 Partial\r\nETag: \"e1\"\r\nContent-Range: bytes 0-4/5",
                               "hello"};

TEST(a_host_whose_name_resolves_later_is_reached) {
    cst_object_store *store;
    cst_object_body body;

    atomic_store(&failures_left, 3);
    store = begin(&found, 20 * 1000 * 1000);
    CHECK_OK(cst_object_get(store, "a", 0, 5, &body, NULL));
    CHECK_BYTES(body.bytes, "hello", 5);
    cst_object_body_release(store, &body);
    CHECK_EQ(atomic_load(&failures_left), 0);
    s3_end(store);
}

TEST(a_host_whose_name_never_resolves_is_unavailable) {
    cst_object_store *store;
    cst_object_body body;
    cst_err err = {0};

    atomic_store(&failures_left, INT32_MAX);
    store = begin(&found, 2 * 1000 * 1000);
    CHECK_CODE(cst_object_get(store, "a", 0, 5, &body, &err), CST_OBJECT_UNAVAILABLE);
    CHECK(strstr(err.text, "a.store.invalid"));
    CHECK(atomic_load(&asked_count) > 1);
    s3_end(store);
    atomic_store(&failures_left, 0);
}

TEST_MAIN
