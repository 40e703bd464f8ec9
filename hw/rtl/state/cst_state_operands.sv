// cst_state_operands: an operation's operands as an upsert takes them, and what it does with each
// word: all that does not depend on the row, a stage ahead of it (cst_state_value).
// Promises   combinational. Doubles have one zero and one NaN; a count adds one; the presence word
//            is given the bits of the accumulators that see a value; a word that is nobody's, or
//            has no source, zero, which is what a row begins with there. Where the operands are the
//            value (of all operations but upserts, and where rows are replaced) they stay as they
//            are, and the plan is empty.
`default_nettype none
module cst_state_operands (
  input  wire cst_state_pkg::config_t config_i,
  input  wire logic                   upsert_i,
  input  wire logic [cst_state_pkg::Lanes-1:0] nulls_i,
  input  wire logic [511:0]           operands_i,
  output      logic [511:0]           operands_o,
  output      cst_state_pkg::plan_t   plan_o,
  output      logic [15:0]            presence_o,   // the presence word's lowest bits
  output      logic                   supported_o
);
  localparam int unsigned Lanes = cst_state_pkg::Lanes;
  localparam logic [63:0] Nan = 64'h7ff8000000000000;

  // Where words are as the program has them; a decimal's halves go by what its lower one says.
  logic [Lanes-1:0] used, lower, upper, halves, skips, sees, supported;
  logic plans;
  logic [15:0] seen;
  assign plans = upsert_i && !config_i.replace;
  assign upper = {lower[Lanes-2:0], 1'b0};
  assign halves = lower | upper;

  for (genvar i = 0; i < Lanes; i++) begin : g_lane
    logic [2:0] op, number;
    logic is_presence;
    assign number = config_i.lane_number[i*3 +: 3];
    assign used[i] = config_i.lane_op[i*3 +: 3] != 3'd0;
    assign sees[i] = used[i] && !(config_i.lane_source[i] && nulls_i[i] &&
                                  !cst_mistake_pkg::planted(cst_mistake_pkg::Null));
    assign is_presence = config_i.has_presence && config_i.presence_lane == 3'(i);
    if (i < Lanes - 1) begin : g_lower
      assign lower[i] = used[i] && number == cst_pkg::NumberDecimal128 &&
                        config_i.lane_number[(i+1)*3 +: 3] == cst_state_pkg::NumberUpper;
      assign plan_o.wrong[i] = plans && lower[i] && !nulls_i[i] &&
                               cst_state_pkg::too_large(operands_i[i*64 +: 128]);
    end else begin : g_last
      assign lower[i] = 1'b0;
      assign plan_o.wrong[i] = 1'b0;
    end
    if (i > 0) begin : g_upper
      assign op = upper[i] ? config_i.lane_op[(i-1)*3 +: 3] : config_i.lane_op[i*3 +: 3];
      assign skips[i] = upper[i] ? nulls_i[i-1] : lower[i] ? nulls_i[i] : !sees[i];
    end else begin : g_first
      assign op = config_i.lane_op[i*3 +: 3];
      assign skips[i] = lower[i] ? nulls_i[i] : !sees[i];
    end
    assign supported[i] = !used[i] || halves[i] || op == cst_pkg::AccCount ||
                          number == cst_pkg::NumberU64 || number == cst_pkg::NumberI64 ||
                          number == cst_pkg::NumberF64;

    assign plan_o.keeps[i] = plans && skips[i] && !is_presence;
    assign plan_o.joins[i] = plans && is_presence;
    assign plan_o.adds[i] = plans && !skips[i] && !is_presence &&
                            (op == cst_pkg::AccSum || (op == cst_pkg::AccCount && !halves[i]));
    assign plan_o.least[i] = plans && !skips[i] && !is_presence && op == cst_pkg::AccMin;
    assign plan_o.most[i] = plans && !skips[i] && !is_presence && op == cst_pkg::AccMax;
    assign plan_o.doubles[i] = number == cst_pkg::NumberF64;
    assign plan_o.signs[i] = number == cst_pkg::NumberI64;
    assign plan_o.bounds[i] = !halves[i] && number != cst_pkg::NumberF64;
    assign plan_o.lower[i] = lower[i];
    assign plan_o.upper[i] = upper[i];

    logic [63:0] word;
    assign word = operands_i[i*64 +: 64];
    always_comb begin
      operands_o[i*64 +: 64] = word;
      if (plans) begin
        if (number == cst_pkg::NumberF64) begin
          if (word[62:52] == '1 && word[51:0] != '0) operands_o[i*64 +: 64] = Nan;
          if (word[62:0] == '0) operands_o[i*64 +: 64] = '0;
        end
        if (op == cst_pkg::AccCount && !halves[i]) operands_o[i*64 +: 64] = 64'd1;
        if (skips[i]) operands_o[i*64 +: 64] = '0;
        if (is_presence) operands_o[i*64 +: 64] = 64'(seen);
      end
    end
  end

  always_comb begin
    seen = '0;
    for (int unsigned i = 0; i < Lanes; i++)
      for (int unsigned bit_no = 0; bit_no < 16; bit_no++)
        if (sees[i] && config_i.lane_index[i*4 +: 4] == 4'(bit_no)) seen[bit_no] = 1'b1;
  end
  assign presence_o = plans ? seen : operands_i[{config_i.presence_lane, 6'd0} +: 16];
  assign supported_o = config_i.replace || (&supported);

  logic unused_bits;
  assign unused_bits = ^config_i;
endmodule
`default_nettype wire
