// axi_read: cst_axi_read reads what it is told to, all of it, once, in order, by AXI's rules.
// Shows      requests are the bursts that cst_axi_split cuts (axi_split is about those), beats come
//            out as they came in, with a command's last marked; a wrong RLAST and a bad response
//            are seen; m_rready_o never falls while a beat is owed; idle is idle.
// Memory     any delay, any response, RLAST anywhere; no beat when nothing is owed.
// How        the bursts that were asked for are kept outside, two at most; one beat is followed.
//: prove induction 2
//: prove induction 2 BurstBeats=3 BufferBeats=7
//: cover 16
//: mistake room_forgotten in cst_axi_read: assign room = places_q > PlaceBits'(burst_length); ==> assign room = places_q >= PlaceBits'(burst_length);
//: mistake last_of_bursts in cst_axi_read: .in_data_i  ({response, ends && list_final, m_rdata_i}), ==> .in_data_i  ({response, ends, m_rdata_i}),
//: mistake rlast_unseen in cst_axi_read: (m_rlast_i == ends) ? m_rresp_i ==> (m_rlast_i || ends) ? m_rresp_i
//: mistake offer_withdrawn in cst_axi_read: ar_valid_q <= go || (ar_valid_q && !m_arready_i); ==> ar_valid_q <= go;
//: mistake request_overwritten in cst_axi_read: list_ready && (!ar_valid_q || m_arready_i); ==> list_ready;
//: mistake idle_early in cst_axi_read: && places_q == PlaceBits'(BufferBeats); ==> && places_q >= PlaceBits'(BufferBeats - 1);
//: mistake count_goes_on in cst_axi_read: ends ? 8'd0 : count_q + 8'd1 ==> count_q + 8'd1
`default_nettype none
module axi_read #(
  parameter int unsigned BurstBeats = 2,
  parameter int unsigned BufferBeats = 4,
  localparam int unsigned Outstanding = 2,
  localparam int unsigned DataBytes = 4,
  localparam int unsigned PlaceBits = $clog2(BufferBeats + 1),
  localparam int unsigned IndexBits = $clog2(BufferBeats),
  localparam int unsigned BeatsBits = 11
) (
  input wire logic                 clk_i,
  input wire logic                 rst_ni,
  input wire logic                 command_valid_i,
  input wire logic [63:0]          command_address_i,
  input wire logic [BeatsBits-1:0] command_beats_i,
  input wire logic                 out_ready_i,
  input wire logic                 arready_i,
  input wire logic                 rvalid_i,
  input wire logic [31:0]          rdata_i,
  input wire logic [1:0]           rresp_i,
  input wire logic                 rlast_i,
  input wire logic                 mark_i
);
  logic command_ready, out_valid, out_last, idle, arvalid, rready;
  logic [31:0] out_data;
  logic [1:0] out_response, arburst;
  logic [63:0] araddr;
  logic [7:0] arlen;
  logic [2:0] arsize;

  cst_axi_read #(.DataBytes(DataBytes), .BurstBeats(BurstBeats), .BufferBeats(BufferBeats),
                 .Outstanding(Outstanding), .BeatsBits(BeatsBits)) u_read (
    .clk_i, .rst_ni, .command_valid_i, .command_ready_o(command_ready),
    .command_address_i,
    .command_beats_i, .out_valid_o(out_valid), .out_ready_i, .out_data_o(out_data),
    .out_response_o(out_response), .out_last_o(out_last), .idle_o(idle),
    .m_arvalid_o(arvalid), .m_arready_i(arready_i), .m_araddr_o(araddr), .m_arlen_o(arlen),
    .m_arsize_o(arsize), .m_arburst_o(arburst), .m_rvalid_i(rvalid_i), .m_rready_o(rready),
    .m_rdata_i(rdata_i), .m_rresp_i(rresp_i), .m_rlast_i(rlast_i)
  );
  logic take, ask, beat, give;
  assign take = command_valid_i && command_ready;
  assign ask = arvalid && arready_i;
  assign beat = rvalid_i && rready;
  assign give = out_valid && out_ready_i;

  // ---- Bursts that memory owes: their lengths, and of the oldest, its beats --------------------
  logic [1:0] open_q;
  logic [7:0] len_q, behind_len_q, beat_q;
  logic burst_ends, starts_q;
  assign burst_ends = beat && beat_q == len_q;
  always_ff @(posedge clk_i) begin
    starts_q <= !rst_ni;
    if (burst_ends) len_q <= behind_len_q;
    if (ask && open_q == 2'(burst_ends)) len_q <= arlen;
    else if (ask) behind_len_q <= arlen;
    if (!rst_ni) begin
      open_q <= '0;
      beat_q <= '0;
    end else begin
      open_q <= open_q + 2'(ask) - 2'(burst_ends);
      if (beat) beat_q <= burst_ends ? '0 : beat_q + 1'b1;
    end
  end

  // ---- The registers inside --------------------------------------------------------------------
  (* hierconn *) wire \u_read.go ;
  (* hierconn *) wire \u_read.split_idle ;
  (* hierconn *) wire \u_read.list_final ;
  (* hierconn *) wire \u_read.burst_final ;
  (* hierconn *) wire [63:0] \u_read.burst_address ;
  (* hierconn *) wire [7:0] \u_read.burst_length ;
  (* hierconn *) wire [7:0] \u_read.list_length ;
  (* hierconn *) wire [7:0] \u_read.count_q ;
  (* hierconn *) wire [PlaceBits-1:0] \u_read.places_q ;
  (* hierconn *) wire [1:0] \u_read.u_list.fill_q ;
  (* hierconn *) wire [0:0] \u_read.u_list.read_q ;
  (* hierconn *) wire [0:0] \u_read.u_list.looked ;
  (* hierconn *) wire [8:0] \u_read.u_list.looked_data ;
  (* hierconn *) wire [PlaceBits-1:0] \u_read.u_beats.fill_q ;
  (* hierconn *) wire [IndexBits-1:0] \u_read.u_beats.read_q ;
  (* hierconn *) wire [IndexBits-1:0] \u_read.u_beats.looked ;
  (* hierconn *) wire [34:0] \u_read.u_beats.looked_data ;
  (* hierconn *) wire \u_read.u_split.busy_q ;
  (* hierconn *) wire \u_read.u_split.valid_q ;
  (* hierconn *) wire [BeatsBits-1:0] \u_read.u_split.left_q ;
  (* hierconn *) wire [63:0] \u_read.u_split.address_q ;
  logic [1:0] list;
  logic [7:0] second_len;
  assign list = \u_read.u_list.fill_q ;
  assign \u_read.u_list.looked = ~\u_read.u_list.read_q ;
  assign second_len = \u_read.u_list.looked_data [7:0];

  // ---- Beats inside; one of them marked --------------------------------------------------------
  logic [PlaceBits-1:0] inside_q, ahead_q, reserved;
  logic marked_q, ar_held_q, out_held_q, ended_q;
  logic [34:0] mark_q, out_seen_q;
  logic [71:0] ar_seen_q, cut_q;
  logic [IndexBits:0] mark_place;
  assign reserved = (list != '0 ? PlaceBits'(\u_read.list_length ) - PlaceBits'(\u_read.count_q ) +
                                  1'b1 : '0) + (list[1] ? PlaceBits'(second_len) + 1'b1 : '0);
  assign mark_place = (IndexBits+1)'(\u_read.u_beats.read_q ) + (IndexBits+1)'(ahead_q);
  assign \u_read.u_beats.looked = IndexBits'(32'(mark_place) >= BufferBeats ?
                                             32'(mark_place) - BufferBeats : 32'(mark_place));
  always_ff @(posedge clk_i) begin
    ended_q <= rst_ni && (ended_q || (give && out_last));
    ar_held_q <= rst_ni && arvalid && !arready_i;
    ar_seen_q <= {araddr, arlen};
    if (\u_read.go ) cut_q <= {\u_read.burst_address , \u_read.burst_length };
    out_held_q <= rst_ni && out_valid && !out_ready_i;
    out_seen_q <= {out_last, out_response, out_data};
    if (!rst_ni) begin
      inside_q <= '0;
      marked_q <= 1'b0;
    end else begin
      inside_q <= inside_q + PlaceBits'(beat) - PlaceBits'(give);
      if (!marked_q && beat && mark_i) begin
        marked_q <= 1'b1;
        ahead_q <= inside_q - PlaceBits'(give);
        mark_q <= {burst_ends && \u_read.list_final , (rlast_i == burst_ends) ? rresp_i : 2'b10,
                   rdata_i};
      end else if (marked_q && give) begin
        ahead_q <= ahead_q - 1'b1;
        if (ahead_q == '0) marked_q <= 1'b0;
      end
    end
  end

  initial assume (!rst_ni);
  always_comb begin
    if (command_valid_i) assume (command_address_i[1:0] == '0 && command_beats_i != '0);
    if (rst_ni) assume (!rvalid_i || open_q != '0);
  end

  always_comb if (rst_ni) begin
    // AXI
    offer_holds: assert (!ar_held_q || (arvalid && {araddr, arlen} == ar_seen_q));
    if (arvalid) begin
      bursts: assert (arburst == 2'b01 && arsize == 3'd2);
      not_too_long: assert (32'(arlen) < BurstBeats);
      asked_as_cut: assert ({araddr, arlen} == cut_q);
      within_the_page: assert (13'(araddr[11:0]) + (13'(arlen) << 2) < 13'd4096);
    end
    few_bursts: assert (32'(open_q) + 32'(arvalid) <= Outstanding);
    always_ready: assert (open_q == '0 || rready);
    // what comes out
    stands_still: assert (!out_held_q || (out_valid &&
                                          {out_last, out_response, out_data} == out_seen_q));
    of_what_came_in: assert (out_valid == (inside_q != '0) && 32'(inside_q) <= BufferBeats);
    in_order: assert (!(marked_q && ahead_q == '0) || {out_last, out_response, out_data} == mark_q);
    idle_is_idle: assert (idle == (\u_read.split_idle && open_q == '0 && !arvalid && !out_valid));
    // inside
    beats_counted: assert (\u_read.u_beats.fill_q == inside_q && (out_valid == (inside_q != '0)));
    bursts_counted: assert (list == open_q + 2'(arvalid));
    every_place_counted: assert (32'(\u_read.places_q ) + 32'(reserved) + 32'(inside_q) ==
                                 BufferBeats);
    ready_but_for_reset: assert (starts_q ? list == '0 && inside_q == '0 :
                                            rready == (32'(inside_q) != BufferBeats));
    lens: assert ((open_q == '0 || \u_read.list_length == len_q) &&
                  (!open_q[1] || second_len == behind_len_q) &&
                  (!(arvalid && open_q == '0) || \u_read.list_length == arlen) &&
                  (!(arvalid && open_q == 2'd1) || second_len == arlen));
    lens_are_few: assert ((list == '0 || 32'(\u_read.list_length ) < BurstBeats) &&
                          (!list[1] || 32'(second_len) < BurstBeats));
    beat_counted: assert (\u_read.count_q == beat_q && (open_q == '0 ? beat_q == '0 :
                                                                        beat_q <= len_q));
    if (marked_q) begin
      marked_inside: assert (ahead_q < inside_q);
      marked_placed: assert (\u_read.u_beats.looked_data ==
                             {mark_q[33:32], mark_q[34], mark_q[31:0]});
    end
    split_has_left: assert (!\u_read.u_split.busy_q || (\u_read.u_split.left_q != '0 &&
                                                        \u_read.u_split.address_q [1:0] == '0));
    split_is_short: assert (!\u_read.u_split.valid_q ||
        (32'(\u_read.burst_length ) < BurstBeats &&
         13'(\u_read.burst_address [11:0]) + (13'(\u_read.burst_length ) << 2) < 13'd4096));
    two_commands: cover (give && out_last && ended_q);
    cut_at_the_page: cover (ask && 32'(arlen) < BurstBeats - 1 && \u_read.u_split.busy_q );
    most_bursts: cover (32'(open_q) == Outstanding);
    full: cover (32'(inside_q) == BufferBeats);
    wrong_last: cover (give && out_response == 2'b10 && !out_last && marked_q && ahead_q == '0);
  end
endmodule
`default_nettype wire
