#include "server/config_keys.h"

#include "server/config.h"

#include <stdio.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define TIB (UINT64_C(1) << 40)
#define MILLISECOND UINT64_C(1000)
#define SECOND (1000 * MILLISECOND)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)
#define ROWS_MAX (UINT64_C(1) << 53)

const csti_config_section csti_config_sections[] = {
    {"job", false, true, 1, "What the job is called, and how wide it runs."},
    {"source", false, true, 1, "Where rows come from."},
    {"filter", true, false, CSTI_CONFIG_FILTERS_MAX,
     "Rows of the source that pass; all filters have to hold. A null passes none."},
    {"project", false, false, 1, "Which columns go on; all of them without this section."},
    {"operator", true, false, CSTI_CONFIG_OPERATORS_MAX,
     "Steps of your own, from shared libraries, in the order of the file (Operators of your own, "
     "above)."},
    {"key", false, true, 1, "What rows are gathered by."},
    {"window", false, false, 1,
     "Windows of event time, each with results of its own (Windows, above)."},
    {"aggregate", true, true, CST_ACCUMULATORS_MAX, "What is kept of each key's rows."},
    {"then.key", false, false, 1,
     "With [then] the rows of closed windows are gathered once more (A second stage, above)."},
    {"then.window", false, false, 1, "Windows of the second stage, by `window_time`."},
    {"then.aggregate", true, false, CST_ACCUMULATORS_MAX,
     "What the second stage keeps of its keys' rows."},
    {"sink", false, false, 1, "Where results go."},
    {"state", false, false, 1, "Where the keys and their values are kept."},
    {"device", false, false, 1, "What computes."},
    {"checkpoint", false, false, 1, "When state becomes durable, and where."},
};
const size_t csti_config_sections_count =
    sizeof csti_config_sections / sizeof csti_config_sections[0];

#define JOB(FIELD) offsetof(csti_job_config, FIELD)
#define FILTER(FIELD) offsetof(csti_filter_config, FIELD)
#define OPERATOR(FIELD) offsetof(csti_operator_config, FIELD)
#define AGGREGATE(FIELD) offsetof(csti_aggregate_config, FIELD)

