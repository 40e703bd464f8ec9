#include "checkpoint/names.h"

#include "object/backend.h"
#include "test.h"

static const csti_checkpoint_name NAMES[] = {
    {.kind = CSTI_NAME_MANIFEST, .id = 17, .tenure = 3, .nonce = 0xabc},
    {.kind = CSTI_NAME_DELTA,
     .id = UINT64_MAX,
     .partition = 4095,
     .tenure = UINT64_MAX,
     .nonce = UINT64_MAX,
     .epoch = UINT64_MAX},
    {.kind = CSTI_NAME_FOLD, .token = 4, .nonce = 1, .partition = 0, .epoch = 12},
    {.kind = CSTI_NAME_ROWS, .id = 17, .partition = 3, .tenure = 2, .nonce = 5, .epoch = 40},
};
enum { NAMES_COUNT = sizeof NAMES / sizeof NAMES[0] };
static const char *const TEXTS[] = {
    "checkpoints/00000000000000000017/manifest-3-0000000000000abc",
    ("checkpoints/18446744073709551615/4095-18446744073709551615-ffffffffffffffff/"
     "delta-18446744073709551615"),
    "folds/4-0000000000000001/0-12",
    "checkpoints/00000000000000000017/3-2-0000000000000005/rows-40",
};

TEST(names_are_as_the_formats_page_says) {
    char text[CSTI_CHECKPOINT_NAME_BYTES];

    for (size_t i = 0; i < NAMES_COUNT; i++) {
        csti_checkpoint_name_format(&NAMES[i], text);
        CHECK_TEXT(text, TEXTS[i]);
        CHECK(csti_object_name_is_good(text));
    }
}

TEST(a_name_that_was_formatted_is_parsed_to_itself) {
    csti_checkpoint_name name;

    for (size_t i = 0; i < NAMES_COUNT; i++) {
        CHECK(csti_checkpoint_name_parse(TEXTS[i], &name));
        CHECK(memcmp(&name, &NAMES[i], sizeof name) == 0);
    }
}

TEST(a_text_that_format_does_not_give_is_no_name) {
    static const char *const NONE[] = {
        "",
        "_latest",
        "meta/0000000000000001/00000000000000000001",
        "folds/",
        "checkpoints/17",
        "checkpoints/17/manifest-3-0000000000000abc", // its zeros are missing
        "checkpoints/00000000000000000017/manifest-03-0000000000000abc",
        "checkpoints/00000000000000000017/manifest-+3-0000000000000abc",
        "checkpoints/00000000000000000017/manifest- 3-0000000000000abc",
        "checkpoints/00000000000000000017/manifest-3-0000000000000ABC",
        "checkpoints/00000000000000000017/manifest-3-0000000000000abcd",
        "checkpoints/00000000000000000017/manifest-3-0000000000000abc/",
        "checkpoints/00000000000000000017/manifest--0000000000000abc",
        "checkpoints/99999999999999999999/manifest-3-0000000000000abc", // above 2^64
        "checkpoints/00000000000000000017/4294967296-1-0000000000000001/delta-1",
        "checkpoints/00000000000000000017/0-1-0000000000000001/gamma-1",
        "checkpoints/00000000000000000017/0-1-0000000000000001/rows-",
        "checkpoints/00000000000000000017/0-1-0x00000000000001/delta-1",
        "folds/4-0000000000000001/0-",
        "folds/4-0000000000000001/0-12x",
    };
    csti_checkpoint_name name;

    for (size_t i = 0; i < sizeof NONE / sizeof NONE[0]; i++)
        if (csti_checkpoint_name_parse(NONE[i], &name)) TEST_FAIL("took \"%s\"", NONE[i]);
}

TEST_MAIN
