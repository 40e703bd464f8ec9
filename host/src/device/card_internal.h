// card_internal.h: the host's side of the kernel, which the back ends sim: and xrt: share.
//
//   card.c         queues, tables, what runs where
//   card_run.c     one queue's card: its run, commands to it, its completions
//   card_queue.c   commands in flight: which the card has, what becomes of them
//   card_rows.c    rows to the card, and what comes back
//   card_pack.c    rows into records
//   card_cells.c   keys of columns of any type: rows into cells, keys back
//   card_upkeep.c  commands on a whole table
//   card_move.c    images between the host's memory and a card's that does not share it
//   card_image.c   a table's image as the card's channels see it; the control block there and back
//   card_lost.c    why a card is lost
//   card_meter.c   what crosses on the way, and what calls into a library take, counted
//
// How a card is reached is a card_link: sim_link.c's calls into a library (sim_internal.h), or
// xrt_link.c's registers and buffers of XRT (xrt_internal.h).
//
//   submit ─► [entry | entry | entry] ─► pieces ─► ring of the card ─► completions, in order
//               host's: alone, when     of 4,096     [x x x . .]
//               nothing is before it    rows
//
// A queue has a card of its own, opened at its first command that needs one. The card's clocks run
// while the host polls or waits. Commands that only change the table (APPLY, BARRIER) are in its
// ring as soon as there is room, and it goes from one to the next. All others wait until nothing is
// before them, and end with a fence. What the circuit does not do (GROW, and keys that are not its
// kind) the host does to the same image, while the card is idle. A table whose image the host may
// have touched is loaded anew.
//
// Thread     a queue's.
// Ring       1: a clock of a simulated card is many of the processor's.
#ifndef CST_DEVICE_CARD_INTERNAL_H
#define CST_DEVICE_CARD_INTERNAL_H

#include "base/spsc_ring.h"
#include "device/cpu_execute.h"
#include "device/kernel_map.h"
#include "device/sim_card.h"

enum {
    CARD_KEY_BYTES_MAX = 16,
    CARD_VALUE_BYTES_MAX = 64,
    CARD_ENTRY_BYTES_MAX = 96,
    CARD_ENTRY_UNIT_BYTES = 32,
    CARD_LANES = 8,
    CARD_NARROW_LANES = 4, // of a row's first beat
    CARD_PLACES_MAX = 4096,
    CARD_BEAT_BYTES = 64,
    CARD_TABLE_BYTES = 4 * CARD_BEAT_BYTES,
    CARD_ROWS_MAX = 4096, // of a command to the card: what a stop passes over is read again
    CARD_ROWS_MIN = 256,  // behind a stop that asks for growth
    CARD_GROWING = 2, // commands in the ring while pieces are small: the others would be in vain
    CARD_UNITS_MAX = 65536, // of a command of records: more than any record has
    CARD_RING_BITS = 3,
    CARD_RING = 1 << CARD_RING_BITS,
    CARD_KEYS_MAX = 65536, // rows of a command for keys alone, which has all rows' places
    CARD_COUNTERS = 25,
    CARD_REGIONS = 4,
    CARD_COMPACT_WORDS = 2, // of half a beat's row; one where the key has more than 8 bytes
    CARD_COMPACT_KEY_BYTES = 8,
    CARD_LONG_KEY_BYTES = 64,   // of a row of cells
    CARD_RESULT_KEY_BYTES = 48, // of a result of one beat
};

