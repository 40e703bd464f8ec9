// cst_fifo: a queue in LUT memory, for depths up to a few hundred.
// Promises   order kept, nothing lost or repeated; an item a clock in and out at the same time, at
//            any fill from 1 to Depth; latency 1; in_ready_o, out_valid_o and fill_o are registers.
//            out_data_o is a read of LUT memory by a register: put a cst_skid behind it where a
//            long path follows.
// Cost       Depth * Width bits of LUT memory, three counters.
`default_nettype none
module cst_fifo #(
  parameter int unsigned Width = 32,
  parameter int unsigned Depth = 16,
  localparam int unsigned FillBits = $clog2(Depth + 1)
) (
  input  wire logic                clk_i,
  input  wire logic                rst_ni,
  input  wire logic                in_valid_i,
  output      logic                in_ready_o,
  input  wire logic [Width-1:0]    in_data_i,
  output      logic                out_valid_o,
  input  wire logic                out_ready_i,
  output      logic [Width-1:0]    out_data_o,
  output      logic [FillBits-1:0] fill_o
);
  localparam int unsigned PlaceBits = (Depth > 1) ? $clog2(Depth) : 1;

  if (Width < 1) begin : g_width
    $error("cst_fifo: Width %0d, must be at least 1", Width);
  end
  if (Depth < 2 || Depth > 1024) begin : g_depth
    $error("cst_fifo: Depth %0d, must be 2 to 1024", Depth);
  end

  logic [Width-1:0] memory_q [Depth];
  logic [PlaceBits-1:0] write_q, read_q;
  logic [FillBits-1:0] fill_q;
  logic ready_q, valid_q;
  logic take, give;

  assign in_ready_o = ready_q;
  assign out_valid_o = valid_q;
  assign out_data_o = memory_q[read_q];
  assign fill_o = fill_q;
  assign take = in_valid_i && ready_q;
  assign give = valid_q && out_ready_i;

  // What stays as it is is not written, and no next state is made of it: a simulator that runs two
  // hundred of these passes over those in which nothing moves.
  always_ff @(posedge clk_i) begin
    if (take) memory_q[write_q] <= in_data_i;
    if (!rst_ni) begin
      write_q <= '0;
      read_q <= '0;
      fill_q <= '0;
      ready_q <= 1'b0;
      valid_q <= 1'b0;
    end else begin
      // Depth need not be a power of two.
      if (take) write_q <= (write_q == PlaceBits'(Depth - 1)) ? '0 : write_q + 1'b1;
      if (give) read_q <= (read_q == PlaceBits'(Depth - 1)) ? '0 : read_q + 1'b1;
      if (take == give) begin
        if (!ready_q) ready_q <= fill_q != FillBits'(Depth);  // the clock behind a reset
      end else begin
        ready_q <= give || fill_q != FillBits'(Depth - 1);
        valid_q <= take || fill_q != FillBits'(1);
        fill_q <= take ? fill_q + 1'b1 : fill_q - 1'b1;
      end
    end
  end

`ifdef CST_ASSERT
  // One condition at every clock, which nearly always is the same: its branch is foreseen.
  localparam int unsigned WideBits = FillBits + 1;
  logic never_over, never_under;
  assign never_over = WideBits'(fill_q) + WideBits'(take) <= WideBits'(Depth);
  assign never_under = fill_q >= FillBits'(give);
  always_ff @(posedge clk_i) fill_in_range: assert (!rst_ni || (never_over && never_under));
`endif
`ifdef FORMAL
  // What induction begins with; and what stands at a place that a harness names.
  logic [PlaceBits-1:0] looked;
  logic [Width-1:0] looked_data;
  assign looked_data = memory_q[looked];
  always_comb if (rst_ni) begin
    valid_is_fill: assert (valid_q == (fill_q != '0));
    ready_is_room: assert (!ready_q || fill_q != FillBits'(Depth));
    fill_is_legal: assert (fill_q <= FillBits'(Depth) && 32'(read_q) < Depth);
    places_apart: assert ({1'b0, write_q} == (PlaceBits+1)'(read_q) + (PlaceBits+1)'(fill_q) -
        (32'(read_q) + 32'(fill_q) >= Depth ? (PlaceBits+1)'(Depth) : '0));
  end
`endif
endmodule
`default_nettype wire
