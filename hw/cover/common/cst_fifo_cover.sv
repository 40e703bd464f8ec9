// cst_fifo_cover: each queue by its place: full, and run empty.
`default_nettype none
module cst_fifo_cover #(
  parameter int unsigned Depth = 16
) (
  input wire logic                         clk_i,
  input wire logic                         rst_ni,
  input wire logic [$clog2(Depth + 1)-1:0] fill_q,
  input wire logic                         take,
  input wire logic                         give
);
  always_ff @(posedge clk_i) if (rst_ni) begin
    full: cover (32'(fill_q) == Depth);
    run_empty: cover (give && !take && fill_q == 1);
  end
endmodule
bind cst_fifo cst_fifo_cover #(.Depth(Depth)) u_each (.*);
`default_nettype wire