// Operations and flags of a command to the card: docs/hardware.md, Kernel.
enum {
    CARD_OP_LOAD = 1,
    CARD_OP_ROWS = 2,
    CARD_OP_KEYS = 3,
    CARD_OP_BARRIER = 4,
    CARD_OP_END = 5,
    CARD_OP_RELEASE = 6,
    CARD_OP_EXPIRE = 7,
    CARD_OP_SCAN = 8,
    CARD_OP_RESTORE = 9,
};
enum {
    CARD_FLAG_ENCODE = 1,
    CARD_FLAG_HASH = 2,
    CARD_FLAG_WIDE = 4,
    CARD_FLAG_FENCE = 8,
    CARD_FLAG_MORE = 16,
    CARD_FLAG_COMPACT = 32,
    CARD_FLAG_LONG = 64,
    CARD_FLAG_CELLS = 128, // keys: `at` beats a row; with CARD_FLAG_LONG two beats a result
};
enum { CARD_NUMBER_UPPER = 5 }; // of a word: the upper half of the decimal128 in the one before it
enum { CARD_KIND_UPSERT = 0, CARD_KIND_DELETE = 1, CARD_KIND_LOOKUP = 2 };

typedef struct card_descriptor {
    uint32_t number; // written last
    uint8_t op, flags;
    uint16_t reserved0;
    uint32_t count, row; // SCAN: buckets, and at most so many rows
    uint64_t address, results;
    uint64_t now;       // rows, EXPIRE, SCAN: microseconds
    uint64_t at, epoch; // RELEASE: the delta's end and epoch; EXPIRE: the first bucket; SCAN: slot;
                        // cells: beats of a row
    uint64_t reserved1;
} card_descriptor;
_Static_assert(sizeof(card_descriptor) == CARD_BEAT_BYTES, "a command is a beat");

typedef struct card_completion {
    uint32_t number;
    uint8_t code, stopped, faults, busy;
    uint32_t row, reserved0;
    uint64_t rows_count, epoch, epoch_first, tail, from;
    uint16_t frontier, free_first, free_count, reserved1;
} card_completion;
_Static_assert(sizeof(card_completion) == CARD_BEAT_BYTES, "a completion is a beat");

typedef struct card_row {
    uint8_t kind, key_bytes, nulls, reserved0;
    uint16_t key_nulls, reserved1;
    uint64_t hash;
    uint8_t key[CARD_KEY_BYTES_MAX];
    uint64_t operands[CARD_NARROW_LANES];
} card_row;
_Static_assert(sizeof(card_row) == CARD_BEAT_BYTES, "a row's first part is a beat");

// Two of them are a beat.
typedef struct card_compact {
    uint8_t kind, key_bytes, nulls, reserved0;
    uint16_t key_nulls, reserved1;
    uint8_t key[CARD_COMPACT_KEY_BYTES];
    uint64_t words[CARD_COMPACT_WORDS]; // CARD_FLAG_LONG: the key goes on in the second
} card_compact;
_Static_assert(sizeof(card_compact) == CARD_BEAT_BYTES / 2, "a compact row is half a beat");

typedef struct card_result {
    uint8_t code, found, key_bytes, reserved0;
    uint32_t row;
    uint64_t hash;
    uint8_t key[CARD_KEY_BYTES_MAX];
    uint8_t reserved1[32];
} card_result;
_Static_assert(sizeof(card_result) == CARD_BEAT_BYTES, "a result's first part is a beat");
enum { CARD_COMPACT_RESULT_BYTES = CARD_BEAT_BYTES / 2 }; // its first half is all of it

