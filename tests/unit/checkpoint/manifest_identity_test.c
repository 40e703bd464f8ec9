// A manifest is for the job that wrote it: what differs in another one is named.
#include "unit/checkpoint/manifests.h"

static csti_job_identity identity_of(const csti_manifest *manifest) {
    return (csti_job_identity){.job = manifest->job,
                               .key_schema = manifest->key_schema,
                               .value = manifest->value,
                               .program = manifest->program,
                               .table_id = manifest->table_id,
                               .hash_key = manifest->hash_key,
                               .sink = manifest->sink};
}

// With what it has and what was asked for, and with what is left to do.
static void refused(const sample *s, const csti_job_identity *identity, cst_code code,
                    const char *text) {
    cst_err err = {.code = CST_OK};

    CHECK_CODE(csti_manifest_expect(&s->manifest, identity, &err), code);
    CHECK(strstr(err.text, "checkpoint 17 "));
    CHECK(strstr(err.text, text));
    CHECK(strstr(err.text, "another store"));
}

TEST(a_manifest_of_another_job_schema_program_or_hash_key_is_told) {
    sample s;
    csti_job_identity identity;

    sample_init(&s);
    identity = identity_of(&s.manifest);
    CHECK_OK(csti_manifest_expect(&s.manifest, &identity, NULL));
    identity.hash_key = (cst_hash_key){0, 0};
    identity.table_id = 0;
    identity.value = "renamed";
    CHECK_OK(csti_manifest_expect(&s.manifest, &identity, NULL));

    identity.job = "others";
    refused(&s, &identity, CST_JOB_MISMATCH, "is of job \"bids\", not \"others\"");
    identity = identity_of(&s.manifest);
    identity.table_id++;
    identity.value = "news";
    refused(&s, &identity, CST_JOB_MISMATCH, "not \"news\"");
    identity = identity_of(&s.manifest);
    identity.key_schema = "u32";
    refused(&s, &identity, CST_SEGMENT_SCHEMA, "not \"u32\"");
    identity = identity_of(&s.manifest);
    identity.program.accumulators[0].op = CST_SUM;
    refused(&s, &identity, CST_SEGMENT_SCHEMA, "in another layout");
    identity = identity_of(&s.manifest);
    identity.hash_key.k1++;
    refused(&s, &identity, CST_SEGMENT_HASH_KEY, "Put that key back");
}

TEST(a_manifest_of_another_number_of_stages_or_another_second_one_is_told) {
    sample s;
    csti_manifest_stage then;
    csti_job_identity identity, second;

    sample_init(&s);
    identity = identity_of(&s.manifest);
    second = identity_of(&s.manifest);
    second.table_id = 0xc3;
    second.value = "highest=max(bids)";
    identity.then = &second;
    refused(&s, &identity, CST_JOB_MISMATCH, "leave its [then] out");

    sample_stages(&s, &then);
    CHECK_CODE(csti_manifest_check("m", &s.manifest, CST_MANIFEST, NULL), CST_OK);
    second.hash_key = then.hash_key;
    CHECK_OK(csti_manifest_expect(&s.manifest, &identity, NULL));
    identity.then = NULL;
    refused(&s, &identity, CST_JOB_MISMATCH, "put its [then] back");
    identity.then = &second;
    second.value = "lowest=min(bids)";
    second.table_id++;
    refused(&s, &identity, CST_JOB_MISMATCH, "\"highest=max(bids)\", not \"lowest=min(bids)\"");
    second.table_id = 0xc3;
    second.hash_key.k0++;
    refused(&s, &identity, CST_SEGMENT_HASH_KEY, "Put that key back");
}

TEST(an_unaligned_manifest_goes_with_the_filters_and_operators_that_made_it) {
    static const uint64_t skips[] = {0, 3};
    csti_job_identity identity;
    cst_err err = {.code = CST_OK};
    sample s;

    sample_init(&s);
    identity = identity_of(&s.manifest);
    identity.steps_hash = 7;
    CHECK_OK(csti_manifest_expect(&s.manifest, &identity, NULL)); // it is aligned
    s.splits[1].skips = skips;
    s.manifest.steps_hash = 7;
    CHECK_OK(csti_manifest_expect(&s.manifest, &identity, NULL));
    identity.steps_hash = 8;
    CHECK_CODE(csti_manifest_expect(&s.manifest, &identity, &err), CST_JOB_MISMATCH);
    CHECK(strstr(err.text, "checkpoint 17 "));
    CHECK(strstr(err.text, "other filters or operators"));
    identity.steps_hash = 0;
    CHECK_OK(csti_manifest_expect(&s.manifest, &identity, NULL)); // nobody asks
}

TEST_MAIN
