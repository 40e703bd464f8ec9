// Simulated PCIe: bytes arrive with their completion, and every parameter is felt.
#include "test.h"

#include <memory/pcie.h>

enum { BYTES = 4096 };

static cst_sim_pcie *open_pcie(const cst_sim_pcie_parameters *parameters) {
    cst_sim_pcie *pcie = NULL;

    CHECK_OK(cst_sim_pcie_open(parameters, test_seed_value, &pcie, NULL));
    return pcie;
}

static void submit(cst_sim_pcie *pcie, uint64_t now_ps, cst_sim_transfer transfer) {
    CHECK_OK(cst_sim_pcie_submit(pcie, now_ps, &transfer, NULL));
}

// When transfer number `count` of a kind is over, all asked for at once.
static uint64_t over_ps(const cst_sim_pcie_parameters *parameters, cst_sim_pcie_kind kind,
                        uint64_t bytes, uint32_t count) {
    cst_sim_pcie *pcie = open_pcie(parameters);
    cst_sim_done done = {0};

    for (uint32_t i = 0; i < count; i++)
        submit(pcie, 0, (cst_sim_transfer){.kind = kind, .tag = i, .bytes = bytes});
    for (uint32_t i = 0; i < count; i++) {
        CHECK(cst_sim_pcie_poll(pcie, cst_sim_pcie_next_ps(pcie), &done));
        CHECK_EQ(done.tag, i);
    }
    CHECK(!cst_sim_pcie_poll(pcie, UINT64_MAX, &done));
    cst_sim_pcie_close(pcie);
    return done.done_ps;
}

TEST(each_kind_takes_its_costs_and_its_bytes) {
    const cst_sim_pcie_parameters p = {.read_mb_s = 1000,
                                       .write_mb_s = 2000,
                                       .access_ps = 3000,
                                       .trip_ps = 500,
                                       .to_card_mb_s = 4000,
                                       .from_card_mb_s = 500,
                                       .descriptor_ps = 70000,
                                       .launch_ps = 900000,
                                       .command_ps = 11000,
                                       .queue = 16};

    CHECK_EQ(over_ps(&p, CST_SIM_PCIE_KERNEL_READ, 1000, 3), 3 * (3000 + 1000000) + 500);
    CHECK_EQ(over_ps(&p, CST_SIM_PCIE_KERNEL_WRITE, 1000, 3), 3 * (3000 + 500000) + 500);
    CHECK_EQ(over_ps(&p, CST_SIM_PCIE_TO_CARD, 1000, 3), 3 * (70000 + 250000));
    CHECK_EQ(over_ps(&p, CST_SIM_PCIE_FROM_CARD, 1000, 3), 3 * (70000 + 2000000));
    CHECK_EQ(over_ps(&p, CST_SIM_PCIE_COMMAND, 0, 10), 10 * 11000 + 900000);
}

TEST(bytes_arrive_with_their_completion_and_not_before) {
    const cst_sim_pcie_parameters p = cst_sim_pcie_gen3x16();
    cst_sim_pcie *pcie = open_pcie(&p);
    static uint8_t from[BYTES], to[BYTES], zeros[BYTES];
    cst_sim_done done;

    for (size_t i = 0; i < BYTES; i++) from[i] = (uint8_t)test_random();
    submit(pcie, 5000, (cst_sim_transfer){CST_SIM_PCIE_TO_CARD, 77, from, to, BYTES});
    CHECK(!cst_sim_pcie_poll(pcie, cst_sim_pcie_next_ps(pcie) - 1, &done));
    CHECK_BYTES(to, zeros, BYTES);
    CHECK(cst_sim_pcie_poll(pcie, cst_sim_pcie_next_ps(pcie), &done));
    CHECK_EQ(done.tag, 77);
    CHECK_EQ(done.response, CST_SIM_OKAY);
    CHECK_BYTES(to, from, BYTES);
    CHECK(cst_sim_pcie_next_ps(pcie) == UINT64_MAX);
    cst_sim_pcie_close(pcie);
}

TEST(one_way_does_not_wait_for_the_other_but_one_wire_is_shared) {
    cst_sim_pcie_parameters p = cst_sim_pcie_gen3x16();
    cst_sim_pcie *pcie;
    cst_sim_done done;
    uint64_t alone;

    p.descriptor_ps = p.access_ps = p.trip_ps = 0;
    p.to_card_mb_s = p.from_card_mb_s = p.read_mb_s = 10000;
    alone = over_ps(&p, CST_SIM_PCIE_TO_CARD, 1000000, 1);
    pcie = open_pcie(&p);
    submit(pcie, 0, (cst_sim_transfer){.kind = CST_SIM_PCIE_TO_CARD, .bytes = 1000000});
    submit(pcie, 0, (cst_sim_transfer){.kind = CST_SIM_PCIE_FROM_CARD, .bytes = 1000000});
    submit(pcie, 0, (cst_sim_transfer){.kind = CST_SIM_PCIE_KERNEL_READ, .bytes = 1000000});
    for (uint32_t i = 0; i < 3; i++) {
        CHECK(cst_sim_pcie_poll(pcie, cst_sim_pcie_next_ps(pcie), &done));
        CHECK_EQ(done.done_ps, i < 2 ? alone : 2 * alone);
    }
    cst_sim_pcie_close(pcie);
}

