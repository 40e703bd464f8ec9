// cst_state_append: where the log's next record goes, and whether it can: docs/formats.md, The
// change log. Combinational, one carry chain: what is asked of a sum is asked of its parts.
`default_nettype none
module cst_state_append (
  input  wire cst_state_pkg::config_t          config_i,
  input  wire logic [15:0]                     below_i,     // units of a log segment - 1
  input  wire cst_state_pkg::control_t         control_i,
  output      logic [cst_state_pkg::UnitBits-1:0] unit_o,   // of the record
  output      logic [cst_state_pkg::UnitBits-1:0] tail_o,   // behind it
  output      logic [1:0]                      gap_units_o, // in front of it, from the tail on
  output      logic                            takes_o,     // it begins a log segment
  output      cst_pkg::code_e                  code_o       // ok, budget or not ready
);
  localparam int unsigned UnitBits = cst_state_pkg::UnitBits;
  localparam int unsigned LineUnits = cst_state_pkg::LineUnits;

  logic [4:0] in_line;
  logic [5:0] behind;
  logic crosses, begins_now, begins_next;
  logic [UnitBits-1:5] line, next;
  logic [15:0] ones;

  assign in_line = control_i.tail[4:0];
  assign line = control_i.tail[UnitBits-1:5];
  assign next = line + 1'b1;
  assign behind = 6'(in_line) + 6'(config_i.entry_units);
  assign crosses = behind > 6'(LineUnits);
  assign unit_o = crosses ? {next, 5'b0} : control_i.tail;
  assign tail_o = crosses ? {next, 5'(config_i.entry_units)} :
                  behind[5] ? {next, 5'b0} : {line, behind[4:0]};
  assign gap_units_o = crosses ? 2'(6'(LineUnits) - 6'(in_line)) : 2'd0;
  // The log's first segment begins with its second line. The next line begins one if this is the
  // last of one.
  assign ones = control_i.tail[15:0] | ~below_i | 16'h001f;
  assign begins_now = control_i.tail == UnitBits'(LineUnits) ||
                      (control_i.tail[15:0] & below_i) == '0;
  assign begins_next = line == '0 || (&ones);
  assign takes_o = crosses ? begins_next : begins_now;

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
