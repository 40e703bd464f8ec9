// cst_state_fetch_cover: each thing that a new key waits for, and who it meets on chip.
`default_nettype none
module cst_state_fetch_cover (
  input wire logic       clk_i,
  input wire logic       rst_ni,
  input wire logic       a_valid_q,
  input wire logic       b_valid_q,
  input wire logic       c_valid_q,
  input wire logic       d_valid_q,
  input wire logic       d_uses_q,
  input wire logic       d_long_q,
  input wire logic       d_first_odd_q,
  input wire logic       fresh,
  input wire logic       go,
  input wire logic       key_hit,
  input wire logic       key_conflict,
  input wire logic       key_set_full,
  input wire logic       key_ids_used,
  input wire logic [1:0] line_hit,
  input wire logic [1:0] line_set_full,
  input wire logic [1:0] line_ids_used,
  input wire logic       match_ready_i,
  input wire logic       op_ready_i,
  input wire logic       new_fits,
  input wire logic [1:0] read_ready_i,
  input wire logic       key_drop_i,
  input wire logic       ready_o,
  input wire logic       in_valid_i
);
  // A reset of what ran before, not of what registers begin with.
  logic ran_q, resets;
  initial ran_q = 1'b0;
  always_ff @(posedge clk_i) ran_q <= rst_ni;
  assign resets = ran_q && !rst_ni;

  logic wants;  // a new key
  assign wants = rst_ni && d_valid_q && fresh;
  always_ff @(posedge clk_i) begin
    waits_for_another_key_of_its_hash: cover (wants && key_conflict);
    waits_for_a_place_in_the_keys_set: cover (wants && key_set_full);
    waits_for_a_keys_id: cover (wants && key_ids_used && !key_set_full);
    waits_for_a_place_in_an_even_set: cover (wants && !line_hit[0] && line_set_full[0]);
    waits_for_a_place_in_an_odd_set: cover (wants && !line_hit[1] && line_set_full[1]);
    waits_for_an_even_lines_id: cover (wants && !line_hit[0] && line_ids_used[0] &&
                                       !line_set_full[0]);
    waits_for_an_odd_lines_id: cover (wants && !line_hit[1] && line_ids_used[1] &&
                                      !line_set_full[1]);
    waits_for_match: cover (wants && !match_ready_i);
    waits_for_an_even_read: cover (wants && new_fits && !line_hit[0] && !read_ready_i[0]);
    waits_for_an_odd_read: cover (wants && new_fits && !line_hit[1] && !read_ready_i[1]);
    waits_for_the_queue: cover (rst_ni && d_valid_q && !op_ready_i);
    hit: cover (rst_ni && go && d_uses_q && key_hit);
    hit_as_a_key_is_freed: cover (rst_ni && go && d_uses_q && key_hit && key_drop_i);
    new_with_both_lines: cover (wants && go && line_hit == 2'b11);
    new_with_its_even_line: cover (wants && go && line_hit == 2'b01);
    new_with_its_odd_line: cover (wants && go && line_hit == 2'b10);
    new_with_no_line: cover (wants && go && line_hit == 2'b00);
    first_bucket_even: cover (wants && go && !d_first_odd_q);
    first_bucket_odd: cover (wants && go && d_first_odd_q);
    key_too_long: cover (rst_ni && go && d_long_q);
    no_key: cover (rst_ni && go && !d_uses_q && !d_long_q);
    reset_while_not_ready: cover (resets && !ready_o);
    reset_with_a: cover (resets && a_valid_q);
    reset_with_b: cover (resets && b_valid_q);
    reset_with_c: cover (resets && c_valid_q);
    reset_with_d: cover (resets && d_valid_q);
    reset_while_it_waits: cover (resets && d_valid_q && !go);
  end
endmodule
bind cst_state_fetch cst_state_fetch_cover u_cover (
  .key_set_full(&u_keys.valid_q), .key_ids_used(!u_keys.some_q),
  .line_set_full({&u_odd.valid_q, &u_even.valid_q}),
  .line_ids_used(~{u_odd.some_q, u_even.some_q}), .*
);
`default_nettype wire
