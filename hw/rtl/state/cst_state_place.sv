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
  // The bucket of 16 has fewer than 14 while more than two slots are free: up to three are counted,
  // by parts of six, so that two LUTs behind each other do.
  localparam int unsigned FreeMax = cst_pkg::BucketSlots - cst_pkg::FirstUntil;
  if (FreeMax != 2) begin : g_free
    $error("cst_state_place: up to 3 free slots are counted, FirstUntil asks for %0d", FreeMax + 1);
  end

  logic [1:0] first_free, second_free;

  // Bits of six, 0 to 3: three says that there may be more.
  function automatic logic [1:0] few(input logic [5:0] bits);
    logic [2:0] least;  // bit n: more than n
    least = '0;
    for (integer i = 0; i < 6; i = i + 1) if (bits[i]) least = {least[1:0], 1'b1};
    few = {least[1], least[2] || (least[0] && !least[1])};
  endfunction

  function automatic logic [1:0] few_free(input logic [15:0] occupied);
    logic [1:0] a, b, c;
    a = few(~occupied[5:0]);
    b = few(~occupied[11:6]);
    c = few({2'b0, ~occupied[15:12]});
    few_free = few({a[1], a[1] || a[0], b[1], b[1] || b[0], c[1], c[1] || c[0]}) |
               {2{(&a) || (&b) || (&c)}};
  endfunction

  function automatic logic [3:0] lowest_free(input logic [15:0] occupied);
    lowest_free = '0;
    for (integer i = 15; i >= 0; i = i - 1) if (!occupied[i]) lowest_free = 4'(i);
  endfunction

  assign first_free = few_free(first_i);
  assign second_free = few_free(second_i);
  assign second_o = first_free <= 2'(FreeMax) -
                                      2'(cst_mistake_pkg::planted(cst_mistake_pkg::Place)) &&
                    second_free > first_free;
  assign slot_o = second_o ? lowest_free(second_i) : lowest_free(first_i);
  assign full_o = !second_o && first_free == 2'd0;
endmodule
`default_nettype wire
