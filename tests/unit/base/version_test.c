#include <constellation/version.h>

#include "test.h"

// CST_PROJECT_VERSION is the build's: the one that packages are named after.
TEST(the_header_the_library_and_the_build_agree) {
    CHECK_TEXT(cst_version_text(), CST_PROJECT_VERSION);
    CHECK_EQ(cst_version(), CST_VERSION);
}

TEST_MAIN
