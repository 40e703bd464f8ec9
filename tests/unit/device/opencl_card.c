// opencl_card.c: an OpenCL library whose devices are as a vendor's for cards: without a compiler,
// so that programs come from containers alone. All else is the machine's own library, which this
// one is linked with. What fails is named by the environment:
//
//   OPENCL_CARD_BUILD=-11        clBuildProgram says that
//   OPENCL_CARD_LACKS=scan_count the container has no such kernel
#define CL_TARGET_OPENCL_VERSION 120
#define _GNU_SOURCE 1 // RTLD_NEXT
#include <CL/cl.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

// Its code is the machine's library's.
#define NEXT(NAME, CALL)                                                                           \
    void *symbol = dlsym(RTLD_NEXT, NAME);                                                         \
    memcpy(&(CALL), &symbol, sizeof symbol)

cl_int clGetDeviceInfo(cl_device_id device, cl_device_info what, size_t bytes, void *out,
                       size_t *bytes_out) {
    cl_int (*call)(cl_device_id, cl_device_info, size_t, void *, size_t *);
    cl_int error;
    NEXT("clGetDeviceInfo", call);

    error = call(device, what, bytes, out, bytes_out);
    if (what == CL_DEVICE_COMPILER_AVAILABLE && error == CL_SUCCESS && out) memset(out, 0, bytes);
    return error;
}

cl_program clCreateProgramWithSource(cl_context context, cl_uint count, const char **texts,
                                     const size_t *lengths, cl_int *error_out) {
    (void)context, (void)count, (void)texts, (void)lengths;
    if (error_out) *error_out = CL_INVALID_OPERATION;
    return NULL;
}

cl_int clBuildProgram(cl_program program, cl_uint count, const cl_device_id *devices,
                      const char *options, void(CL_CALLBACK *notify)(cl_program, void *),
                      void *context) {
    cl_int (*call)(cl_program, cl_uint, const cl_device_id *, const char *,
                   void(CL_CALLBACK *)(cl_program, void *), void *);
    const char *wanted = getenv("OPENCL_CARD_BUILD");
    NEXT("clBuildProgram", call);

    return wanted ? atoi(wanted) : call(program, count, devices, options, notify, context);
}

cl_kernel clCreateKernel(cl_program program, const char *name, cl_int *error_out) {
    cl_kernel (*call)(cl_program, const char *, cl_int *);
    const char *lacks = getenv("OPENCL_CARD_LACKS");
    NEXT("clCreateKernel", call);

    if (!lacks || strcmp(lacks, name) != 0) return call(program, name, error_out);
    if (error_out) *error_out = CL_INVALID_KERNEL_NAME;
    return NULL;
}
