extern "C" {
#include "server/toml.h"
}

#define TOML_EXCEPTIONS 1
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#define TOML_MAX_NESTED_VALUES 8
#include <toml++/toml.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <vector>

static_assert(TOML_MAX_NESTED_VALUES == CSTI_TOML_VALUES_NESTED_MAX);

namespace {

struct Child {
    std::string_view key;
    csti_place at;
    const toml::node *node;
};

csti_place place_of(const toml::source_position &position) {
    return {position.line, position.column};
}

bool before(const csti_place &a, const csti_place &b) {
    return a.line != b.line ? a.line < b.line : a.column < b.column;
}

// A line that is too long; 0: none is.
uint32_t long_line(std::string_view text) {
    uint32_t line = 1;
    size_t begin = 0;

    while (begin <= text.size()) {
        const size_t end = std::min(text.find('\n', begin), text.size());

        if (end - begin > CSTI_TOML_LINE_BYTES_MAX) return line;
        begin = end + 1;
        line++;
    }
    return 0;
}

std::vector<Child> children_of(const toml::node &node) {
    std::vector<Child> children;

    if (const toml::table *table = node.as_table())
        for (const auto &[key, value] : *table)
            children.push_back({key.str(), place_of(key.source().begin), &value});
    if (const toml::array *array = node.as_array())
        for (const toml::node &value : *array)
            children.push_back({"", place_of(value.source().begin), &value});
    std::stable_sort(children.begin(), children.end(),
                     [](const Child &a, const Child &b) { return before(a.at, b.at); });
    return children;
}

cst_code text_copy(std::string_view text, csti_arena *arena, const char **out, cst_err *err) {
    void *copy = nullptr;
    const cst_code code = csti_arena_alloc(arena, text.size() + 1, 1, &copy, err);

    if (code != CST_OK) return code;
    if (text.find('\0') != text.npos)
        return cst_fail(err, CST_CONFIG, "a text holds a NUL byte, which nothing here can take");
    memcpy(copy, text.data(), text.size());
    static_cast<char *>(copy)[text.size()] = '\0';
    *out = static_cast<const char *>(copy);
    return CST_OK;
}

cst_code value_copy(const toml::node &from, csti_arena *arena, csti_toml_node *to, cst_err *err) {
    switch (from.type()) {
    case toml::node_type::table:
        to->kind = CSTI_TOML_TABLE;
        return CST_OK;
    case toml::node_type::array:
        to->kind = CSTI_TOML_ARRAY;
        return CST_OK;
    case toml::node_type::string:
        to->kind = CSTI_TOML_TEXT;
        return text_copy(from.as_string()->get(), arena, &to->text, err);
    case toml::node_type::integer:
        to->kind = CSTI_TOML_INTEGER;
        to->integer = from.as_integer()->get();
        return CST_OK;
    case toml::node_type::floating_point:
        to->kind = CSTI_TOML_REAL;
        to->real = from.as_floating_point()->get();
        return CST_OK;
    case toml::node_type::boolean:
        to->kind = CSTI_TOML_FLAG;
        to->flag = from.as_boolean()->get();
        return CST_OK;
    default:
        to->kind = CSTI_TOML_TIME;
        return CST_OK;
    }
}

cst_code flatten(const toml::table &root, csti_arena *arena, csti_toml *out, csti_place *place_out,
                 cst_err *err) {
    std::vector<csti_toml_node> nodes;
    std::vector<Child> open{{"", {1, 1}, &root}};
    void *copy = nullptr;
    cst_code code = CST_OK;

    for (size_t i = 0; i < open.size(); i++) { // `open` grows by the children of each
        const Child item = open[i];
        const std::vector<Child> children = children_of(*item.node);
        csti_toml_node node = {};

        *place_out = item.at;
        if (open.size() + children.size() > CSTI_TOML_NODES_MAX)
            return cst_fail(err, CST_LIMIT, "more than %d keys and values", CSTI_TOML_NODES_MAX);
        code = text_copy(item.key, arena, &node.key, err);
        if (code == CST_OK) code = value_copy(*item.node, arena, &node, err);
        if (code != CST_OK) return code;
        node.at = item.at;
        node.value_at = place_of(item.node->source().begin);
        node.first_child = static_cast<uint32_t>(open.size());
        node.children_count = static_cast<uint32_t>(children.size());
        open.insert(open.end(), children.begin(), children.end());
        nodes.push_back(node);
    }
    code = csti_arena_alloc(arena, nodes.size() * sizeof nodes[0], alignof(csti_toml_node), &copy,
                            err);
    if (code != CST_OK) return code;
    memcpy(copy, nodes.data(), nodes.size() * sizeof nodes[0]);
    *place_out = {0, 0};
    *out = {static_cast<const csti_toml_node *>(copy), static_cast<uint32_t>(nodes.size())};
    return CST_OK;
}

} // namespace

extern "C" cst_code csti_toml_parse(const char *text, size_t bytes, csti_arena *arena,
                                    csti_toml *out, csti_place *place_out, cst_err *err) {
    const std::string_view view{text, bytes};

    *place_out = {0, 0};
    if (bytes > CSTI_TOML_BYTES_MAX)
        return cst_fail(err, CST_LIMIT, "%zu bytes, at most %d", bytes, CSTI_TOML_BYTES_MAX);
    place_out->line = long_line(view);
    if (place_out->line != 0)
        return cst_fail(err, CST_LIMIT, "the line is longer than %d bytes. Break it",
                        CSTI_TOML_LINE_BYTES_MAX);
    try {
        return flatten(toml::parse(view), arena, out, place_out, err);
    } catch (const toml::parse_error &error) {
        const std::string_view why = error.description();

        *place_out = place_of(error.source().begin);
        return cst_fail(err, CST_CONFIG, "%.*s", static_cast<int>(why.size()), why.data());
    } catch (const std::bad_alloc &) {
        return cst_fail(err, CST_NO_MEMORY, "while reading TOML");
    } catch (const std::exception &error) {
        return cst_fail(err, CST_CONFIG, "%s", error.what());
    }
}
