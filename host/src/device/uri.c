#include "device/uri.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cst_code parameter_add(csti_uri *uri, char *part, cst_err *err) {
    char *equals = strchr(part, '=');

    if (!equals || equals == part)
        return cst_fail(err, CST_DEVICE_URI, "device parameter '%s' is not NAME=VALUE", part);
    *equals = '\0';
    for (size_t i = 0; i < uri->parameters_count; i++)
        if (strcmp(uri->names[i], part) == 0)
            return cst_fail(err, CST_DEVICE_URI, "device parameter %s is given twice", part);
    if (uri->parameters_count == CSTI_URI_PARAMETERS_MAX)
        return cst_fail(err, CST_DEVICE_URI, "more than %d device parameters",
                        CSTI_URI_PARAMETERS_MAX);
    uri->names[uri->parameters_count] = part;
    uri->values[uri->parameters_count++] = equals + 1;
    return CST_OK;
}

cst_code csti_uri_parse(const char *text, csti_uri *out, cst_err *err) {
    char *colon;
    char *query;

    *out = (csti_uri){.parameters_count = 0};
    if (strlen(text) >= sizeof out->text)
        return cst_fail(err, CST_DEVICE_URI, "a device name above %d bytes",
                        CSTI_URI_BYTES_MAX - 1);
    memcpy(out->text, text, strlen(text) + 1);
    colon = strchr(out->text, ':');
    if (!colon || colon == out->text)
        return cst_fail(err, CST_DEVICE_URI, "'%s' has no scheme, as in cpu:", text);
    *colon = '\0';
    out->scheme = out->text;
    out->path = colon + 1;
    query = strchr(colon + 1, '?');
    if (!query) return CST_OK;
    *query++ = '\0';
    while (*query) {
        char *end = strchr(query, '&');
        cst_code code;

        if (end) *end = '\0';
        code = parameter_add(out, query, err);
        if (code != CST_OK) return code;
        if (!end) break;
        query = end + 1;
    }
    return CST_OK;
}

static void parameter_remove(csti_uri *uri, size_t index) {
    uri->parameters_count--;
    for (size_t i = index; i < uri->parameters_count; i++) {
        uri->names[i] = uri->names[i + 1];
        uri->values[i] = uri->values[i + 1];
    }
}

cst_code csti_uri_take_u64(csti_uri *uri, const char *name, uint64_t max, uint64_t *out,
                           cst_err *err) {
    for (size_t i = 0; i < uri->parameters_count; i++) {
        const char *text = uri->values[i];
        char *end = NULL;
        uint64_t value;

        if (strcmp(uri->names[i], name) != 0) continue;
        errno = 0;
        value = strtoull(text, &end, 10);
        if (*text < '0' || *text > '9' || *end || errno || value > max)
            return cst_fail(err, CST_DEVICE_URI,
                            "device parameter %s=%s: not a number from 0 to %llu", name, text,
                            (unsigned long long)max);
        *out = value;
        parameter_remove(uri, i);
        return CST_OK;
    }
    return CST_OK;
}

static cst_code fail_word(const char *name, const char *value, const char *const *words,
                          size_t words_count, cst_err *err) {
    char known[128];
    size_t used = 0;

    for (size_t i = 0; i < words_count && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "",
                                 words[i]);
    return cst_fail(err, CST_DEVICE_URI, "device parameter %s=%s: not one of %s", name, value,
                    known);
}

cst_code csti_uri_take_word(csti_uri *uri, const char *name, const char *const *words,
                            size_t words_count, size_t *out, cst_err *err) {
    for (size_t i = 0; i < uri->parameters_count; i++) {
        size_t word = 0;

        if (strcmp(uri->names[i], name) != 0) continue;
        while (word < words_count && strcmp(uri->values[i], words[word]) != 0) word++;
        if (word == words_count) return fail_word(name, uri->values[i], words, words_count, err);
        *out = word;
        parameter_remove(uri, i);
        return CST_OK;
    }
    return CST_OK;
}

void csti_uri_take_text(csti_uri *uri, const char *name, const char **out) {
    for (size_t i = 0; i < uri->parameters_count; i++) {
        if (strcmp(uri->names[i], name) != 0) continue;
        *out = uri->values[i];
        parameter_remove(uri, i);
        return;
    }
}

cst_code csti_uri_check_empty(const csti_uri *uri, const char *known, cst_err *err) {
    if (uri->parameters_count == 0) return CST_OK;
    return cst_fail(err, CST_DEVICE_URI, "%s: has no parameter '%s': there is %s", uri->scheme,
                    uri->names[0], known);
}

cst_code csti_uri_rest(const csti_uri *uri, char *out, size_t capacity, cst_err *err) {
    size_t used = (size_t)snprintf(out, capacity, "%s", uri->path);

    for (size_t i = 0; i < uri->parameters_count && used < capacity; i++)
        used += (size_t)snprintf(out + used, capacity - used, "%c%s=%s", i == 0 ? '?' : '&',
                                 uri->names[i], uri->values[i]);
    return used < capacity ? CST_OK : cst_fail(err, CST_DEVICE_URI, "a device name too long");
}
