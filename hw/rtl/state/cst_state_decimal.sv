// cst_state_decimal: what the two words of a decimal128 in a value have in common (cst_state_lane
// does each of them): which one is less, and whether what comes of it has more than 38 digits.
// Promises   docs/formats.md, New value; combinational, a chain of 64 places and a LUT before and
//            behind it.
`default_nettype none
module cst_state_decimal (
  input  wire logic         valid_i,    // it is one; else less_o and was_o are low
  input  wire logic [127:0] old_i,
  input  wire logic [127:0] source_i,
  output      logic         less_o,     // what comes is less than the old one
  output      logic         leaves_o,   // their sum has more digits
  output      logic         was_o       // the old one has
);
  localparam logic [127:0] Bound = cst_state_pkg::DecimalBound;
  localparam logic [127:0] Least = -Bound;

  // Whether a + b + c is below zero: of three at once, since the sum of two need not be there
  // first; two bits a place of the chain, of the lowest, into which nothing is carried, three; the
  // highest behind it.
  function automatic logic negative(input logic [127:0] a, input logic [127:0] b,
                                    input logic [127:0] c);
    logic [127:0] x, y;
    logic [63:0] carries, passes;
    logic below, top, carry;
    x = a ^ b ^ c;
    y = ((a & b) | (a & c) | (b & c)) << 1;
    carries = '0;
    passes = '0;
    carries[0] = (x[2] && y[2]) || ((x[2] || y[2]) && x[1] && y[1]);  // y[0] is none
    for (int unsigned k = 1; k < 63; k++) begin
      carries[k] = (x[2*k+2] && y[2*k+2]) ||
                   ((x[2*k+2] || y[2*k+2]) && x[2*k+1] && y[2*k+1]);
      passes[k] = (x[2*k+2] || y[2*k+2]) && (x[2*k+1] || y[2*k+1]);
    end
    below = 1'(((carries | passes) + carries) >> 63);
    top = (x[127] && y[127]) || (x[127] && below) || (y[127] && below);
    // Above, all go on with their signs.
    carry = (a[127] && b[127]) || (a[127] && c[127]) || (b[127] && c[127]);
    negative = x[127] ^ carry ^ ((x[127] && carry) || (x[127] && top) || (carry && top));
  endfunction

  // Three bits a place; of the lowest four it is known before, so that 42 places do.
  logic low;
  always_comb begin
    low = 1'b0;
    for (int unsigned k = 0; k < 4; k++)
      low = (old_i[k] && !source_i[k]) || (low && (old_i[k] || !source_i[k]));
  end
  assign less_o = {!valid_i, ~source_i[127], source_i[126:4], 1'b0} <
                  {1'b0, ~old_i[127], old_i[126:4], low};

  // A simulator does it for decimals alone. In the circuit that would be a LUT more, and of others
  // leaves_o says nothing.
  logic asked;
`ifdef VERILATOR
  assign asked = valid_i;
`else
  assign asked = 1'b1;
`endif
  always_comb begin
    leaves_o = 1'b0;
    was_o = 1'b0;
    if (asked) begin
      leaves_o = !negative(old_i, source_i, Least) ||
                 negative(old_i, source_i, Bound - 128'd1);
      was_o = valid_i && cst_state_pkg::too_large(old_i);
    end
  end
endmodule
`default_nettype wire
