// main.c: a program outside the tree that uses what is installed, and nothing else.
#include <constellation/error.h>
#include <stdio.h>
#include <string.h>

int main(void) {
    cst_err err = {0};

    if (strcmp(cst_code_name(CST_SEGMENT_CHECKSUM), "CST_SEGMENT_CHECKSUM") != 0) return 1;
    if (cst_fail(&err, CST_LIMIT, "segment %d", 12) != CST_LIMIT) return 1;
    if (err.code != CST_LIMIT) return 1;
    puts("consumer: ok");
    return 0;
}
