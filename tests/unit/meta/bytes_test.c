// Commands and states as bytes: equal for equal ones, and refused when they are anything else.
#include "unit/meta/stories.h"

#include "base/bytes.h"
#include "base/crc32c.h"

enum { STEPS = 2000, COMMAND_CRC_AT = 20, STATE_CRC_AT = 24, STRIDE = TEST_EACH(1) };

static void command_again(const csti_meta_command *command, csti_buffer *bytes, csti_arena *arena,
                          csti_meta_command *out) {
    csti_buffer second;

    csti_buffer_reset(bytes);
    csti_buffer_init(&second, STATE_BYTES_MAX);
    CHECK_OK(csti_meta_command_encode(command, bytes, NULL));
    CHECK_OK(csti_meta_command_decode(bytes->bytes, bytes->used_bytes, arena, out, NULL));
    CHECK_OK(csti_meta_command_encode(out, &second, NULL));
    CHECK_EQ(bytes->used_bytes, second.used_bytes);
    CHECK_BYTES(bytes->bytes, second.bytes, second.used_bytes);
    csti_buffer_release(&second);
}

// Three machines live the same life: one by the commands, one by their bytes, one that is made anew
// from its own snapshot now and then.
TEST(equal_commands_give_equal_states_also_from_a_snapshot) {
    csti_meta_machine *direct = machine_make(), *decoded = machine_make(),
                      *renewed = machine_make();
    static story_step step;
    csti_buffer bytes;
    csti_arena arena;
    uint64_t taken[14] = {0};

    csti_buffer_init(&bytes, STATE_BYTES_MAX);
    csti_arena_init(&arena, STATE_BYTES_MAX);
    for (uint64_t i = 0; i < STEPS; i++) {
        const csti_meta_view view = view_of(direct);
        csti_meta_command read;

        story_next(&step, &view);
        csti_arena_reset(&arena);
        command_again(&step.command, &bytes, &arena, &read);
        const cst_code code = apply(renewed, step.command);
        CHECK_CODE(apply(decoded, read), code);
        CHECK_CODE(apply(direct, step.command), code); // last: the step points into its view
        taken[step.command.kind] += code == CST_OK;
        CHECK(states_are_equal(direct, decoded));
        if (test_random_below(16) == 0) {
            csti_meta_machine *fresh = copy_of(renewed);

            CHECK(states_are_equal(fresh, direct));
            csti_meta_machine_close(renewed);
            renewed = fresh;
        }
    }
    CHECK(states_are_equal(direct, renewed));
    for (int kind = 1; kind <= 13; kind++)
        if (taken[kind] == 0) TEST_FAIL("no command of kind %d was taken", kind);
    csti_buffer_release(&bytes);
    csti_arena_release(&arena);
    csti_meta_machine_close(direct);
    csti_meta_machine_close(decoded);
    csti_meta_machine_close(renewed);
}

TEST(time_never_goes_back_whatever_the_clocks_say) {
    csti_meta_machine *machine = machine_make();
    static story_step step;
    int64_t before = INT64_MIN;

    for (int i = 0; i < STEPS; i++) {
        const csti_meta_view view = view_of(machine);

        story_next(&step, &view);
        step.command.time_us += ((int64_t)test_random_below(3) - 1) * 600 * 1000000;
        (void)apply(machine, step.command);
        CHECK(view_of(machine).now_us >= before);
        CHECK(view_of(machine).now_us >= step.command.time_us);
        before = view_of(machine).now_us;
    }
    csti_meta_machine_close(machine);
}

// A state with something of everything.
static csti_meta_machine *rich_machine(void) {
    csti_meta_machine *machine = machine_make();
    static story_step step;

    for (int i = 0; i < STEPS; i++) {
        const csti_meta_view view = view_of(machine);

        if (view.checkpoints_count > 1 && view.fulls_count && view.aborted_count &&
            view.pins_count && view.leases_count == 2 && view.pending_count && i > 300)
            break;
        story_next(&step, &view);
        (void)apply(machine, step.command);
    }
    return machine;
}

// A decoder that is given bytes whose checksum is right, whatever they say.
typedef bool (*decoder)(const uint8_t *bytes, size_t count);

static bool command_is_taken(const uint8_t *bytes, size_t count) {
    csti_meta_command command;
    csti_arena arena;
    cst_err err = {0};
    cst_code code;

    csti_arena_init(&arena, STATE_BYTES_MAX);
    code = csti_meta_command_decode(bytes, count, &arena, &command, &err);
    if (code == CST_OK) {
        csti_buffer again;

        csti_buffer_init(&again, STATE_BYTES_MAX);
        CHECK_OK(csti_meta_command_encode(&command, &again, NULL));
        CHECK_EQ(again.used_bytes, count);
        CHECK_BYTES(again.bytes, bytes, count);
        csti_buffer_release(&again);
    } else
        CHECK(code == CST_META_CORRUPT || code == CST_META_VERSION);
    CHECK_EQ(err.text[0] != 0, code != CST_OK);
    csti_arena_release(&arena);
    return code == CST_OK;
}

