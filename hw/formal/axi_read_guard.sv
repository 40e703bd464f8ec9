// axi_read_guard: cst_axi_read_guard asks for nothing it may not, lets no error in, ends hangs.
// Shows      AXI's rules are kept, nothing outside of the pages is asked for, nothing new while
//            stopped; silence is said when it is 2^SilenceBits clocks long, not before.
// Memory     free: any response, any delay, silence for ever, RLAST anywhere; but no beat when
//            nothing is owed.
//: prove induction 3 OwedBits=2
//: prove induction 3 OwedBits=3
//: cover 24
//: mistake page_behind in cst_axi_read_guard: {1'b0, in_address_i[AddressBits-1:12]} < end_page_i ==> {1'b0, in_address_i[AddressBits-1:12]} <= end_page_i
//: mistake asks_when_stopped in cst_axi_read_guard: && !stop_i && allowed && !(&owed_q) ==> && allowed && !(&owed_q)
//: mistake withdrawn in cst_axi_read_guard: else if (ar_ready_i) valid_q <= 1'b0; ==> else if (ar_ready_i || stop_i) valid_q <= 1'b0;
//: mistake error_inside in cst_axi_read_guard: assign beat_valid_o = r_valid_i && okay && !stop_i; ==> assign beat_valid_o = r_valid_i && !stop_i;
//: mistake not_taken in cst_axi_read_guard: assign r_ready_o = beat_ready_i || stop_i; ==> assign r_ready_o = beat_ready_i;
//: mistake never_silent in cst_axi_read_guard: if (quiet_o || r_valid_i ==> if (quiet_o || in_valid_i || r_valid_i
//: mistake false_alarm in cst_axi_read_guard: if (quiet_o || r_valid_i || (ar_valid_o && ar_ready_i) || silent_o) silence_q <= '0; ==> if (quiet_o || (ar_valid_o && ar_ready_i) || silent_o) silence_q <= '0;
//: mistake owed_forgotten in cst_axi_read_guard: if (take != ends) owed_q <= ==> if (take != ends && !(stop_i && !take)) owed_q <=
`default_nettype none
module axi_read_guard #(
  parameter int unsigned OwedBits = 2,
  localparam int unsigned AddressBits = 16,
  localparam int unsigned SilenceBits = 4,
  localparam int unsigned PageBits = AddressBits - 12
) (
  input wire logic                   clk_i,
  input wire logic                   rst_ni,
  input wire logic                   stop_i,
  input wire logic                   in_valid_i,
  input wire logic [AddressBits-1:0] in_address_i,
  input wire logic [7:0]             in_len_i,
  input wire logic                   beat_ready_i,
  input wire logic                   ar_ready_i,
  input wire logic                   r_valid_i,
  input wire logic [1:0]             r_resp_i,
  input wire logic                   r_last_i
);
  (* anyconst *) logic [PageBits-1:0] first_page;
  (* anyconst *) logic [PageBits:0] end_page;
  logic in_ready, beat_valid, ar_valid, r_ready, quiet, error, outside, silent, take, beat;
  logic [AddressBits-1:0] ar_address;
  logic [7:0] ar_len;

  cst_axi_read_guard #(.AddressBits(AddressBits), .SilenceBits(SilenceBits), .OwedBits(OwedBits))
  u_guard (
    .clk_i, .rst_ni, .stop_i, .first_page_i(first_page), .end_page_i(end_page),
    .in_valid_i, .in_ready_o(in_ready), .in_address_i, .in_len_i,
    .beat_valid_o(beat_valid), .beat_ready_i, .ar_valid_o(ar_valid), .ar_ready_i,
    .ar_address_o(ar_address), .ar_len_o(ar_len), .r_valid_i, .r_ready_o(r_ready), .r_resp_i,
    .r_last_i, .quiet_o(quiet), .error_o(error), .outside_o(outside), .silent_o(silent)
  );
  assign take = in_valid_i && in_ready;
  assign beat = r_valid_i && r_ready;

  // ---- Bursts that memory owes, offered ones too; clocks without a word from it ----------------
  logic [7:0] owed_q;
  logic [SilenceBits:0] silence_q;
  logic offered_q, held_q, ended_q, moved;
  logic [AddressBits-1:0] address_q;
  logic [7:0] len_q;

  assign moved = r_valid_i || (ar_valid && ar_ready_i);
  always_ff @(posedge clk_i) begin
    held_q <= rst_ni && ar_valid && !ar_ready_i;
    ended_q <= rst_ni && stop_i && beat && r_last_i && r_resp_i == 2'b00;
    if (take) {address_q, len_q} <= {in_address_i, in_len_i};
    if (!rst_ni) begin
      owed_q <= '0;
      silence_q <= '0;
      offered_q <= 1'b0;
    end else begin
      owed_q <= owed_q + 8'(take) - 8'(beat && r_last_i);
      offered_q <= take || (offered_q && !ar_ready_i);
      if (owed_q == '0 && !offered_q || moved || silent) silence_q <= '0;
      else silence_q <= silence_q + 1'b1;
    end
  end

  initial assume (!rst_ni);
  always_comb if (rst_ni) assume (!r_valid_i || owed_q != 8'(offered_q));

  (* hierconn *) wire [OwedBits-1:0] \u_guard.owed_q ;
  (* hierconn *) wire [SilenceBits:0] \u_guard.silence_q ;
  always_comb if (rst_ni) begin
    // towards memory
    offer_holds: assert (!held_q || ar_valid);
    offer_is_what_was_taken: assert (ar_valid == offered_q &&
                                     (!ar_valid || {ar_address, ar_len} == {address_q, len_q}));
    within_pages: assert (!ar_valid || (ar_address[AddressBits-1:12] >= first_page &&
                                        {1'b0, ar_address[AddressBits-1:12]} < end_page));
    nothing_new_while_stopped: assert (!stop_i || !take);
    taken_when_stopped: assert (!stop_i || r_ready);
    owed_is_bounded: assert (32'(owed_q) < 1 << OwedBits);
    // towards the master
    only_good_beats: assert (!beat_valid || (r_valid_i && r_resp_i == 2'b00 && !stop_i));
    no_beat_lost: assert (!(beat && r_resp_i == 2'b00 && !stop_i) || (beat_valid && beat_ready_i));
    beats_were_asked_for: assert (!beat_valid || owed_q != '0);
    // what it says
    quiet_is_quiet: assert (quiet == (owed_q == '0 && !ar_valid));
    error_is_said: assert (error == (beat && r_resp_i != 2'b00));
    outside_is_said: assert (outside == (in_valid_i && !stop_i &&
        (in_address_i[AddressBits-1:12] < first_page ||
         {1'b0, in_address_i[AddressBits-1:12]} >= end_page)));
    a_hang_ends: assert (32'(silence_q) <= 1 << SilenceBits);
    silence_is_said: assert (silent == (32'(silence_q) == 1 << SilenceBits));
    // inside
    owed_is_count: assert (8'(\u_guard.owed_q ) == owed_q);
    silence_is_count: assert (\u_guard.silence_q == silence_q);
    offered_is_owed: assert (owed_q >= 8'(offered_q));
    a_hang: cover (silent && owed_q == 8'd2);
    most_are_owed: cover (32'(owed_q) == (1 << OwedBits) - 1 && in_valid_i);
    all_answered_when_stopped: cover (stop_i && quiet && ended_q);
    an_error: cover (error && !stop_i);
    outside_once: cover (outside && owed_q != '0);
  end
endmodule
`default_nettype wire
