#include <constellation/error.h>

#undef cst_fail // error.h wraps them for the analyzer
#undef cst_fail_at

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *cst_code_name(cst_code code) {
    switch (code) {
#define CST_ERR_NAME(name, number, text, advice)                                                   \
    case number:                                                                                   \
        return "CST_" #name;
        CST_ERR_MAP(CST_ERR_NAME)
#undef CST_ERR_NAME
    }
    return "CST_UNKNOWN";
}

const char *cst_code_text(cst_code code) {
    switch (code) {
#define CST_ERR_TEXT(name, number, text, advice)                                                   \
    case number:                                                                                   \
        return text;
        CST_ERR_MAP(CST_ERR_TEXT)
#undef CST_ERR_TEXT
    }
    return "an error code this version does not know";
}

const char *cst_code_advice(cst_code code) {
    switch (code) {
#define CST_ERR_ADVICE(name, number, text, advice)                                                 \
    case number:                                                                                   \
        return advice;
        CST_ERR_MAP(CST_ERR_ADVICE)
#undef CST_ERR_ADVICE
    }
    return "use a newer program";
}

cst_code cst_fail(cst_err *err, cst_code code, const char *format, ...) {
    va_list arguments;

    if (!err) return code;
    err->code = code;
    va_start(arguments, format);
    (void)vsnprintf(err->text, sizeof err->text, format, arguments);
    va_end(arguments);
    return code;
}

cst_code cst_fail_at(cst_err *err, cst_code code, const char *format, ...) {
    char inner[CST_ERR_TEXT_BYTES];
    va_list arguments;
    int prefix_bytes;

    if (!err) return code;
    memcpy(inner, err->text, sizeof inner);
    inner[sizeof inner - 1] = '\0';
    err->code = code;
    va_start(arguments, format);
    prefix_bytes = vsnprintf(err->text, sizeof err->text, format, arguments);
    va_end(arguments);
    if (prefix_bytes < 0 || (size_t)prefix_bytes >= sizeof err->text) return code;
    (void)snprintf(err->text + prefix_bytes, sizeof err->text - (size_t)prefix_bytes, ": %s",
                   inner);
    return code;
}
