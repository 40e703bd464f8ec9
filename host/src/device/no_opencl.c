// no_opencl.c: what a build without OpenCL's headers has instead of opencl.c.
#include "device/backend.h"

static cst_code opencl_open(csti_uri *uri, cst_device **out, cst_err *err) {
    (void)uri, (void)out;
    return cst_fail(err, CST_UNSUPPORTED,
                    "this build has no opencl: devices. Install opencl-c-headers and build again");
}

const csti_device_ops csti_device_opencl = {.scheme = "opencl", .open = opencl_open};
