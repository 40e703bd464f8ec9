// stories.h: random commands to a metadata machine, most of which it takes.
#ifndef TEST_META_STORIES_H
#define TEST_META_STORIES_H

#include "unit/meta/machines.h"

enum { STORY_ITEMS = 4 };

// A command and what it points to.
typedef struct story_step {
    csti_meta_command command;
    char name[64];
    char texts[STORY_ITEMS][64];
    const char *names[STORY_ITEMS];
    uint64_t tenures[CSTI_META_PARTITIONS_MAX];
    uint64_t ids[STORY_ITEMS];
    csti_meta_full_ref fulls[STORY_ITEMS];
} story_step;

static inline uint64_t story_pick(uint64_t usual, uint64_t bound) {
    return test_random_below(8) ? usual : test_random_below(bound);
}

static inline uint64_t story_token(const csti_meta_view *view, const char *lease) {
    for (uint32_t i = 0; i < view->leases_count; i++)
        if (strcmp(view->leases[i].name, lease) == 0) return view->leases[i].token;
    return 0;
}

static inline void story_checkpoint(story_step *step, const csti_meta_view *view) {
    csti_meta_command *command = &step->command;
    const csti_meta_checkpoint *newest = csti_meta_view_newest(view);

    command->base_id = story_pick(newest ? newest->id : 0, 50);
    command->id = (newest ? newest->id : 0) + 1 + test_random_below(3);
    command->name = step->name;
    command->crc = (uint32_t)test_random();
    if (command->kind == CSTI_META_COMMIT) {
        command->tenures = step->tenures;
        command->tenures_count = view->partitions_count;
        for (uint32_t i = 0; i < view->partitions_count; i++)
            step->tenures[i] = view->partitions[i].tenure;
    }
    for (uint32_t i = 0; i < view->fulls_count && i < 2; i++)
        step->fulls[command->fulls_count++] =
            (csti_meta_full_ref){view->fulls[i].partition, view->fulls[i].epoch,
                                 view->fulls[i].name};
    command->fulls = step->fulls;
}

static inline void story_removal(story_step *step, const csti_meta_view *view) {
    csti_meta_command *command = &step->command;

    for (uint32_t i = 0; i < STORY_ITEMS; i++) {
        (void)snprintf(step->texts[i], sizeof step->texts[i], "objects/%02d",
                       (int)test_random_below(40));
        step->names[i] = step->texts[i];
        if (view->fulls_count && test_random_below(4) == 0)
            (void)snprintf(step->texts[i], sizeof step->texts[i], "%s",
                           view->fulls[test_random_below(view->fulls_count)].name);
    }
    command->names = step->names;
    command->names_count = (uint32_t)test_random_below(STORY_ITEMS + 1);
    command->ids = step->ids;
    for (uint32_t i = 0; i < view->checkpoints_count && i < 2; i++)
        step->ids[command->ids_count++] = view->checkpoints[i].id;
}

// long: a case each
// The next command of a job's life.
static inline void story_next(story_step *step, const csti_meta_view *view) {
    csti_meta_command *command = &step->command;
    const uint64_t kind = test_random_below(40);
    const csti_meta_checkpoint *newest = csti_meta_view_newest(view);

    *command = (csti_meta_command){.request_id = test_random() | 1};
    command->time_us = (int64_t)(view->index * 1000) + (int64_t)test_random_below(20000) - 10000;
    command->kind = (csti_meta_kind)(kind < 13 ? kind + 1 : CSTI_META_COMMIT);
    if (view->index == 0) command->kind = CSTI_META_CLAIM;
    (void)snprintf(step->name, sizeof step->name, "objects/%02d", (int)test_random_below(40));
    switch (command->kind) {
    case CSTI_META_CLAIM:
        *command = (csti_meta_command){.kind = CSTI_META_CLAIM,
                                       .request_id = command->request_id,
                                       .time_us = command->time_us,
                                       .name = "clicks",
                                       .owner = 1 + test_random_below(2),
                                       .count = 3};
        return;
    case CSTI_META_PIN:
    case CSTI_META_UNPIN:
        command->reader = 1 + test_random_below(5);
        if (command->kind == CSTI_META_UNPIN) return;
        command->id = newest ? newest->id : 1;
        command->ttl_us = 1 + test_random_below(20000);
        return;
    case CSTI_META_LEASE:
    case CSTI_META_LEASE_END:
    case CSTI_META_TOKEN_RAISE:
        command->lease = test_random_below(2) ? "fold" : "gc";
        if (command->kind != CSTI_META_LEASE) command->token = story_token(view, command->lease);
        if (command->kind != CSTI_META_TOKEN_RAISE) command->owner = 1 + test_random_below(2);
        if (command->kind == CSTI_META_LEASE) command->ttl_us = 1 + test_random_below(20000);
        return;
    case CSTI_META_REGISTER_FULL:
        command->lease = "fold";
        command->name = step->name;
        command->epoch = test_random_below(9);
        command->token = story_token(view, "fold");
        return;
    case CSTI_META_DELETED:
        story_removal(step, view);
        return;
    case CSTI_META_PARTITIONS:
    case CSTI_META_COMMIT:
    case CSTI_META_ADOPT:
    case CSTI_META_ABORT:
    case CSTI_META_RETIRE:
        break;
    }
    command->owner = story_pick(view->owner, 3);
    if (command->owner == 0) command->owner = 1;
    command->tenure = story_pick(view->tenure, 9);
    if (command->kind == CSTI_META_PARTITIONS)
        command->count = 1 + (uint32_t)test_random_below(5);
    else if (command->kind == CSTI_META_RETIRE)
        story_removal(step, view);
    else if (command->kind == CSTI_META_ABORT)
        command->id = (newest ? newest->id : 0) + 1 + test_random_below(4);
    else
        story_checkpoint(step, view);
}

#endif
