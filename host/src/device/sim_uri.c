// sim_uri.c: errors that a simulated card is told to have: error=KIND, mistake=WORD.
#include "device/sim_internal.h"

cst_code sim_error_take(csti_uri *uri, csti_sim_card_config *config, cst_err *err) {
    static const char *const kinds[] = {"slverr", "decerr", "corrupt", "silent"};
    static const csti_sim_error errors[] = {CSTI_SIM_ERROR_SLVERR, CSTI_SIM_ERROR_DECERR,
                                            CSTI_SIM_ERROR_CORRUPT, CSTI_SIM_ERROR_SILENT};
    const size_t none = sizeof kinds / sizeof *kinds;
    uint64_t port = UINT64_MAX, after = 0;
    size_t kind = none;
    cst_code code = csti_uri_take_word(uri, "error", kinds, none, &kind, err);

    config->error_port = -1; // any
    if (code != CST_OK || kind == none) return code;
    code = csti_uri_take_u64(uri, "error_after", UINT32_MAX, &after, err);
    if (code == CST_OK) code = csti_uri_take_u64(uri, "error_port", CSTI_SIM_CHANNELS, &port, err);
    config->error = errors[kind];
    config->error_after = after;
    if (port != UINT64_MAX) config->error_port = (int32_t)port;
    return code;
}

cst_code sim_mistake_take(csti_uri *uri, csti_sim_card_config *config, cst_err *err) {
#define MISTAKE_WORD(NAME, NUMBER, WORD) WORD,
#define MISTAKE_VALUE(NAME, NUMBER, WORD) CSTI_SIM_MISTAKE_##NAME,
    static const char *const words[] = {CSTI_SIM_MISTAKE_MAP(MISTAKE_WORD)};
    static const csti_sim_mistake mistakes[] = {CSTI_SIM_MISTAKE_MAP(MISTAKE_VALUE)};
#undef MISTAKE_WORD
#undef MISTAKE_VALUE
    const size_t none = sizeof words / sizeof *words;
    size_t which = none;
    const cst_code code = csti_uri_take_word(uri, "mistake", words, none, &which, err);

    if (code == CST_OK && which < none) config->mistake = mistakes[which];
    return code;
}
