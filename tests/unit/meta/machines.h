// machines.h: a metadata machine in the hand of a test.
//
//   machine_put = machine_open();
//   CHECK_EQ(apply(m, (csti_meta_command){.kind = CSTI_META_ABORT, ...}), CST_FENCED);
#ifndef TEST_META_MACHINES_H
#define TEST_META_MACHINES_H

#include "test.h"

#include "base/arena.h"
#include "meta/machine.h"

enum { OWNER = 100, JOB_PARTITIONS = 2, STATE_BYTES_MAX = 16 << 20 };

static csti_meta_result last_result;

static inline csti_meta_machine *machine_make(void) {
    csti_meta_machine *machine = NULL;

    CHECK_OK(csti_meta_machine_open(1, &machine, NULL));
    return machine;
}

static inline csti_meta_view view_of(const csti_meta_machine *machine) {
    csti_meta_view view;

    csti_meta_machine_view(machine, &view);
    return view;
}

// Applies at the next index, and gives the result's code.
static inline cst_code apply(csti_meta_machine *machine, csti_meta_command command) {
    const csti_meta_view view = view_of(machine);

    if (command.request_id == 0) command.request_id = view.index + 1;
    CHECK_OK(csti_meta_machine_apply(machine, view.index + 1, &command, &last_result, NULL));
    CHECK_EQ(last_result.index, view.index + 1);
    CHECK_EQ(last_result.text[0] != 0, last_result.code != CST_OK);
    return last_result.code;
}

static inline csti_buffer state_of(const csti_meta_machine *machine) {
    csti_buffer buffer;

    csti_buffer_init(&buffer, STATE_BYTES_MAX);
    CHECK_OK(csti_meta_machine_encode(machine, &buffer, NULL));
    return buffer;
}

static inline bool states_are_equal(const csti_meta_machine *a, const csti_meta_machine *b) {
    csti_buffer x = state_of(a), y = state_of(b);
    const bool equal = x.used_bytes == y.used_bytes && memcmp(x.bytes, y.bytes, x.used_bytes) == 0;

    csti_buffer_release(&x);
    csti_buffer_release(&y);
    return equal;
}

static inline csti_meta_machine *copy_of(const csti_meta_machine *machine) {
    csti_buffer state = state_of(machine);
    csti_meta_machine *copy = NULL;
    cst_err err = {0};

    if (csti_meta_machine_decode(state.bytes, state.used_bytes, &copy, &err) != CST_OK)
        TEST_FAIL("%s", err.text);
    csti_buffer_release(&state);
    return copy;
}

// ---- Commands -----------------------------------------------------------------------------------

static inline csti_meta_command claim(uint64_t owner) {
    return (csti_meta_command){.kind = CSTI_META_CLAIM,
                               .name = "clicks",
                               .owner = owner,
                               .count = JOB_PARTITIONS};
}

static inline csti_meta_command commit(uint64_t tenure, uint64_t id, uint64_t base_id) {
    static uint64_t tenures[JOB_PARTITIONS];

    for (int i = 0; i < JOB_PARTITIONS; i++) tenures[i] = tenure;
    return (csti_meta_command){
        .kind = CSTI_META_COMMIT,
        .owner = OWNER,
        .tenure = tenure,
        .id = id,
        .base_id = base_id,
        .name = "checkpoints/manifest",
        .crc = (uint32_t)id * 7,
        .tenures = tenures,
        .tenures_count = JOB_PARTITIONS,
    };
}

static inline csti_meta_command lease(const char *name, uint64_t owner, uint64_t ttl_us) {
    return (csti_meta_command){.kind = CSTI_META_LEASE,
                               .lease = name,
                               .owner = owner,
                               .ttl_us = ttl_us};
}

static inline csti_meta_command full(const char *name, uint64_t epoch, uint64_t token) {
    return (csti_meta_command){
        .kind = CSTI_META_REGISTER_FULL,
        .partition = 1,
        .epoch = epoch,
        .name = name,
        .bytes = 4096,
        .crc = 77,
        .lease = "fold",
        .token = token,
    };
}

static inline csti_meta_command pin(uint64_t reader, uint64_t id, uint64_t ttl_us) {
    return (csti_meta_command){.kind = CSTI_META_PIN, .reader = reader, .id = id, .ttl_us = ttl_us};
}

static inline csti_meta_command retire(uint64_t tenure, const uint64_t *id, uint32_t ids_count,
                                       const char *const *names, uint32_t names_count) {
    return (csti_meta_command){
        .kind = CSTI_META_RETIRE,
        .owner = OWNER,
        .tenure = tenure,
        .ids = id,
        .ids_count = ids_count,
        .names = names,
        .names_count = names_count,
    };
}

#endif
