#include "server/toml.h"

#include "test.h"

// As many as a line has room for, and as many lists as may stand in each other with tables between.
enum { DOTTED_PARTS = 510, DEEPEST_LISTS = CSTI_TOML_VALUES_NESTED_MAX / 2 };

static csti_arena arena;
static csti_toml toml;
static csti_place place;
static cst_err err;

static cst_code parse(const char *text) {
    csti_arena_release(&arena);
    csti_arena_init(&arena, 4 << 20);
    err = (cst_err){.code = CST_OK};
    return csti_toml_parse(text, strlen(text), &arena, &toml, &place, &err);
}

static const csti_toml_node *child(const csti_toml_node *node, uint32_t index) {
    CHECK(index < node->children_count);
    return &toml.nodes[node->first_child + index];
}

static void check_place(csti_place at, uint32_t line, uint32_t column) {
    CHECK_EQ(at.line, line);
    CHECK_EQ(at.column, column);
}

TEST(a_key_has_its_place_and_so_has_its_value) {
    CHECK_OK(parse("\n[job]\n  name = \"bids\"\nwide=3\n"));
    const csti_toml_node *job = child(&toml.nodes[0], 0);

    CHECK_EQ(toml.nodes_count, 4);
    CHECK_TEXT(job->key, "job");
    check_place(job->at, 2, 2);
    CHECK_TEXT(child(job, 0)->key, "name");
    CHECK_TEXT(child(job, 0)->text, "bids");
    check_place(child(job, 0)->at, 3, 3);
    check_place(child(job, 0)->value_at, 3, 10);
    CHECK_EQ(child(job, 1)->integer, 3);
    check_place(child(job, 1)->at, 4, 1);
    check_place(child(job, 1)->value_at, 4, 6);
}

TEST(children_stand_in_the_order_of_the_text) {
    CHECK_OK(parse("zebra = 1\napple = 2\nmango = 3\n"));
    CHECK_TEXT(child(&toml.nodes[0], 0)->key, "zebra");
    CHECK_TEXT(child(&toml.nodes[0], 1)->key, "apple");
    CHECK_TEXT(child(&toml.nodes[0], 2)->key, "mango");
}

TEST(tables_of_a_list_keep_their_order_and_places) {
    CHECK_OK(parse("[[a]]\nx = 1\n[[b]]\n[[a]]\nx = 2\n"));
    const csti_toml_node *a = child(&toml.nodes[0], 0);

    CHECK_EQ(a->kind, CSTI_TOML_ARRAY);
    CHECK_EQ(a->children_count, 2);
    CHECK_EQ(child(child(a, 0), 0)->integer, 1);
    CHECK_EQ(child(child(a, 1), 0)->integer, 2);
    CHECK_EQ(child(a, 0)->at.line, 1);
    CHECK_EQ(child(a, 1)->at.line, 4);
}

TEST(every_kind_of_value_is_told_apart) {
    CHECK_OK(parse("v = [1, 1.5, true, 2026-01-01, \"t\", {k = 1}, [1]]\n"));
    const csti_toml_node *list = child(&toml.nodes[0], 0);

    CHECK_EQ(list->kind, CSTI_TOML_ARRAY);
    CHECK_EQ(child(list, 0)->kind, CSTI_TOML_INTEGER);
    CHECK_EQ(child(list, 1)->kind, CSTI_TOML_REAL);
    CHECK(child(list, 1)->real > 1.4 && child(list, 1)->real < 1.6);
    CHECK_EQ(child(list, 2)->kind, CSTI_TOML_FLAG);
    CHECK(child(list, 2)->flag);
    CHECK_EQ(child(list, 3)->kind, CSTI_TOML_TIME);
    CHECK_EQ(child(list, 4)->kind, CSTI_TOML_TEXT);
    CHECK_EQ(child(list, 5)->kind, CSTI_TOML_TABLE);
    CHECK_EQ(child(list, 6)->kind, CSTI_TOML_ARRAY);
}

TEST(what_is_no_toml_is_refused_at_its_place) {
    CHECK_CODE(parse("a = 1\nb = \n"), CST_CONFIG);
    CHECK_EQ(place.line, 2);
    CHECK_CODE(parse("a = 1\na = 2\n"), CST_CONFIG);
    CHECK_EQ(place.line, 2);
    CHECK_CODE(parse("a = \"\\q\"\n"), CST_CONFIG);
    CHECK_EQ(place.line, 1);
    CHECK_CODE(parse("a = \"\xff\"\n"), CST_CONFIG);
    CHECK_CODE(parse("[a\n"), CST_CONFIG);
}