const csti_config_key csti_config_keys[] = {
    {"name", "job", CSTI_KEY_TEXT, true, JOB(name), 1, 128, NULL, NULL, NULL,
     "Whose state it is: a store that belongs to another name is refused. Letters, digits, `.`, "
     "`_` and `-`."},
    {"partitions", "job", CSTI_KEY_COUNT32, false, JOB(partitions), 1, CSTI_JOB_PARTITIONS_MAX,
     NULL, NULL, NULL,
     "How many threads keep state, each for its share of the keys. It may change from one run to "
     "the next (Another number of partitions, above). Without it: one a core that the process may "
     "use, at most 16."},
    {"dir", "job", CSTI_KEY_PATH, false, JOB(dir), 1, 0, NULL, "data", NULL,
     "The job's folder: the lock that tells whether it runs, and, without another place, its "
     "checkpoints."},
    {"totals", "job", CSTI_KEY_FLAG, false, JOB(totals), 0, 1, NULL, "false", NULL,
     "Whether the aggregates over all keys are kept, too, and shown (Totals, above). With at most "
     "64 partitions."},

    {"kind", "source", CSTI_KEY_CHOICE, true, JOB(source.kind), CSTI_SOURCE_GENERATOR, 0,
     "generator|file|tcp", NULL, NULL,
     "Rows of an example workload, of files, or that producers push (Rows over TCP, above)."},
    {"name", "source", CSTI_KEY_TEXT, true, JOB(source.generator), 1, 64, NULL, NULL, "generator",
     "The workload: bids, orders, uniform, zipf or one-key (`constellation generate`)."},
    {"rows", "source", CSTI_KEY_COUNT64, false, JOB(source.rows), 1, ROWS_MAX, NULL, NULL,
     "generator", "How many rows; without it, they never end."},
    {"seed", "source", CSTI_KEY_COUNT64, false, JOB(source.generate.seed), 0, INT64_MAX, NULL, "1",
     "generator", "Another seed gives other rows, the same seed the same ones."},
    {"skew", "source", CSTI_KEY_REAL, false, JOB(source.generate.skew), 0, 10, NULL, NULL,
     "generator", "How uneven keys are: 0 is uniform. Without it: the workload's own."},
    {"keys", "source", CSTI_KEY_COUNT64, false, JOB(source.generate.keys), 1, ROWS_MAX, NULL, NULL,
     "generator", "How many different keys; without it, as many as the workload has."},
    {"splits", "source", CSTI_KEY_COUNT32, false, JOB(source.stripes), 1, CSTI_STRIPES_MAX, NULL,
     NULL, "generator|tcp",
     "How many readers may share the rows. Offsets in checkpoints are of a split: a job keeps its "
     "number. Without it: as many as the checkpoint has, at first one a partition."},
    {"path", "source", CSTI_KEY_PATH, true, JOB(source.path), 1, 0, NULL, NULL, "file",
     "A file, or a folder: each file in it is read by one reader."},
    {"format", "source", CSTI_KEY_CHOICE, true, JOB(source.format), CSTI_FILE_CSV, 0, "csv|ndjson",
     NULL, "file", "CSV by RFC 4180, or a JSON object a line."},
    {"columns", "source", CSTI_KEY_DECLARED, true, JOB(source.shape), 1, CST_COLUMNS_MAX, NULL,
     NULL, "file|tcp",
     "Each column's name and type, `nullable` between them where it may be empty."},
    {"header", "source", CSTI_KEY_FLAG, false, JOB(source.csv_header), 0, 1, NULL, "false", "file",
     "CSV: the first line names the columns, in any order."},
    {"follow", "source", CSTI_KEY_FLAG, false, JOB(source.follow), 0, 1, NULL, "false", "file",
     "The end of a file is not its end: it may grow, and the job goes on with what comes."},
    {"listen", "source", CSTI_KEY_TEXT, true, JOB(source.listen), 1, 56, NULL, NULL, "tcp",
     "Address and port, as in `127.0.0.1:7000` or `[::1]:7000`; port 0 takes a free one."},
    {"ack", "source", CSTI_KEY_CHOICE, false, JOB(source.ack), CSTI_ACK_WAL, 0, "wal|checkpoint",
     "wal", "tcp",
     "What an acknowledged row has survived: it is in the write-ahead log, or in a checkpoint."},
    {"sync", "source", CSTI_KEY_SYNC, false, JOB(source.sync_us), MILLISECOND, SECOND, NULL,
     "always", "tcp",
     "When the log is synced: before a row is acknowledged, or so long after it was written; if "
     "the "
     "machine dies, rows of that time may be lost, acknowledged or not."},
    {"connections_max", "source", CSTI_KEY_COUNT32, false, JOB(source.connections_max), 1, 65536,
     NULL, "4096", "tcp", "How many connections there may be at once."},
    {"producers_max", "source", CSTI_KEY_COUNT32, false, JOB(source.producers_max), 1, 65536, NULL,
     "10000", "tcp", "How many producers' last rows are kept; the oldest is forgotten."},
    {"line_max", "source", CSTI_KEY_SIZE, false, JOB(source.line_bytes_max), KIB, 4 * MIB, NULL,
     "1MiB", "tcp", "The longest line, its end included."},
    {"wal_max", "source", CSTI_KEY_SIZE, false, JOB(source.wal_bytes_max), 128 * MIB, TIB, NULL,
     "1GiB", "tcp", "The most that the write-ahead log takes of the disk."},
    {"tls_cert", "source", CSTI_KEY_PATH, false, JOB(source.tls.paths[CSTI_TLS_CERT]), 1, 0, NULL,
     NULL, "tcp",
     "PEM: the certificate that producers see, and those between it and one that they trust. With "
     "it rows come over TLS alone (TLS, above)."},
    {"tls_key", "source", CSTI_KEY_PATH, false, JOB(source.tls.paths[CSTI_TLS_KEY]), 1, 0, NULL,
     NULL, "tcp", "PEM: its private key, without a password."},
    {"tls_clients", "source", CSTI_KEY_PATH, false, JOB(source.tls.paths[CSTI_TLS_TRUSTED]), 1, 0,
     NULL, NULL, "tcp",
     "PEM: whose certificates are taken. With it a producer has to show one that one of these has "
     "signed."},
    {"event_time", "source", CSTI_KEY_NAME, false, JOB(event_time), 1, 0, NULL, NULL, NULL,
     "The column that says when a row happened: a timestamp that is never null."},
    {"watermark", "source", CSTI_KEY_DURATION, false, JOB(watermark_us), 0, 365 * DAY, NULL, "0s",
     NULL, "How much later than a later row a row may come. Needs event_time."},
    {"idle", "source", CSTI_KEY_DURATION, false, JOB(idle_us), MILLISECOND, DAY, NULL, "1s", NULL,
     "A reader without rows for so long no longer holds the watermark back. Needs event_time."},

    {"column", "filter", CSTI_KEY_NAME, true, FILTER(column), 1, 0, NULL, NULL, NULL,
     "A column of the source."},
    {"op", "filter", CSTI_KEY_CHOICE, true, FILTER(compare), CSTI_EQUAL, 0, "=|!=|<|<=|>|>=", NULL,
     NULL, "How column and value compare for a row that passes; strings by their bytes."},
    {"value", "filter", CSTI_KEY_SCALAR, true, FILTER(value), 1, 0, NULL, NULL, NULL,
     "What it is compared with, read as the column's type: `250`, `\"web\"`, "
     "`\"2026-01-01 00:00:00\"`."},

    {"columns", "project", CSTI_KEY_NAMES, true, JOB(project), 1, CST_COLUMNS_MAX, NULL, NULL, NULL,
     "The columns of the source that go on, in this order."},

    {"library", "operator", CSTI_KEY_PATH, true, OPERATOR(library), 1, 0, NULL, NULL, NULL,
     "A shared library that exports `cst_operator_v1`."},
    {"options", "operator", CSTI_KEY_TEXT, false, OPERATOR(options), 0, 4096, NULL, "", NULL,
     "What the operator is told; it knows what it means."},

    {"columns", "key", CSTI_KEY_KEYS, true, JOB(keys), 1, CST_COLUMNS_MAX, NULL, NULL, NULL,
     "Its columns, the first one outermost; `desc` behind a name turns its order round."},
    {"key_bytes_max", "key", CSTI_KEY_COUNT32, false, JOB(key_bytes_max), 1,
     CST_INLINE_KEY_BYTES_MAX, NULL, NULL, NULL,
     "The longest encoded key, where strings, binary or nullable columns make its length vary "
     "(`constellation keys encode` shows one); a longer one stops the job. Each entry has room for "
     "it: 16 bytes, key and aggregates take 512 bytes together at most. Without it: 64."},

    {"tumbling", "window", CSTI_KEY_DURATION, false, JOB(tumbling_us), MILLISECOND, 365 * DAY, NULL,
     NULL, NULL, "Windows side by side, each so long. Needs event_time, as the other two do."},
    {"hopping", "window", CSTI_KEY_HOPPING, false, JOB(hopping_us), MILLISECOND, 365 * DAY, NULL,
     NULL, NULL,
     "Windows that overlap: each so long, one begins every hop, which divides the length. A row is "
     "in length / hop windows, at most 1,024, and counts in each."},
    {"session", "window", CSTI_KEY_DURATION, false, JOB(session_us), MILLISECOND, 365 * DAY, NULL,
     NULL, NULL,
     "Sessions: the rows of a key that follow each other in less than so long. One ends so long "
     "behind its last row (Sessions, above)."},
    {"late", "window", CSTI_KEY_CHOICE, false, JOB(late), CSTI_LATE_DROP, 0, "drop|side", "drop",
     NULL, "A row whose window is closed is dropped and counted, or set aside."},
    {"side", "window", CSTI_KEY_PATH, false, JOB(side_path), 1, 0, NULL, NULL, NULL,
     "The folder of parts with late rows, exactly once, with late = \"side\"; it is made."},
    {"at_end", "window", CSTI_KEY_CHOICE, false, JOB(at_end), CSTI_AT_END_KEEP, 0, "keep|close",
     "keep", NULL,
     "What becomes of open windows when all rows are read: they wait for rows of a later run, or "
     "are closed, and every row of a later run is late."},

    {"as", "aggregate", CSTI_KEY_NAME, true, AGGREGATE(as), 1, 0, NULL, NULL, NULL,
     "What it is called in results."},
    {"op", "aggregate", CSTI_KEY_CHOICE, true, AGGREGATE(op), CST_COUNT, 0,
     "count|sum|min|max|last", NULL, NULL,
     "What is kept. A null counts for none of them. A sum that overflows stops the job; `last` is "
     "by "
     "the order of rows."},
    {"column", "aggregate", CSTI_KEY_NAME, false, AGGREGATE(column), 1, 0, NULL, NULL, NULL,
     "Of which column: integers of up to 64 bits, f32, f64, decimal128, bool (as 0 and 1); date "
     "and "
     "timestamp for min, max and last; any for count, which without a column counts rows."},

    {"columns", "then.key", CSTI_KEY_KEYS, true, JOB(then.keys), 1, CST_COLUMNS_MAX, NULL, NULL,
     NULL,
     "Columns of the first stage's results: of its key, `window_start`, `window_end`, "
     "`window_time`, its aggregates. `desc` as in [key]."},
    {"key_bytes_max", "then.key", CSTI_KEY_COUNT32, false, JOB(then.key_bytes_max), 1,
     CST_INLINE_KEY_BYTES_MAX, NULL, NULL, NULL, "As in [key]. Without it: 64."},

    {"tumbling", "then.window", CSTI_KEY_DURATION, false, JOB(then.tumbling_us), MILLISECOND,
     365 * DAY, NULL, NULL, NULL, "As in [window]."},
    {"hopping", "then.window", CSTI_KEY_HOPPING, false, JOB(then.hopping_us), MILLISECOND,
     365 * DAY, NULL, NULL, NULL, "As in [window]."},

    {"as", "then.aggregate", CSTI_KEY_NAME, true, AGGREGATE(as), 1, 0, NULL, NULL, NULL,
     "What it is called in results."},
    {"op", "then.aggregate", CSTI_KEY_CHOICE, true, AGGREGATE(op), CST_COUNT, 0,
     "count|sum|min|max|last", NULL, NULL,
     "As in [[aggregate]], but `last`: rows of closed windows have no order."},
    {"column", "then.aggregate", CSTI_KEY_NAME, false, AGGREGATE(column), 1, 0, NULL, NULL, NULL,
     "Of which column of the first stage's results."},

    {"kind", "sink", CSTI_KEY_CHOICE, false, JOB(sink), CSTI_SINK_NONE, 0, "none|stdout|file",
     "none", NULL,
     "Nowhere (`constellation query` shows the state), to stdout, where every start repeats the "
     "lines of the newest checkpoint, or to files, exactly once (Results, above)."},
    {"path", "sink", CSTI_KEY_PATH, true, JOB(sink_path), 1, 0, NULL, NULL, "file",
     "The folder of the parts; it is made."},

    {"store", "state", CSTI_KEY_URI, false, JOB(state_store), 1, 0, NULL, "hash:", NULL,
     "`hash:`: tables in memory. `lmdb:FOLDER`: on disk, for state larger than memory, in a folder "
     "of the job's own (State on disk, above)."},
    {"budget", "state", CSTI_KEY_SIZE, false, JOB(budget_bytes), 16 * MIB, 64 * TIB, NULL, "4GiB",
     NULL,
     "The memory of all partitions' tables and their changes together, with lmdb: of the changes "
     "alone; at least 64MiB a partition, with lmdb: 16MiB. Sources wait when it is used up."},
    {"ttl", "state", CSTI_KEY_DURATION, false, JOB(ttl_us), MILLISECOND, 3650 * DAY, NULL, NULL,
     NULL,
     "How long a key is kept behind its last row, by event_time, or by the clock without one (Keys "
     "that expire, above). Without it: for good."},

    {"uri", "device", CSTI_KEY_URI, false, JOB(device), 1, 0, NULL, "cpu:", NULL,
     "`cpu:` picks the best instructions there are; `cpu:scalar`, `cpu:avx2`, `cpu:avx512` name "
     "them; `opencl:` is a device of the machine's OpenCL drivers; `fault:` in front injects "
     "faults."},
    {"policy", "device", CSTI_KEY_CHOICE, false, JOB(device_policy), CSTI_DEVICE_RETURN, 0,
     "return|stay|stop", "return", NULL,
     "When the device is lost (Devices that fail, above): the job goes on with cpu: and goes back "
     "to "
     "the device when that is well; or stays with cpu: until it ends; or ends (exit status 5)."},
    {"encode", "device", CSTI_KEY_CHOICE, false, JOB(device_encode), CSTI_DEVICE_ENCODE_AUTO, 0,
     "auto|device|processor", "auto", NULL,
     "Where keys are encoded and hashed: batches that are large enough for it, as is measured at "
     "the start, on the device (Where keys are made, above); or all of them there; or none."},
    {"timeout", "device", CSTI_KEY_DURATION, false, JOB(device_timeout_us), 10 * MILLISECOND, HOUR,
     NULL, "10s", NULL,
     "How long a device may take to complete something of what it has; it is lost then."},
    {"return_after", "device", CSTI_KEY_DURATION, false, JOB(device_return_us), 10 * MILLISECOND,
     DAY, NULL, "1s", NULL,
     "With policy = \"return\": how long behind the loss the device is tried; twice as long behind "
     "each further try, up to a minute."},
    {"batch_rows", "device", CSTI_KEY_COUNT32, false, JOB(batch_rows), 64, CST_GENERATOR_ROWS_MAX,
     NULL, "8192", NULL, "Most rows of a batch."},

    {"store", "checkpoint", CSTI_KEY_URI, false, JOB(checkpoint_store), 1, 0, NULL, NULL, NULL,
     "An object store of the job's own: `file:FOLDER`, `s3://BUCKET/PREFIX` ([s3.md](s3.md)), or "
     "`sim:`, in memory, which ends with the process. Without it: `file:` and the folder "
     "`checkpoints` in the job's `dir`."},
    {"every", "checkpoint", CSTI_KEY_EVERY, false, JOB(every), 10 * MILLISECOND, DAY, NULL, "1s",
     NULL,
     "The time between barriers (10ms to 1d), or the number of rows, which cuts the same rows "
     "wherever the job runs, or \"auto\": as recovery_target asks for."},
    {"recovery_target", "checkpoint", CSTI_KEY_DURATION, false, JOB(recovery_target_us),
     100 * MILLISECOND, DAY, NULL, "30s", NULL,
     "With every = \"auto\": how long a recovery may take; the estimate decides when the next "
     "barrier goes (How long a recovery takes, above)."},
    {"fold", "checkpoint", CSTI_KEY_FOLD, false, JOB(fold.every), 1, 1000000, NULL, "auto", NULL,
     "When a partition's chain of changes becomes one full again: as their size asks for, or every "
     "so many checkpoints."},
    {"keep", "checkpoint", CSTI_KEY_COUNT32, false, JOB(keep), 1, 1000, NULL, "5", NULL,
     "How many checkpoints stay; older ones are deleted with what only they need."},
    {"epochs_max", "checkpoint", CSTI_KEY_COUNT32, false, JOB(epochs_max), 1, 64, NULL, "4", NULL,
     "How many checkpoints may be under way at once; barriers wait then, rows go on."},
    {"staged_max", "checkpoint", CSTI_KEY_SIZE, false, JOB(staged_bytes_max), MIB, TIB, NULL, NULL,
     NULL,
     "How many bytes of changes may wait for their checkpoint; at most the budget. Without it: "
     "512MiB or a quarter of the budget, whichever is less."},
    {"step_timeout", "checkpoint", CSTI_KEY_DURATION, false, JOB(step_deadline_us),
     100 * MILLISECOND, HOUR, NULL, "60s", NULL,
     "How long an upload, a manifest or a commit may take; the checkpoint is aborted then, and its "
     "changes go with the next. As long may take a part of the file sink, and each step of a fold "
     "or of gc, which are tried again."},
    {"align_timeout", "checkpoint", CSTI_KEY_DURATION, false, JOB(align_deadline_us),
     100 * MILLISECOND, HOUR, NULL, "60s", NULL,
     "How long a partition waits for the barriers of its other inputs (Alignment, above). A "
     "barrier "
     "that does not come through at all is given up after twice as long."},
    {"unaligned_after", "checkpoint", CSTI_KEY_DURATION, false, JOB(unaligned_after_us), 0, HOUR,
     NULL, NULL, NULL,
     "When partitions no longer wait for a barrier, and each is cut where it stands (Unaligned "
     "checkpoints, above); \"0s\": they never wait. Less than align_timeout. Without it: every "
     "checkpoint is aligned."},
    {"align_rows_max", "checkpoint", CSTI_KEY_COUNT64, false, JOB(align_rows_max), 1, ROWS_MAX,
     NULL, NULL, NULL,
     "How many rows a partition holds at most while it waits for a barrier. Without it: what fits "
     "its channels."},
    {"align_bytes_max", "checkpoint", CSTI_KEY_SIZE, false, JOB(align_bytes_max), KIB, TIB, NULL,
     NULL, NULL, "The same in bytes."},
};
const size_t csti_config_keys_count = sizeof csti_config_keys / sizeof csti_config_keys[0];
_Static_assert(sizeof csti_config_keys / sizeof csti_config_keys[0] <= CSTI_CONFIG_KEYS_MAX,
               "as many as are marked when they were seen");

