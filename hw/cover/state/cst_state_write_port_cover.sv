// cst_state_write_port_cover: each kind of write, sizes, places, and what it waits for.
`default_nettype none
module cst_state_write_port_cover (
  input wire logic        clk_i,
  input wire logic        rst_ni,
  input wire logic [2:0]  in_valid_i,
  input wire logic [2:0]  chosen,
  input wire logic        take,
  input wire logic        aw_moves,
  input wire logic        aw_final,
  input wire logic        aw_valid_o,
  input wire logic        address_there,
  input wire logic        order_room,
  input wire logic [1:0]  atoms,
  input wire logic        high,
  input wire logic        last_beat_of_page,
  input wire logic        next_to_last_of_page,
  input wire logic        two,
  input wire logic        split,
  input wire logic        second_q,
  input wire logic        full_q,
  input wire logic        more_q,
  input wire logic        w_ready_i,
  input wire logic        b_valid_i,
  input wire logic        b_ready_o,
  input wire logic        head_valid,
  input wire logic        head_final,
  input wire logic        data_there,
  input wire logic [2:0]  ack_valid_o
);
  // A reset of what ran before, not of what registers begin with.
  logic ran_q, resets;
  initial ran_q = 1'b0;
  always_ff @(posedge clk_i) ran_q <= rst_ni;
  assign resets = ran_q && !rst_ni;

  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      writes_an_entry: cover (take && chosen[0]);
      writes_a_record_or_gap: cover (take && chosen[1]);
      writes_a_line: cover (take && chosen[2]);
      line_before_record: cover (take && chosen[2] && in_valid_i[1]);
      line_before_entry: cover (take && chosen[2] && in_valid_i[0]);
      record_before_entry: cover (take && chosen[1] && in_valid_i[0]);
      waits_for_room: cover (in_valid_i != '0 && !take);
      one_atom_low: cover (aw_moves && atoms == 2'd1 && !high);
      one_atom_high: cover (aw_moves && atoms == 2'd1 && high);
      two_atoms_low: cover (aw_moves && atoms == 2'd2 && !high);
      three_atoms_low: cover (aw_moves && atoms == 2'd3 && !high);
      three_atoms_high: cover (aw_moves && atoms == 2'd3 && high);
      two_beats: cover (aw_moves && two && !split);
      two_beats_that_end_at_4k: cover (aw_moves && two && next_to_last_of_page && !split);
      one_beat_that_ends_at_4k: cover (aw_moves && !two && last_beat_of_page);
      two_bursts_at_4k: cover (aw_moves && split && aw_final);
      address_waits: cover (aw_valid_o && !aw_moves);
      beat_waits: cover (full_q && !w_ready_i);
      answer_of_the_first_of_two: cover (b_valid_i && b_ready_o && !head_final);
      memory_waits_for_it: cover (b_valid_i && !b_ready_o);
    end else if (resets) begin
      reset_while_idle: cover (!address_there && !data_there && !full_q && !head_valid);
      reset_with_an_address: cover (address_there);
      reset_between_two_bursts: cover (second_q);
      reset_with_data: cover (data_there);
      reset_with_a_beat: cover (full_q);
      reset_between_two_beats: cover (full_q && more_q);
      reset_with_answers_owed: cover (head_valid);
      reset_with_an_answer: cover (ack_valid_o != '0);
    end
  end
endmodule
bind cst_state_write_port cst_state_write_port_cover u_cover (
  .high(address[5]), .last_beat_of_page(&address[11:6]),
  .next_to_last_of_page(address[11:6] == 6'd62), .*
);
`default_nettype wire
