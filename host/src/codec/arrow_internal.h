// arrow_internal.h: what the Arrow files share.
//
// Errors     those of cst_arrow_import.
#ifndef CST_CODEC_ARROW_INTERNAL_H
#define CST_CODEC_ARROW_INTERNAL_H

#include <constellation/arrow.h>

// Whether the producer's columns are the schema's.
CST_CHECK_RESULT cst_code csti_arrow_schema_fits(const struct ArrowSchema *arrow,
                                                 const cst_schema *schema, cst_err *err);

#endif
