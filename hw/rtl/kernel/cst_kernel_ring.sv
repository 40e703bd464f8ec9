// cst_kernel_ring: where a run's commands and completions stand, and whether its arguments can be.
// Promises   command_at_o: where the command of number_i stands, from begin_i or next_i on; its
//            completion and the two commands behind it two clocks later. A late completion's place
//            is there a clock behind its slot. wrong_o is of arguments that have stood for three
//            clocks.
// Needs      arguments stand still from begin_i on, which lasts four clocks; next_i when number_i
//            is one more from the next clock on, three clocks apart.
`default_nettype none
module cst_kernel_ring #(
  localparam int unsigned SlotBits = cst_kernel_pkg::SlotBits
) (
  input  wire logic         clk_i,
  input  wire logic [63:0]  ring_i,          // descriptors, completions: 2^ring_bits_i of each
  input  wire logic [63:0]  completions_i,
  input  wire logic [31:0]  ring_bits_i,
  input  wire logic [51:0]  first_page_i,    // of what it may read and write
  input  wire logic [52:0]  end_page_i,
  input  wire logic [63:0]  image_i,
  input  wire logic [63:0]  stride_i,
  output      logic         wrong_o,
  input  wire logic         begin_i,         // number_i is 1
  input  wire logic         next_i,
  input  wire logic [31:0]  number_i,
  output      logic [SlotBits-1:0] slot_o,   // of number_i
  output      logic [63:0]  command_at_o,
  output      logic [63:0]  next_at_o,
  output      logic [63:0]  behind_at_o,     // the next one
  output      logic [63:0]  completion_at_o,
  input  wire logic [SlotBits-1:0] late_slot_i,
  output      logic [63:0]  late_at_o
);
  // ---- Arguments --------------------------------------------------------------------------------
  logic [SlotBits-1:0] mask_q;
  logic [64:0] ring_last_q, completions_last_q;  // bytes
  logic unaligned_q, outside_q;

  assign wrong_o = unaligned_q || outside_q;
  always_ff @(posedge clk_i) begin
    for (int unsigned i = 0; i < SlotBits; i++) mask_q[i] <= i < 32'(ring_bits_i[4:0]);
    ring_last_q <= {1'b0, ring_i} + 65'({mask_q, 6'd63});
    completions_last_q <= {1'b0, completions_i} + 65'({mask_q, 6'd63});
    unaligned_q <= ring_i[5:0] != '0 || completions_i[5:0] != '0 ||
                   ring_bits_i > 32'(SlotBits) || image_i[11:0] != '0 || stride_i[11:0] != '0;
    outside_q <= ring_i[63:12] < first_page_i || ring_last_q[64:12] >= end_page_i ||
                 completions_i[63:12] < first_page_i || completions_last_q[64:12] >= end_page_i;
  end

  // ---- Places -----------------------------------------------------------------------------------
  logic [SlotBits-1:0] slot_q, next_slot_q, behind_slot_q;

  assign slot_o = slot_q;
  always_ff @(posedge clk_i) begin
    next_slot_q <= number_i[SlotBits-1:0] & mask_q;
    behind_slot_q <= (number_i[SlotBits-1:0] + 1'b1) & mask_q;
    next_at_o <= ring_i + 64'({next_slot_q, 6'b0});
    behind_at_o <= ring_i + 64'({behind_slot_q, 6'b0});
    completion_at_o <= completions_i + 64'({slot_q, 6'b0});
    late_at_o <= completions_i + 64'({late_slot_i, 6'b0});
    if (begin_i) begin
      slot_q <= '0;
      command_at_o <= ring_i;
    end else if (next_i) begin
      slot_q <= next_slot_q;
      command_at_o <= next_at_o;
    end
  end

  logic unused_bits;
  assign unused_bits = ^{number_i, image_i, stride_i, ring_last_q, completions_last_q};
endmodule
`default_nettype wire