const csti_config_refusal csti_config_refusals[] = {
    {"source", "kind", "kafka", "Kafka comes with a later version: use generator, file or tcp"},
    {"source", "kind", "postgres",
     "PostgreSQL comes with a later version: use generator, file or tcp"},
    {"source", "ack", "replicated",
     "there is one node in this version, and nobody to replicate to: use wal or checkpoint"},
    {"then.window", "session", NULL,
     "the second stage has no sessions in this version: use tumbling or hopping"},
    {"then.window", "late", NULL, "no row is late in the second stage: leave it out"},
    {"then.window", "side", NULL, "no row is late in the second stage: leave it out"},
    {"then.window", "at_end", NULL, "[window] at_end is for both stages: put it there"},
    {"sink", "kind", "kafka", "Kafka comes with a later version: use file, stdout or none"},
    {"sink", "kind", "postgres", "PostgreSQL comes with a later version: use file, stdout or none"},
};
const size_t csti_config_refusals_count =
    sizeof csti_config_refusals / sizeof csti_config_refusals[0];

const csti_unit csti_size_units[] = {
    {"B", 1}, {"KiB", KIB}, {"MiB", MIB}, {"GiB", 1024 * MIB}, {"TiB", TIB},
};
const size_t csti_size_units_count = sizeof csti_size_units / sizeof csti_size_units[0];

const csti_unit csti_duration_units[] = {
    {"us", 1}, {"ms", MILLISECOND}, {"s", SECOND}, {"m", 60 * SECOND}, {"h", HOUR}, {"d", DAY},
};
const size_t csti_duration_units_count = sizeof csti_duration_units / sizeof csti_duration_units[0];

const char *csti_key_kind_text(csti_key_kind kind) {
    switch (kind) {
#define KIND_TEXT(name, text)                                                                      \
    case CSTI_KEY_##name:                                                                          \
        return text;
        CSTI_KEY_KIND_MAP(KIND_TEXT)
#undef KIND_TEXT
    }
    return "";
}

csti_amount csti_amount_write(uint64_t number, const csti_unit *units, size_t units_count) {
    csti_amount out;
    size_t best = 0;

    for (size_t i = 0; i < units_count; i++)
        if (number != 0 && number % units[i].factor == 0) best = i;
    (void)snprintf(out.text, sizeof out.text, "%llu%s",
                   (unsigned long long)(number / units[best].factor), units[best].name);
    return out;
}
