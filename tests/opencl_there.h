// opencl_there.h: whether this build has the back end opencl:. Where it has, the machine has to
// have a device (scripts/deps --tests): a test of one fails without.
#ifndef CST_TESTS_OPENCL_THERE_H
#define CST_TESTS_OPENCL_THERE_H

#include "test.h"

#include <constellation/device.h>

static inline bool opencl_is_there(void) {
#ifdef CST_HAS_OPENCL
    cst_device *device = NULL;
    cst_err err = {0};

    if (cst_device_open("opencl:", &device, &err) != CST_OK) TEST_FAIL("%s", err.text);
    cst_device_close(device);
    return true;
#else
    printf("this build has no opencl:; ");
    return false;
#endif
}

#endif