// Of the batch channel: offsets. Each place of the ring has its rows; results lie in the channel
// behind, so that reading one and writing the other do not share a bus.
enum {
    CARD_RING_AT = 0,
    CARD_COMPLETIONS_AT = CARD_RING_AT + (CARD_BEAT_BYTES << CARD_RING_BITS),
    CARD_RUNS = 2, // at once: of more that wait XRT 2.13's emulation may start another one first
    CARD_RUN_BITS = 1, // of a run of one command: that, and its end
    CARD_RUN_COMPLETIONS = CARD_BEAT_BYTES << CARD_RUN_BITS, // from where it stands
    CARD_RUN_BYTES = 2 * CARD_RUN_COMPLETIONS,
    CARD_TABLE_AT = 4096,
    CARD_ROWS_AT = 65536,
    CARD_ROWS_BYTES = CARD_ROWS_MAX * 2 * CARD_BEAT_BYTES,
    CARD_RESULTS_AT = (int)CSTI_SIM_CHANNEL_BYTES,
    CARD_RESULTS_BYTES = CARD_KEYS_MAX * CARD_COMPACT_RESULT_BYTES,
    CARD_RECORDS_AT = CARD_RESULTS_AT + CARD_RESULTS_BYTES,
    CARD_BATCH_BYTES = CARD_RECORDS_AT + CARD_UNITS_MAX * CARD_ENTRY_UNIT_BYTES,
    CARD_CELLS_BEATS =
        CARD_RING * CARD_ROWS_BYTES / CARD_BEAT_BYTES, // of a command's rows of cells
    CARD_CELLS_RESULTS = CARD_RESULTS_BYTES / CARD_BEAT_BYTES,
};
_Static_assert(CARD_RUNS *CARD_RUN_BYTES <= CARD_TABLE_AT, "runs have a page");
_Static_assert(CARD_ROWS_BYTES <= CARD_RESULTS_BYTES, "look-ups of a command have their results");
_Static_assert(CARD_KEYS_MAX *CARD_BEAT_BYTES / 2 <= CARD_RING * CARD_ROWS_BYTES,
               "keys have places");
_Static_assert(CARD_ROWS_AT + CARD_RING * CARD_ROWS_BYTES <= CARD_RESULTS_AT,
               "rows have a channel");

// One region of the image over the channels, in each from `base` on.
typedef struct card_region {
    uint64_t base, end;
    uint32_t stripe_bytes;
} card_region;

typedef enum card_direction { CARD_TO = 0, CARD_FROM = 1 } card_direction; // as XRT has them

typedef struct card_queue card_queue;
typedef struct card_table card_table;

// How a queue reaches its card. What a card writes is seen behind wait and receive, what the host
// writes behind send and launch; all but open and image_room come back with the card lost, if it
// is, and wait says so.
typedef struct card_link {
    // queue->card, and where the batch memory is: for the host and for the card.
    cst_code (*open)(card_queue *queue, cst_err *err);
    void (*close)(card_queue *queue);
    void (*write)(card_queue *queue, uint32_t offset, uint32_t value);
    uint32_t (*read)(card_queue *queue, uint32_t offset);
    // A run begins behind it: the rings' zeros are there. Of a queue whose commands are runs it
    // tells them their arguments.
    void (*launch)(card_queue *queue);
    // No run is under way any more, before a reset; false: one does not end. NULL: none has to.
    bool (*settle)(card_queue *queue);
    // A command, and what stands at offset `at` of the batch memory for it. Its run, if it is one,
    // begins.
    void (*send)(card_queue *queue, uint64_t command, uint64_t at, uint64_t bytes);
    void (*receive)(card_queue *queue, uint64_t at, uint64_t bytes);
    // Until the completion there has the number; false: it never will.
    bool (*wait)(card_queue *queue, uint64_t completion, uint32_t number, uint64_t clocks_max);
    // Whether it has it now, without a wait; NULL: the card's time is the host's.
    bool (*arrived)(card_queue *queue, uint64_t completion, uint32_t number);
    // The device's counts; NULL: none.
    void (*count)(card_queue *queue);
    uint64_t (*clocks)(const card_queue *queue); // NULL: nobody asks
    // Of a card with a memory of its own, else NULL. Room for so many bytes in each channel; the
    // run has begun anew if *moved. And bytes of a channel, to the card or back; their place in
    // the host's memory.
    cst_code (*image_room)(card_queue *queue, uint64_t bytes, bool *moved, cst_err *err);
    uint8_t *(*image_at)(card_queue *queue, uint32_t channel, uint64_t address);
    cst_code (*image_move)(card_queue *queue, card_direction direction, uint32_t channel,
                           uint64_t address, uint64_t bytes);
} card_link;