TEST(a_full_queue_says_again_and_a_completion_makes_room) {
    const cst_sim_pcie_parameters p = cst_sim_pcie_gen3x16();
    const cst_sim_transfer command = {.kind = CST_SIM_PCIE_COMMAND};
    cst_sim_pcie *pcie = open_pcie(&p);
    cst_sim_done done;

    for (uint64_t i = 0; i < p.queue; i++) submit(pcie, 0, command);
    CHECK_CODE(cst_sim_pcie_submit(pcie, 0, &command, NULL), CST_AGAIN);
    submit(pcie, 0, (cst_sim_transfer){.kind = CST_SIM_PCIE_TO_CARD});
    CHECK(cst_sim_pcie_poll(pcie, UINT64_MAX, &done));
    CHECK(cst_sim_pcie_poll(pcie, UINT64_MAX, &done));
    submit(pcie, done.done_ps, command);
    cst_sim_pcie_close(pcie);
}

TEST(each_fault_hits_the_transfer_it_was_asked_for) {
    static const cst_sim_fault_kind kinds[] = {CST_SIM_FAULT_SLVERR, CST_SIM_FAULT_DECERR,
                                               CST_SIM_FAULT_CORRUPT};
    static const cst_sim_response responses[] = {CST_SIM_SLVERR, CST_SIM_DECERR, CST_SIM_OKAY};
    const cst_sim_pcie_parameters p = cst_sim_pcie_gen3x16();

    for (size_t k = 0; k < 3; k++) {
        const cst_sim_fault fault = {
            .kind = kinds[k], .reads = true, .port = CST_SIM_PCIE_TO_CARD, .skip = 2, .count = 1};
        cst_sim_pcie *pcie = open_pcie(&p);
        uint8_t from[5] = {1, 2, 3, 4, 5};

        CHECK_OK(cst_sim_pcie_inject(pcie, &fault, NULL));
        submit(pcie, 0, (cst_sim_transfer){.kind = CST_SIM_PCIE_FROM_CARD, .tag = 99});
        for (uint32_t i = 0; i < 5; i++) {
            uint8_t to[5] = {0};
            cst_sim_done done;
            uint32_t bits = 0;

            submit(pcie, 0, (cst_sim_transfer){CST_SIM_PCIE_TO_CARD, i, from, to, 5});
            do {
                CHECK(cst_sim_pcie_poll(pcie, UINT64_MAX, &done));
                CHECK_EQ(done.response, done.tag == 2 ? responses[k] : CST_SIM_OKAY);
            } while (done.tag != i);
            for (uint32_t b = 0; b < 5; b++) bits += (uint32_t)__builtin_popcount(to[b] ^ from[b]);
            if (responses[k] == CST_SIM_OKAY || i != 2) CHECK_EQ(bits, i == 2);
        }
        cst_sim_pcie_close(pcie);
    }
}

TEST(a_silent_transfer_and_what_follows_it_never_complete) {
    const cst_sim_pcie_parameters p = cst_sim_pcie_gen3x16();
    const cst_sim_fault fault = {.kind = CST_SIM_FAULT_SILENT,
                                 .reads = true,
                                 .port = -1,
                                 .count = 1};
    cst_sim_pcie *pcie = open_pcie(&p);
    cst_sim_done done;

    CHECK_OK(cst_sim_pcie_inject(pcie, &fault, NULL));
    for (uint32_t i = 0; i < 4; i++)
        submit(pcie, 0, (cst_sim_transfer){.kind = CST_SIM_PCIE_COMMAND, .tag = i});
    submit(pcie, 0, (cst_sim_transfer){.kind = CST_SIM_PCIE_TO_CARD, .tag = 9, .bytes = 1});
    CHECK(cst_sim_pcie_poll(pcie, UINT64_MAX, &done));
    CHECK_EQ(done.tag, 9);
    CHECK(!cst_sim_pcie_poll(pcie, UINT64_MAX, &done));
    CHECK(cst_sim_pcie_next_ps(pcie) == UINT64_MAX);
    cst_sim_pcie_reset(pcie, 1000000);
    submit(pcie, 1000000, (cst_sim_transfer){.kind = CST_SIM_PCIE_COMMAND, .tag = 5});
    CHECK(cst_sim_pcie_poll(pcie, UINT64_MAX, &done));
    CHECK_EQ(done.tag, 5);
    CHECK_EQ(done.done_ps, 1000000 + p.command_ps + p.launch_ps);
    cst_sim_pcie_close(pcie);
}

TEST(wrong_parameters_are_refused) {
    cst_sim_pcie_parameters p = cst_sim_pcie_gen3x16();
    cst_sim_pcie *pcie = NULL;

    p.queue = 0;
    CHECK_CODE(cst_sim_pcie_open(&p, 1, &pcie, NULL), CST_USAGE);
    p = cst_sim_pcie_gen3x16();
    p.read_mb_s = 0;
    CHECK_CODE(cst_sim_pcie_open(&p, 1, &pcie, NULL), CST_USAGE);
    CHECK(pcie == NULL);
}

TEST_MAIN
