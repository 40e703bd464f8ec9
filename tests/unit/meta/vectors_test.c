// The golden metadata: every byte as docs/formats.md says, both ways.
#include "unit/meta/machines.h"

#include "meta/log.h"

enum { LINE_BYTES_MAX = 1 << 16, ITEMS_MAX = 8 };

typedef struct bytes {
    uint8_t at[LINE_BYTES_MAX / 2];
    size_t count;
} bytes;

static uint8_t hex_digit(char digit) {
    return (uint8_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

static void hex_read(const char *text, bytes *out) {
    for (out->count = 0; text[0] && text[1]; text += 2)
        out->at[out->count++] = (uint8_t)(hex_digit(text[0]) << 4 | hex_digit(text[1]));
    CHECK_EQ(*text, 0);
}

// What a line of a command points into.
typedef struct parsed {
    csti_meta_command command;
    uint64_t tenures[ITEMS_MAX], ids[ITEMS_MAX];
    const char *names[ITEMS_MAX];
    csti_meta_full_ref fulls[ITEMS_MAX];
} parsed;

static csti_meta_kind kind_of(const char *name) {
    static const char *const names[] = {
        [CSTI_META_CLAIM] = "CLAIM",
        [CSTI_META_PARTITIONS] = "PARTITIONS",
        [CSTI_META_COMMIT] = "COMMIT",
        [CSTI_META_ADOPT] = "ADOPT",
        [CSTI_META_ABORT] = "ABORT",
        [CSTI_META_REGISTER_FULL] = "REGISTER_FULL",
        [CSTI_META_RETIRE] = "RETIRE",
        [CSTI_META_DELETED] = "DELETED",
        [CSTI_META_PIN] = "PIN",
        [CSTI_META_UNPIN] = "UNPIN",
        [CSTI_META_LEASE] = "LEASE",
        [CSTI_META_LEASE_END] = "LEASE_END",
        [CSTI_META_TOKEN_RAISE] = "TOKEN_RAISE",
    };

    for (int i = 1; i < (int)(sizeof names / sizeof names[0]); i++)
        if (strcmp(names[i], name) == 0) return (csti_meta_kind)i;
    TEST_FAIL("kind %s", name);
}

static void numbers_read(char *text, uint64_t *out, const uint64_t **list, uint32_t *count) {
    char *rest = NULL;

    for (char *one = strtok_r(text, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
        CHECK(*count < ITEMS_MAX);
        out[(*count)++] = strtoull(one, NULL, 10);
    }
    *list = out;
}

static void lists_read(parsed *out, const char *field, char *value) {
    csti_meta_command *command = &out->command;
    char *rest = NULL;

    if (strcmp(field, "tenures") == 0)
        numbers_read(value, out->tenures, &command->tenures, &command->tenures_count);
    else if (strcmp(field, "ids") == 0)
        numbers_read(value, out->ids, &command->ids, &command->ids_count);
    else if (strcmp(field, "names") == 0) {
        for (char *one = strtok_r(value, ",", &rest); one; one = strtok_r(NULL, ",", &rest))
            out->names[command->names_count++] = one;
        command->names = out->names;
    } else if (strcmp(field, "fulls") == 0) { // one
        csti_meta_full_ref *full = &out->fulls[command->fulls_count++];

        full->partition = (uint32_t)strtoul(value, &value, 10);
        full->epoch = strtoull(value + 1, &value, 10);
        full->name = value + 1;
        command->fulls = out->fulls;
    } else
        TEST_FAIL("field %s", field);
}

static void field_read(parsed *out, const char *field, char *value) {
    csti_meta_command *command = &out->command;
    const struct {
        const char *name;
        uint64_t *at;
    } numbers[] = {
        {"request_id", &command->request_id}, {"owner", &command->owner},
        {"tenure", &command->tenure},         {"id", &command->id},
        {"base_id", &command->base_id},       {"epoch", &command->epoch},
        {"bytes", &command->bytes},           {"token", &command->token},
        {"reader", &command->reader},         {"ttl_us", &command->ttl_us},
    };
    const uint64_t number = strtoull(value, NULL, 10);

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (strcmp(numbers[i].name, field) == 0) {
            *numbers[i].at = number;
            return;
        }
    if (strcmp(field, "kind") == 0)
        command->kind = kind_of(value);
    else if (strcmp(field, "time_us") == 0)
        command->time_us = (int64_t)number;
    else if (strcmp(field, "crc") == 0)
        command->crc = (uint32_t)number;
    else if (strcmp(field, "partition") == 0)
        command->partition = (uint32_t)number;
    else if (strcmp(field, "count") == 0)
        command->count = (uint32_t)number;
    else if (strcmp(field, "name") == 0)
        command->name = value;
    else if (strcmp(field, "lease") == 0)
        command->lease = value;
    else
        lists_read(out, field, value);
}

static void command_read(char *text, parsed *out) {
    char *rest = NULL;

    *out = (parsed){0};
    for (char *pair = strtok_r(text, " ", &rest); pair; pair = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(pair, '=');

        CHECK(value);
        *value = 0;
        field_read(out, pair, value + 1);
    }
}

static void check_equal(const csti_buffer *made, const bytes *golden) {
    CHECK_EQ(made->used_bytes, golden->count);
    CHECK_BYTES(made->bytes, golden->at, golden->count);
}

// The command gives the bytes, and the bytes give the command.
static void check_command(const csti_meta_command *command, const bytes *golden) {
    csti_meta_command decoded;
    csti_buffer made;
    csti_arena arena;

    csti_arena_init(&arena, STATE_BYTES_MAX);
    csti_buffer_init(&made, STATE_BYTES_MAX);
    CHECK_OK(csti_meta_command_encode(command, &made, NULL));
    check_equal(&made, golden);
    CHECK_OK(csti_meta_command_decode(golden->at, golden->count, &arena, &decoded, NULL));
    csti_buffer_reset(&made);
    CHECK_OK(csti_meta_command_encode(&decoded, &made, NULL));
    check_equal(&made, golden);
    csti_buffer_release(&made);
    csti_arena_release(&arena);
}

static void check_entry(char *text, const csti_meta_command *command, bytes *golden) {
    const uint64_t incarnation = strtoull(text, &text, 10);
    const uint64_t index = strtoull(text + 3, &text, 10);
    csti_meta_command decoded;
    csti_buffer made;
    csti_arena arena;

    hex_read(text + 3, golden);
    csti_arena_init(&arena, STATE_BYTES_MAX);
    csti_buffer_init(&made, STATE_BYTES_MAX);
    CHECK_OK(csti_meta_entry_encode(incarnation, index, command, &made, NULL));
    check_equal(&made, golden);
    CHECK_OK(csti_meta_entry_decode(incarnation, index, golden->at, golden->count, &arena, &decoded,
                                    NULL));
    CHECK_EQ(decoded.request_id, command->request_id);
    csti_buffer_release(&made);
    csti_arena_release(&arena);
}

static void check_state(const csti_meta_machine *machine, const bytes *golden) {
    csti_meta_machine *decoded = NULL;
    csti_buffer made = state_of(machine);

    check_equal(&made, golden);
    CHECK_OK(csti_meta_machine_decode(golden->at, golden->count, &decoded, NULL));
    CHECK(states_are_equal(machine, decoded));
    csti_meta_machine_close(decoded);
    csti_buffer_release(&made);
}

TEST(metadata_of_the_first_version_is_read_and_written) {
    static char line[LINE_BYTES_MAX], fields[LINE_BYTES_MAX];
    static bytes golden;
    static parsed last;
    csti_meta_machine *machine = machine_make();
    FILE *file = fopen(CST_VECTORS_DIR "/meta.txt", "r");
    int commands = 0, states = 0;

    CHECK(file);
    while (fgets(line, sizeof line, file)) {
        char *text = strstr(line, " | ");

        line[strcspn(line, "\n")] = 0;
        if (line[0] == '#') continue;
        CHECK(text);
        *text = 0;
        text += 3;
        if (strcmp(line, "command") == 0) {
            char *hex = strstr(text, " | ");

            CHECK(hex);
            *hex = 0;
            hex_read(hex + 3, &golden);
            (void)snprintf(fields, sizeof fields, "%s", text);
            command_read(fields, &last);
            check_command(&last.command, &golden);
            commands++;
        } else if (strcmp(line, "entry") == 0) {
            check_entry(text, &last.command, &golden);
        } else if (strcmp(line, "apply") == 0) {
            CHECK_TEXT(cst_code_name(apply(machine, last.command)), text);
        } else {
            CHECK_TEXT(line, "state");
            hex_read(text, &golden);
            check_state(machine, &golden);
            states++;
        }
    }
    CHECK_EQ(commands, 20);
    CHECK_EQ(states, 5);
    CHECK_EQ(fclose(file), 0);
    csti_meta_machine_close(machine);
}

TEST_MAIN
