// Each allocation of sources, splits and sinks fails once: NO_MEMORY, and nothing stays behind (the
// sanitizers' builds look for that).
#include "nth.h"
#include "stream/sink.h"
#include "unit/state/segments.h"
#include "unit/stream/source_files.h"

static cst_code split_through(const csti_source_options *options) {
    csti_source *source = NULL;
    csti_split *split = NULL;
    cst_batch batch;
    bool ended = false;
    cst_code code = csti_source_open(options, &source, NULL);

    if (code == CST_OK)
        code = csti_split_open(source, csti_source_split_name(source, 0), NULL, &split, NULL);
    if (code == CST_OK) code = csti_split_next(split, 0, &batch, &ended, NULL);
    csti_split_close(split);
    csti_source_close(source);
    return code;
}

static void every_allocation_fails_once(const csti_source_options *options) {
    for (uint64_t n = 1;; n++) {
        cst_code code;

        nth_fail_at(n);
        code = split_through(options);
        if (!nth_end()) {
            CHECK_OK(code);
            CHECK(n > 4);
            return;
        }
        CHECK_CODE(code, CST_NO_MEMORY);
    }
}

TEST(a_generator_opens_or_says_no_memory) {
    const csti_source_options options = {.kind = CSTI_SOURCE_GENERATOR,
                                         .generator = "bids",
                                         .generate = {.skew = -1},
                                         .stripes = 2};

    every_allocation_fails_once(&options);
}

TEST(a_file_opens_or_says_no_memory) {
    static const char *const names[] = {"a", "b"};
    const csti_row_shape shape = shape_of("u64,nullable string", names);
    source_files files = files_make(CSTI_FILE_CSV, &shape);

    files.options.path = files.folder;
    files.options.csv_header = true;
    files_put(&files, "a", "a,b\n1,x\n");
    every_allocation_fails_once(&files.options);
    files.options.format = CSTI_FILE_NDJSON;
    files.options.csv_header = false;
    files_put(&files, "a", "{\"a\":1}\n");
    every_allocation_fails_once(&files.options);
    folder_remove(files.folder);
}

TEST(rows_allocate_nothing_after_the_split_is_open) {
    static const char *const names[] = {"a", "b"};
    const csti_row_shape shape = shape_of("u64,nullable string", names);
    source_files files = files_make(CSTI_FILE_NDJSON, &shape);
    csti_source *source;
    csti_split *split = NULL;
    bool ended = false;
    cst_batch batch;

    files_put(&files, "a", "{\"a\":1,\"b\":\"x\"}\n{\"b\":\"\\u0041\",\"a\":2}\n{\"a\":3}\n");
    source = files_open(&files);
    CHECK_OK(csti_split_open(source, "file-a", NULL, &split, NULL));
    nth_fail_at(1);
    while (!ended) CHECK_OK(csti_split_next(split, 1, &batch, &ended, NULL));
    CHECK(!nth_end());
    csti_split_close(split);
    csti_source_close(source);
    folder_remove(files.folder);
}

static cst_code release_through(const csti_sink_options *options, cst_segment *segment) {
    csti_sink *sink = NULL;
    cst_code code = csti_sink_open(options, &sink, NULL);

    if (code == CST_OK) code = csti_sink_release(sink, 0, segment, NULL);
    csti_sink_close(sink);
    return code;
}

TEST(a_sink_releases_or_says_no_memory) {
    char folder[256];
    bytes_sink bytes = {NULL, 0, 0, 0, 0}, records = {NULL, 0, 0, 0, 0};
    const cst_segment_info info = test_info(CST_SEGMENT_DELTA, 3, 3);
    csti_sink_options options = {.kind = CSTI_SINK_FILE, .path = folder};
    cst_segment *segment;

    folder_make(folder, sizeof folder);
    CHECK_OK(cst_schema_parse("u64", &options.plan.key, NULL));
    options.plan.presence_offset = CST_NO_OFFSET;
    inline_row(&records, 1, 2);
    (void)write_parts(&bytes, &info, &records, NULL);
    segment = open_or_die(&bytes);
    for (uint64_t n = 1;; n++) {
        cst_code code;

        nth_fail_at(n);
        code = release_through(&options, segment);
        if (!nth_end()) {
            CHECK_OK(code);
            CHECK(n > 3);
            break;
        }
        CHECK_CODE(code, CST_NO_MEMORY);
    }
    cst_segment_close(segment);
    sink_free(&bytes);
    sink_free(&records);
    folder_remove(folder);
}

TEST_MAIN
