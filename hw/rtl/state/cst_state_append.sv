// cst_state_append: where the log's next record goes, and whether it can: docs/formats.md, The
// change log. Combinational.
`default_nettype none
module cst_state_append (
  input  wire cst_state_pkg::config_t          config_i,
  input  wire cst_state_pkg::control_t         control_i,
  output      logic [cst_state_pkg::UnitBits-1:0] unit_o,   // of the record
  output      logic [1:0]                      gap_units_o, // in front of it, from the tail on
  output      logic                            takes_o,     // it begins a log segment
  output      cst_pkg::code_e                  code_o       // ok, budget or not ready
);
  localparam int unsigned UnitBits = cst_state_pkg::UnitBits;
  localparam int unsigned LineUnits = cst_state_pkg::LineUnits;

  logic [4:0] in_line;
  logic crosses;
  logic [UnitBits-1:0] below;

  assign in_line = control_i.tail[4:0];
  assign crosses = 6'(in_line) + 6'(config_i.entry_units) > 6'(LineUnits);
  assign unit_o = crosses ? {control_i.tail[UnitBits-1:5] + 1'b1, 5'b0} : control_i.tail;
  assign gap_units_o = crosses ? 2'(6'(LineUnits) - 6'(in_line)) : 2'd0;
  assign below = (UnitBits'(1) << config_i.log_shift) - 1'b1;
  assign takes_o = unit_o == UnitBits'(LineUnits) || (unit_o & below) == '0;

  always_comb begin
    code_o = cst_pkg::CodeOk;
    if (takes_o && control_i.free_count == '0) begin
      if (control_i.frontier >= config_i.log_ready) code_o = cst_pkg::CodeTableNotReady;
      if (control_i.frontier > {1'b0, config_i.log_mask} ||
          control_i.frontier >= config_i.log_budget)
        code_o = cst_pkg::CodeTableBudget;
    end
  end

  logic unused_bits;
  assign unused_bits = ^{config_i, control_i};
endmodule
`default_nettype wire
