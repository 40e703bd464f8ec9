// axi_write: cst_axi_write writes what it is told to, all of it, once, in order, by AXI's rules.
// Shows      addresses are the bursts that cst_axi_split cuts (axi_split is about those), no beat
//            goes before its address, each burst's last is marked; a result a command, in order,
//            when all of it was answered: the first error, or none; m_bready_o never falls while
//            an answer is owed; idle is idle.
// Memory     any delay, any response; no answer to a burst that it does not have all beats of.
// How        the bursts that were begun are kept outside, two at most; one beat, and one result,
//            are followed.
//: prove induction 2
//: prove induction 2 BurstBeats=3
//: cover 16
//: mistake beat_before_address in cst_axi_write: .in_valid_i (aw_valid_q && m_awready_i), ==> .in_valid_i (go),
//: mistake last_never in cst_axi_write: assign ends = count_q == length; ==> assign ends = count_q == length + 8'd1;
//: mistake strobe_of_next in cst_axi_write: .in_data_i  ({ends, in_strobe_i, in_data_i}), ==> .in_data_i  ({ends, ~in_strobe_i, in_data_i}),
//: mistake answer_unseen in cst_axi_write: .in_data_i  (worst_d), ==> .in_data_i  (worst_q),
//: mistake result_too_soon in cst_axi_write: .in_valid_i (answer && answer_final), ==> .in_valid_i (answer),
//: mistake place_given_twice in cst_axi_write: PlaceBits'(answer && !answer_final) ==> PlaceBits'(answer)
//: mistake offer_withdrawn in cst_axi_write: aw_valid_q <= go || (aw_valid_q && !m_awready_i); ==> aw_valid_q <= go;
`default_nettype none
module axi_write #(
  parameter int unsigned BurstBeats = 2,
  localparam int unsigned Outstanding = 2,
  localparam int unsigned DataBytes = 4,
  localparam int unsigned BeatsBits = 11
) (
  input wire logic                 clk_i,
  input wire logic                 rst_ni,
  input wire logic                 command_valid_i,
  input wire logic [63:0]          command_address_i,
  input wire logic [BeatsBits-1:0] command_beats_i,
  input wire logic                 in_valid_i,
  input wire logic [31:0]          in_data_i,
  input wire logic [3:0]           in_strobe_i,
  input wire logic                 result_ready_i,
  input wire logic                 awready_i,
  input wire logic                 wready_i,
  input wire logic                 bvalid_i,
  input wire logic [1:0]           bresp_i,
  input wire logic                 mark_i
);
  logic command_ready, in_ready, result_valid, idle, awvalid, wvalid, wlast, bready;
  logic [1:0] result_response, awburst;
  logic [63:0] awaddr;
  logic [7:0] awlen;
  logic [2:0] awsize;
  logic [31:0] wdata;
  logic [3:0] wstrb;

  cst_axi_write #(.DataBytes(DataBytes), .BurstBeats(BurstBeats), .Outstanding(Outstanding),
                  .BeatsBits(BeatsBits)) u_write (
    .clk_i, .rst_ni, .command_valid_i, .command_ready_o(command_ready),
    .command_address_i,
    .command_beats_i, .in_valid_i, .in_ready_o(in_ready), .in_data_i, .in_strobe_i,
    .result_valid_o(result_valid), .result_ready_i, .result_response_o(result_response),
    .idle_o(idle), .m_awvalid_o(awvalid), .m_awready_i(awready_i), .m_awaddr_o(awaddr),
    .m_awlen_o(awlen), .m_awsize_o(awsize), .m_awburst_o(awburst), .m_wvalid_o(wvalid),
    .m_wready_i(wready_i), .m_wdata_o(wdata), .m_wstrb_o(wstrb), .m_wlast_o(wlast),
    .m_bvalid_i(bvalid_i), .m_bready_o(bready), .m_bresp_i(bresp_i)
  );
  logic take, ask, beat, sent, answer, result;
  assign take = command_valid_i && command_ready;
  assign ask = awvalid && awready_i;
  assign beat = in_valid_i && in_ready;
  assign sent = wvalid && wready_i;
  assign answer = bvalid_i && bready;
  assign result = result_valid && result_ready_i;

  // ---- The registers inside --------------------------------------------------------------------
  (* hierconn *) wire \u_write.go ;
  (* hierconn *) wire \u_write.split_idle ;
  (* hierconn *) wire \u_write.answer_final ;
  (* hierconn *) wire [63:0] \u_write.burst_address ;
  (* hierconn *) wire [7:0] \u_write.burst_length ;
  (* hierconn *) wire [7:0] \u_write.length ;
  (* hierconn *) wire [7:0] \u_write.count_q ;
  (* hierconn *) wire [1:0] \u_write.places_q ;
  (* hierconn *) wire [1:0] \u_write.worst_q ;
  (* hierconn *) wire [1:0] \u_write.u_lengths.fill_q ;
  (* hierconn *) wire [0:0] \u_write.u_lengths.read_q ;
  (* hierconn *) wire [0:0] \u_write.u_lengths.looked ;
  (* hierconn *) wire [7:0] \u_write.u_lengths.looked_data ;
  (* hierconn *) wire \u_write.u_lengths.ready_q ;
  (* hierconn *) wire \u_write.u_finals.ready_q ;
  (* hierconn *) wire [1:0] \u_write.u_finals.fill_q ;
  (* hierconn *) wire [1:0] \u_write.u_results.fill_q ;
  (* hierconn *) wire [0:0] \u_write.u_results.read_q ;
  (* hierconn *) wire [0:0] \u_write.u_results.looked ;
  (* hierconn *) wire [1:0] \u_write.u_results.looked_data ;
  (* hierconn *) wire [36:0] \u_write.u_beats.spare_q ;
  (* hierconn *) wire \u_write.u_beats.spare_empty_q ;
  (* hierconn *) wire \u_write.u_split.busy_q ;
  (* hierconn *) wire \u_write.u_split.valid_q ;
  (* hierconn *) wire [BeatsBits-1:0] \u_write.u_split.left_q ;
  (* hierconn *) wire [63:0] \u_write.u_split.address_q ;
  logic spare, spare_ends;
  logic beat_marked_q, beat_ahead_q, result_marked_q, result_ahead_q;
  logic [1:0] results;
  assign spare = !\u_write.u_beats.spare_empty_q ;
  assign spare_ends = spare && \u_write.u_beats.spare_q [36];
  assign results = \u_write.u_results.fill_q ;
  assign \u_write.u_lengths.looked = ~\u_write.u_lengths.read_q ;
  assign \u_write.u_results.looked = \u_write.u_results.read_q ^ result_ahead_q;

  // ---- Bursts: with beats to come in, with beats to send, with an answer to come ---------------
  logic [1:0] fill_q, begun_q, whole_q;
  logic [7:0] len_q, behind_len_q, beat_q;
  logic ends, bad_q;
  logic [1:0] first_q, first;
  assign ends = beat && beat_q == len_q;
  assign first = bad_q ? first_q : bresp_i;
  always_ff @(posedge clk_i) begin
    if (ends) len_q <= behind_len_q;
    if (ask && fill_q == 2'(ends)) len_q <= awlen;
    else if (ask) behind_len_q <= awlen;
    if (answer) first_q <= first;
    if (!rst_ni) begin
      {fill_q, begun_q, whole_q} <= '0;
      beat_q <= '0;
      bad_q <= 1'b0;
    end else begin
      fill_q <= fill_q + 2'(ask) - 2'(ends);
      begun_q <= begun_q + 2'(ask) - 2'(sent && wlast);
      whole_q <= whole_q + 2'(sent && wlast) - 2'(answer);
      if (beat) beat_q <= ends ? '0 : beat_q + 1'b1;
      if (answer) bad_q <= !\u_write.answer_final && first != 2'b00;
    end
  end

  // ---- A marked beat, a marked result; offers --------------------------------------------------
  logic starts_q, answered_q;
  logic aw_held_q, w_held_q, result_held_q, in_held_q;
  logic [36:0] mark_q, w_seen_q;
  logic [35:0] in_seen_q;
  logic [1:0] result_q, result_seen_q, inside;
  logic [71:0] aw_seen_q, cut_q;
  assign inside = 2'(wvalid) + 2'(spare);
  always_ff @(posedge clk_i) begin
    starts_q <= !rst_ni;
    aw_held_q <= rst_ni && awvalid && !awready_i;
    aw_seen_q <= {awaddr, awlen};
    if (\u_write.go ) cut_q <= {\u_write.burst_address , \u_write.burst_length };
    w_held_q <= rst_ni && wvalid && !wready_i;
    w_seen_q <= {wlast, wstrb, wdata};
    result_held_q <= rst_ni && result_valid && !result_ready_i;
    result_seen_q <= result_response;
    in_held_q <= rst_ni && in_valid_i && !in_ready;
    in_seen_q <= {in_strobe_i, in_data_i};
    answered_q <= rst_ni && (answered_q || (result && result_response == 2'b00));
    if (!rst_ni) begin
      beat_marked_q <= 1'b0;
      result_marked_q <= 1'b0;
    end else begin
      if (!beat_marked_q && beat && mark_i) begin
        beat_marked_q <= 1'b1;
        beat_ahead_q <= inside != 2'(sent);
        mark_q <= {ends, in_strobe_i, in_data_i};
      end else if (beat_marked_q && sent) begin
        beat_ahead_q <= 1'b0;
        if (!beat_ahead_q) beat_marked_q <= 1'b0;
      end
      if (!result_marked_q && answer && \u_write.answer_final && mark_i) begin
        result_marked_q <= 1'b1;
        result_ahead_q <= results != 2'(result);
        result_q <= first;
      end else if (result_marked_q && result) begin
        result_ahead_q <= 1'b0;
        if (!result_ahead_q) result_marked_q <= 1'b0;
      end
    end
  end

  initial assume (!rst_ni);
  always_comb begin
    if (command_valid_i) assume (command_address_i[1:0] == '0 && command_beats_i != '0);
    if (rst_ni) assume (!bvalid_i || whole_q != '0);
    if (rst_ni && in_held_q) assume (in_valid_i && {in_strobe_i, in_data_i} == in_seen_q);
  end

  always_comb if (rst_ni) begin
    // AXI
    address_holds: assert (!aw_held_q || (awvalid && {awaddr, awlen} == aw_seen_q));
    beat_holds: assert (!w_held_q || (wvalid && {wlast, wstrb, wdata} == w_seen_q));
    if (awvalid) begin
      bursts: assert (awburst == 2'b01 && awsize == 3'd2);
      not_too_long: assert (32'(awlen) < BurstBeats);
      asked_as_cut: assert ({awaddr, awlen} == cut_q);
      within_the_page: assert (13'(awaddr[11:0]) + (13'(awlen) << 2) < 13'd4096);
    end
    no_beat_before_its_address: assert (!wvalid || begun_q != '0);
    few_bursts: assert (32'(begun_q) + 32'(whole_q) + 32'(awvalid) <= Outstanding);
    always_ready: assert (whole_q == '0 || bready);
    // what goes in, what comes out
    in_order: assert (!(beat_marked_q && !beat_ahead_q) || (wvalid &&
                                                            {wlast, wstrb, wdata} == mark_q));
    result_stands: assert (!result_held_q || (result_valid && result_response == result_seen_q));
    first_error: assert (!(result_marked_q && !result_ahead_q) ||
                         (result_valid && result_response == result_q));
    idle_is_idle: assert (idle == (\u_write.split_idle && !awvalid && begun_q == '0 &&
                                   whole_q == '0 && !result_valid));
    // inside
    every_place_counted: assert (32'(\u_write.places_q ) + 32'(\u_write.u_finals.fill_q ) +
                                 32'(results) == Outstanding);
    bursts_counted: assert (\u_write.u_finals.fill_q == begun_q + whole_q + 2'(awvalid) &&
                            begun_q == fill_q + 2'(wvalid && wlast) + 2'(spare_ends) &&
                            \u_write.u_lengths.fill_q == fill_q);
    lens: assert ((fill_q == '0 || \u_write.length == len_q) &&
                  (!fill_q[1] || \u_write.u_lengths.looked_data == behind_len_q));
    beat_counted: assert (\u_write.count_q == beat_q && (fill_q == '0 ? beat_q == '0 :
                                                                         beat_q <= len_q));
    middle_has_its_burst: assert (!(spare ? !spare_ends : wvalid && !wlast) || beat_q != '0);
    skid_in_order: assert (!spare || wvalid);
    ready_but_for_reset: assert (starts_q ? \u_write.u_finals.fill_q == '0 && results == '0 :
        bready == (results != 2'd2) && \u_write.u_lengths.ready_q == (fill_q != 2'd2));
    worst_is_first: assert (\u_write.worst_q == (bad_q ? first_q : 2'b00) &&
                            (!bad_q || first_q != 2'b00));
    if (beat_marked_q) begin
      marked_inside: assert (2'(beat_ahead_q) < inside);
      marked_kept: assert (!beat_ahead_q || \u_write.u_beats.spare_q == mark_q);
    end
    if (result_marked_q) begin
      result_inside: assert (2'(result_ahead_q) < results);
      result_placed: assert (\u_write.u_results.looked_data == result_q);
    end
    split_has_left: assert (!\u_write.u_split.busy_q || (\u_write.u_split.left_q != '0 &&
                                                         \u_write.u_split.address_q [1:0] == '0));
    split_is_short: assert (!\u_write.u_split.valid_q ||
        (32'(\u_write.burst_length ) < BurstBeats &&
         13'(\u_write.burst_address [11:0]) + (13'(\u_write.burst_length ) << 2) < 13'd4096));
    cut_at_the_page: cover (ask && 32'(awlen) < BurstBeats - 1 && \u_write.u_split.busy_q );
    most_bursts: cover (32'(whole_q) == Outstanding);
    error_of_the_first_of_two: cover (result && result_response == 2'b11 && result_marked_q &&
                                      first_q == 2'b11 && answered_q);
    two_results: cover (results == 2'd2 && result_marked_q && result_ahead_q);
  end
endmodule
`default_nettype wire
