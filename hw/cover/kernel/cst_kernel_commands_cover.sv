// cst_kernel_commands_cover: each command and how it ends, what is begun while others are under
// way, and what a fault or a reset finds.
`default_nettype none
module cst_kernel_commands_cover (
  input wire logic        clk_i,
  input wire logic        rst_ni,
  input wire logic [27:0] stages,        // bit n: in that stage
  input wire logic        late_there,
  input wire cst_kernel_pkg::descriptor_t command_q,
  input wire cst_kernel_pkg::completion_t completion,
  input wire logic        completes,     // its completion is handed over
  input wire logic        fresh,
  input wire logic        beat_valid_i,
  input wire logic        argument_wrong,
  input wire logic        gives,
  input wire logic        fault_i,
  input wire logic [3:0]  unit_fault_i,
  input wire logic        unit_idle_i,
  input wire logic        running_o,
  input wire logic        asks_ahead,
  input wire logic        read_ready_i,
  input wire logic        write_valid_o,
  input wire logic        write_ready_i,
  input wire logic        data_valid_o,
  input wire logic        data_ready_i,
  input wire logic        walk_stop_o,
  input wire logic        done_valid_o,
  input wire logic        done_ready_i,
  input wire logic        op_valid_o,
  input wire logic        op_ready_i
);
  // A reset of what ran before, not of what registers begin with.
  logic ran_q, resets;
  initial ran_q = 1'b0;
  always_ff @(posedge clk_i) ran_q <= rst_ni;
  assign resets = ran_q && !rst_ni;

  // ---- Commands ---------------------------------------------------------------------------------
`define CST_COMMAND(Name, Op) \
    Name``_done: cover (completes && command_q.op == cst_kernel_pkg::Op && \
                        completion.code == cst_pkg::CodeOk);
