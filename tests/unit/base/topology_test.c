#define _GNU_SOURCE 1 // sched_getcpu
#include "base/topology.h"
#include "test.h"

#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

static void check_turns(const char *machine, int node, const int *wanted, uint32_t count) {
    CHECK_OK(csti_topology_take(machine, &topology, NULL));
    for (uint32_t turn = 0; turn < count; turn++) {
        const csti_topology_cpu *cpu = csti_topology_turn(&topology, node, turn);

        CHECK(cpu);
        CHECK_EQ(cpu->number, wanted[turn]);
    }
}

TEST(turns_are_dealt_over_nodes_and_take_a_thread_of_each_core_first) {
    static const int two[] = {0, 4, 2, 6, 1, 5, 3, 7, 0, 4};
    static const int four[] = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15, 0};
    static const int one[] = {0, 2, 1, 3, 0, 2};

    check_turns("node:2 core:2 pu:2", -1, two, 10);
    check_turns("node:4 core:4 pu:1", -1, four, 17);
    check_turns("node:1 core:2 pu:2", -1, one, 6);
}

TEST(turns_of_a_node_stay_on_it) {
    static const int second[] = {4, 6, 5, 7, 4, 6};
    static const int fourth[] = {12, 13, 14, 15, 12};

    check_turns("node:2 core:2 pu:2", 1, second, 6);
    CHECK_EQ(csti_topology_turns(&topology, 1), 4);
    CHECK_EQ(csti_topology_turns(&topology, -1), 8);
    check_turns("node:4 core:4 pu:1", 3, fourth, 5);
    CHECK_EQ(csti_topology_turns(&topology, 3), 4);
    CHECK_EQ(csti_topology_turn(&topology, 4, 1)->number, 4); // no such node: any
    CHECK_EQ(csti_topology_turns(&topology, 4), 16);
}

static void check_place(int device_node, uint32_t turn, int cpu, int node) {
    const csti_topology_place place = csti_topology_place_of(&topology, device_node, turn);

    CHECK_EQ(place.cpu, cpu);
    CHECK_EQ(place.node, node);
}

TEST(without_a_card_partitions_and_their_memory_are_dealt_over_nodes) {
    CHECK_OK(csti_topology_take("node:2 core:4 pu:1", &topology, NULL));
    for (int turn = 0; turn < 8; turn++)
        check_place(-1, (uint32_t)turn, turn % 2 * 4 + turn / 2, turn % 2);
    CHECK_OK(csti_topology_take("node:1 core:4 pu:1", &topology, NULL));
    check_place(-1, 2, 2, -1); // one node: its memory is not asked for
}

TEST(partitions_of_a_card_are_on_its_node_with_their_memory) {
    CHECK_OK(csti_topology_take("node:2 core:4 pu:1", &topology, NULL));
    for (int turn = 0; turn < 8; turn++) check_place(1, (uint32_t)turn, 4 + turn % 4, 1);
    CHECK_OK(csti_topology_take("node:1 core:4 pu:1", &topology, NULL));
    check_place(0, 5, 1, 0);
}

TEST(a_cards_node_without_processors_has_the_memory_and_a_node_that_is_not_ours_nothing) {
    topology = (csti_topology){
        .nodes_count = 3,
        .cpus_count = 2,
        .nodes = {{.number = 0, .first_cpu = 0, .cpus_count = 1},
                  {.number = 1, .first_cpu = 1, .cpus_count = 0},
                  {.number = 2, .first_cpu = 1, .cpus_count = 1}},
        .cpus = {{.number = 0}, {.number = 4, .node = 2}},
    };
    check_place(1, 0, 0, 1);
    check_place(1, 1, 4, 1);
    check_place(5, 0, 0, 0);
    check_place(5, 1, 4, 2);
    topology = (csti_topology){.nodes_count = 1};
    check_place(-1, 0, -1, -1);
}

TEST(every_machine_deals_its_processors_once_before_it_begins_again) {
    static const char *const machines[] = {"node:2 core:4 pu:1", "node:2 core:4 pu:2",
                                           "node:8 core:2 pu:2", "pack:2 node:2 core:3 pu:2",
                                           "node:1 core:1 pu:1", "pack:2 core:2 pu:1"};

    for (size_t m = 0; m < sizeof machines / sizeof *machines; m++) {
        bool seen[CSTI_TOPOLOGY_CPUS_MAX] = {false};
        uint32_t of_node[CSTI_TOPOLOGY_NODES_MAX] = {0};

        CHECK_OK(csti_topology_take(machines[m], &topology, NULL));
        CHECK_EQ(csti_topology_turns(&topology, -1), topology.cpus_count);
        for (uint32_t turn = 0; turn < topology.cpus_count; turn++) {
            const csti_topology_cpu *cpu = csti_topology_turn(&topology, -1, turn);
            const uint32_t round = turn / topology.nodes_count;

            CHECK(!seen[cpu->number]);
            seen[cpu->number] = true;
            CHECK_EQ(of_node[cpu->node]++, round); // of equal nodes none is a turn ahead
        }
    }
}

