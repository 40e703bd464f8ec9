// cst_kernel_late_cover: how a completion ends that is late, what a fault or a reset finds of it.
`default_nettype none
module cst_kernel_late_cover (
  input wire logic       clk_i,
  input wire logic       rst_ni,
  input wire logic [3:0] stages,   // bit n: in that stage
  input wire logic       there_o,
  input wire logic       room_o,
  input wire logic       over_o,
  input wire logic       barrier_o,
  input wire logic [7:0] code_o,
  input wire logic [3:0] unit_fault_i
);
  // A reset of what ran before, not of what registers begin with.
  logic ran_q, resets;
  initial ran_q = 1'b0;
  always_ff @(posedge clk_i) ran_q <= rst_ni;
  assign resets = ran_q && !rst_ni;

  always_ff @(posedge clk_i) begin
    rows_done: cover (rst_ni && over_o && !barrier_o && code_o == cst_pkg::CodeOk);
    barrier_done: cover (rst_ni && over_o && barrier_o && code_o == cst_pkg::CodeOk);
    fails: cover (rst_ni && over_o && code_o != cst_pkg::CodeOk &&
                  code_o != cst_pkg::CodeAborted && code_o != cst_pkg::CodeDeviceLost);
    is_aborted: cover (rst_ni && over_o && code_o == cst_pkg::CodeAborted);
    is_lost: cover (rst_ni && over_o && code_o == cst_pkg::CodeDeviceLost);
    queue_full: cover (rst_ni && there_o && !room_o);
    fault_before_its_result: cover (rst_ni && unit_fault_i != '0 && stages[0] && there_o);
    fault_while_it_asks: cover (rst_ni && unit_fault_i != '0 && stages[1]);
    reset_while_one_waits: cover (resets && stages[0] && there_o);
    reset_as_one_asks: cover (resets && stages[1]);
    reset_as_one_goes: cover (resets && stages[2]);
    reset_as_one_is_written: cover (resets && stages[3]);
  end
endmodule
bind cst_kernel_late cst_kernel_late_cover u_cover (
  .stages({late_q == LateWritten, late_q == LateData, late_q == LateAsk, late_q == LateWait}), .*
);
`default_nettype wire
