// cst_state_value: what an upsert makes of a value: its eight words, and which accumulators have
// seen one. Combinational: it is the loop that one hot key runs through, a carry chain and its
// bypass. A decimal128 may begin in any word but the last. Whether there is a row at all, who asks
// knows late: what it would be (next_o) and what the first operation makes of none (first_o) stand
// side by side.
`default_nettype none
module cst_state_value (
  input  wire cst_state_pkg::config_t config_i,
  input  wire logic [511:0]           old_i,
  input  wire logic [7:0]             nulls_i,
  input  wire logic [511:0]           operands_i,   // as cst_state_operands leaves them
  input  wire logic [511:0]           double_sums_i,
  output      logic [511:0]           next_o,
  output      logic [7:0]             wrong_o,      // a lane's word leaves its range
  output      logic [511:0]           first_o,      // the same from all zeros
  output      logic [7:0]             first_wrong_o,
  output      logic                   supported_o
);
  localparam int unsigned Lanes = cst_state_pkg::Lanes;

  logic [511:0] words, first;
  logic [63:0] presence, presence_next, presence_first;
  logic [Lanes-1:0] seen, wrong, first_wrong, sees, supported;

  assign presence = old_i[{config_i.presence_lane, 6'd0} +: 64];

  logic [Lanes*64-1:0] lane_words, lane_first;
  logic [Lanes-1:0] lane_wrong, lane_supported;
  for (genvar i = 0; i < Lanes; i++) begin : g_lane
    assign seen[i] = config_i.has_presence ? presence[6'(config_i.lane_index[i*4 +: 4])] : 1'b1;
    cst_state_lane u_lane (
      .op_i(config_i.lane_op[i*3 +: 3]), .number_i(config_i.lane_number[i*3 +: 3]),
      .has_source_i(config_i.lane_source[i]), .null_i(nulls_i[i]), .seen_i(seen[i]),
      .old_i(old_i[i*64 +: 64]), .operand_i(operands_i[i*64 +: 64]),
      .double_sum_i(double_sums_i[i*64 +: 64]),
      .next_o(lane_words[i*64 +: 64]), .first_o(lane_first[i*64 +: 64]),
      .wrong_o(lane_wrong[i]), .sees_o(sees[i]), .supported_o(lane_supported[i])
    );
  end

  // Word i is the lower half of a decimal, word i + 1 its upper one.
  logic [Lanes-2:0] decimal, decimal_wrong, source_wrong;
  logic [(Lanes-1)*128-1:0] decimals;
  for (genvar i = 0; i < Lanes - 1; i++) begin : g_decimal
    assign decimal[i] = config_i.lane_op[i*3 +: 3] != 3'd0 &&
                        config_i.lane_number[i*3 +: 3] == cst_pkg::NumberDecimal128 &&
                        config_i.lane_number[(i+1)*3 +: 3] == cst_state_pkg::NumberUpper;
    cst_state_decimal u_decimal (
      .valid_i(decimal[i] && !nulls_i[i]), .op_i(config_i.lane_op[i*3 +: 3]), .seen_i(seen[i]),
      .old_i(old_i[i*64 +: 128]), .source_i(operands_i[i*64 +: 128]),
      .next_o(decimals[i*128 +: 128]), .wrong_o(decimal_wrong[i]),
      .source_wrong_o(source_wrong[i])
    );
  end

  always_comb begin
    words = lane_words;
    first = lane_first;
    wrong = lane_wrong;
    first_wrong = '0;
    supported = lane_supported;
    for (int unsigned i = 0; i < Lanes - 1; i++) begin
      if (decimal[i]) begin
        words[i*64 +: 128] = decimals[i*128 +: 128];
        first[i*64 +: 128] = nulls_i[i] ? '0 : operands_i[i*64 +: 128];
        wrong[i +: 2] = {1'b0, decimal_wrong[i]};
        first_wrong[i +: 2] = {1'b0, source_wrong[i]};
        supported[i +: 2] = 2'b11;
      end
    end
  end

  always_comb begin
    presence_first = '0;
    for (int unsigned i = 0; i < Lanes; i++)
      if (sees[i]) presence_first[6'(config_i.lane_index[i*4 +: 4])] = 1'b1;
    presence_next = presence | presence_first;
  end

  always_comb begin
    next_o = words;
    first_o = first;
    if (config_i.has_presence) begin
      next_o[{config_i.presence_lane, 6'd0} +: 64] = presence_next;
      first_o[{config_i.presence_lane, 6'd0} +: 64] = presence_first;
    end
    if (config_i.replace) begin
      next_o = operands_i;
      first_o = operands_i;
    end
  end
  assign wrong_o = config_i.replace ? '0 : wrong;
  assign first_wrong_o = config_i.replace ? '0 : first_wrong;
  assign supported_o = config_i.replace || (&supported);

  logic unused_bits;
  assign unused_bits = ^config_i;
endmodule
`default_nettype wire
