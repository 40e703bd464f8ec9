// s3_page.h: a page of a list, which may be anything.
//
//   <ListBucketResult> <IsTruncated>…  <NextContinuationToken>…  <Contents> <Key>… <Size>… <ETag>…
//
// Promises   names are visited in order, each once over all pages of a list; keys that were
//            not asked for, and such that are no object's names, are passed over.
// Thread     one.
// Ring       1.
// Errors     CST_PARSE, CST_LIMIT: it is no list, or not in order. What was visited before is.
#ifndef CST_OBJECT_S3_PAGE_H
#define CST_OBJECT_S3_PAGE_H

#include "object/backend.h"
#include "object/s3_xml.h"

enum { CSTI_S3_KEY_BYTES = 1024 + 1, CSTI_S3_PAGE_TOKEN_BYTES = CSTI_S3_XML_TEXT_MAX + 1 };

typedef struct csti_s3_page {
    cst_object_visit visit;
    void *context;
    const char *prefix; // what was asked for: keys that begin so,
    const char *after;  // and stand behind that one
    size_t skip_bytes;  // of a key, in front of its name: the store's prefix and its '/'
    bool stopped;       // by the visitor
    bool more;
    uint64_t keys_count;
    char token[CSTI_S3_PAGE_TOKEN_BYTES];
    char last[CSTI_S3_KEY_BYTES]; // a list that is not in order is none
    // Of the entry that is being read.
    char key[CSTI_S3_KEY_BYTES];
    cst_object_info info;
} csti_s3_page;

// The page's entries; then `more` and `token` say whether another follows, and which.
CST_CHECK_RESULT cst_code csti_s3_page_read(csti_s3_page *page, const void *bytes, size_t count,
                                            cst_err *err);

#endif
