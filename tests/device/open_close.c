// open_close.c TIMES URI...: opens devices as often as it is told, with a queue and a table each,
// and says what of the process is left every time: open files, threads, and memory that is shared
// with other processes.
#include <constellation/device.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int entries(const char *folder) {
    DIR *open = opendir(folder);
    int count = 0;

    if (!open) return -1;
    while (readdir(open)) count++;
    (void)closedir(open);
    return count;
}

// Mappings whose permissions end in s.
static int mappings_shared(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[4096], permissions[8];
    int count = 0;

    if (!maps) return -1;
    while (fgets(line, sizeof line, maps))
        if (sscanf(line, "%*s %7s", permissions) == 1 && strchr(permissions, 's')) count++;
    (void)fclose(maps);
    return count;
}

// Each is open while those behind it are.
static cst_code open_close(char **uris, cst_err *err) {
    const cst_table_options options = {.layout = CST_TABLE_INLINE,
                                       .key_bytes = 8,
                                       .program = {.value_bytes = 8,
                                                   .presence_offset = CST_NO_OFFSET},
                                       .budget_bytes = 1 << 22,
                                       .numa_node = -1};
    cst_device *device = NULL;
    cst_queue *queue = NULL;
    cst_device_table *table = NULL;
    cst_code code = cst_device_open(*uris, &device, err);

    if (code == CST_OK) code = cst_queue_open(device, NULL, &queue, err);
    if (code == CST_OK) code = cst_device_table_open(queue, &options, NULL, &table, err);
    if (code == CST_OK && uris[1]) code = open_close(uris + 1, err);
    cst_device_table_close(table);
    cst_queue_close(queue);
    cst_device_close(device);
    return code;
}

int main(int argc, char **argv) {
    const long times = argc > 2 ? strtol(argv[1], NULL, 10) : 0;

    for (long i = 0; i < times; i++) {
        cst_err err = {0};

        if (open_close(argv + 2, &err) != CST_OK) {
            fprintf(stderr, "%s\n", err.text);
            return 1;
        }
        printf("%d %d %d\n", entries("/proc/self/fd"), entries("/proc/self/task"),
               mappings_shared());
    }
    return times > 0 ? 0 : 2;
}
