// cst_state_past: whether a row is past its time. Combinational: each word by itself, so that no
// mux stands before a carry chain.
`default_nettype none
module cst_state_past (
  input  wire logic [cst_state_pkg::Lanes-1:0] time_i,    // the word that is a time, or none
  input  wire logic [63:0]                     past_i,    // times up to this one are past
  input  wire logic [511:0]                    value_i,
  output      logic                            expired_o
);
  localparam int unsigned Lanes = cst_state_pkg::Lanes;

  logic [Lanes-1:0] past;
  for (genvar i = 0; i < Lanes; i++) begin : g_lane
    assign past[i] = {!time_i[i], ~value_i[i*64+63], value_i[i*64 +: 63]} <=
                     {1'b0, ~past_i[63], past_i[62:0]};
  end
  assign expired_o = past != '0;
endmodule
`default_nettype wire