TEST(nodes_that_have_less_processors_are_through_earlier) {
    // As a cpuset leaves them: three of node 0, none of node 1, one of node 2.
    static const int wanted[] = {0, 4, 1, 2, 0, 4};

    topology = (csti_topology){
        .nodes_count = 3,
        .cpus_count = 4,
        .nodes = {{.number = 0, .first_cpu = 0, .cpus_count = 3},
                  {.number = 1, .first_cpu = 3, .cpus_count = 0},
                  {.number = 2, .first_cpu = 3, .cpus_count = 1}},
        .cpus = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 4, .node = 2}},
    };
    for (uint32_t turn = 0; turn < 6; turn++)
        CHECK_EQ(csti_topology_turn(&topology, -1, turn)->number, wanted[turn]);
    CHECK_EQ(csti_topology_turn(&topology, 1, 0)->number, 0); // it has none: any
    CHECK_EQ(csti_topology_node_of(&topology, 1)->cpus_count, 0);
    CHECK(csti_topology_node_of(&topology, 3) == NULL);
    topology.nodes[0].cpus_count = topology.nodes[2].cpus_count = topology.cpus_count = 0;
    CHECK(csti_topology_turn(&topology, -1, 0) == NULL);
}

// ---- Cards --------------------------------------------------------------------------------------

typedef struct fixture {
    char sysfs[200];
    char folder[256]; // of its cards
} fixture;

static fixture sysfs_make(void) {
    static const char *const parts[] = {"/bus", "/pci", "/devices"};
    const char *parent = getenv("TMPDIR");
    fixture f;

    (void)snprintf(f.sysfs, sizeof f.sysfs, "%s/cst-sysfs-XXXXXX", parent ? parent : "/tmp");
    CHECK(mkdtemp(f.sysfs));
    (void)snprintf(f.folder, sizeof f.folder, "%s", f.sysfs);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        (void)strncat(f.folder, parts[i], sizeof f.folder - strlen(f.folder) - 1);
        CHECK_EQ(mkdir(f.folder, 0700), 0);
    }
    return f;
}

static void sysfs_card(const fixture *f, const char *name, const char *numa_node) {
    char path[320];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", f->folder, name);
    CHECK_EQ(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/%s/numa_node", f->folder, name);
    file = fopen(path, "we");
    CHECK(file);
    CHECK(fputs(numa_node, file) >= 0);
    CHECK_EQ(fclose(file), 0);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place) {
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static void sysfs_remove(const fixture *f) {
    CHECK_EQ(nftw(f->sysfs, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

TEST(a_cards_node_is_what_sysfs_says) {
    const fixture f = sysfs_make();
    int node = -7;

    sysfs_card(&f, "0000:3b:00.1", "1\n");
    sysfs_card(&f, "0001:d8:00.0", "0\n");
    sysfs_card(&f, "0000:af:00.0", "-1\n");
    CHECK_OK(csti_topology_card_node(f.sysfs, "0000:3b:00.1", &node, NULL));
    CHECK_EQ(node, 1);
    CHECK_OK(csti_topology_card_node(f.sysfs, "0001:D8:00.0", &node, NULL));
    CHECK_EQ(node, 0);
    CHECK_OK(csti_topology_card_node(f.sysfs, "3b:00.1", &node, NULL)); // domain 0
    CHECK_EQ(node, 1);
    CHECK_OK(csti_topology_card_node(f.sysfs, "af:00.0", &node, NULL));
    CHECK_EQ(node, -1); // a machine with one node
    sysfs_remove(&f);
}

TEST(a_card_that_is_none_is_refused_and_named) {
    static const char *const names[] = {"",
                                        "0",
                                        "3b:00",
                                        "0000:3b:00.11",
                                        "3g:00.1",
                                        "0000-3b:00.1",
                                        "../../../etc/x",
                                        "3b/00.1",
                                        "00:3b:00.1",
                                        "0000:3b:00:1"};
    const fixture f = sysfs_make();
    int node = -7;
    cst_err err = {0};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        CHECK_CODE(csti_topology_card_node(f.sysfs, names[i], &node, NULL), CST_PARSE);
    CHECK_CODE(csti_topology_card_node(f.sysfs, "0000:3b:00.1", &node, &err), CST_NOT_FOUND);
    CHECK(strstr(err.text, "card 0000:3b:00.1: "));
    CHECK(strstr(err.text, "numa_node: No such file or directory"));
    CHECK_EQ(node, -7);
    sysfs_remove(&f);
}

TEST(a_cards_node_that_is_no_number_is_refused) {
    static const char *const texts[] = {"", "\n", "one\n", "1x\n", "-2\n", "1 2\n"};
    int node = -7;
    cst_err err = {0};
    fixture f;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        f = sysfs_make();
        sysfs_card(&f, "0000:3b:00.1", texts[i]);
        CHECK_CODE(csti_topology_card_node(f.sysfs, "3b:00.1", &node, &err), CST_PARSE);
        CHECK(strstr(err.text, "numa_node: no node's number"));
        sysfs_remove(&f);
    }
    f = sysfs_make();
    sysfs_card(&f, "0000:3b:00.1", "64\n");
    CHECK_CODE(csti_topology_card_node(f.sysfs, "3b:00.1", &node, &err), CST_LIMIT);
    CHECK_TEXT(err.text, "card 0000:3b:00.1: NUMA node 64: at most 63");
    CHECK_EQ(node, -7);
    sysfs_remove(&f);
}

// ---- Machines -----------------------------------------------------------------------------------

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
