// cst_merge: Ports streams become one, round robin.
// Promises   order within a port kept, nothing lost or repeated; one item a clock as long as any
//            port offers; no port waits for more than Ports - 1 items of others; latency 1; the
//            output is a register. in_ready_o follows in_valid_i of all ports in the same clock.
// Layout     port p's data: Width bits from p * Stride on; out_port_o is p.
`default_nettype none
module cst_merge #(
  parameter int unsigned Ports = 4,
  parameter int unsigned Width = 32,
  parameter int unsigned Stride = Width,
  localparam int unsigned PortBits = (Ports > 1) ? $clog2(Ports) : 1
) (
  input  wire logic                   clk_i,
  input  wire logic                   rst_ni,
  input  wire logic [Ports-1:0]       in_valid_i,
  output      logic [Ports-1:0]       in_ready_o,
  input  wire logic [Ports*Stride-1:0] in_data_i,
  output      logic                   out_valid_o,
  input  wire logic                   out_ready_i,
  output      logic [Width-1:0]       out_data_o,
  output      logic [PortBits-1:0]    out_port_o
);
  if (Width < 1) begin : g_width
    $error("cst_merge: Width %0d, must be at least 1", Width);
  end
  if (Stride < Width) begin : g_stride
    $error("cst_merge: Stride %0d, must be at least Width, %0d", Stride, Width);
  end

  logic [Ports-1:0] grant;
  logic [Width-1:0] data;
  logic [PortBits-1:0] port;
  logic ready, offered;

  assign offered = in_valid_i != '0;
  assign in_ready_o = ready ? grant : '0;

  cst_arbiter_round #(.Ports(Ports)) u_arbiter (
    .clk_i,
    .rst_ni,
    .request_i(in_valid_i),
    .grant_o  (grant),
    .taken_i  (offered && ready)
  );

  always_comb begin
    data = '0;
    port = '0;
    if (offered) begin
      for (int unsigned p = 0; p < Ports; p++) begin
        if (grant[p]) begin
          data = data | in_data_i[p*Stride +: Width];
          port = port | PortBits'(p);
        end
      end
    end
  end

  // The choice may change while the output is held up: it is made only once there is room.
  cst_fifo #(.Width(Width + PortBits), .Depth(2)) u_out (
    .clk_i,
    .rst_ni,
    .in_valid_i (offered),
    .in_ready_o (ready),
    .in_data_i  ({port, data}),
    .out_valid_o,
    .out_ready_i,
    .out_data_o ({out_port_o, out_data_o}),
    .fill_o     ()
  );
endmodule
`default_nettype wire
