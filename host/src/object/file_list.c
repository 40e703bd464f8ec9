// file_list.c: names in order of their bytes, from folders that are sorted one by one.
//
//   level 0  a-b   a/   a0          a folder sorts as its name and '/': so do all names in it
//                  │
//   level 1        x   y/
//
// At most one folder a level is in memory, less what cannot match.
#include "object/file.h"

#include "base/buffer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LEVELS_MAX = CST_OBJECT_NAME_BYTES_MAX / 2 + 1, // parts of one byte
    FOLDER_BYTES_MAX = 1 << 30,                     // of the names in one folder
};

typedef struct level {
    csti_buffer texts; // the entries, each ended by a zero; a folder's by "/" and a zero
    const char **entries;
    size_t count, at;
    size_t path_bytes; // of the folder they are in, with its '/'
} level;

typedef struct walk {
    const csti_file_store *store;
    const char *prefix, *after;
    char path[CST_OBJECT_NAME_BYTES_MAX + 2];
    size_t levels_count;
    level levels[LEVELS_MAX];
} walk;

static void level_close(walk *walker) {
    level *top = &walker->levels[--walker->levels_count];

    csti_buffer_release(&top->texts);
    free(top->entries);
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// Whether the path (of a folder: with '/') or a name in it can be wanted.
static bool is_wanted(const walk *walker, const char *path, bool folder) {
    const size_t path_bytes = strlen(path);
    const size_t prefix_bytes = strlen(walker->prefix);
    const size_t both_bytes = path_bytes < prefix_bytes ? path_bytes : prefix_bytes;

    if (strncmp(path, walker->prefix, both_bytes) != 0) return false;
    if (!folder && path_bytes < prefix_bytes) return false;
    if (strcmp(path, walker->after) > 0) return true;
    return folder && strncmp(path, walker->after, path_bytes) == 0;
}

static bool is_folder(int folder, const struct dirent *entry) {
    struct stat status;

    if (entry->d_type == DT_DIR) return true;
    if (entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK) return false;
    return fstatat(folder, entry->d_name, &status, 0) == 0 && S_ISDIR(status.st_mode);
}

static cst_code entry_add(walk *walker, level *to, int folder, const struct dirent *entry,
                          cst_err *err) {
    const size_t bytes = strlen(entry->d_name);
    char *end = walker->path + to->path_bytes;
    bool nested;
    cst_code code;

    if (to->path_bytes + bytes > CST_OBJECT_NAME_BYTES_MAX) return CST_OK;
    if (!csti_object_name_is_good(entry->d_name)) return CST_OK; // not made by a store
    nested = is_folder(folder, entry);
    memcpy(end, entry->d_name, bytes);
    memcpy(end + bytes, nested ? "/" : "", nested ? 2 : 1);
    if (!is_wanted(walker, walker->path, nested)) return CST_OK;
    code = csti_buffer_append(&to->texts, end, strlen(end) + 1, err);
    if (code == CST_OK) to->count++;
    return code;
}

static cst_code level_sort(level *to, cst_err *err) {
    const char *text = (const char *)to->texts.bytes;

    if (to->count == 0) return CST_OK;
    to->entries = malloc(to->count * sizeof *to->entries);
    if (!to->entries) return cst_fail(err, CST_NO_MEMORY, "a folder of %zu names", to->count);
    for (size_t i = 0; i < to->count; i++) {
        to->entries[i] = text;
        text += strlen(text) + 1;
    }
    qsort(to->entries, to->count, sizeof *to->entries, by_bytes);
    return CST_OK;
}

// Reads the folder that walker->path names (with '/'; "": the root) into a new level. One that is
// not there has no names.
static cst_code level_open(walk *walker, cst_err *err) {
    level *to = &walker->levels[walker->levels_count];
    const char *path = walker->path[0] != '\0' ? walker->path : ".";
    const int fd = openat(walker->store->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const struct dirent *entry;
    cst_code code = CST_OK;
    DIR *folder;

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) return CST_OK;
    folder = fd < 0 ? NULL : fdopendir(fd);
    if (!folder) {
        code = csti_file_fail(walker->store, path, "opening", errno, err);
        if (fd >= 0) (void)close(fd);
        return code;
    }
    *to = (level){.path_bytes = strlen(walker->path)};
    csti_buffer_init(&to->texts, FOLDER_BYTES_MAX);
    walker->levels_count++;
    for (errno = 0; code == CST_OK && (entry = readdir(folder)) != NULL; errno = 0)
        code = entry_add(walker, to, fd, entry, err);
    walker->path[to->path_bytes] = '\0';
    if (code == CST_OK && errno != 0)
        code = csti_file_fail(walker->store, path, "reading", errno, err);
    (void)closedir(folder);
    return code == CST_OK ? level_sort(to, err) : code;
}

// True goes on.
static bool entry_visit(const walk *walker, cst_object_visit visit, void *context) {
    cst_object_info info;
    struct stat status;

    if (fstatat(walker->store->root, walker->path, &status, 0) != 0) return true; // deleted since
    if (!S_ISREG(status.st_mode)) return true;
    csti_file_info(&status, &info);
    return visit(context, walker->path, &info);
}

cst_code csti_file_list(cst_object_store *base, const char *prefix, const char *after,
                        cst_object_visit visit, void *context, cst_err *err) {
    const char *slash = strrchr(prefix, '/');
    walk *walker = calloc(1, sizeof *walker);
    cst_code code;

    if (!walker) return cst_fail(err, CST_NO_MEMORY, "a listing");
    walker->store = csti_file_self(base);
    walker->prefix = prefix;
    walker->after = after;
    if (slash) memcpy(walker->path, prefix, (size_t)(slash - prefix) + 1);
    code = level_open(walker, err);
    while (code == CST_OK && walker->levels_count > 0) {
        level *top = &walker->levels[walker->levels_count - 1];
        const char *entry;

        if (top->at == top->count) {
            level_close(walker);
            continue;
        }
        entry = top->entries[top->at++];
        memcpy(walker->path + top->path_bytes, entry, strlen(entry) + 1);
        if (entry[strlen(entry) - 1] == '/')
            code = level_open(walker, err);
        else if (!entry_visit(walker, visit, context))
            break;
    }
    while (walker->levels_count > 0) level_close(walker);
    free(walker);
    return code;
}