struct card_table {
    csti_cpu_table cpu; // first: what the host does, it does to this
    card_queue *queue;
    bool loaded; // the card has what the image says
    bool placed; // and the places of the log, which GROW leaves as they are
    bool shown;  // somebody has the image: all is in memory when nothing is in flight
    card_region regions[CARD_REGIONS]; // directory, index, slots, log
    // Of a card with a memory of its own: whose bytes are newer. Never both.
    bool host_newer, card_newer;
    uint32_t key_words;
    uint8_t words[CARD_LANES]; // each lane's word of a row: accumulators share what they read alike
    uint8_t packs[CARD_LANES]; // the accumulator that says how a word is read
    uint32_t words_count;
    bool encodes;  // the circuit encodes its keys
    uint8_t *keys; // a command's, where the processor encodes them
    uint64_t *hashes;
    size_t keys_capacity, hashes_capacity;
    uint32_t *offsets;
};

// A command that was submitted: its rows up to `issued` are the card's, or were.
typedef struct card_entry {
    csti_entry_in_flight in_flight;
    bool begun;
    uint32_t issued;
    uint32_t flights; // of it in the card's ring
} card_entry;

// A command of the card's ring.
typedef struct card_flight {
    uint32_t number;
    uint32_t to;  // rows done when it is
    bool encodes; // it can stop at a row before the unit has that
} card_flight;

struct card_queue {
    cst_queue base;
    csti_cpu_executor executor;
    csti_spsc_ring completions;
    const card_link *link; // to `metered`
    const card_link *way;  // what is metered
    card_link metered;
    void *card;                    // the link's; NULL: not opened yet
    uint8_t *rows_at, *results_at; // the batch memory below CARD_RESULTS_AT, and from there on
    uint64_t rows_address, results_address; // the card's
    uint64_t image_address, image_stride;   // of channel 0; to the next one
    card_table *table;                      // the one that is loaded
    uint32_t number;                        // of the newest command
    bool runs;                              // each command is a run: card_run.c
    bool lost;
    bool unfenced;       // of what the card did, not all may be in memory
    bool keys_loaded;    // no table, but columns and a hash key: what stands at CARD_TABLE_AT
    uint32_t piece_rows; // of the next piece, at most
    card_entry *entries; // `depth` of them, a ring
    uint64_t entries_first, entries_end, entries_issued;
    card_flight flights[CARD_RING]; // a ring, those of the first entry first
    uint32_t flights_first, flights_count;
    uint64_t clocks_told, transfer_told; // to the device
    uint32_t operations_told;            // the counter's low word
};

// Of the batch memory: where the host sees an offset.
static inline uint8_t *card_batch_at(const card_queue *queue, uint64_t offset) {
    return offset < CARD_RESULTS_AT ? queue->rows_at + offset
                                    : queue->results_at + (offset - CARD_RESULTS_AT);
}

// ---- card.c -------------------------------------------------------------------------------------
CST_CHECK_RESULT cst_code card_queue_make(const card_link *link, uint32_t depth, cst_queue **out,
                                          cst_err *err);
void card_queue_close(cst_queue *queue);
cst_code card_table_open(cst_queue *queue, const cst_table_options *options, const cst_schema *keys,
                         cst_device_table **out, cst_err *err);
void card_table_close(cst_device_table *table);
cst_code card_table_prepare(cst_device_table *table, cst_err *err);
cst_table *card_table_image(const cst_device_table *table);
const cst_table *card_table_view(const cst_device_table *table);
cst_code card_submit(cst_queue *queue, const csti_entry_in_flight *entry, cst_err *err);
cst_code card_reset(cst_device *device, cst_err *err);
void card_counters(cst_queue *queue, cst_counter *out, size_t capacity, size_t *count_out);
cst_code card_buffer_alloc(cst_device *device, size_t bytes, cst_device_buffer *out, cst_err *err);
void card_buffer_free(cst_device *device, cst_device_buffer *buffer);
cst_code card_buffer_sync(cst_device *device, const cst_device_buffer *buffer, size_t offset,
                          size_t bytes, cst_sync direction, cst_err *err);