static bool state_is_taken(const uint8_t *bytes, size_t count) {
    csti_meta_machine *machine = NULL;
    cst_err err = {0};
    const cst_code code = csti_meta_machine_decode(bytes, count, &machine, &err);

    if (code == CST_OK) {
        csti_buffer again = state_of(machine);

        CHECK_EQ(again.used_bytes, count);
        CHECK_BYTES(again.bytes, bytes, count);
        csti_buffer_release(&again);
    } else
        CHECK(code == CST_META_CORRUPT || code == CST_META_VERSION);
    CHECK_EQ(err.text[0] != 0, code != CST_OK);
    csti_meta_machine_close(machine);
    return code == CST_OK;
}

// Every byte flipped, every length: refused. Then random damage whose checksum is made right: what
// is taken all the same gives the same bytes again.
static void damage(const csti_buffer *good, size_t crc_at, decoder is_taken) {
    uint8_t *bytes = malloc(good->used_bytes);
    const size_t count = good->used_bytes;
    int refused = 0;

    CHECK(bytes);
    memcpy(bytes, good->bytes, count);
    CHECK(is_taken(bytes, count));
    for (size_t i = test_random_below(STRIDE); i < count; i += STRIDE) {
        bytes[i] ^= (uint8_t)(1u << (i % 8));
        CHECK(!is_taken(bytes, count));
        bytes[i] ^= (uint8_t)(1u << (i % 8));
        CHECK(!is_taken(bytes, i));
    }
    for (int i = 0; i < TEST_SHARE(6000); i++) {
        memcpy(bytes, good->bytes, count);
        for (uint64_t k = 1 + test_random_below(3); k > 0; k--)
            bytes[test_random_below(count)] =
                test_random_below(2) ? (uint8_t)test_random() : (uint8_t)test_random_below(3);
        csti_store_le32(bytes + crc_at, 0);
        csti_store_le32(bytes + crc_at, csti_crc32c(0, bytes, count));
        refused += !is_taken(bytes, count);
    }
    CHECK(refused > 100);
    free(bytes);
}

TEST(damaged_commands_are_refused) {
    csti_meta_machine *machine = rich_machine();
    const csti_meta_view view = view_of(machine);
    static story_step step;
    bool seen[14] = {0};

    for (int kinds = 0; kinds < 13;) {
        csti_buffer bytes;

        story_next(&step, &view);
        if (seen[step.command.kind]) continue;
        seen[step.command.kind] = true;
        kinds++;
        csti_buffer_init(&bytes, STATE_BYTES_MAX);
        CHECK_OK(csti_meta_command_encode(&step.command, &bytes, NULL));
        damage(&bytes, COMMAND_CRC_AT, command_is_taken);
        csti_buffer_release(&bytes);
    }
    csti_meta_machine_close(machine);
}

TEST(damaged_states_are_refused) {
    csti_meta_machine *machine = rich_machine();
    csti_buffer bytes = state_of(machine);

    damage(&bytes, STATE_CRC_AT, state_is_taken);
    csti_buffer_release(&bytes);
    csti_meta_machine_close(machine);
}

TEST(a_newer_version_is_told_from_damage) {
    csti_meta_machine *machine = machine_make();
    csti_buffer bytes = state_of(machine);
    const csti_meta_command command = claim(OWNER);
    csti_meta_command numbered = command;
    csti_meta_machine *read = NULL;
    csti_meta_command decoded;
    csti_arena arena;

    csti_arena_init(&arena, STATE_BYTES_MAX);
    bytes.bytes[8] = 2;
    CHECK_CODE(csti_meta_machine_decode(bytes.bytes, bytes.used_bytes, &read, NULL),
               CST_META_VERSION);
    csti_buffer_reset(&bytes);
    numbered.request_id = 1;
    CHECK_OK(csti_meta_command_encode(&numbered, &bytes, NULL));
    bytes.bytes[8] = 2;
    CHECK_CODE(csti_meta_command_decode(bytes.bytes, bytes.used_bytes, &arena, &decoded, NULL),
               CST_META_VERSION);
    csti_arena_release(&arena);
    csti_buffer_release(&bytes);
    csti_meta_machine_close(machine);
}

TEST(a_command_of_more_than_4_mib_is_refused) {
    enum { NAMES = 10000, NAME_BYTES = 500 };
    char *text = malloc((size_t)NAMES * (NAME_BYTES + 1));
    const char **names = calloc(NAMES, sizeof *names);
    csti_meta_command command;
    csti_buffer bytes;

    CHECK(text && names);
    for (int i = 0; i < NAMES; i++) {
        char *name = text + (size_t)i * (NAME_BYTES + 1);

        memset(name, 'x', NAME_BYTES);
        name[NAME_BYTES] = 0;
        names[i] = name;
    }
    csti_buffer_init(&bytes, STATE_BYTES_MAX);
    command = retire(1, NULL, 0, names, NAMES);
    command.request_id = 1;
    CHECK_CODE(csti_meta_command_encode(&command, &bytes, NULL), CST_LIMIT);
    CHECK_EQ(bytes.used_bytes, 0);
    command.names_count = 8000;
    CHECK_OK(csti_meta_command_encode(&command, &bytes, NULL));
    csti_buffer_release(&bytes);
    free(names);
    free(text);
}

TEST_MAIN