TEST(what_the_parser_stumbles_over_is_refused_at_its_place) {
    CHECK_CODE(parse("[job]\nname = 1\n[?tate]\n"), CST_CONFIG);
    check_place(place, 3, 2);
    CHECK_CODE(parse("[?"), CST_CONFIG);
    check_place(place, 1, 2);
    CHECK_CODE(parse("[[a]]\n[[ ?]]"), CST_CONFIG);
    check_place(place, 2, 4);
}

TEST(letters_beyond_ascii_stand_in_texts_and_comments_and_nowhere_else) {
    CHECK_OK(parse("a = \"gr\xc3\xbc\xc3\x9f\" # \xc7\xb2 \xef\xbb\xbe\n"));
    CHECK_TEXT(child(&toml.nodes[0], 0)->text, "gr\xc3\xbc\xc3\x9f");
    CHECK_CODE(parse("a = 2 \xc3\xbc\n"), CST_CONFIG);
    check_place(place, 1, 7);
    CHECK_CODE(parse("a = 2\n\xc7\xb2 = 3\n"), CST_CONFIG);
    check_place(place, 2, 1);
}

TEST(a_text_with_a_zero_byte_is_refused) {
    CHECK_CODE(parse("a = 1\nb = \"x\\u0000y\"\n"), CST_CONFIG);
    check_place(place, 2, 1);
}

TEST(a_line_above_the_bound_is_refused_by_its_number) {
    char text[CSTI_TOML_LINE_BYTES_MAX + 16];

    memset(text, 'a', sizeof text);
    memcpy(text, "a=1\n", 4);
    text[sizeof text - 1] = '\0';
    CHECK_CODE(parse(text), CST_LIMIT);
    check_place(place, 2, CSTI_TOML_LINE_BYTES_MAX + 1); // the first that is too much
}

TEST(more_values_than_the_bound_are_refused) {
    const size_t count = CSTI_TOML_NODES_MAX + 1;
    char *text = malloc(count * 3 + 16);

    strcpy(text, "a = [\n");
    for (size_t i = 0; i < count; i++) strcpy(text + 6 + i * 3, "1,\n");
    strcpy(text + 6 + count * 3, "]\n");
    CHECK_CODE(parse(text), CST_LIMIT);
    free(text);
}

TEST(a_text_above_the_bound_is_refused) {
    char *text = malloc(CSTI_TOML_BYTES_MAX + 2);

    memset(text, '\n', CSTI_TOML_BYTES_MAX + 1);
    text[CSTI_TOML_BYTES_MAX + 1] = '\0';
    CHECK_CODE(parse(text), CST_LIMIT);
    free(text);
}

TEST(nesting_above_the_bound_is_refused) {
    CHECK_OK(parse("a = [[[[[[[1]]]]]]]\n"));
    CHECK_CODE(parse("a = [[[[[[[[[[1]]]]]]]]]]\n"), CST_CONFIG);
}

static size_t dotted_write(char *to) {
    size_t used = 0;

    for (int i = 0; i < DOTTED_PARTS; i++) used += (size_t)sprintf(to + used, "%sa", i ? "." : "");
    return used;
}

TEST(the_deepest_tree_that_the_bounds_allow_is_read_and_freed) {
    static char text[(DEEPEST_LISTS + 2) * (CSTI_TOML_LINE_BYTES_MAX + 16)];
    size_t used = (size_t)sprintf(text, "[");

    used += dotted_write(text + used);
    used += (size_t)sprintf(text + used, "]\n");
    for (int level = 0; level < DEEPEST_LISTS; level++) {
        used += (size_t)sprintf(text + used, level > 0 ? "{" : "");
        used += dotted_write(text + used);
        used += (size_t)sprintf(text + used, "=[\n");
    }
    used += (size_t)sprintf(text + used, "1");
    for (int level = 0; level < DEEPEST_LISTS; level++)
        used += (size_t)sprintf(text + used, level < DEEPEST_LISTS - 1 ? "]}" : "]");
    CHECK(used < sizeof text);
    CHECK_OK(parse(text));
    CHECK_EQ(toml.nodes_count, 2 + (DEEPEST_LISTS + 1) * DOTTED_PARTS + DEEPEST_LISTS - 1);
}

TEST_MAIN
