// s3_xml.h: the answers of an S3 server, which may be anything.
//
//   <ListBucketResult>                    visit(context, "ListBucketResult/Contents/Key", "a/b")
//     <Contents>                    ─►    visit(context, "ListBucketResult/Contents/Size", "5")
//       <Key>a/b</Key> <Size>5</Size>     visit(context, "ListBucketResult/Contents", "")
//     </Contents>                         visit(context, "ListBucketResult", "")
//   </ListBucketResult>
//
// An element is visited at its end, with the text in front of it if it holds no other element.
// Attributes are passed over; namespaces are too.
//
// Promises   a document type, and with it any entity of its own, is refused; depth, text and bytes
//            are bounded; nothing outside the document is ever read.
// Thread     any: values.
// Ring       1.
// Errors     CST_PARSE: line and reason. CST_LIMIT: too deep, or a text too long. What the visitor
//            returned.
#ifndef CST_OBJECT_S3_XML_H
#define CST_OBJECT_S3_XML_H

#include <constellation/error.h>
#include <stddef.h>

enum {
    CSTI_S3_XML_DEPTH_MAX = 8,
    CSTI_S3_XML_TEXT_MAX = 4096, // a key of 1024 bytes, each as %XX, fits
    CSTI_S3_XML_PATH_MAX = 256,
    CSTI_S3_XML_BYTES_MAX = 8 << 20,
};

typedef cst_code (*csti_s3_xml_visit)(void *context, const char *path, const char *text,
                                      cst_err *err);
CST_CHECK_RESULT cst_code csti_s3_xml_walk(const void *bytes, size_t count, csti_s3_xml_visit visit,
                                           void *context, cst_err *err);

#endif
