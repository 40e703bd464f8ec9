// cst_state_place: where a new row goes: docs/formats.md, Commands: its first bucket while that
// holds fewer than 14, else the one with fewer rows, the first if equal; there the lowest free
// slot. Combinational.
`default_nettype none
module cst_state_place (
  input  wire logic [15:0] first_i,    // occupied slots
  input  wire logic [15:0] second_i,
  output      logic        second_o,
  output      logic [3:0]  slot_o,
  output      logic        full_o
);
  logic [4:0] first_count, second_count;
  logic [15:0] occupied;

  always_comb begin
    first_count = '0;
    second_count = '0;
    for (int unsigned i = 0; i < 16; i++) begin
      first_count = first_count + 5'(first_i[i]);
      second_count = second_count + 5'(second_i[i]);
    end
  end
  assign second_o = first_count >= 5'(cst_pkg::FirstUntil) +
                                       5'(cst_mistake_pkg::planted(cst_mistake_pkg::Place)) &&
                    second_count < first_count;
  assign occupied = second_o ? second_i : first_i;
  assign full_o = &occupied;

  always_comb begin
    slot_o = '0;
    for (int unsigned i = 0; i < 16; i++)
      if (!occupied[15-i]) slot_o = 4'(15 - i);
  end
endmodule
`default_nettype wire