uint32_t card_poll(cst_queue *queue, cst_completion *out, uint32_t count_max);

// What the back ends have alike of csti_device_ops.
#define CARD_OPS                                                                                   \
    .reset = card_reset, .buffer_alloc = card_buffer_alloc, .buffer_free = card_buffer_free,       \
    .buffer_sync = card_buffer_sync, .queue_close = card_queue_close,                              \
    .table_close = card_table_close, .table_prepare = card_table_prepare,                          \
    .table_image = card_table_image, .table_view = card_table_view, .submit = card_submit,         \
    .poll = card_poll

// ---- card_move.c --------------------------------------------------------------------------------
// The card's memory is as the image, or the other way round; nothing where they are one. To be
// called with nothing in flight and all of it in memory.
CST_CHECK_RESULT cst_code card_image_put(card_queue *queue, card_table *table);
CST_CHECK_RESULT cst_code card_image_fetch(card_queue *queue, card_table *table);
// Of the log, what a delta has.
CST_CHECK_RESULT cst_code card_image_fetch_log(card_queue *queue, card_table *table, uint64_t from,
                                               uint64_t to);

// ---- card_queue.c -------------------------------------------------------------------------------
// What sim.c does for a command when nothing is before it.
cst_code card_command_run(card_queue *queue, const cst_command *command, cst_completion *out);
// The card takes it without the host's part, but for its rows.
bool card_rows_stream(const cst_command *command);
CST_CHECK_RESULT cst_code card_entries_open(card_queue *queue, uint32_t depth, cst_err *err);
void card_entries_close(card_queue *queue);
void card_entries_put(card_queue *queue, const csti_entry_in_flight *entry);
// Runs the card until the first entry has its completion; nothing: there is none.
void card_entries_run(card_queue *queue);
// Whether that would not wait for the card to begin with.
bool card_entries_ready(card_queue *queue);

// Runs what is in flight to its end, and the stop of a queue is over.
void card_entries_end(card_queue *queue);
// With nothing in the card's ring: all that it did is in memory.
void card_fence(card_queue *queue);
// How large the next piece is, by what became of one.
void card_pace(card_queue *queue, cst_code code);

// ---- card_image.c -------------------------------------------------------------------------------
cst_code card_image_check(const cst_table_options *options, cst_err *err);
// CST_LIMIT: the channels are too small for it, or its log has too many segments.
CST_CHECK_RESULT cst_code card_image_place(card_table *table, cst_err *err);
// Regions that hold what of the image is ready, and grow by doubling.
void card_image_place_ready(card_table *table);
bool card_image_fits(const card_table *table);
// The host's memory of a region; of that the bytes in use. Which stripe lies in a channel's line.
uint8_t *card_image_region(const card_table *table, uint32_t region, uint64_t *used_out);
uint64_t card_image_stripe(uint32_t region, uint64_t line, uint32_t channel);
uint8_t *card_image_locate(void *context, uint32_t channel, uint64_t address); // context: a queue
// The table's block for CARD_OP_LOAD; how many places there are.
uint32_t card_image_pack(const card_table *table, uint8_t *out);
void card_columns_pack(const cst_schema *schema, const cst_hash_key *key, uint8_t *out);
// What a completion says of the control block, into the image. CST_DEVICE_LOST: they do not meet.
CST_CHECK_RESULT cst_code card_image_take(card_table *table, const card_completion *done);
// The same of a RELEASE: the image's ring of free places follows the circuit's.
CST_CHECK_RESULT cst_code card_image_release(card_table *table, const cst_delta *delta,
                                             const card_completion *done);

