// state_write_port: cst_state_write_port writes all it takes once, in order, and says so once.
// Shows      AXI's rules for addresses and beats; of what it takes, a line first, then a record,
//            each is a burst, or two where its beats part at 4 KiB, and none crosses it; addresses
//            and beats are in the order in which it took them, so two writes of one address arrive
//            in order; strobes are whole atoms, the write's and no other, with its data; it is
//            answered when its last burst is, once, to its kind, in order, if it counts, and by
//            its parity.
// Reduced    to queues of two, ids of a bit, addresses of two pages, 16 bits of data an atom.
// Memory     free: any delay; but no answer to a burst whose address it has not taken.
// How        two places, a beat and two bursts stand outside as they must be inside.
//: reduce cst_state_pkg: IdBits = 10; ==> IdBits = 1;
//: reduce cst_state_pkg: AddressBits = 34; ==> AddressBits = 13;
//: reduce cst_state_pkg: WriteBits = 816; ==> WriteBits = 66;
//: reduce cst_state_pkg: [767:0] ==> [47:0]
//: reduce cst_state_pkg: AckBits = 12; ==> AckBits = 3;
//: reduce cst_state_write_port: PlaceBits = 5; ==> PlaceBits = 1;
//: reduce cst_state_write_port: DataBits = 768; ==> DataBits = 48;
//: reduce cst_state_write_port: [511:0] ==> [31:0]
//: reduce cst_state_write_port: 256'b0 ==> 16'b0
//: reduce cst_state_write_port: .Depth(64) ==> .Depth(2)
//: reduce cst_state_write_port: .Depth(32) ==> .Depth(2)
//: prove induction 2
//: cover 14
//: mistake overtaken in cst_state_write_port: if (chosen[2]) {heads_q[put_q], memory_q[put_q]} <= in_line_i; ==> if (in_valid_i[1] && chosen[2]) {heads_q[put_q], memory_q[put_q]} <= in_record_i;
//: mistake over_the_page in cst_state_write_port: assign split = two && address[11:6] == '1; ==> assign split = 1'b0;
//: mistake answered_by_the_first in cst_state_write_port: .in_valid_i(b_valid_i && b_ready_o && head_final && head_kind[k] && head.counts), ==> .in_valid_i(b_valid_i && b_ready_o && head_kind[k] && head.counts),
//: mistake an_atom_too_many in cst_state_write_port: assign strobe = ({1'b0, &data_atoms, ==> assign strobe = ({1'b0, data_atoms[1],
//: mistake place_taken_early in cst_state_write_port: assign take = in_valid_i != '0 && room && data_room; ==> assign take = in_valid_i != '0 && room;
//: mistake withdrawn in cst_state_write_port: assign aw_valid_o = address_there && order_room; ==> assign aw_valid_o = address_there && order_room && !b_valid_i;
//: mistake beat_overwritten in cst_state_write_port: assign data_next = data_there && (!full_q || (w_ready_i && !more_q)); ==> assign data_next = data_there && (!full_q || w_ready_i);
//: mistake parity_of_another in cst_state_write_port: assign answered_o = {head.parity, !head.parity} ==> assign answered_o = {head.counts, !head.counts}
`default_nettype none
module state_write_port #(
  localparam int unsigned AddressBits = cst_state_pkg::AddressBits,
  localparam int unsigned WriteBits = cst_state_pkg::WriteBits,
  localparam int unsigned AckBits = cst_state_pkg::AckBits
) (
  input wire logic                 clk_i,
  input wire logic                 rst_ni,
  input wire logic [2:0]           in_valid_i,
  input wire logic [WriteBits-1:0] in_entry_i,
  input wire logic [WriteBits-1:0] in_record_i,
  input wire logic [WriteBits-1:0] in_line_i,
  input wire logic [2:0]           ack_ready_i,
  input wire logic                 aw_ready_i,
  input wire logic                 w_ready_i,
  input wire logic                 b_valid_i
);
  logic [2:0] in_ready, ack_valid, in_kind;
  logic [3*AckBits-1:0] ack;
  logic aw_valid, w_valid, b_ready, asked, busy, take;
  logic [AddressBits-1:0] aw_address;
  logic [7:0] aw_len;
  logic [31:0] w_data;
  logic [63:0] w_strb;
  logic [1:0] answered;
  cst_state_pkg::write_t in_write;

  cst_state_write_port u_port (
    .clk_i, .rst_ni, .in_valid_i, .in_ready_o(in_ready), .in_entry_i, .in_record_i, .in_line_i,
    .ack_valid_o(ack_valid), .ack_ready_i, .ack_o(ack),
    .aw_valid_o(aw_valid), .aw_ready_i, .aw_address_o(aw_address), .aw_len_o(aw_len),
    .w_valid_o(w_valid), .w_ready_i, .w_data_o(w_data), .w_strb_o(w_strb),
    .b_valid_i, .b_ready_o(b_ready), .asked_o(asked), .busy_o(busy), .answered_o(answered)
  );
  assign in_kind = in_valid_i & in_ready;
  assign take = in_kind != '0;
  assign in_write = in_valid_i[2] ? in_line_i : in_valid_i[1] ? in_record_i : in_entry_i;

  // ---- What it took: two places, in turn; of how many the address, the data are still there ----
  (* hierconn *) wire \u_port.data_next ;
  cst_state_pkg::write_t write0_q, write1_q, aw_write, beat_q;
  logic [2:0] kind0_q, kind1_q, aw_kind;
  logic put_q, second_q, beat_valid_q, beat_second_q;
  logic [1:0] addresses_q, data_q;
  logic two, split, aw_moves, aw_final, beat_two, beat_moves;
  logic aw_place, data_place;
  assign aw_place = put_q ^ addresses_q[0];
  assign data_place = put_q ^ data_q[0];
  assign aw_write = aw_place ? write1_q : write0_q;
  assign aw_kind = aw_place ? kind1_q : kind0_q;
  assign two = 3'(aw_write.atoms) + 3'(aw_write.address[5]) > 3'd2;
  assign split = two && aw_write.address[11:6] == '1;
  assign aw_moves = aw_valid && aw_ready_i;
  assign aw_final = !split || second_q;
  assign beat_two = 3'(beat_q.atoms) + 3'(beat_q.address[5]) > 3'd2;
  assign beat_moves = w_valid && w_ready_i;
  always_ff @(posedge clk_i) begin
    if (take && !put_q) {kind0_q, write0_q} <= {in_kind, in_write};
    if (take && put_q) {kind1_q, write1_q} <= {in_kind, in_write};
    if (\u_port.data_next ) beat_q <= data_place ? write1_q : write0_q;
    if (!rst_ni) begin
      {put_q, second_q, beat_valid_q, beat_second_q} <= '0;
      {addresses_q, data_q} <= '0;
    end else begin
      if (take) put_q <= !put_q;
      addresses_q <= addresses_q + 2'(take) - 2'(aw_moves && aw_final);
      data_q <= data_q + 2'(take) - 2'(\u_port.data_next );
      if (aw_moves) second_q <= !aw_final;
      if (\u_port.data_next ) {beat_valid_q, beat_second_q} <= 2'b10;
      else if (beat_moves) {beat_valid_q, beat_second_q} <= {2{beat_two && !beat_second_q}};
    end
  end

  // ---- Bursts that memory owes, and answers that wait: the older one first ----------------------
  localparam int unsigned BurstBits = 4 + AckBits;  // the write's last, its kind
  logic [1:0] owed_q, waits0_q, waits1_q, waits2_q;
  logic [BurstBits-1:0] owed0_q, owed1_q;
  logic [AckBits-1:0] first0_q, second0_q, first1_q, second1_q, first2_q, second2_q;
  logic answer;
  logic [2:0] says, gets;
  logic [AckBits-1:0] owed_ack;
  assign answer = b_valid_i && b_ready;
  assign owed_ack = owed0_q[AckBits-1:0];
  assign says = owed0_q[AckBits +: 3] & {3{answer && owed0_q[BurstBits-1] && owed_ack[1]}};
  assign gets = ack_valid & ack_ready_i;
  always_ff @(posedge clk_i) begin
    if (answer) owed0_q <= owed1_q;
    if (aw_moves && owed_q == 2'(answer)) owed0_q <= {aw_final, aw_kind, aw_write.id,
                                                      aw_write.counts, aw_write.parity};
    else if (aw_moves) owed1_q <= {aw_final, aw_kind, aw_write.id, aw_write.counts,
                                   aw_write.parity};
    if (gets[0]) first0_q <= second0_q;
    if (says[0] && waits0_q == 2'(gets[0])) first0_q <= owed_ack;
    else if (says[0]) second0_q <= owed_ack;
    if (gets[1]) first1_q <= second1_q;
    if (says[1] && waits1_q == 2'(gets[1])) first1_q <= owed_ack;
    else if (says[1]) second1_q <= owed_ack;
    if (gets[2]) first2_q <= second2_q;
    if (says[2] && waits2_q == 2'(gets[2])) first2_q <= owed_ack;
    else if (says[2]) second2_q <= owed_ack;
    if (!rst_ni) begin
      {owed_q, waits0_q, waits1_q, waits2_q} <= '0;
    end else begin
      owed_q <= owed_q + 2'(aw_moves) - 2'(answer);
      waits0_q <= waits0_q + 2'(says[0]) - 2'(gets[0]);
      waits1_q <= waits1_q + 2'(says[1]) - 2'(gets[1]);
      waits2_q <= waits2_q + 2'(says[2]) - 2'(gets[2]);
    end
  end

  logic aw_held_q, w_held_q, split_q;
  logic [AddressBits+7:0] aw_seen_q;
  logic [95:0] w_seen_q;
  always_ff @(posedge clk_i) begin
    aw_held_q <= rst_ni && aw_valid && !aw_ready_i;
    aw_seen_q <= {aw_address, aw_len};
    w_held_q <= rst_ni && w_valid && !w_ready_i;
    w_seen_q <= {w_data, w_strb};
    split_q <= rst_ni && (split_q || (aw_moves && split && aw_final));
  end

  initial assume (!rst_ni);
  always_comb begin
    if (rst_ni) assume (!b_valid_i || owed_q != '0);
  end

  // ---- What must come out ----------------------------------------------------------------------
  logic [63:0] beats;
  logic [3:0] atoms;
  assign beats = beat_q.address[5] ? {beat_q.data, 16'b0} : {16'b0, beat_q.data};
  assign atoms = {1'b0, &beat_q.atoms, beat_q.atoms[1], |beat_q.atoms} << beat_q.address[5];
  always_comb if (rst_ni) begin
    lines_then_records: assert (!take || in_kind == (in_valid_i[2] ? 3'b100 :
                                                     in_valid_i[1] ? 3'b010 : 3'b001));
    address_holds: assert (!aw_held_q || (aw_valid && {aw_address, aw_len} == aw_seen_q));
    beat_holds: assert (!w_held_q || (w_valid && {w_data, w_strb} == w_seen_q));
    of_what_it_took: assert (!aw_valid || addresses_q != '0);
    asked_for: assert (!aw_valid || (aw_address == {aw_write.address[AddressBits-1:6], 6'b0} +
                                                   (second_q ? AddressBits'(64) : '0) &&
                                     aw_len == 8'(two && !split)));
    within_the_page: assert (!aw_valid || aw_address[5:0] == '0 && aw_len <= 8'd1 &&
                                          !(aw_address[11:6] == '1 && aw_len != '0));
    asked_when_done: assert (asked == (aw_moves && aw_final));
    a_beat_is_there: assert (w_valid == beat_valid_q);
    a_write_is_finished: assert (!\u_port.data_next || !beat_valid_q ||
                                 (beat_moves && (beat_second_q || !beat_two)));
    beat_is_its: assert (!w_valid || (w_data == (beat_second_q ? beats[63:32] : beats[31:0]) &&
        w_strb == (beat_second_q ? {{32{atoms[3]}}, {32{atoms[2]}}} :
                                   {{32{atoms[1]}}, {32{atoms[0]}}})));
    answered_once: assert (answered == ({owed_ack[0], !owed_ack[0]} &
                                        {2{answer && owed0_q[BurstBits-1]}}));
    says_what_was_answered: assert (ack_valid == {waits2_q != '0, waits1_q != '0,
                                                  waits0_q != '0});
    in_order: assert ((!ack_valid[0] || ack[0 +: AckBits] == first0_q) &&
                      (!ack_valid[1] || ack[AckBits +: AckBits] == first1_q) &&
                      (!ack_valid[2] || ack[2*AckBits +: AckBits] == first2_q));
    busy_until_done: assert (busy == (addresses_q != '0 || data_q != '0 || beat_valid_q ||
                                      owed_q != '0 || ack_valid != '0));
    two_bursts: cover (split_q && answer && owed0_q[BurstBits-1]);
    most_are_owed: cover (owed_q == 2'd2 && addresses_q == 2'd2);
    full: cover (b_valid_i && !b_ready && owed_q == 2'd2);
    data_behind_its_address: cover (addresses_q == '0 && data_q == 2'd2 && beat_second_q);
    data_before_its_address: cover (addresses_q == 2'd2 && data_q == '0 && beat_second_q);
  end

  // ---- The registers inside, for induction -----------------------------------------------------
  (* hierconn *) wire \u_port.put_q ;
  (* hierconn *) wire \u_port.second_q ;
  (* hierconn *) wire \u_port.full_q ;
  (* hierconn *) wire \u_port.more_q ;
  (* hierconn *) wire [3:0] \u_port.strobe_q ;
  (* hierconn *) wire [31:0] \u_port.low_q ;
  (* hierconn *) wire [31:0] \u_port.high_q ;
  (* hierconn *) wire [WriteBits-49:0] \u_port.heads_q[0] ;
  (* hierconn *) wire [WriteBits-49:0] \u_port.heads_q[1] ;
  (* hierconn *) wire [47:0] \u_port.memory_q[0] ;
  (* hierconn *) wire [47:0] \u_port.memory_q[1] ;
  (* hierconn *) wire [1:0] \u_port.u_address.fill_q ;
  (* hierconn *) wire [1:0] \u_port.u_data.fill_q ;
  (* hierconn *) wire [1:0] \u_port.u_order.fill_q ;
  (* hierconn *) wire [1:0] \u_port.g_ack[0].u_ack.fill_q ;
  (* hierconn *) wire [1:0] \u_port.g_ack[1].u_ack.fill_q ;
  (* hierconn *) wire [1:0] \u_port.g_ack[2].u_ack.fill_q ;
  (* hierconn *) wire \u_port.u_address.read_q ;
  (* hierconn *) wire \u_port.u_data.read_q ;
  (* hierconn *) wire \u_port.u_order.read_q ;
  (* hierconn *) wire \u_port.g_ack[0].u_ack.read_q ;
  (* hierconn *) wire \u_port.g_ack[1].u_ack.read_q ;
  (* hierconn *) wire \u_port.g_ack[2].u_ack.read_q ;
  (* hierconn *) wire \u_port.u_address.looked ;
  (* hierconn *) wire \u_port.u_data.looked ;
  (* hierconn *) wire \u_port.u_order.looked ;
  (* hierconn *) wire \u_port.g_ack[0].u_ack.looked ;
  (* hierconn *) wire \u_port.g_ack[1].u_ack.looked ;
  (* hierconn *) wire \u_port.g_ack[2].u_ack.looked ;
  (* hierconn *) wire \u_port.address_place ;
  (* hierconn *) wire \u_port.u_data.looked_data ;
  (* hierconn *) wire \u_port.data_place ;
  (* hierconn *) wire [3:0] \u_port.u_address.looked_data ;
  (* hierconn *) wire [2:0] \u_port.kind ;
  (* hierconn *) wire [BurstBits-1:0] \u_port.u_order.looked_data ;
  (* hierconn *) wire \u_port.head_final ;
  (* hierconn *) wire [2:0] \u_port.head_kind ;
  (* hierconn *) wire [AckBits-1:0] \u_port.head ;
  (* hierconn *) wire [AckBits-1:0] \u_port.g_ack[0].u_ack.looked_data ;
  (* hierconn *) wire [AckBits-1:0] \u_port.g_ack[1].u_ack.looked_data ;
  (* hierconn *) wire [AckBits-1:0] \u_port.g_ack[2].u_ack.looked_data ;
  assign \u_port.u_address.looked = ~\u_port.u_address.read_q ;
  assign \u_port.u_data.looked = ~\u_port.u_data.read_q ;
  assign \u_port.u_order.looked = ~\u_port.u_order.read_q ;
  assign \u_port.g_ack[0].u_ack.looked = ~\u_port.g_ack[0].u_ack.read_q ;
  assign \u_port.g_ack[1].u_ack.looked = ~\u_port.g_ack[1].u_ack.read_q ;
  assign \u_port.g_ack[2].u_ack.looked = ~\u_port.g_ack[2].u_ack.read_q ;
  always_comb if (rst_ni) begin
    counted: assert (\u_port.put_q == put_q && \u_port.u_address.fill_q == addresses_q &&
                     \u_port.u_data.fill_q == data_q && \u_port.u_order.fill_q == owed_q &&
                     \u_port.g_ack[0].u_ack.fill_q == waits0_q &&
                     \u_port.g_ack[1].u_ack.fill_q == waits1_q &&
                     \u_port.g_ack[2].u_ack.fill_q == waits2_q );
    places_in_turn: assert (
        (addresses_q == '0 || {\u_port.kind , \u_port.address_place } == {aw_kind, aw_place}) &&
        (addresses_q != 2'd2 || \u_port.u_address.looked_data ==
                                {put_q ? kind0_q : kind1_q, !put_q}) &&
        (data_q == '0 || \u_port.data_place == data_place) &&
        (data_q != 2'd2 || \u_port.u_data.looked_data == !put_q));
    seconds: assert (\u_port.second_q == second_q && (!second_q || (addresses_q != '0 && split)));
    in_place: assert (
        (!(addresses_q == 2'd2 || data_q == 2'd2 || (addresses_q[0] && !aw_place) ||
           (data_q[0] && !data_place)) ||
         {\u_port.heads_q[0] , \u_port.memory_q[0] } == write0_q) &&
        (!(addresses_q == 2'd2 || data_q == 2'd2 || (addresses_q[0] && aw_place) ||
           (data_q[0] && data_place)) ||
         {\u_port.heads_q[1] , \u_port.memory_q[1] } == write1_q));
    beats_are_left: assert (\u_port.full_q == beat_valid_q &&
        (!beat_valid_q || (\u_port.more_q == (beat_two && !beat_second_q) &&
                           !(beat_second_q && !beat_two) &&
                           \u_port.strobe_q == (beat_second_q ? {2'b0, atoms[3:2]} : atoms) &&
                           (beat_second_q || \u_port.high_q == beats[63:32]))));
    bursts: assert (
        (owed_q == '0 || {\u_port.head_final , \u_port.head_kind , \u_port.head } == owed0_q) &&
        (owed_q != 2'd2 || \u_port.u_order.looked_data == owed1_q));
    answers: assert ((waits0_q != 2'd2 || \u_port.g_ack[0].u_ack.looked_data == second0_q) &&
                     (waits1_q != 2'd2 || \u_port.g_ack[1].u_ack.looked_data == second1_q) &&
                     (waits2_q != 2'd2 || \u_port.g_ack[2].u_ack.looked_data == second2_q));
  end
endmodule
`default_nettype wire
