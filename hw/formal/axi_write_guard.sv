// axi_write_guard: cst_axi_write_guard begins nothing that it may not, finishes all, ends hangs.
// Shows      AXI's rules are kept, nothing outside of the pages is written, nothing new while
//            stopped; silence is said when it is 2^SilenceBits clocks long, not before.
// Memory     free: any response, any delay, silence for ever; but no answer to a burst that it does
//            not have all beats of.
// How        a burst, marked when its address is taken, is followed to its last beat: `ahead_q`
//            bursts are sent before it.
//: prove induction 3 OwedBits=3
//: prove induction 3 OwedBits=2
//: cover 26
//: mistake page_before in cst_axi_write_guard: in_address_i[AddressBits-1:12] >= first_page_i ==> in_address_i[AddressBits-1:12] + 1'b1 >= first_page_i
//: mistake begins_when_stopped in cst_axi_write_guard: && !stop_i && allowed && lens_fill <= 3'd2 ==> && allowed && lens_fill <= 3'd2
//: mistake lens_overrun in cst_axi_write_guard: lens_fill <= 3'd2 ==> lens_fill <= 3'd4
//: mistake not_finished in cst_axi_write_guard: assign load = w_moves && lens_valid && (beat_valid_i || stop_i); ==> assign load = w_moves && lens_valid && beat_valid_i;
//: mistake writes_when_stopped in cst_axi_write_guard: w_strb_q <= stop_i ? '0 : beat_strb_i; ==> w_strb_q <= beat_strb_i;
//: mistake last_early in cst_axi_write_guard: w_last_q <= beat_q == lens_len; ==> w_last_q <= beat_q + 8'd1 >= lens_len;
//: mistake data_before_address in cst_axi_write_guard: assign w_valid_o = w_valid_q; ==> assign w_valid_o = w_valid_q || (beat_valid_i && aw_valid_q);
//: mistake error_inside in cst_axi_write_guard: assign answer_valid_o = b_valid_i && okay && !stop_i; ==> assign answer_valid_o = b_valid_i && !stop_i;
//: mistake never_silent in cst_axi_write_guard: assign owes = w_valid_q || ==> assign owes = (w_valid_q && beat_valid_i) ||
//: mistake slow_master_blamed in cst_axi_write_guard: assign owes = w_valid_q || ==> assign owes = w_valid_q || lens_valid ||
`default_nettype none
module axi_write_guard #(
  parameter int unsigned OwedBits = 3,
  localparam int unsigned AddressBits = 14,
  localparam int unsigned SilenceBits = 4,
  localparam int unsigned DataBytes = 4,
  localparam int unsigned PageBits = AddressBits - 12
) (
  input wire logic                   clk_i,
  input wire logic                   rst_ni,
  input wire logic                   stop_i,
  input wire logic                   in_valid_i,
  input wire logic [AddressBits-1:0] in_address_i,
  input wire logic [7:0]             in_len_i,
  input wire logic                   beat_valid_i,
  input wire logic [DataBytes*8-1:0] beat_data_i,
  input wire logic [DataBytes-1:0]   beat_strb_i,
  input wire logic                   answer_ready_i,
  input wire logic                   aw_ready_i,
  input wire logic                   w_ready_i,
  input wire logic                   b_valid_i,
  input wire logic [1:0]             b_resp_i,
  input wire logic                   mark_i
);
  (* anyconst *) logic [PageBits-1:0] first_page;
  (* anyconst *) logic [PageBits:0] end_page;
  logic in_ready, beat_ready, answer_valid, aw_valid, w_valid, w_last, b_ready, quiet, error;
  logic outside, silent;
  logic [AddressBits-1:0] aw_address;
  logic [7:0] aw_len;
  logic [DataBytes*8-1:0] w_data;
  logic [DataBytes-1:0] w_strb;

  cst_axi_write_guard #(.AddressBits(AddressBits), .DataBytes(DataBytes),
                        .SilenceBits(SilenceBits), .OwedBits(OwedBits)) u_guard (
    .clk_i, .rst_ni, .stop_i, .first_page_i(first_page), .end_page_i(end_page),
    .in_valid_i, .in_ready_o(in_ready), .in_address_i, .in_len_i,
    .beat_valid_i, .beat_ready_o(beat_ready), .beat_data_i, .beat_strb_i,
    .answer_valid_o(answer_valid), .answer_ready_i,
    .aw_valid_o(aw_valid), .aw_ready_i, .aw_address_o(aw_address), .aw_len_o(aw_len),
    .w_valid_o(w_valid), .w_ready_i, .w_data_o(w_data), .w_strb_o(w_strb), .w_last_o(w_last),
    .b_valid_i, .b_ready_o(b_ready), .b_resp_i,
    .quiet_o(quiet), .error_o(error), .outside_o(outside), .silent_o(silent)
  );
  logic take, goes, sent, beat, answered;
  assign take = in_valid_i && in_ready;
  assign goes = aw_valid && aw_ready_i;
  assign sent = w_valid && w_ready_i;
  assign beat = beat_valid_i && beat_ready;
  assign answered = b_valid_i && b_ready;

  // ---- Bursts: not answered; of these, with beats to send; clocks without a word from memory ---
  logic [7:0] owed_q, begun_q, complete;
  logic [SilenceBits:0] silence_q;
  logic aw_held_q, w_held_q, offered_q, stopped_q, waits;
  logic [AddressBits-1:0] address_q;
  logic [7:0] len_q;
  logic [DataBytes*9:0] seen_q;

  assign complete = owed_q - begun_q - 8'(offered_q);
  assign waits = w_valid || complete != '0 || (offered_q && begun_q == '0);
  always_ff @(posedge clk_i) begin
    aw_held_q <= rst_ni && aw_valid && !aw_ready_i;
    w_held_q <= rst_ni && w_valid && !w_ready_i;
    seen_q <= {w_last, w_strb, w_data};
    stopped_q <= rst_ni && stop_i;
    if (take) {address_q, len_q} <= {in_address_i, in_len_i};
    if (!rst_ni) begin
      owed_q <= '0;
      begun_q <= '0;
      silence_q <= '0;
      offered_q <= 1'b0;
    end else begin
      owed_q <= owed_q + 8'(take) - 8'(answered);
      begun_q <= begun_q + 8'(goes) - 8'(sent && w_last);
      offered_q <= take || (offered_q && !aw_ready_i);
      if (!waits || b_valid_i || goes || sent || silent) silence_q <= '0;
      else silence_q <= silence_q + 1'b1;
    end
  end

  initial assume (!rst_ni);
  always_comb if (rst_ni) assume (!b_valid_i || complete != '0);

  // ---- The beat in the register: the master's, or one that writes nothing; a marked burst ------
  logic [DataBytes*9-1:0] beat_q;
  logic marked_q;
  logic [2:0] ahead_q, index;
  logic [7:0] mark_len_q, beats_q;
  always_ff @(posedge clk_i) begin
    if (beat) beat_q <= {beat_strb_i, beat_data_i};
    else if (stop_i && (!w_valid || w_ready_i)) beat_q <= {4'b0, beat_data_i};
    if (!rst_ni) begin
      marked_q <= 1'b0;
    end else if (!marked_q && goes && mark_i) begin
      marked_q <= 1'b1;
      ahead_q <= 3'(begun_q) - 3'(sent && w_last);
      mark_len_q <= aw_len;
      beats_q <= '0;
    end else if (marked_q && sent) begin
      if (ahead_q == '0) beats_q <= beats_q + 1'b1;
      if (w_last && ahead_q == '0) marked_q <= 1'b0;
      if (w_last) ahead_q <= ahead_q - 1'b1;
    end
  end

  // Begun in this clock; how long the master alone was waited for; an answer while stopped.
  logic begun_now_q, ended_q;
  logic [4:0] slow_q;
  always_ff @(posedge clk_i) begin
    begun_now_q <= goes;
    ended_q <= rst_ni && stop_i && answered;
    slow_q <= (rst_ni && begun_q != '0 && !w_valid && complete == '0) ? slow_q + 1'b1 : '0;
  end

  // ---- The registers inside, for induction -----------------------------------------------------
  (* hierconn *) wire [OwedBits-1:0] \u_guard.owed_q ;
  (* hierconn *) wire [SilenceBits:0] \u_guard.silence_q ;
  (* hierconn *) wire [7:0] \u_guard.beat_q ;
  (* hierconn *) wire [7:0] \u_guard.lens_len ;
  (* hierconn *) wire [2:0] \u_guard.lens_fill ;
  (* hierconn *) wire [1:0] \u_guard.u_lens.read_q ;
  (* hierconn *) wire [1:0] \u_guard.u_lens.looked ;
  (* hierconn *) wire [7:0] \u_guard.u_lens.looked_data ;
  assign index = ahead_q - 3'(w_valid && w_last);
  assign \u_guard.u_lens.looked = \u_guard.u_lens.read_q + index[1:0];

  always_comb if (rst_ni) begin
    // towards memory
    address_holds: assert (!aw_held_q || aw_valid);
    address_is_what_was_taken: assert (aw_valid == offered_q &&
                                       (!aw_valid || {aw_address, aw_len} == {address_q, len_q}));
    within_pages: assert (!aw_valid || (aw_address[AddressBits-1:12] >= first_page &&
                                        {1'b0, aw_address[AddressBits-1:12]} < end_page));
    nothing_new_while_stopped: assert (!stop_i || !take);
    beat_holds: assert (!w_held_q || (w_valid && {w_last, w_strb, w_data} == seen_q));
    no_beat_before_its_address: assert (!w_valid || begun_q != '0);
    beats_in_order: assert (!w_valid || {w_strb, w_data} == beat_q);
    stopped_writes_nothing: assert (!(stop_i && beat));
    last_is_last: assert (!(marked_q && ahead_q == '0 && w_valid) ||
                          w_last == (beats_q == mark_len_q));
    begun_is_finished: assert (!stopped_q || begun_q == '0 || w_valid || begun_now_q);
    taken_when_stopped: assert (!stop_i || b_ready);
    owed_is_bounded: assert (32'(owed_q) < 1 << OwedBits);
    // towards the master
    only_good_answers: assert (!answer_valid || (b_valid_i && b_resp_i == 2'b00 && !stop_i));
    no_answer_lost: assert (!(answered && b_resp_i == 2'b00 && !stop_i) ||
                            (answer_valid && answer_ready_i));
    // what it says
    quiet_is_quiet: assert (quiet == (owed_q == '0 && begun_q == '0 && !aw_valid && !w_valid));
    error_is_said: assert (error == (answered && b_resp_i != 2'b00));
    outside_is_said: assert (outside == (in_valid_i && !stop_i &&
        (in_address_i[AddressBits-1:12] < first_page ||
         {1'b0, in_address_i[AddressBits-1:12]} >= end_page)));
    a_hang_ends: assert (32'(silence_q) <= 1 << SilenceBits);
    silence_is_said: assert (silent == (32'(silence_q) == 1 << SilenceBits));
    // inside
    owed_is_count: assert (8'(\u_guard.owed_q ) == owed_q);
    silence_is_count: assert (\u_guard.silence_q == silence_q);
    begun_is_count: assert (8'(\u_guard.lens_fill ) + 8'(w_valid && w_last) == begun_q);
    begun_are_owed: assert (owed_q >= begun_q + 8'(offered_q) && owed_q[7] == 1'b0);
    lens_have_room: assert (4'(\u_guard.lens_fill ) + 4'(aw_valid) <= 4'd4);
    between_bursts: assert (\u_guard.beat_q == '0 ||
                            (\u_guard.lens_fill != '0 && !(w_valid && w_last)));
    middle_has_its_len: assert (!w_valid || w_last || \u_guard.lens_fill != '0);
    if (marked_q) begin
      marked_inside: assert (8'(ahead_q) < begun_q);
      marked_placed: assert (index[2] || \u_guard.u_lens.looked_data == mark_len_q);
      marked_counted: assert (index != '0 ||
          \u_guard.beat_q == beats_q + 8'(w_valid && !w_last));
      marked_within: assert (beats_q <= mark_len_q && (ahead_q == '0 || beats_q == '0));
      marked_ends: assert (!(ahead_q == '0 && w_valid && w_last) || \u_guard.beat_q == '0);
      marked_goes_on: assert (!(ahead_q == '0 && w_valid && !w_last) || beats_q < mark_len_q);
    end
    a_hang: cover (silent && complete != '0);
    a_hang_with_beats: cover (silent && w_valid && !w_last);
    slow_master: cover (slow_q == 5'd18);
    finished_when_stopped: cover (stop_i && quiet && ended_q);
    an_error: cover (error && !stop_i);
    three_begun: cover (begun_q == 8'd3 && marked_q && ahead_q == 3'd2);
    of_three_beats: cover (marked_q && mark_len_q == 8'd2 && sent && w_last && ahead_q == '0);
  end
endmodule
`default_nettype wire
