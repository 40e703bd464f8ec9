#include "device/sim_internal.h"
#include "table/internal.h"

cst_code sim_release(sim_queue *queue, sim_table *table, const cst_delta *delta) {
    const sim_descriptor release = {.op = SIM_OP_RELEASE, .epoch = delta->epoch, .at = delta->to};
    sim_completion done;
    cst_code code = sim_run_load(queue, table);

    if (code == CST_OK) code = sim_run(queue, &release, &done);
    if (code == CST_DEVICE_LOST) return code;
    table->loaded = code == CST_OK;
    if (sim_image_release(table, delta, &done) != code) return CST_DEVICE_LOST;
    return code;
}

// One command to the card: buckets from out->position on, no bucket twice.
static cst_code expire_piece(sim_queue *queue, sim_table *table, const cst_command *command,
                             uint64_t buckets_all, cst_completion *out) {
    const csti_control *control = table->cpu.image->control;
    const uint64_t rows_before = control->rows_count;
    uint64_t left = command->expire_buckets_count - out->rows_done;
    sim_descriptor expire = {.op = SIM_OP_EXPIRE, .now = (uint64_t)command->rows.now_us};
    sim_completion done;
    cst_code code = sim_run_load(queue, table);

    if (code != CST_OK) return code;
    if (left > SIM_ROWS_MAX) left = SIM_ROWS_MAX;
    if (left > buckets_all) left = buckets_all;
    expire.at = out->position;
    expire.count = (uint32_t)left;
    code = sim_run(queue, &expire, &done);
    if (code == CST_DEVICE_LOST) return code;
    table->loaded = code == CST_OK;
    if (sim_image_take(table, &done) != CST_OK) return CST_DEVICE_LOST;
    out->count += rows_before - control->rows_count;
    out->rows_done += done.row;
    out->position = (out->position + done.row) % buckets_all;
    return code;
}

cst_code sim_expire(sim_queue *queue, sim_table *table, const cst_command *command,
                    cst_completion *out) {
    const csti_control *control = table->cpu.image->control;
    const uint64_t buckets_all = (uint64_t)control->chunks_frontier * CSTI_CHUNK_BUCKETS;
    cst_code code = CST_OK;

    out->position = command->expire_bucket;
    if (command->expire_buckets_count == 0) return CST_OK;
    if (control->program.ttl_us == CST_TTL_NONE) return CST_UNSUPPORTED;
    if (out->position >= buckets_all) out->position = 0;
    while (code == CST_OK && out->rows_done < command->expire_buckets_count)
        code = expire_piece(queue, table, command, buckets_all, out);
    return code;
}
