#include "object/s3_xml.h"

#include "test.h"

static char seen[4096];

static cst_code see(void *context, const char *path, const char *text, cst_err *err) {
    const size_t at = strlen(seen);

    (void)context;
    (void)err;
    (void)snprintf(seen + at, sizeof seen - at, "%s=%s;", path, text);
    return CST_OK;
}

static cst_code walk(const char *text, cst_err *err) {
    seen[0] = '\0';
    return csti_s3_xml_walk(text, strlen(text), see, NULL, err);
}

TEST(elements_are_seen_at_their_end_with_their_text) {
    CHECK_OK(walk("<?xml version=\"1.0\"?>\n<List xmlns=\"http://s3/\"><Entry a='b'>\n"
                  "<Key>a&amp;b&#x41;</Key><Size/></Entry><n:More>true</n:More></List>",
                  NULL));
    CHECK_TEXT(seen, "List/Entry/Key=a&bA;List/Entry/Size=;List/Entry=;List/More=true;List=;");
}

TEST(a_document_type_is_refused) {
    cst_err err = {0};

    CHECK_CODE(walk("<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>", &err),
               CST_PARSE);
    CHECK(strstr(err.text, "document type"));
    CHECK_TEXT(seen, "");
    CHECK_CODE(walk("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>", NULL), CST_PARSE);
    CHECK_CODE(walk("<a>&b;</a>", NULL), CST_PARSE);
}

TEST(depth_and_text_are_bounded) {
    static char text[CSTI_S3_XML_TEXT_MAX + 64];
    cst_err err = {0};

    CHECK_OK(walk("<a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a>", NULL));
    CHECK_CODE(walk("<a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></a>", &err),
               CST_LIMIT);
    CHECK(strstr(err.text, "8 elements"));
    (void)snprintf(text, sizeof text, "<a>%*s</a>", CSTI_S3_XML_TEXT_MAX, "x");
    CHECK_OK(walk(text, NULL));
    (void)snprintf(text, sizeof text, "<a>%*s</a>", CSTI_S3_XML_TEXT_MAX + 1, "x");
    CHECK_CODE(walk(text, NULL), CST_LIMIT);
    (void)snprintf(text, sizeof text, "<%0*d/>", CSTI_S3_XML_PATH_MAX, 0);
    CHECK_CODE(walk(text, NULL), CST_PARSE); // no name begins with a digit
    text[1] = 'n';
    CHECK_CODE(walk(text, NULL), CST_LIMIT);
}

TEST(what_is_not_whole_is_refused_with_its_line) {
    static const char *const bad[] = {"",      "<a>",        "<a></b>",     "<a/><b/>",
                                      "hello", "<html><br>", "<a>\xff</a>", "<a b></a>"};
    cst_err err = {0};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_CODE(walk(bad[i], NULL), CST_PARSE);
    CHECK_CODE(walk("<a>\n<b>\n</a>", &err), CST_PARSE);
    CHECK(strstr(err.text, "line 3"));
}

static cst_code stop(void *context, const char *path, const char *text, cst_err *err) {
    (void)context;
    (void)text;
    return strcmp(path, "a/b") == 0 ? cst_fail(err, CST_VALUE_RANGE, "enough") : CST_OK;
}

TEST(a_visitor_ends_the_walk) {
    static const char text[] = "<a><b/><c></a>";
    cst_err err = {0};

    CHECK_CODE(csti_s3_xml_walk(text, sizeof text - 1, stop, NULL, &err), CST_VALUE_RANGE);
    CHECK_TEXT(err.text, "enough");
}

TEST_MAIN
