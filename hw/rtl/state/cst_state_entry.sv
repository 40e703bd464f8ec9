// cst_state_entry: an entry's bytes as head, key and value: docs/formats.md, From a hash to a slot.
// What stands behind its units does not count. Combinational.
`default_nettype none
module cst_state_entry (
  input  wire cst_state_pkg::config_t  config_i,
  input  wire logic [767:0]            entry_i,
  output      cst_pkg::entry_head_t    head_o,
  output      logic [127:0]            key_o,
  output      logic [511:0]            value_o,
  output      logic                    expired_o   // it is past its time
);
  logic [639:0] body;

  assign head_o = entry_i[127:0];
  assign body = (config_i.entry_units == 2'd1) ? {512'b0, entry_i[255:128]} : entry_i[767:128];
  always_comb begin
    key_o = '0;
    value_o = body[511:0];
    if (config_i.key_words == 2'd1) begin
      key_o = {64'b0, body[63:0]};
      value_o = body[575:64];
    end
    if (config_i.key_words == 2'd2) begin
      key_o = body[127:0];
      value_o = body[639:128];
    end
  end
  assign expired_o = cst_state_pkg::expired(config_i.ttl, config_i.past,
                                            value_o[{config_i.time_lane, 6'd0} +: 64]);

  logic unused_bits;
  assign unused_bits = ^config_i;
endmodule
`default_nettype wire
