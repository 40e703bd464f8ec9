#include "stream/source_kind.h"

cst_code csti_file_source_open(const csti_source_options *options, csti_source **out,
                               cst_err *err) {
    (void)out;
    return cst_fail(err, CST_UNSUPPORTED, "source %s: files are not read", options->path);
}
