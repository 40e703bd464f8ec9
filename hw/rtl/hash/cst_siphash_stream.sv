// cst_siphash_stream: cst_siphash between two valid/ready ports.
// Promises   a key a clock as long as the output is taken; order kept, nothing lost or repeated;
//            latency of cst_siphash + 1; in_ready_o and out_valid_o are registers.
// How        the pipeline never stops: a key enters only if a place in the queue behind it is free
//            for its hash (a credit, given back when the hash is taken). What comes with a key
//            waits in a queue beside the pipeline, in memory, not in its stages.
`default_nettype none
module cst_siphash_stream #(
  parameter int unsigned KeyBytes = 64,
  parameter int unsigned MetaBits = 1,
  localparam int unsigned CountBits = $clog2(KeyBytes + 1)
) (
  input  wire logic                  clk_i,
  input  wire logic                  rst_ni,
  input  wire logic [63:0]           key_k0_i,
  input  wire logic [63:0]           key_k1_i,
  input  wire logic                  in_valid_i,
  output      logic                  in_ready_o,
  input  wire logic [8*KeyBytes-1:0] in_key_i,
  input  wire logic [CountBits-1:0]  in_bytes_i,
  input  wire logic [MetaBits-1:0]   in_meta_i,
  output      logic                  out_valid_o,
  input  wire logic                  out_ready_i,
  output      logic [63:0]           out_hash_o,
  output      logic [MetaBits-1:0]   out_meta_o
);
  // Keys under way at full rate: the pipeline, one in the queue, one for the credit coming back.
  localparam int unsigned Depth = 2 * (KeyBytes / 8 + 4) + 2 + 4;
  localparam int unsigned CreditBits = $clog2(Depth + 1);

  if (MetaBits < 1 || MetaBits > 4096) begin : g_meta_bits
    $error("cst_siphash_stream: MetaBits %0d, must be 1 to 4096", MetaBits);
  end

  logic [CreditBits-1:0] credits_d, credits_q;
  logic take, give, ready_q;
  logic hash_valid;
  // Credits keep the queues from filling up; assertions alone look at their readies, and at whether
  // a hash finds what came with its key.
  /* verilator lint_off UNUSEDSIGNAL */
  logic queue_ready, meta_ready, meta_valid;
  /* verilator lint_on UNUSEDSIGNAL */
  logic [63:0] hash;

  assign in_ready_o = ready_q;
  assign take = in_valid_i && ready_q;
  assign give = out_valid_o && out_ready_i;
  assign credits_d = credits_q - CreditBits'(take) + CreditBits'(give);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      credits_q <= CreditBits'(Depth);
      ready_q <= 1'b0;
    end else begin
      credits_q <= credits_d;
      ready_q <= credits_d != '0;
    end
  end

  cst_siphash #(.KeyBytes(KeyBytes)) u_siphash (
    .clk_i,
    .rst_ni,
    .key_k0_i,
    .key_k1_i,
    .in_valid_i (take),
    .in_key_i,
    .in_bytes_i,
    .in_meta_i  (1'b0),
    .out_valid_o(hash_valid),
    .out_hash_o (hash),
    .out_meta_o ()
  );
  cst_fifo #(.Width(64), .Depth(Depth)) u_queue (
    .clk_i,
    .rst_ni,
    .in_valid_i (hash_valid),
    .in_ready_o (queue_ready),
    .in_data_i  (hash),
    .out_valid_o,
    .out_ready_i,
    .out_data_o (out_hash_o),
    .fill_o     ()
  );
  cst_fifo #(.Width(MetaBits), .Depth(Depth)) u_meta (
    .clk_i,
    .rst_ni,
    .in_valid_i (take),
    .in_ready_o (meta_ready),
    .in_data_i  (in_meta_i),
    .out_valid_o(meta_valid),
    .out_ready_i(give),
    .out_data_o (out_meta_o),
    .fill_o     ()
  );

`ifdef CST_ASSERT
  always_ff @(posedge clk_i) if (rst_ni) begin
    a_hash_has_its_place: assert (!hash_valid || queue_ready);
    a_key_has_its_place: assert (!take || meta_ready);
    a_hash_has_its_key: assert (!out_valid_o || meta_valid);
  end
`endif
endmodule
`default_nettype wire
