// bench_folder.h: a folder for what benchmarks write, gone when the program ends.
//
// It lies in memory where that can be, so what stayed there would be memory that nobody gives back:
// an interrupt, a closed pipe and a failed assert take it along too. Only SIGKILL leaves it.
//
// Thread     the program's main thread opens and closes; one folder at a time.
// Ring       2.
// Owner      the folder and all in it are the caller's between open and close.
// Errors     CST_IO.
#ifndef CST_CLI_BENCH_FOLDER_H
#define CST_CLI_BENCH_FOLDER_H

#include <constellation/error.h>
#include <stddef.h>

enum { BENCH_FOLDER_BYTES = 64 };

CST_CHECK_RESULT cst_code bench_folder_open(char path_out[BENCH_FOLDER_BYTES], cst_err *err);
// One more, on a disk, for what is measured with it: in TMPDIR, or /var/tmp. It goes with the
// other.
CST_CHECK_RESULT cst_code bench_folder_disk(char path_out[BENCH_FOLDER_BYTES], cst_err *err);
void bench_folder_close(void);

#endif
