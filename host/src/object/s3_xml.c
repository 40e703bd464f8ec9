#include "object/s3_xml.h"

#include <expat.h>
#include <stdbool.h>
#include <string.h>

typedef struct walk {
    XML_Parser parser;
    csti_s3_xml_visit visit;
    void *context;
    cst_err *err;
    cst_code code;
    size_t depth;
    size_t path_bytes;
    size_t text_bytes;
    bool leaf; // no element has ended since the last one began
    char path[CSTI_S3_XML_PATH_MAX];
    char text[CSTI_S3_XML_TEXT_MAX + 1];
} walk;

static void end_with(walk *w, cst_code code) {
    w->code = code;
    (void)XML_StopParser(w->parser, XML_FALSE);
}

static void on_start(void *context, const XML_Char *name, const XML_Char **attributes) {
    walk *w = context;
    const char *colon = strrchr(name, ':');
    const char *plain = colon ? colon + 1 : name;
    const size_t bytes = strlen(plain);

    (void)attributes;
    if (w->code != CST_OK) return;
    if (w->depth == CSTI_S3_XML_DEPTH_MAX || w->path_bytes + bytes + 2 > sizeof w->path) {
        end_with(w, cst_fail(w->err, CST_LIMIT, "XML: more than %d elements in each other",
                             CSTI_S3_XML_DEPTH_MAX));
        return;
    }
    if (w->depth++ > 0) w->path[w->path_bytes++] = '/';
    memcpy(w->path + w->path_bytes, plain, bytes + 1);
    w->path_bytes += bytes;
    w->text_bytes = 0;
    w->leaf = true;
}

static void on_end(void *context, const XML_Char *name) {
    walk *w = context;
    char *slash;

    (void)name;
    if (w->code != CST_OK) return; // of an empty element, expat still tells the end
    w->text[w->leaf ? w->text_bytes : 0] = '\0';
    w->code = w->visit(w->context, w->path, w->text, w->err);
    if (w->code != CST_OK) (void)XML_StopParser(w->parser, XML_FALSE);
    slash = strrchr(w->path, '/');
    w->path_bytes = slash ? (size_t)(slash - w->path) : 0;
    w->path[w->path_bytes] = '\0';
    w->depth--;
    w->text_bytes = 0;
    w->leaf = false;
}

static void on_text(void *context, const XML_Char *text, int count) {
    walk *w = context;

    if (!w->leaf || w->code != CST_OK) return; // between elements: line ends
    if (w->text_bytes + (size_t)count > CSTI_S3_XML_TEXT_MAX) {
        end_with(w, cst_fail(w->err, CST_LIMIT, "XML: %s is longer than %d bytes", w->path,
                             CSTI_S3_XML_TEXT_MAX));
        return;
    }
    memcpy(w->text + w->text_bytes, text, (size_t)count);
    w->text_bytes += (size_t)count;
}

static void on_doctype(void *context, const XML_Char *name, const XML_Char *system,
                       const XML_Char *public, int has_internal) {
    walk *w = context;

    (void)name;
    (void)system;
    (void)public;
    (void)has_internal;
    end_with(w, cst_fail(w->err, CST_PARSE, "XML: a document type, which no answer has"));
}

cst_code csti_s3_xml_walk(const void *bytes, size_t count, csti_s3_xml_visit visit, void *context,
                          cst_err *err) {
    walk w = {.visit = visit, .context = context, .err = err};

    if (count > CSTI_S3_XML_BYTES_MAX)
        return cst_fail(err, CST_LIMIT, "XML: %zu bytes, more than %d", count,
                        CSTI_S3_XML_BYTES_MAX);
    w.parser = XML_ParserCreate("UTF-8");
    if (!w.parser) return cst_fail(err, CST_NO_MEMORY, "XML");
    XML_SetUserData(w.parser, &w);
    XML_SetElementHandler(w.parser, on_start, on_end);
    XML_SetCharacterDataHandler(w.parser, on_text);
    XML_SetStartDoctypeDeclHandler(w.parser, on_doctype);
    if (XML_Parse(w.parser, bytes, (int)count, XML_TRUE) != XML_STATUS_OK && w.code == CST_OK)
        w.code =
            XML_GetErrorCode(w.parser) == XML_ERROR_NO_MEMORY
                ? cst_fail(err, CST_NO_MEMORY, "XML")
                : cst_fail(err, CST_PARSE, "XML: line %lu: %s", XML_GetCurrentLineNumber(w.parser),
                           XML_ErrorString(XML_GetErrorCode(w.parser)));
    XML_ParserFree(w.parser);
    return w.code;
}
