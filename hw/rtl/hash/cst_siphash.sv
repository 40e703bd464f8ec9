// cst_siphash: SipHash-1-3 of keys of 0 to KeyBytes bytes, as cst_hash of the host.
// Promises   a key a clock, whatever the lengths; the hash KeyBytes / 4 + 10 clocks behind its key.
//            No back-pressure: out_valid_o is there for one clock (cst_siphash_stream has it).
//            in_meta_i comes out beside its key's hash.
// Needs      in_bytes_i at most KeyBytes (checked). key_k0_i and key_k1_i stand still from the
//            first key in to the last hash out. Bytes behind the key's end may be anything.
//
//   stage      knows                              does
//   in         key, length                        zeros behind the end, length in the top byte
//   r0a r0b    word 0, and how many there are     one round in two halves, each two 64-bit adders
//   ...        word r                             (a word that the key does not have: nothing)
//   f0a .. f2b                                    v2 ^= ff, three rounds
//   out                                           v0 ^ v1 ^ v2 ^ v3
//
// Cost       a stage is one 64-bit carry chain and a LUT; 256 flip-flops and the words to come.
`default_nettype none
module cst_siphash #(
  parameter int unsigned KeyBytes = 64,
  parameter int unsigned MetaBits = 1,
  localparam int unsigned CountBits = $clog2(KeyBytes + 1),
  localparam int unsigned Words = KeyBytes / 8 + 1,  // the last holds the length
  localparam int unsigned Stages = 2 * (Words + 3),
  localparam int unsigned Latency = Stages + 2
) (
  input  wire logic                  clk_i,
  input  wire logic                  rst_ni,
  input  wire logic [63:0]           key_k0_i,
  input  wire logic [63:0]           key_k1_i,
  input  wire logic                  in_valid_i,
  input  wire logic [8*KeyBytes-1:0] in_key_i,
  input  wire logic [CountBits-1:0]  in_bytes_i,
  input  wire logic [MetaBits-1:0]   in_meta_i,
  output      logic                  out_valid_o,
  output      logic [63:0]           out_hash_o,
  output      logic [MetaBits-1:0]   out_meta_o
);
  if (KeyBytes < 8 || KeyBytes > 248 || KeyBytes % 8 != 0) begin : g_key_bytes
    $error("cst_siphash: KeyBytes %0d, must be 8 to 248 and a multiple of 8", KeyBytes);
  end
  if (MetaBits < 1 || MetaBits > 4096) begin : g_meta_bits
    $error("cst_siphash: MetaBits %0d, must be 1 to 4096", MetaBits);
  end

  localparam int unsigned WordBits = $clog2(Words + 1);

  // Bit s: a key is on its way into stage s. A stage without one stands still.
  logic [Latency-1:0] valid_q;

  // in: the words as they are hashed.
  logic [64*Words-1:0] words_d, words_q;
  logic [WordBits-1:0] last_q;  // number of the word with the length

  always_comb begin
    words_d = '0;
    for (int unsigned i = 0; i < KeyBytes; i++) begin
      if (CountBits'(i) < in_bytes_i) words_d[8*i +: 8] = in_key_i[8*i +: 8];
    end
    for (int unsigned w = 0; w < Words; w++) begin
      if (WordBits'(in_bytes_i >> 3) == WordBits'(w)) words_d[64*w+56 +: 8] = 8'(in_bytes_i);
    end
  end

  always_ff @(posedge clk_i) if (in_valid_i) begin
    words_q <= words_d;
    last_q <= WordBits'(in_bytes_i >> 3);
  end

  // Stage s is half s % 2 of round s / 2. It keeps the words of its own round and later ones; the
  // word of the round before goes to v0 on the way in.
  // Round 0 is there for every key: a comparison that is always true.
  /* verilator lint_off UNSIGNED */
  for (genvar s = 0; s < Stages; s++) begin : g_stage
    localparam int unsigned Round = s / 2;
    localparam bit Final = Round >= Words;
    localparam int unsigned Left = Final ? 1 : Words - Round;

    logic [63:0] v0, v1, v2, v3, sum0, sum2;       // in, message and constants added
    logic [63:0] v0_q, v1_q, v2_q, v3_q;
    // Behind the last word nobody looks at these.
    /* verilator lint_off UNUSEDSIGNAL */
    logic [64*Left-1:0] left_q;                     // words Round .. Words - 1
    logic [WordBits-1:0] ends_q;
    /* verilator lint_on UNUSEDSIGNAL */
    logic active;

    if (s == 0) begin : g_in
      assign v0 = key_k0_i ^ cst_pkg::SipV0;
      assign v1 = key_k1_i ^ cst_pkg::SipV1;
      assign v2 = key_k0_i ^ cst_pkg::SipV2;
      assign v3 = key_k1_i ^ cst_pkg::SipV3 ^ words_q[63:0];
      assign active = 1'b1;
      always_ff @(posedge clk_i) if (valid_q[s]) begin
        left_q <= words_q;
        ends_q <= last_q;
      end
    end else begin : g_chain
      // In a round's first half: the word before goes to v0, the round's own to v3. Words that the
      // key does not have are 0.
      logic [63:0] to_v0, to_v2, to_v3;
      if (s % 2 == 1) begin : g_half
        assign {to_v0, to_v2, to_v3} = '0;
        always_ff @(posedge clk_i) if (valid_q[s]) left_q <= g_stage[s-1].left_q;
      end else if (!Final) begin : g_word
        assign to_v0 = g_stage[s-1].left_q[63:0];
        assign to_v2 = '0;
        assign to_v3 = g_stage[s-1].left_q[127:64];
        always_ff @(posedge clk_i) if (valid_q[s]) left_q <= g_stage[s-1].left_q[64*Left+63:64];
      end else if (Round == Words) begin : g_last_word
        assign to_v0 = g_stage[s-1].left_q[63:0];
        assign to_v2 = 64'hff;
        assign to_v3 = '0;
        always_ff @(posedge clk_i) left_q <= '0;
      end else begin : g_final
        assign {to_v0, to_v2, to_v3} = '0;
        always_ff @(posedge clk_i) left_q <= '0;
      end
      assign active = Final || WordBits'(Round) <= g_stage[s-1].ends_q;
      assign v0 = g_stage[s-1].v0_q ^ to_v0;
      assign v1 = g_stage[s-1].v1_q;
      assign v2 = g_stage[s-1].v2_q ^ to_v2;
      assign v3 = g_stage[s-1].v3_q ^ to_v3;
      always_ff @(posedge clk_i) if (valid_q[s]) ends_q <= g_stage[s-1].ends_q;
    end

    assign sum0 = v0 + ((s % 2 == 0) ? v1 : v3);
    assign sum2 = v2 + ((s % 2 == 0) ? v3 : v1);

    always_ff @(posedge clk_i) if (valid_q[s]) begin
      v0_q <= v0;
      v1_q <= v1;
      v2_q <= v2;
      v3_q <= v3;
      if (active) begin
        if (s % 2 == 0) begin
          v0_q <= {sum0[31:0], sum0[63:32]};
          v1_q <= {v1[50:0], v1[63:51]} ^ sum0;
          v2_q <= sum2;
          v3_q <= {v3[47:0], v3[63:48]} ^ sum2;
        end else begin
          v0_q <= sum0;
          v1_q <= {v1[46:0], v1[63:47]} ^ sum2;
          v2_q <= {sum2[31:0], sum2[63:32]};
          v3_q <= {v3[42:0], v3[63:43]} ^ sum0;
        end
      end
    end
  end

  /* verilator lint_on UNSIGNED */

  logic [MetaBits*Latency-1:0] meta_q;

  always_ff @(posedge clk_i) begin
    if (valid_q[Latency-2])
      out_hash_o <= g_stage[Stages-1].v0_q ^ g_stage[Stages-1].v1_q ^ g_stage[Stages-1].v2_q ^
                    g_stage[Stages-1].v3_q;
    if (in_valid_i || valid_q != '0) meta_q <= {meta_q[MetaBits*(Latency-1)-1:0], in_meta_i};
    if (!rst_ni) valid_q <= '0;
    else valid_q <= {valid_q[Latency-2:0], in_valid_i};
  end
  assign out_valid_o = valid_q[Latency-1];
  assign out_meta_o = meta_q[MetaBits*Latency-1 -: MetaBits];

`ifdef CST_ASSERT
  always_ff @(posedge clk_i) if (rst_ni && in_valid_i) begin
    bytes_in_range: assert (in_bytes_i <= CountBits'(KeyBytes));
  end
`endif
endmodule
`default_nettype wire
