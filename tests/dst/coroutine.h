// coroutine.h: an actor's own stack, switched to and away from by hand.
//
//   scheduler ── coroutine_resume(a) ──► a runs ── coroutine_yield() ──► scheduler goes on
//
// Promises   only one runs at a time, and it runs until it yields: nothing depends on the machine.
// Thread     one.
#ifndef DST_COROUTINE_H
#define DST_COROUTINE_H

#include <stdbool.h>

typedef struct coroutine coroutine;

// It begins at the first resume. What `run` returns from is over.
coroutine *coroutine_open(void (*run)(void *context), void *context);
void coroutine_resume(coroutine *self);
// Back to whoever resumed. Outside of any coroutine: nothing.
void coroutine_yield(void);
bool coroutine_is_over(const coroutine *self);
void coroutine_close(coroutine *self); // NULL is allowed; one that is not over is forgotten

#endif
