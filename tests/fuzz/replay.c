// replay.c: runs a fuzzer's stored inputs without libFuzzer, in every preset.
//
// usage: fuzz.NAME CORPUS_FOLDER...
// Fails if a folder holds no input: an empty corpus tests nothing.
#include "fuzz.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int replay_file(const char *path) {
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;
    long size = -1;

    if (file && fseek(file, 0, SEEK_END) == 0) size = ftell(file);
    if (size >= 0 && fseek(file, 0, SEEK_SET) == 0) bytes = malloc(size > 0 ? (size_t)size : 1);
    if (!bytes || fread(bytes, 1, (size_t)size, file) != (size_t)size) {
        fprintf(stderr, "replay: cannot read %s\n", path);
        exit(1);
    }
    fclose(file);
    (void)LLVMFuzzerTestOneInput(bytes, (size_t)size);
    free(bytes);
    return 1;
}

static int replay_folder(const char *folder) {
    DIR *entries = opendir(folder);
    char path[4096];
    int count = 0;

    if (!entries) return 0;
    for (struct dirent *entry = readdir(entries); entry; entry = readdir(entries)) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        count += replay_file(path);
    }
    closedir(entries);
    return count;
}

int main(int argc, char **argv) {
    int count = 0;

    for (int i = 1; i < argc; i++) {
        const int found = replay_folder(argv[i]);
        if (found == 0) {
            fprintf(stderr, "replay: no input in %s\n", argv[i]);
            return 1;
        }
        count += found;
    }
    printf("%d inputs replayed\n", count);
    return argc > 1 ? 0 : 2;
}
