// cst_state_cover: the stalls that the unit counts, what is begun while others are under way,
// faults, and what a reset finds.
`default_nettype none
module cst_state_cover (
  input wire logic       clk_i,
  input wire logic       rst_ni,
  input wire logic       unit_rst_n,
  input wire logic       soft_reset_i,
  input wire logic       soft_q,
  input wire logic       quiet,
  input wire logic [3:0] fault,
  input wire logic [3:0] fault_q,
  input wire logic       busy_ops,
  input wire logic       fetch_wait,
  input wire logic       match_wait,
  input wire logic       wait_known,
  input wire logic       wait_record,
  input wire logic       op_valid_i,
  input wire logic       op_ready_o,
  input wire cst_state_pkg::op_t op_i,
  input wire logic       idle_o,
  input wire logic       ready_o,
  input wire logic       walk_i,
  input wire logic       walk_busy_o,
  input wire logic       walk_valid_o,
  input wire logic       release_busy,
  input wire logic       result_valid_o,
  input wire logic       result_ready_i,
  input wire logic       older_pending,
  input wire logic       few_q,
  input wire logic       stopped_o
);
  // A reset of what ran before, not of what registers begin with.
  logic ran_q, resets;
  initial ran_q = 1'b0;
  always_ff @(posedge clk_i) ran_q <= rst_ni;
  assign resets = ran_q && !rst_ni;

  logic in;
  assign in = rst_ni && op_valid_i && op_ready_o && fault_q == '0;
`define CST_BESIDE(Name, Kind) \
    Name``_while_others_are_under_way: cover (in && busy_ops && op_i.kind == cst_state_pkg::Kind); \
    Name``_while_a_barrier_is_under_way: cover (in && few_q && op_i.kind == cst_state_pkg::Kind);
  always_ff @(posedge clk_i) begin
    stall_of_fetch: cover (unit_rst_n && fetch_wait);
    stall_of_match: cover (unit_rst_n && match_wait);
    stall_of_issue_for_its_key: cover (unit_rst_n && wait_known && !wait_record);
    stall_of_execute_for_a_record: cover (unit_rst_n && wait_record);
    stall_of_results: cover (unit_rst_n && result_valid_o && !result_ready_i);
    several_stalls_at_once: cover (unit_rst_n && fetch_wait && match_wait && wait_known);
    `CST_BESIDE(upsert, KindUpsert)
    `CST_BESIDE(delete, KindDelete)
    `CST_BESIDE(lookup, KindLookup)
    `CST_BESIDE(barrier, KindBarrier)
    `CST_BESIDE(end, KindEnd)
    expire_while_others_are_under_way: cover (in && busy_ops &&
                                              op_i.kind == cst_state_pkg::KindExpire);
    expire_while_it_walks: cover (in && walk_busy_o && op_i.kind == cst_state_pkg::KindExpire);
    put_while_others_are_under_way: cover (in && busy_ops && op_i.kind == cst_state_pkg::KindPut);
    drop_while_others_are_under_way: cover (in && busy_ops && op_i.kind == cst_state_pkg::KindDrop);
    walk_with_entries: cover (rst_ni && walk_valid_o);
    release_: cover (rst_ni && release_busy);
    operation_behind_a_walk: cover (in && !walk_busy_o && walked_q);
    operation_while_stopped: cover (in && stopped_o);
    fault_of_a_read: cover (rst_ni && fault[0] && busy_ops);
    fault_of_a_write: cover (rst_ni && fault[1]);
    fault_outside: cover (rst_ni && fault[2] && busy_ops);
    fault_of_silence: cover (rst_ni && fault[3] && busy_ops);
    fault_behind_a_fault: cover (rst_ni && fault_q != '0 && (fault & ~fault_q) != '0);
    operation_after_a_fault: cover (rst_ni && fault_q != '0 && op_valid_i && op_ready_o);
    soft_reset_while_idle: cover (rst_ni && soft_reset_i && idle_o);
    soft_reset_while_busy: cover (rst_ni && soft_reset_i && busy_ops && fault_q == '0);
    soft_reset_after_a_fault: cover (rst_ni && soft_reset_i && fault_q != '0);
    soft_reset_waits_for_memory: cover (rst_ni && soft_q && !quiet);
    soft_reset_withdraws_a_result: cover (rst_ni && soft_reset_i && result_valid_o);
    soft_reset_while_it_walks: cover (rst_ni && soft_reset_i && walk_busy_o);
    soft_reset_while_a_barrier_is_under_way: cover (rst_ni && soft_reset_i && older_pending);
    reset_while_not_ready: cover (resets && !ready_o);
    reset_while_idle: cover (resets && idle_o);
    reset_while_busy: cover (resets && busy_ops);
    reset_while_it_walks: cover (resets && walk_busy_o);
    reset_with_a_result: cover (resets && result_valid_o);
    reset_with_a_fault: cover (resets && fault_q != '0);
    reset_while_soft_reset_waits: cover (resets && soft_q);
  end
  logic walked_q;
  always_ff @(posedge clk_i) walked_q <= rst_ni && (walk_busy_o || (walked_q && !op_valid_i));
`undef CST_BESIDE
endmodule
bind cst_state cst_state_cover u_cover (.busy_ops(ops_q != '0), .few_q(few), .*);
`default_nettype wire
