// cst_kernel_late: completions that wait beside the commands behind them, the oldest first.
// Promises   Depth of them wait; each is asked for once the unit's result of its command is there,
//            a barrier's that succeeded once its epoch is in memory. over_o: it is written. A fault
//            of the unit ends the oldest with CodeDeviceLost.
// Needs      results come in the order of put_i; fault_i or !running_i forgets what is under way.
//
//   stage         waits for                                  then
//   LateWait      its result, or a fault of the unit         code, row, epoch are known
//   LateAsk       the write master; a barrier its epoch,     data_o: its beat goes
//                 or a fault of the unit
//   LateData      the beat to be taken
//   LateWritten   the answer                                 over_o: the next one
`default_nettype none
module cst_kernel_late #(
  parameter int unsigned Depth = 4,
  localparam int unsigned SlotBits = cst_kernel_pkg::SlotBits
) (
  input  wire logic        clk_i,
  input  wire logic        rst_ni,
  input  wire logic        running_i,
  input  wire logic        fault_i,
  input  wire logic [3:0]  unit_fault_i,
  input  wire logic        stopped_i,       // one before it failed
  input  wire logic        put_i,
  output      logic        room_o,
  input  wire logic        barrier_i,
  input  wire logic [31:0] row_i,           // the command's first
  input  wire logic [31:0] number_i,
  input  wire logic [SlotBits-1:0] slot_i,
  input  wire logic        result_end_i,    // a result is there, of a barrier or an end
  output      logic        result_ready_o,
  input  wire cst_state_pkg::result_t result_i,
  input  wire logic [63:0] durable_epoch_i,
  // the oldest
  output      logic        there_o,
  output      logic        asks_o,
  input  wire logic        write_ready_i,
  output      logic        data_o,
  input  wire logic        data_ready_i,
  input  wire logic        written_i,       // nothing of what was written is unanswered
  output      logic        over_o,
  output      logic        barrier_o,
  output      logic [31:0] number_o,
  output      logic [SlotBits-1:0] slot_o,
  output      logic [7:0]  code_o,
  output      logic [31:0] row_o,
  output      logic [63:0] from_o,          // a barrier's: the epoch's first byte of the log
  output      logic [63:0] epoch_o,         // and which it was
  output      logic [cst_state_pkg::UnitBits-1:0] to_o  // and where it ends
);
  if (Depth < 2 || Depth > 1024) begin : g_depth
    $error("cst_kernel_late: Depth %0d, must be 2 to 1024", Depth);
  end

  typedef enum logic [1:0] { LateWait, LateAsk, LateData, LateWritten } late_e;
  late_e late_q;
  logic [31:0] first;

  assign asks_o = late_q == LateAsk && (!barrier_o || code_o != cst_pkg::CodeOk ||
                                        durable_epoch_i >= epoch_o);
  assign data_o = late_q == LateData;
  assign over_o = late_q == LateWritten && written_i;
  assign result_ready_o = late_q == LateWait && running_i;

  cst_fifo #(.Width(65 + SlotBits), .Depth(Depth)) u_waiting (
    .clk_i, .rst_ni,
    .in_valid_i(put_i), .in_ready_o(room_o), .in_data_i({slot_i, barrier_i, row_i, number_i}),
    .out_valid_o(there_o), .out_ready_i(over_o),
    .out_data_o({slot_o, barrier_o, first, number_o}),
    .fill_o()
  );

  always_ff @(posedge clk_i) begin
    if (late_q == LateWait) begin
      code_o <= unit_fault_i != '0 ? cst_pkg::CodeDeviceLost :
                stopped_i ? cst_pkg::CodeAborted : result_i.code;
      row_o <= stopped_i ? first : result_i.row;
      from_o <= (barrier_o && !stopped_i) ? result_i.value[127:64] : '0;
      epoch_o <= result_i.value[63:0];
      to_o <= result_i.value[128+5 +: cst_state_pkg::UnitBits];
    end
    // Its epoch will never be in memory.
    if (late_q == LateAsk && !asks_o && unit_fault_i != '0) code_o <= cst_pkg::CodeDeviceLost;
    if (!rst_ni || fault_i || !running_i) begin
      late_q <= LateWait;
    end else begin
      unique case (late_q)
        LateWait: if (there_o && (unit_fault_i != '0 || result_end_i)) late_q <= LateAsk;
        LateAsk: if (write_ready_i && asks_o) late_q <= LateData;
        LateData: if (data_ready_i) late_q <= LateWritten;
        default: if (over_o) late_q <= LateWait;
      endcase
    end
  end

  logic unused_bits;
  assign unused_bits = ^result_i;
endmodule
`default_nettype wire
