// s3_profile.h: the files that Amazon's own programs share: sections of key = value.
//
//   ~/.aws/credentials   [default]              ~/.aws/config   [default]
//                        aws_access_key_id = …                  region = eu-west-1
//                        [night]                                [profile night]
//
// '#' and ';' begin a comment at a line's start. Lines that are indented belong to the value before
// them, and are passed over.
//
// Thread     any: values.
// Ring       2.
// Errors     CST_NOT_FOUND: no such file, section or key. CST_IO. CST_LIMIT: the value is too long.
#ifndef CST_OBJECT_S3_PROFILE_H
#define CST_OBJECT_S3_PROFILE_H

#include <constellation/error.h>
#include <stddef.h>

CST_CHECK_RESULT cst_code csti_s3_profile_find(const char *path, const char *section,
                                               const char *key, char *out, size_t capacity,
                                               cst_err *err);
// Where they lie: the variable, else the name under the home folder. CST_NOT_FOUND: no home.
CST_CHECK_RESULT cst_code csti_s3_profile_credentials(char *out, size_t capacity, cst_err *err);
CST_CHECK_RESULT cst_code csti_s3_profile_config(char *out, size_t capacity, cst_err *err);
// In the file of configuration a section is "profile NAME", but for "default".
CST_CHECK_RESULT cst_code csti_s3_profile_setting(const char *profile, const char *key, char *out,
                                                  size_t capacity, cst_err *err);

#endif
