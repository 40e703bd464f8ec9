#include "dst/coroutine.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#define DST_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define DST_ASAN 1
#endif
#endif

#ifdef DST_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

enum { STACK_BYTES = 512 << 10, GUARD_BYTES = 4096 };

struct coroutine {
    ucontext_t here, back;
    void (*run)(void *context);
    void *context;
    uint8_t *stack; // its lowest page is a guard
    const void *back_stack;
    size_t back_bytes;
    void *fake; // the address sanitizer's, of this stack
    bool is_over;
};

static coroutine *current;

// The address sanitizer wants to know whose stack comes next.
static void switch_begins(void **fake, const void *stack, size_t bytes) {
#ifdef DST_ASAN
    __sanitizer_start_switch_fiber(fake, stack, bytes);
#else
    (void)fake;
    (void)stack;
    (void)bytes;
#endif
}

static void switch_ends(void *fake, const void **stack, size_t *bytes) {
#ifdef DST_ASAN
    __sanitizer_finish_switch_fiber(fake, stack, bytes);
#else
    (void)fake;
    (void)stack;
    (void)bytes;
#endif
}

static void enter(void) {
    coroutine *self = current;

    switch_ends(NULL, &self->back_stack, &self->back_bytes);
    self->run(self->context);
    self->is_over = true;
    switch_begins(NULL, self->back_stack, self->back_bytes);
    (void)swapcontext(&self->here, &self->back);
    abort(); // nobody resumes what is over
}

coroutine *coroutine_open(void (*run)(void *context), void *context) {
    coroutine *self = calloc(1, sizeof *self);

    if (!self) abort();
    self->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (self->stack == MAP_FAILED) abort();
    if (mprotect(self->stack, GUARD_BYTES, PROT_NONE) != 0) abort();
    self->run = run;
    self->context = context;
    if (getcontext(&self->here) != 0) abort();
    self->here.uc_stack.ss_sp = self->stack + GUARD_BYTES;
    self->here.uc_stack.ss_size = STACK_BYTES - GUARD_BYTES;
    makecontext(&self->here, enter, 0);
    return self;
}

void coroutine_resume(coroutine *self) {
    void *fake = NULL;

    assert(!current);
    assert(!self->is_over);
    current = self;
    switch_begins(&fake, self->stack + GUARD_BYTES, STACK_BYTES - GUARD_BYTES);
    if (swapcontext(&self->back, &self->here) != 0) abort();
    switch_ends(fake, NULL, NULL);
    current = NULL;
}

void coroutine_yield(void) {
    coroutine *self = current;

    if (!self) return;
    switch_begins(&self->fake, self->back_stack, self->back_bytes);
    if (swapcontext(&self->here, &self->back) != 0) abort();
    switch_ends(self->fake, &self->back_stack, &self->back_bytes);
}

bool coroutine_is_over(const coroutine *self) {
    return self->is_over;
}

void coroutine_close(coroutine *self) {
    if (!self) return;
    (void)munmap(self->stack, STACK_BYTES);
    free(self);
}
