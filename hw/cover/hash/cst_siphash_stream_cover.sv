// cst_siphash_stream_cover: lengths of keys, and what they wait for.
`default_nettype none
module cst_siphash_stream_cover (
  input wire logic       clk_i,
  input wire logic       rst_ni,
  input wire logic       in_valid_i,
  input wire logic       in_ready_o,
  input wire logic [7:0] bytes,
  input wire logic       longest,
  input wire logic       out_valid_o,
  input wire logic       out_ready_i
);
  always_ff @(posedge clk_i) if (rst_ni) begin
    empty_key: cover (in_valid_i && in_ready_o && bytes == '0);
    less_than_a_word: cover (in_valid_i && in_ready_o && bytes == 8'd7);
    a_word: cover (in_valid_i && in_ready_o && bytes == 8'd8);
    a_byte_more: cover (in_valid_i && in_ready_o && bytes == 8'd9);
    longest_key: cover (in_valid_i && in_ready_o && longest);
    key_waits_for_a_place: cover (in_valid_i && !in_ready_o);
    hash_waits: cover (out_valid_o && !out_ready_i);
    one_in_one_out: cover (in_valid_i && in_ready_o && out_valid_o && out_ready_i);
  end
endmodule
bind cst_siphash_stream cst_siphash_stream_cover u_cover (
  .bytes(8'(in_bytes_i)), .longest(32'(in_bytes_i) == KeyBytes), .*
);
`default_nettype wire
