#include "object/s3_profile.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES_MAX = 8192, SECTION_BYTES = 160 };

static char *trimmed(char *text) {
    size_t bytes;

    text += strspn(text, " \t");
    bytes = strlen(text);
    while (bytes > 0 && strchr(" \t\r\n", text[bytes - 1])) bytes--;
    text[bytes] = '\0';
    return text;
}

// Whether the line is a section's head; then whether it is the wanted one.
static bool is_section(char *line, const char *section, bool *wanted) {
    char *close;

    if (line[0] != '[') return false;
    close = strchr(line, ']');
    if (close) *close = '\0';
    *wanted = close && strcmp(trimmed(line + 1), section) == 0;
    return true;
}

static cst_code find(FILE *file, const char *path, const char *section, const char *key, char *out,
                     size_t capacity, cst_err *err) {
    char line[LINE_BYTES_MAX];
    bool inside = false;

    while (fgets(line, sizeof line, file)) {
        char *equals = strchr(line, '=');

        if (strchr("#; \t\r\n", line[0]) || is_section(line, section, &inside)) continue;
        if (!inside || !equals) continue;
        *equals = '\0';
        if (strcmp(trimmed(line), key) != 0) continue;
        equals = trimmed(equals + 1);
        if (strlen(equals) >= capacity)
            return cst_fail(err, CST_LIMIT, "%s: [%s] %s is too long", path, section, key);
        memcpy(out, equals, strlen(equals) + 1);
        return CST_OK;
    }
    if (ferror(file)) return cst_fail(err, CST_IO, "%s: %s", path, strerror(errno));
    return cst_fail(err, CST_NOT_FOUND, "%s: [%s] has no %s", path, section, key);
}

cst_code csti_s3_profile_find(const char *path, const char *section, const char *key, char *out,
                              size_t capacity, cst_err *err) {
    FILE *file = fopen(path, "re");
    cst_code code;

    if (!file)
        return cst_fail(err, errno == ENOENT || errno == ENOTDIR ? CST_NOT_FOUND : CST_IO, "%s: %s",
                        path, strerror(errno));
    code = find(file, path, section, key, out, capacity, err);
    (void)fclose(file);
    return code;
}

static cst_code place(const char *variable, const char *name, char *out, size_t capacity,
                      cst_err *err) {
    const char *given = getenv(variable);
    const char *home = getenv("HOME");
    int bytes;

    if (!given && !home)
        return cst_fail(err, CST_NOT_FOUND, "neither %s nor HOME is set", variable);
    bytes = given ? snprintf(out, capacity, "%s", given)
                  : snprintf(out, capacity, "%s/.aws/%s", home, name);
    if (bytes < 0 || (size_t)bytes >= capacity)
        return cst_fail(err, CST_LIMIT, "%s: the path is too long", variable);
    return CST_OK;
}

cst_code csti_s3_profile_credentials(char *out, size_t capacity, cst_err *err) {
    return place("AWS_SHARED_CREDENTIALS_FILE", "credentials", out, capacity, err);
}

cst_code csti_s3_profile_config(char *out, size_t capacity, cst_err *err) {
    return place("AWS_CONFIG_FILE", "config", out, capacity, err);
}

cst_code csti_s3_profile_setting(const char *profile, const char *key, char *out, size_t capacity,
                                 cst_err *err) {
    char path[PATH_MAX];
    char section[SECTION_BYTES];
    cst_code code = csti_s3_profile_config(path, sizeof path, err);

    if (code != CST_OK) return code;
    (void)snprintf(section, sizeof section, "%s%s", strcmp(profile, "default") ? "profile " : "",
                   profile);
    return csti_s3_profile_find(path, section, key, out, capacity, err);
}