// ---- card_run.c ---------------------------------------------------------------------------------
CST_CHECK_RESULT cst_code card_run_open(card_queue *queue, cst_err *err);
// What a run is told, by the arguments' numbers; of a queue whose commands are runs ring and
// completions are those of place 0.
void card_run_arguments(const card_queue *queue, uint64_t out[CSTI_KERNEL_ARGUMENT_CHANNEL]);
void card_run_reset(card_queue *queue);
// Ends the run and begins another one; false: the card stays busy.
bool card_run_restart(card_queue *queue);
// False: there is no card, or none that answers. Reading takes clocks that are not told.
bool card_run_counters(card_queue *queue, uint64_t *values);
void card_run_close(card_queue *queue);
// Puts a command into the ring, which has room; its number. It is the caller's to wait for it.
uint32_t card_run_put(card_queue *queue, const card_descriptor *command);
// Of a command in flight: whether its completion is there.
bool card_run_arrived(card_queue *queue, uint32_t number);
// Waits for the oldest one that was not waited for. As card_run.
CST_CHECK_RESULT cst_code card_run_wait(card_queue *queue, uint32_t number, card_completion *out);
// One command to the card, done and in memory when it returns. CST_DEVICE_LOST: no completion came,
// or it says so. Other codes are the completion's.
CST_CHECK_RESULT cst_code card_run(card_queue *queue, const card_descriptor *command,
                                   card_completion *out);
// Makes the table the card's, as its image stands.
CST_CHECK_RESULT cst_code card_run_load(card_queue *queue, card_table *table);
CST_CHECK_RESULT cst_code card_run_load_keys(card_queue *queue, const cst_schema *schema,
                                             const cst_hash_key *key);

// ---- card_meter.c -------------------------------------------------------------------------------
// The queue goes that way from now on, and queue->base.traffic says what crosses.
void card_meter(card_queue *queue, const card_link *way);

// ---- card_lost.c --------------------------------------------------------------------------------
// What the status says: the run was lost.
bool card_status_lost(uint32_t status);
// Notes why the card is lost, as its status has it. CST_DEVICE_LOST.
cst_code card_lost(card_queue *queue, uint32_t number);

// ---- card_rows.c --------------------------------------------------------------------------------
bool card_schema_fits(const cst_schema *schema);
// APPLY or LOOKUP, whose keys are columns for the circuit (`encode`) or stand in command->rows.
cst_code card_rows_run(card_queue *queue, card_table *table, const cst_command *command,
                       bool encode, cst_completion *out);
// Puts rows of an APPLY from `from` on into the ring, as many as go at once; the row behind them.
uint32_t card_rows_put(card_queue *queue, const cst_command *command, uint32_t from);
// The hash that GROW wants of a row that found no place.
uint64_t card_row_hash(const card_queue *queue, const cst_command *command, uint32_t row);
// ENCODE|HASH or HASH on their own, by the circuit.
bool card_keys_fit(const cst_command *command);
cst_code card_keys_run(card_queue *queue, const cst_command *command, cst_completion *out);

// ---- card_pack.c --------------------------------------------------------------------------------
size_t card_row_bytes(uint8_t flags); // of a row in the form of a command's flags
// Rows [from, to) in that form. `table` is NULL for keys alone.
void card_rows_pack(const card_table *table, const cst_command *command, uint8_t flags,
                    uint32_t from, uint32_t to, uint8_t *out);
// A key that came encoded; NULL: it has no bytes.
const uint8_t *card_row_key(const cst_rows *rows, uint32_t row, uint32_t *bytes_out);

// ---- card_cells.c -------------------------------------------------------------------------------
// ENCODE or ENCODE|HASH, with keys_out, of a schema that has keys of up to 64 bytes, by the
// circuit; keys that have more, by the processor.
bool card_cells_fit(const cst_command *command);
cst_code card_cells_run(card_queue *queue, const cst_command *command, cst_completion *out);

// ---- card_upkeep.c ------------------------------------------------------------------------------
cst_code card_release(card_queue *queue, card_table *table, const cst_delta *delta);
cst_code card_expire(card_queue *queue, card_table *table, const cst_command *command,
                     cst_completion *out);
cst_code card_scan(card_queue *queue, card_table *table, const cst_command *command,
                   cst_completion *out);
cst_code card_restore(card_queue *queue, card_table *table, const cst_command *command,
                      cst_completion *out);

#endif