`define CST_CODE(Name, Op, Code) \
    Name: cover (completes && command_q.op == cst_kernel_pkg::Op && \
                 completion.code == cst_pkg::Code);
`define CST_FLAG(Name, Flag) \
    Name: cover (completes && command_q.flags[cst_kernel_pkg::Flag] && \
                 completion.code == cst_pkg::CodeOk);
  always_ff @(posedge clk_i) if (rst_ni) begin
    `CST_COMMAND(load, OpLoad)
    `CST_COMMAND(rows, OpRows)
    `CST_COMMAND(keys, OpKeys)
    `CST_COMMAND(barrier, OpBarrier)
    `CST_COMMAND(end, OpEnd)
    `CST_COMMAND(release, OpRelease)
    `CST_COMMAND(expire, OpExpire)
    `CST_COMMAND(scan, OpScan)
    `CST_COMMAND(restore, OpRestore)
    `CST_CODE(load_usage, OpLoad, CodeUsage)
    `CST_CODE(load_limit, OpLoad, CodeLimit)
    `CST_CODE(rows_usage, OpRows, CodeUsage)
    `CST_CODE(rows_limit, OpRows, CodeLimit)
    `CST_CODE(rows_aborted, OpRows, CodeAborted)
    `CST_CODE(rows_device_lost, OpRows, CodeDeviceLost)
    `CST_CODE(keys_usage, OpKeys, CodeUsage)
    `CST_CODE(barrier_usage, OpBarrier, CodeUsage)
    `CST_CODE(barrier_aborted, OpBarrier, CodeAborted)
    `CST_CODE(release_epoch, OpRelease, CodeEpoch)
    `CST_CODE(expire_usage, OpExpire, CodeUsage)
    `CST_CODE(expire_limit, OpExpire, CodeLimit)
    `CST_CODE(expire_unsupported, OpExpire, CodeUnsupported)
    `CST_CODE(expire_aborted, OpExpire, CodeAborted)
    `CST_CODE(scan_usage, OpScan, CodeUsage)
    `CST_CODE(scan_limit, OpScan, CodeLimit)
    `CST_CODE(restore_usage, OpRestore, CodeUsage)
    `CST_CODE(restore_limit, OpRestore, CodeLimit)
    `CST_CODE(restore_aborted, OpRestore, CodeAborted)
    `CST_CODE(restore_segment_record, OpRestore, CodeSegmentRecord)
    none_of_these: cover (completes && completion.code == cst_pkg::CodeUnsupported &&
                          (command_q.op == '0 || command_q.op > cst_kernel_pkg::OpRestore));
    rows_of_none: cover (completes && command_q.op == cst_kernel_pkg::OpRows &&
                         command_q.count == '0);
    rows_with_results: cover (completes && command_q.op == cst_kernel_pkg::OpRows && gives);
    scan_stops_at_its_rows: cover (walk_stop_o);
    `CST_FLAG(flag_encode, FlagEncode)
    `CST_FLAG(flag_hash, FlagHash)
    `CST_FLAG(flag_wide, FlagWide)
    `CST_FLAG(flag_fence, FlagFence)
    `CST_FLAG(flag_more, FlagMore)
    `CST_FLAG(flag_compact, FlagCompact)
    `CST_FLAG(flag_long, FlagLong)
    `CST_FLAG(flag_cells, FlagCells)
    flag_cells_long: cover (completes && command_q.flags[cst_kernel_pkg::FlagCells] &&
                            command_q.flags[cst_kernel_pkg::FlagLong]);
    arguments_wrong: cover (stages[1] && argument_wrong);
    old_command_read_again: cover (stages[3] && beat_valid_i && !fresh);
    // ---- While others are under way -------------------------------------------------------------
    asked_ahead: cover (asks_ahead && read_ready_i);
    rows_behind_a_late_one: cover (stages[18] && late_there);
    load_behind_a_late_one: cover (stages[5] && late_there &&
                                   command_q.op == cst_kernel_pkg::OpLoad);
    release_waits_for_the_unit: cover (stages[10] && !unit_idle_i);
    walk_waits_for_the_unit: cover (stages[12] && !unit_idle_i);
    restore_waits_for_the_unit: cover (stages[14] && !unit_idle_i);
    load_waits_for_the_unit: cover (stages[7] && !unit_idle_i);
    fence_waits_for_the_unit: cover (stages[22] && !unit_idle_i);
    // ---- Stalls ---------------------------------------------------------------------------------
    operation_waits: cover (op_valid_o && !op_ready_i);
    write_waits: cover (write_valid_o && !write_ready_i);
    data_waits: cover (data_valid_o && !data_ready_i);
    done_waits: cover (done_valid_o && !done_ready_i);
  end

  // ---- Faults, resets ---------------------------------------------------------------------------
`define CST_STAGE(Name, N) \
    reset_in_``Name: cover (resets && stages[N]);
  always_ff @(posedge clk_i) begin
    `CST_STAGE(idle, 0)
    `CST_STAGE(ready, 1)
    `CST_STAGE(poll, 2)
    `CST_STAGE(descriptor, 3)
    `CST_STAGE(pause, 4)
    `CST_STAGE(measure, 5)
    `CST_STAGE(check, 6)
    `CST_STAGE(load_wait, 7)
    `CST_STAGE(load, 8)
    `CST_STAGE(loaded, 9)
    `CST_STAGE(release, 10)
    `CST_STAGE(releasing, 11)
    `CST_STAGE(walk, 12)
    `CST_STAGE(walking, 13)
    `CST_STAGE(restore, 14)
    `CST_STAGE(restoring, 15)
    `CST_STAGE(keys, 16)
    `CST_STAGE(rows, 17)
    `CST_STAGE(rows_wait, 18)
    `CST_STAGE(last, 19)
    `CST_STAGE(last_wait, 20)
    `CST_STAGE(durable, 21)
    `CST_STAGE(fence, 22)
    `CST_STAGE(drain, 23)
    `CST_STAGE(complete, 24)
    `CST_STAGE(complete_data, 25)
    `CST_STAGE(complete_wait, 26)
    `CST_STAGE(done, 27)
    fault_of_the_batch_port: cover (rst_ni && fault_i && running_o);
    fault_of_the_unit_in_rows: cover (rst_ni && unit_fault_i != '0 && stages[18]);
    fault_of_the_unit_in_a_walk: cover (rst_ni && unit_fault_i != '0 && stages[13]);
    fault_of_the_unit_in_a_restore: cover (rst_ni && unit_fault_i != '0 && stages[15]);
    fault_of_the_unit_at_a_barrier: cover (rst_ni && unit_fault_i != '0 && stages[21]);
    fault_of_the_unit_before_a_start: cover (rst_ni && unit_fault_i != '0 && stages[1]);
  end
`undef CST_COMMAND
`undef CST_CODE
`undef CST_FLAG
`undef CST_STAGE
endmodule
bind cst_kernel_commands cst_kernel_commands_cover u_cover (
  .stages({stage_q == Done, stage_q == CompleteWait, stage_q == CompleteData, stage_q == Complete,
           stage_q == Drain, stage_q == Fence, stage_q == Durable, stage_q == LastWait,
           stage_q == Last, stage_q == RowsWait, stage_q == Rows, stage_q == Keys,
           stage_q == Restoring, stage_q == Restore, stage_q == Walking, stage_q == Walk,
           stage_q == Releasing, stage_q == Release, stage_q == Loaded, stage_q == Load,
           stage_q == LoadWait, stage_q == Check, stage_q == Measure, stage_q == Pause,
           stage_q == Descriptor, stage_q == Poll, stage_q == Ready, stage_q == Idle}),
  .completes(stage_q == CompleteData && data_ready_i), .gives(what.gives),
  .argument_wrong(argument_wrong && step_q == 2'd3), .*
);
`default_nettype wire
