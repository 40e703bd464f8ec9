// producer.c: rows to a job with a tcp source; each of them counts once, whatever happens.
//
//   constellation run examples/tcp.toml &
//   example.producer 127.0.0.1:7000 shop-1 100000
//
// Killed and started again, it goes on behind what the job has of it. While the job is away it
// waits. With CA.pem rows go over TLS, to a server whose certificate it has signed.
// usage: example.producer ADDRESS ID ROWS [CA.pem [CERT.pem KEY.pem]]
#include <constellation/constellation.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { WAIT_MS = 60000 };

static cst_code rows_put(cst_producer *producer, uint64_t rows, cst_err *err) {
    cst_code code = CST_OK;

    // Row n is made from its number, so a producer that begins anew makes the same ones.
    while (code == CST_OK && cst_producer_next(producer) <= rows) {
        const uint64_t n = cst_producer_next(producer);
        char row[160];
        const int bytes = snprintf(row, sizeof row,
                                   "{\"auction\":%" PRIu64 ",\"bidder\":%" PRIu64
                                   ",\"price\":%" PRIu64 ",\"channel\":\"web\",\"at\":%" PRIu64 "}",
                                   n % 100, n % 7, n, UINT64_C(1767225600000000) + n);

        code = cst_producer_put(producer, row, (size_t)bytes, NULL, err);
        // Its memory is full of rows that are not acknowledged yet.
        if (code == CST_AGAIN) code = cst_producer_wait(producer, WAIT_MS, err);
    }
    return code == CST_OK ? cst_producer_wait(producer, WAIT_MS, err) : code;
}

int main(int argc, char **argv) {
    cst_producer_options options = {0};
    cst_producer_tls tls = {0};
    cst_producer *producer = NULL;
    cst_err err = {0};
    cst_code code;

    if (argc != 4 && argc != 5 && argc != 7) {
        printf("usage: %s ADDRESS ID ROWS [CA.pem [CERT.pem KEY.pem]]\n", argv[0]);
        return argc == 1 ? 0 : 2;
    }
    options.address = argv[1];
    options.id = argv[2];
    if (argc > 4) {
        tls.ca = argv[4];
        tls.cert = argc > 5 ? argv[5] : NULL;
        tls.key = argc > 5 ? argv[6] : NULL;
        options.tls = &tls;
    }
    code = cst_producer_open(&options, &producer, &err);
    if (code == CST_OK) code = rows_put(producer, strtoull(argv[3], NULL, 10), &err);
    if (code == CST_OK)
        printf("%" PRIu64 " rows are acknowledged\n", cst_producer_acknowledged(producer));
    else
        fprintf(stderr, "%s (%s)\n", err.text, cst_code_name(code));
    cst_producer_close(producer);
    return code == CST_OK ? 0 : 1;
}
