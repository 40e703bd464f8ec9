// opencl_there.h: whether this machine has an OpenCL device; a test of one says why not, and is
// done.
#ifndef CST_TESTS_OPENCL_THERE_H
#define CST_TESTS_OPENCL_THERE_H

#include "test.h"

#include <constellation/device.h>

static inline bool opencl_is_there(void) {
    cst_device *device = NULL;
    cst_err err = {0};
    const cst_code code = cst_device_open("opencl:", &device, &err);

    if (code != CST_OK && code != CST_UNSUPPORTED) TEST_FAIL("%s", err.text);
    if (code != CST_OK) printf("%s; ", err.text);
    cst_device_close(device);
    return code == CST_OK;
}

#endif
