// cst_state_operands: operands as an upsert takes them: doubles have one zero and one NaN, a count
// adds one.
// Promises   combinational; words of other numbers, and all of them where rows are replaced, stay
//            as they are. It stands before the stage whose loop is long enough (cst_state_value).
`default_nettype none
module cst_state_operands (
  input  wire cst_state_pkg::config_t config_i,
  input  wire logic [511:0]           operands_i,
  output      logic [511:0]           operands_o
);
  localparam logic [63:0] Nan = 64'h7ff8000000000000;

  for (genvar i = 0; i < cst_state_pkg::Lanes; i++) begin : g_lane
    logic [63:0] double;
    assign double = operands_i[i*64 +: 64];
    always_comb begin
      operands_o[i*64 +: 64] = double;
      if (config_i.lane_number[i*3 +: 3] == cst_pkg::NumberF64 && !config_i.replace) begin
        if (double[62:52] == '1 && double[51:0] != '0) operands_o[i*64 +: 64] = Nan;
        if (double[62:0] == '0) operands_o[i*64 +: 64] = '0;
      end
      if (config_i.lane_op[i*3 +: 3] == cst_pkg::AccCount && !config_i.replace)
        operands_o[i*64 +: 64] = 64'd1;
    end
  end

  logic unused_bits;
  assign unused_bits = ^config_i;
endmodule
`default_nettype wire
