#include "base/fault_point.h"

#include <assert.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WORD_BYTES = 96 };

typedef enum fault_action {
    ACTION_KILL,
    ACTION_STOP,
    ACTION_FAIL,
    ACTION_WAIT,
    ACTIONS_COUNT,
} fault_action;

static const char *const action_names[ACTIONS_COUNT] = {"kill", "stop", "fail", "wait"};
static const struct timespec WAIT = {.tv_nsec = 200 * 1000 * 1000};

static const char *const point_names[CSTI_FAULT_POINTS_COUNT] = {
#define FAULT_NAME(name) #name,
    CSTI_FAULT_POINT_MAP(FAULT_NAME)
#undef FAULT_NAME
};

typedef struct fault_armed {
    _Atomic uint64_t passes_left; // 0: not armed, or over
    fault_action action;          // written before threads pass
} fault_armed;

// The one global of the library: a point must be passable from anywhere.
static fault_armed armed[CSTI_FAULT_POINTS_COUNT];

const char *csti_fault_point_name(csti_fault_point point) {
    assert(point < CSTI_FAULT_POINTS_COUNT);
    return point_names[point];
}

bool csti_fault_points_compiled(void) {
#ifdef CST_FAULT_POINTS
    return true;
#else
    return false;
#endif
}

static size_t index_of(const char *const *names, size_t count, const char *name) {
    size_t i = 0;

    while (i < count && strcmp(names[i], name) != 0) i++;
    return i;
}

// One word: NAME:N:ACTION.
static cst_code arm_word(char *word, cst_err *err) {
    char whole[WORD_BYTES];
    char *passes_text, *action_text, *end = NULL;
    unsigned long long passes;
    size_t point, action;

    (void)snprintf(whole, sizeof whole, "%s", word);
    passes_text = strchr(word, ':');
    action_text = passes_text ? strchr(passes_text + 1, ':') : NULL;
    if (!action_text)
        return cst_fail(err, CST_USAGE, "CST_FAULT: '%s' is not NAME:N:ACTION.", whole);
    *passes_text++ = 0;
    *action_text++ = 0;

    point = index_of(point_names, CSTI_FAULT_POINTS_COUNT, word);
    if (point == CSTI_FAULT_POINTS_COUNT)
        return cst_fail(err, CST_USAGE,
                        "CST_FAULT: '%s': there is no fault point of that name. See constellation "
                        "version --fault-points.",
                        whole);
    passes = *passes_text >= '0' && *passes_text <= '9' ? strtoull(passes_text, &end, 10) : 0;
    if (passes == 0 || passes > CSTI_FAULT_PASSES_MAX || *end != 0)
        return cst_fail(err, CST_USAGE, "CST_FAULT: '%s': N is 1 to %d.", whole,
                        CSTI_FAULT_PASSES_MAX);
    action = index_of(action_names, ACTIONS_COUNT, action_text);
    if (action == ACTIONS_COUNT)
        return cst_fail(err, CST_USAGE, "CST_FAULT: '%s': the action is kill, stop, fail or wait.",
                        whole);
    if (atomic_load_explicit(&armed[point].passes_left, memory_order_relaxed) != 0)
        return cst_fail(err, CST_USAGE, "CST_FAULT: '%s': the point is named twice.", whole);
    armed[point].action = (fault_action)action;
    // Release pairs with the acquire in csti_fault_point_pass: the action comes before the count.
    atomic_store_explicit(&armed[point].passes_left, passes, memory_order_release);
    return CST_OK;
}

cst_code csti_fault_points_arm_text(const char *text, cst_err *err) {
    cst_code code = CST_OK;

    for (size_t i = 0; i < CSTI_FAULT_POINTS_COUNT; i++)
        atomic_store_explicit(&armed[i].passes_left, 0, memory_order_relaxed);
    while (*text != 0 && code == CST_OK) {
        const size_t bytes = strcspn(text, ",");
        char word[WORD_BYTES];

        if (bytes >= sizeof word) {
            code = cst_fail(err, CST_USAGE, "CST_FAULT: '%.*s...' is longer than any point.",
                            WORD_BYTES / 2, text);
            break;
        }
        memcpy(word, text, bytes);
        word[bytes] = 0;
        code = arm_word(word, err);
        text += bytes;
        if (*text == ',' && *++text == 0 && code == CST_OK)
            code = cst_fail(err, CST_USAGE, "CST_FAULT: nothing follows the last comma.");
    }
    for (size_t i = 0; code != CST_OK && i < CSTI_FAULT_POINTS_COUNT; i++)
        atomic_store_explicit(&armed[i].passes_left, 0, memory_order_relaxed);
    return code;
}

cst_code csti_fault_points_arm(cst_err *err) {
    const char *text = getenv("CST_FAULT");

    if (!text) return CST_OK;
    if (!csti_fault_points_compiled())
        return cst_fail(err, CST_UNSUPPORTED,
                        "CST_FAULT is set: this build has no fault points. The debug preset has.");
    return csti_fault_points_arm_text(text, err);
}

// Whether this is the armed pass. The count goes to 0 once, whichever thread takes it there.
static bool is_due(fault_armed *point) {
    uint64_t left = atomic_load_explicit(&point->passes_left, memory_order_acquire);

    while (left != 0)
        if (atomic_compare_exchange_weak_explicit(&point->passes_left, &left, left - 1,
                                                  memory_order_acq_rel, memory_order_acquire))
            return left == 1;
    return false;
}

cst_code csti_fault_point_pass(csti_fault_point point, cst_code code) {
    assert(point < CSTI_FAULT_POINTS_COUNT);
    if (!is_due(&armed[point])) return code;
    switch (armed[point].action) {
    case ACTION_KILL:
        (void)raise(SIGKILL); // both signals take the whole process
        break;
    case ACTION_STOP:
        (void)raise(SIGSTOP);
        break;
    case ACTION_FAIL:
        return CST_IO;
    case ACTION_WAIT:
        (void)nanosleep(&WAIT, NULL);
        break;
    case ACTIONS_COUNT:
        assert(false && "an action that nobody armed");
    }
    return code;
}

void csti_fault_point_visit(csti_fault_point point) {
    const cst_code code = csti_fault_point_pass(point, CST_OK);

    assert(code == CST_OK && "'fail' is armed at a place that has no code to fail with");
    (void)code;
}
