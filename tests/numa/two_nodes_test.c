// On a machine with two nodes, of which the second has the less memory (tests/numa/boot): what is
// asked for a node is there, as the kernel says page by page.
#include "base/pages.h"
#include "base/topology.h"
#include "test.h"

#include <constellation/device.h>
#include <pthread.h>
#include <string.h>

enum { SMALL_BYTES = 8 << 20, ROWS = 20000, KEY_BYTES = 8 };

static csti_topology machine;

TEST(there_are_two_nodes_with_processors_and_memory) {
    CHECK_OK(csti_topology_take(NULL, &machine, NULL));
    CHECK_EQ(machine.nodes_count, 2);
    for (uint32_t n = 0; n < 2; n++) {
        CHECK_EQ(machine.nodes[n].number, n);
        CHECK_EQ(machine.nodes[n].cpus_count, 2);
        CHECK(machine.nodes[n].memory_bytes > 0);
    }
}

TEST(pages_of_a_node_are_on_it) {
    for (int node = 0; node < 2; node++)
        for (int huge = 0; huge < 2; huge++) {
            const csti_pages_options options = {.numa_node = node, .hugepages = huge};
            csti_pages pages;

            CHECK_OK(csti_pages_reserve(&pages, SMALL_BYTES, &options, NULL));
            CHECK_OK(csti_pages_prepare(&pages, SMALL_BYTES, NULL));
            CHECK_OK(csti_pages_verify_node(&pages, node, NULL));
            CHECK_CODE(csti_pages_verify_node(&pages, 1 - node, NULL), CST_PLACEMENT);
            CHECK_EQ(csti_pages_misplaced(&pages), 0);
            CHECK_EQ(pages.where_errno, 0);
            csti_pages_release(&pages);
        }
}

static void *work_on(void *context) {
    const csti_topology_cpu *cpu = context;
    csti_pages pages;
    int node = -1;

    CHECK_OK(csti_thread_pin(cpu->number, NULL));
    CHECK_OK(csti_topology_current_node(&node, NULL));
    CHECK_EQ(node, cpu->node);
    CHECK_OK(csti_pages_reserve(&pages, SMALL_BYTES, NULL, NULL));
    CHECK_OK(csti_pages_prepare(&pages, SMALL_BYTES, NULL));
    CHECK_OK(csti_pages_verify_node(&pages, cpu->node, NULL));
    csti_pages_release(&pages);
    return NULL;
}

TEST(without_a_node_pages_are_on_the_one_of_the_thread_that_makes_them_ready) {
    CHECK_OK(csti_topology_take(NULL, &machine, NULL));
    for (uint32_t c = 0; c < machine.cpus_count; c++) {
        pthread_t thread;

        CHECK_EQ(pthread_create(&thread, NULL, work_on, &machine.cpus[c]), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
    }
}

TEST(what_a_full_node_has_no_room_for_comes_from_the_other_and_is_counted) {
    const csti_pages_options options = {.numa_node = 1};
    csti_pages_place place;
    csti_pages pages;
    size_t wanted;

    CHECK_OK(csti_topology_take(NULL, &machine, NULL));
    wanted = (machine.nodes[1].memory_bytes + (32 << 20)) / CSTI_PAGE_BYTES * CSTI_PAGE_BYTES;
    CHECK_OK(csti_pages_reserve(&pages, wanted, &options, NULL));
    for (size_t ready = 0; ready < wanted; ready += SMALL_BYTES)
        CHECK_OK(csti_pages_prepare(&pages,
                                    ready + SMALL_BYTES < wanted ? ready + SMALL_BYTES : wanted,
                                    NULL));
    CHECK_OK(csti_pages_where(&pages, &place, NULL));
    printf(
        "\nnode 1 has %zu KiB: of %zu KiB %zu are on it, %zu on node 0; counted as misplaced %zu\n",
        (size_t)machine.nodes[1].memory_bytes >> 10, wanted >> 10, place.node_bytes[1] >> 10,
        place.node_bytes[0] >> 10, csti_pages_misplaced(&pages) >> 10);
    CHECK(csti_pages_misplaced(&pages) >= 32 << 20);
    CHECK_EQ(csti_pages_misplaced(&pages), place.node_bytes[0]);
    CHECK_EQ(place.node_bytes[0] + place.node_bytes[1], wanted);
    csti_pages_release(&pages);
}

TEST(a_node_that_is_not_there_is_refused) {
    csti_pages pages;

    CHECK_CODE(csti_pages_reserve(&pages, SMALL_BYTES, &(csti_pages_options){.numa_node = 2}, NULL),
               CST_NOT_FOUND);
}

TEST(a_table_grows_on_its_node) {
    for (int node = 0; node < 2; node++) {
        const cst_table_options options = {.layout = CST_TABLE_INLINE,
                                           .key_bytes = KEY_BYTES,
                                           .program.value_bytes = 8,
                                           .budget_bytes = 64 << 20,
                                           .numa_node = node,
                                           .background = true};
        cst_table *table = NULL;
        cst_table_stats stats;

        CHECK_OK(cst_table_open(&options, &table, NULL));
        for (uint64_t row = 0; row < ROWS; row++) {
            cst_code code;

            do code = cst_table_put(table, &row, KEY_BYTES, &row, sizeof row);
            while (code == CST_AGAIN);
            CHECK_OK(code);
        }
        CHECK_OK(cst_table_check_placement(table, NULL));
        cst_table_stats_read(table, &stats);
        CHECK_EQ(stats.rows_count, ROWS);
        CHECK_EQ(stats.misplaced_bytes, 0);
        cst_table_close(table);
    }
}

TEST(buffers_of_a_device_are_on_its_node) {
    static const char *const uris[] = {"cpu:?node=0", "cpu:?node=1"};

    for (int node = 0; node < 2; node++) {
        cst_device *device = NULL;
        cst_device_buffer buffer = {0};
        csti_pages_place place;

        CHECK_OK(cst_device_open(uris[node], &device, NULL));
        CHECK_OK(cst_device_buffer_alloc(device, SMALL_BYTES, &buffer, NULL));
        CHECK_OK(csti_pages_count(buffer.host, buffer.bytes, &place, NULL));
        CHECK_EQ(place.node_bytes[node], SMALL_BYTES);
        cst_device_buffer_free(device, &buffer);
        cst_device_close(device);
    }
}

TEST_MAIN
