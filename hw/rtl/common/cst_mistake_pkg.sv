// cst_mistake_pkg: mistakes that the simulated card can be told to make (sim:?mistake=NAME), so
// that differential.sim shows what it notices with the very model that it tests.
// Promises   planted() is the constant 0 wherever Verilator is not: nothing of it is synthesised.
// Numbers    as in host/src/device/sim_card.h.
`default_nettype none
package cst_mistake_pkg;
  // A module takes what it needs of these; no module needs all.
  /* verilator lint_off UNUSEDPARAM */
  localparam logic [3:0] Tag = 4'd1;       // a tag with bit 0 set is not found in memory
  localparam logic [3:0] Hazard = 4'd2;    // an operation misses the one right before it on its key
  localparam logic [3:0] Place = 4'd3;     // a new row stays in its first bucket for one row more
  localparam logic [3:0] Epoch = 4'd4;     // an epoch's first record is left behind by a second one
  localparam logic [3:0] Strobe = 4'd5;    // the second atom of a write is not written
  localparam logic [3:0] Null = 4'd6;      // a null is taken for its word
  localparam logic [3:0] Order = 4'd7;     // descending columns are encoded as ascending ones
  localparam logic [3:0] Release = 4'd8;   // the place behind the released one is given back
  localparam logic [3:0] Time = 4'd9;      // a delete finds a row that is past its time
  localparam logic [3:0] Scan = 4'd10;     // a scan says that it stands a slot before where it does
  localparam logic [3:0] Restore = 4'd11;  // a restored row keeps the record it had
  localparam logic [3:0] Burst = 4'd12;    // channels are asked for bursts of one address
  localparam logic [3:0] Claim = 4'd13;    // an assertion does not hold
  /* verilator lint_on UNUSEDPARAM */

`ifdef VERILATOR
  // cst_kernel_core sets it, by the model's +mistake=NUMBER. (Were it public to C++, all that hangs
  // on it would be evaluated at each step, as if it were an input.)
  logic [3:0] chosen = 4'd0;
`endif

  function automatic logic planted(input logic [3:0] which);
`ifdef VERILATOR
    planted = chosen == which;
`else
    planted = 1'b0;
`endif
  endfunction
endpackage
`default_nettype wire
