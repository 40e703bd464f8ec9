#include <constellation/version.h>

uint32_t cst_version(void) {
    return CST_VERSION;
}

#define TEXT_OF(number) #number
#define TEXT(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

const char *cst_version_text(void) {
    return TEXT(CST_VERSION_MAJOR, CST_VERSION_MINOR, CST_VERSION_PATCH);
}
