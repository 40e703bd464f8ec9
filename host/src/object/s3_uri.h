// s3_uri.h: where an S3 store is: bucket, prefix, endpoint and how to speak to it.
//
//   s3://BUCKET/PREFIX?endpoint=http://127.0.0.1:8480&region=eu-west-1
//        └─┬──┘ └─┬──┘ └──────────────┬─────────────┘
//          │      │            parameters; %XX in values
//          │      in front of every name, may be missing
//          3 to 63 of a-z 0-9 . -
//
//   endpoint     http or https, host, port; without it Amazon's of the region
//   region       else AWS_REGION, AWS_DEFAULT_REGION, the profile's, us-east-1
//   style        path or virtual: bucket behind the host or in it. Else path with an endpoint
//   profile      of the shared files; else AWS_PROFILE, default
//   ca           a file of certificates; else AWS_CA_BUNDLE, the system's
//   proxy        else http_proxy and the like
//   connections  at most so many at once, 1 to 256
//   payload      signed: bodies always are; unsigned: nobody between may change them, and large
//                ones go with a CRC32C. Else unsigned over https and on loopback
//   upload_mib   what uploads may hold in memory, 16 to 65536
//   http         1.1 or 2: HTTP/2 where the server offers it over TLS. Else 1.1
//
// Thread     a value.
// Ring       1.
// Errors     CST_OBJECT_NAME: names the part. Keys are refused: a URI ends up in logs.
#ifndef CST_OBJECT_S3_URI_H
#define CST_OBJECT_S3_URI_H

#include <constellation/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CSTI_S3_BUCKET_BYTES = 64,
    CSTI_S3_PREFIX_BYTES = 384, // a key is a prefix and a name, and at most 1024 bytes
    CSTI_S3_WORD_BYTES = 128,
    CSTI_S3_PLACE_BYTES = 512,
    CSTI_S3_CONNECTIONS = 16,
    CSTI_S3_CONNECTIONS_MAX = 256,
};

typedef enum csti_s3_payload {
    CSTI_S3_PAYLOAD_AUTO,
    CSTI_S3_PAYLOAD_SIGNED,
    CSTI_S3_PAYLOAD_UNSIGNED,
} csti_s3_payload;
typedef enum csti_s3_version { CSTI_S3_HTTP_AUTO, CSTI_S3_HTTP_1, CSTI_S3_HTTP_2 } csti_s3_version;
typedef enum csti_s3_style { CSTI_S3_STYLE_AUTO, CSTI_S3_PATH, CSTI_S3_VIRTUAL } csti_s3_style;

// A text that is empty was not given.
typedef struct csti_s3_uri {
    char bucket[CSTI_S3_BUCKET_BYTES];
    char prefix[CSTI_S3_PREFIX_BYTES]; // without a '/' at its end
    char endpoint[CSTI_S3_PLACE_BYTES];
    char region[CSTI_S3_WORD_BYTES];
    char profile[CSTI_S3_WORD_BYTES];
    char ca[CSTI_S3_PLACE_BYTES];
    char proxy[CSTI_S3_PLACE_BYTES];
    csti_s3_style style;
    csti_s3_payload payload;
    csti_s3_version http;
    uint32_t connections;
    uint32_t upload_mib;
} csti_s3_uri;

// `place` is what follows "s3:". Nothing is asked of environment or network.
CST_CHECK_RESULT cst_code csti_s3_uri_parse(const char *place, csti_s3_uri *out, cst_err *err);

#endif
