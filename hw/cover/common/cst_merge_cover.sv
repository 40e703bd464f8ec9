// cst_merge_cover: how many ask at once, and who waits.
`default_nettype none
module cst_merge_cover #(
  parameter int unsigned Ports = 2
) (
  input wire logic             clk_i,
  input wire logic             rst_ni,
  input wire logic [Ports-1:0] in_valid_i,
  input wire logic [Ports-1:0] in_ready_o,
  input wire logic             out_valid_o,
  input wire logic             out_ready_i
);
  always_ff @(posedge clk_i) if (rst_ni) begin
    all_ask: cover (&in_valid_i);
    one_asks: cover (in_valid_i != '0 && (in_valid_i & (in_valid_i - 1'b1)) == '0);
    lowest_is_taken: cover (in_valid_i[0] && in_ready_o[0] && in_valid_i[Ports-1]);
    highest_is_taken: cover (in_valid_i[Ports-1] && in_ready_o[Ports-1] && in_valid_i[0]);
    none_is_taken: cover (in_valid_i != '0 && (in_valid_i & in_ready_o) == '0);
    item_waits: cover (out_valid_o && !out_ready_i);
  end
endmodule
bind cst_merge cst_merge_cover #(.Ports(Ports)) u_cover (.*);
`default_nettype wire
