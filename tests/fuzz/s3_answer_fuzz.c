// s3_answer_fuzz.c: what S3 servers answer: errors, pages of lists, heads; and names of stores.
//
//   byte 0   0: an error's body   1: a page, and the same again   2: lines of a head   3: a URI
#include "fuzz/fuzz.h"

#include "object/s3_answer.h"
#include "object/s3_error.h"
#include "object/s3_page.h"
#include "object/s3_uri.h"

#include <stdlib.h>
#include <string.h>

static void error(const uint8_t *bytes, size_t count) {
    csti_s3_error out;

    csti_s3_error_read(bytes, count, &out);
    if (strlen(out.code) >= sizeof out.code || strlen(out.message) >= sizeof out.message) abort();
    (void)csti_s3_fault_of(400, out.code, true);
}

static bool visit(void *context, const char *name, const cst_object_info *info) {
    char *last = context;

    if (!csti_object_name_is_good(name) || strcmp(name, last) <= 0) abort();
    if (memchr(info->etag, '\0', sizeof info->etag) == NULL) abort();
    memcpy(last, name, strlen(name) + 1);
    return true;
}

// What was visited is not visited again, whatever the page says.
static void page(const uint8_t *bytes, size_t count) {
    char last[CST_OBJECT_NAME_BYTES_MAX + 1] = "";
    csti_s3_page one = {
        .visit = visit, .context = last, .prefix = "p/", .after = "", .skip_bytes = 2};

    if (csti_s3_page_read(&one, bytes, count, NULL) != CST_OK) return;
    if (one.more && !one.token[0]) abort();
    if (one.keys_count > 0 && csti_s3_page_read(&one, bytes, count, NULL) == CST_OK) abort();
}

static void head(const uint8_t *bytes, size_t count) {
    csti_s3_headers out = {.length = UINT64_MAX};
    uint64_t first, last, total;

    while (count > 0) {
        const uint8_t *end = memchr(bytes, '\n', count);
        const size_t line = end ? (size_t)(end + 1 - bytes) : count;

        csti_s3_answer_line(&out, (const char *)bytes, line);
        bytes += line;
        count -= line;
    }
    if (csti_s3_range_read(out.range, &first, &last, &total) && (first > last || last >= total))
        abort();
    (void)csti_s3_nonce_of(out.nonce);
}

static void uri(const uint8_t *bytes, size_t count) {
    char *text = malloc(count + 1);
    csti_s3_uri out;

    if (!text) return;
    memcpy(text, bytes, count);
    text[count] = '\0';
    if (csti_s3_uri_parse(text, &out, NULL) == CST_OK &&
        (strlen(out.bucket) < 3 || (out.prefix[0] && !csti_object_name_is_good(out.prefix)) ||
         out.connections == 0))
        abort();
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    static void (*const readers[])(const uint8_t *bytes, size_t count) = {error, page, head, uri};

    if (count > 0) readers[bytes[0] % 4](bytes + 1, count - 1);
    return 0;
}
