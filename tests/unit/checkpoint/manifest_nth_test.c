// manifest_nth_test.c: when an allocation fails, manifests are neither written nor read in part.
#include "nth.h"

#include "unit/checkpoint/manifests.h"

static void failed_allocation_writes_nothing(const csti_manifest *manifest) {
    for (uint64_t n = 1;; n++) {
        csti_buffer out;

        csti_buffer_init(&out, CSTI_MANIFEST_BYTES_MAX);
        nth_fail_at(n);
        const cst_code code = csti_manifest_write(manifest, &out, NULL);
        const bool failed = nth_end();
        CHECK_CODE(code, failed ? CST_NO_MEMORY : CST_OK);
        CHECK_EQ(out.used_bytes > 0, !failed);
        csti_buffer_release(&out);
        if (failed) continue;
        CHECK(n > 3); // names, owners, the buffer's growth
        return;
    }
}

TEST(a_failed_allocation_writes_nothing) {
    sample s;

    sample_init(&s);
    failed_allocation_writes_nothing(&s.manifest);
    sample_stages(&s, &s.then);
    sample_rows(&s);
    failed_allocation_writes_nothing(&s.manifest);
}

static void failed_allocation_reads_nothing(const char *name, uint64_t id) {
    size_t count = 0;
    char *text = golden_text(name, &count);

    for (uint64_t n = 1;; n++) {
        csti_manifest manifest = {.id = 1234};
        csti_arena arena;

        csti_arena_init(&arena, CSTI_MANIFEST_BYTES_MAX);
        nth_fail_at(n);
        const cst_code code = csti_manifest_read("m", text, count, &arena, &manifest, NULL);
        const bool failed = nth_end();
        CHECK_CODE(code, failed ? CST_NO_MEMORY : CST_OK);
        CHECK_EQ(manifest.id, failed ? 1234 : id);
        csti_arena_release(&arena);
        if (failed) continue;
        CHECK(n > 1); // the arena, the names
        break;
    }
    free(text);
}

TEST(a_failed_allocation_reads_nothing) {
    failed_allocation_reads_nothing("several", 17);
    failed_allocation_reads_nothing("stages", 41);
    failed_allocation_reads_nothing("rows", 42);
}

TEST_MAIN
