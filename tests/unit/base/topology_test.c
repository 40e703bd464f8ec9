#define _GNU_SOURCE 1 // sched_getcpu
#include "base/topology.h"
#include "test.h"

#include <pthread.h>
#include <sched.h>

static csti_topology topology; // 17 KiB: not on the stack

TEST(two_nodes_of_four_cores_with_two_threads) {
    CHECK_OK(csti_topology_take("node:2(memory=1073741824) core:4 pu:2", &topology, NULL));
    CHECK_EQ(topology.nodes_count, 2);
    CHECK_EQ(topology.cpus_count, 16);
    for (uint32_t n = 0; n < 2; n++) {
        CHECK_EQ(topology.nodes[n].number, n);
        CHECK_EQ(topology.nodes[n].memory_bytes, 1 << 30);
        CHECK_EQ(topology.nodes[n].first_cpu, 8 * n);
        CHECK_EQ(topology.nodes[n].cpus_count, 8);
    }
    for (uint32_t i = 0; i < 16; i++) {
        CHECK_EQ(topology.cpus[i].number, i);
        CHECK_EQ(topology.cpus[i].node, i / 8);
        CHECK_EQ(topology.cpus[i].core, i / 2);
        CHECK_EQ(topology.cpus[i].thread, i % 2);
    }
}

TEST(turns_take_a_thread_of_each_core_first_and_begin_again_behind_the_last) {
    static const int wanted[] = {0, 2, 4, 6, 1, 3, 5, 7, 0, 2};

    CHECK_OK(csti_topology_take("node:2 core:2 pu:2", &topology, NULL));
    for (uint32_t turn = 0; turn < 10; turn++)
        CHECK_EQ(csti_topology_turn(&topology, turn)->number, wanted[turn]);
    topology.cpus_count = 0;
    CHECK(csti_topology_turn(&topology, 0) == NULL);
}

TEST(numbers_are_the_systems_and_not_positions) {
    CHECK_OK(
        csti_topology_take("node:2(indexes=5,3) core:1 pu:2(indexes=0,2,1,3)", &topology, NULL));
    CHECK_EQ(topology.nodes_count, 2);
    // In the order of the machine: node 5 holds processors 0 and 2, node 3 holds 1 and 3.
    for (uint32_t i = 0; i < 4; i++) {
        const csti_topology_cpu *cpu = &topology.cpus[i];
        CHECK_EQ(cpu->node, cpu->number % 2 == 0 ? 5 : 3);
        CHECK_EQ(cpu->thread, cpu->number / 2);
    }
}

TEST(a_description_that_is_none_is_refused) {
    cst_err err = {0};
    CHECK_CODE(csti_topology_take("two sockets", &topology, &err), CST_PARSE);
    CHECK_TEXT(err.text, "topology \"two sockets\": hwloc cannot read it");
}

TEST(more_than_there_is_room_for_is_a_limit) {
    CHECK_CODE(csti_topology_take("node:65 core:1 pu:1", &topology, NULL), CST_LIMIT);
    CHECK_CODE(csti_topology_take("node:1 core:1025 pu:1", &topology, NULL), CST_LIMIT);
    CHECK_OK(csti_topology_take("node:64 core:16 pu:1", &topology, NULL));
    CHECK_EQ(topology.cpus_count, CSTI_TOPOLOGY_CPUS_MAX);
}

TEST(this_machine_lists_the_processors_that_this_process_may_use) {
    cpu_set_t allowed;

    CHECK_OK(csti_topology_take(NULL, &topology, NULL));
    CHECK(topology.nodes_count >= 1);
    CHECK_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    CHECK_EQ(topology.cpus_count, CPU_COUNT(&allowed));
    for (uint32_t i = 0; i < topology.cpus_count; i++)
        CHECK(CPU_ISSET((size_t)topology.cpus[i].number, &allowed));
}

// A thread of its own: what it may use is nobody else's concern.
static void *restricted(void *context) {
    cpu_set_t one;
    const int cpu = *(const int *)context;

    CPU_ZERO(&one);
    CPU_SET((size_t)cpu, &one);
    CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    CHECK_OK(csti_topology_take(NULL, &topology, NULL));
    CHECK_EQ(topology.cpus_count, 1);
    CHECK_EQ(topology.cpus[0].number, cpu);
    CHECK_EQ(topology.cpus[0].thread, 0); // the first that may be used, whichever it is
    return NULL;
}

TEST(a_thread_with_less_than_the_machine_lists_that_alone) {
    int last;
    pthread_t thread;

    CHECK_OK(csti_topology_take(NULL, &topology, NULL));
    last = topology.cpus[topology.cpus_count - 1].number;
    CHECK_EQ(pthread_create(&thread, NULL, restricted, &last), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void *pin_to_each(void *context) {
    (void)context;
    for (uint32_t i = 0; i < topology.cpus_count; i++) {
        int node = -1;
        CHECK_OK(csti_thread_pin(topology.cpus[i].number, NULL));
        CHECK_EQ(sched_getcpu(), topology.cpus[i].number);
        CHECK_OK(csti_topology_current_node(&node, NULL));
        CHECK_EQ(node, topology.cpus[i].node);
    }
    return NULL;
}

TEST(a_thread_runs_where_it_is_pinned_and_is_on_that_processors_node) {
    pthread_t thread;

    CHECK_OK(csti_topology_take(NULL, &topology, NULL));
    CHECK_EQ(pthread_create(&thread, NULL, pin_to_each, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

TEST(a_processor_that_is_not_there_is_refused_and_the_thread_stays_free) {
    cpu_set_t before, after;

    CHECK_EQ(sched_getaffinity(0, sizeof before, &before), 0);
    CHECK_CODE(csti_thread_pin(-1, NULL), CST_NOT_FOUND);
    CHECK_CODE(csti_thread_pin(CPU_SETSIZE, NULL), CST_NOT_FOUND);
    CHECK_CODE(csti_thread_pin(CPU_SETSIZE - 1, NULL), CST_NOT_FOUND);
    CHECK_EQ(sched_getaffinity(0, sizeof after, &after), 0);
    CHECK(CPU_EQUAL(&before, &after));
}

TEST_MAIN
