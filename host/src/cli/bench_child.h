// bench_child.h: a peer that is a program: it is started, and prints its figures.
//
// Thread     one.
// Ring       2.
#ifndef CST_CLI_BENCH_CHILD_H
#define CST_CLI_BENCH_CHILD_H

#include <stdbool.h>

enum { BENCH_CHILD_LINE_BYTES = 4096 };

// The first line with `mark` in it that the program prints. It has ended then. false: there is
// none.
bool bench_child_line(char *const argv[], char mark, char line[BENCH_CHILD_LINE_BYTES],
                      int *status_out);

#endif
