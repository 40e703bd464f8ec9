// state_read_port: cst_state_read_port asks for all it takes, answers each once, with its bytes.
// Shows      AXI's rules for addresses; entries are asked for first, then rows, then lines, a
//            walk's beats last; a request is a burst, of two beats for an entry of three units, or
//            two where they part at 4 KiB, and none crosses it; no more requests are out than there
//            are places, none is added to FewReads or more while few_i; each is answered once, in
//            the order in which they were asked for, in the clock of its last beat, with its kind
//            and tag, and, of the beats that memory gave for it, the bytes that it asked for; an
//            answer stands until it is taken.
// Reduced    to queues of two, FewReads of one, tags of two bits, addresses of two pages, 32 bits
//            of data a beat.
// Memory     free: any delay; but no beat of a burst whose address it has not taken, and a beat
//            stands until it is taken.
// Given      that what leaves a FIFO is what entered it, in order (formal.fifo): of the four queues
//            of requests only the first item is looked at.
// How        two requests that are out stand outside as they must be inside.
//: reduce cst_state_pkg: AddressBits = 34; ==> AddressBits = 13;
//: reduce cst_state_pkg: ReadTagBits = 47; ==> ReadTagBits = 2;
//: reduce cst_state_pkg: FewReads = 8; ==> FewReads = 1;
//: reduce cst_state_read_port: .Depth(64) ==> .Depth(2)
//: reduce cst_state_read_port: .Depth(32) ==> .Depth(2)
//: reduce cst_state_read_port: .Depth(4) ==> .Depth(2)
//: reduce cst_state_read_port: logic [6:0] out_fill, out_count; ==> logic [1:0] out_fill, out_count;
//: reduce cst_state_read_port: 7'(noted_q) ==> 2'(noted_q)
//: reduce cst_state_read_port: 7'd64 ==> 2'd2
//: reduce cst_state_read_port: 7'(cst_state_pkg::FewReads) ==> 2'(cst_state_pkg::FewReads)
//: reduce cst_state_read_port: [511:0] ==> [31:0]
//: reduce cst_state_read_port: [767:0] ==> [47:0]
//: reduce cst_state_read_port: [511:256] ==> [31:16]
//: reduce cst_state_read_port: [255:0] ==> [15:0]
//: reduce cst_state_read_port: 512'b0 ==> 32'b0
//: reduce cst_state_read_port: 256'b0 ==> 16'b0
//: prove induction 2
//: cover 12
//: mistake over_the_page in cst_state_read_port: ar_len_q <= {7'b0, grant[2] && three && address[11:6] != '1}; ==> ar_len_q <= {7'b0, grant[2] && three};
//: mistake answered_by_its_first_beat in cst_state_read_port: assign last = !joins || second_q; ==> assign last = !joins || second_q || head_high;
//: mistake taken_by_another_kind in cst_state_read_port: (head_kind & out_ready_i) != '0 ==> out_ready_i != '0
//: mistake more_than_few in cst_state_read_port: (few_i && out_count >= ==> (few_i && out_count >
//: mistake withdrawn in cst_state_read_port: assign idle = !ar_valid_q || (ar_ready_i && !ar_second_q); ==> assign idle = !ar_valid_q || !ar_second_q;
`default_nettype none
module state_read_port #(
  localparam int unsigned AddressBits = cst_state_pkg::AddressBits,
  localparam int unsigned TagBits = cst_state_pkg::ReadTagBits,
  localparam int unsigned AskBits = AddressBits + TagBits
) (
  input wire logic               clk_i,
  input wire logic               rst_ni,
  input wire logic               few_i,
  input wire logic [3:0]         in_valid_i,
  input wire logic [AskBits-1:0] in_row_i,
  input wire logic [AskBits-1:0] in_line_i,
  input wire logic [AskBits-1:0] in_entry_i,
  input wire logic [AskBits-1:0] in_walk_i,
  input wire logic [3:0]         out_ready_i,
  input wire logic               ar_ready_i,
  input wire logic               r_valid_i,
  input wire logic [31:0]        r_data_i
);
  (* anyconst *) logic [1:0] entry_units;
  logic [3:0] in_ready, out_valid;
  logic [TagBits-1:0] out_tag;
  logic [47:0] out_data;
  logic ar_valid, r_ready, asked, busy;
  logic [AddressBits-1:0] ar_address;
  logic [7:0] ar_len;

  cst_state_read_port u_port (
    .clk_i, .rst_ni, .entry_units_i(entry_units), .few_i, .in_valid_i, .in_ready_o(in_ready),
    .in_row_i, .in_line_i, .in_entry_i, .in_walk_i, .out_valid_o(out_valid), .out_ready_i,
    .out_tag_o(out_tag), .out_data_o(out_data), .ar_valid_o(ar_valid), .ar_ready_i,
    .ar_address_o(ar_address), .ar_len_o(ar_len), .r_valid_i, .r_ready_o(r_ready), .r_data_i,
    .asked_o(asked), .busy_o(busy)
  );

  // ---- The request that is asked for now: the first of its queue -------------------------------
  (* hierconn *) wire [3:0] \u_port.want ;
  (* hierconn *) wire [AskBits-1:0] \u_port.want_row ;
  (* hierconn *) wire [AskBits-1:0] \u_port.want_line ;
  (* hierconn *) wire [AskBits-1:0] \u_port.want_entry ;
  (* hierconn *) wire [AskBits-1:0] \u_port.want_walk ;
  (* hierconn *) wire [3:0] \u_port.grant ;
  logic [3:0] kind;
  logic [AskBits-1:0] ask;
  logic [AddressBits-1:0] address;
  logic beats_two;
  assign kind = \u_port.want [2] ? 4'b0100 : \u_port.want [0] ? 4'b0001 :
                \u_port.want [1] ? 4'b0010 : 4'b1000;
  assign ask = kind[2] ? \u_port.want_entry : kind[0] ? \u_port.want_row :
               kind[1] ? \u_port.want_line : \u_port.want_walk ;
  assign address = ask[TagBits +: AddressBits];
  assign beats_two = kind[2] && entry_units == 2'd3;

  // ---- Bursts to ask for, beats that memory owes, requests that are out: the older one first ----
  localparam int unsigned OutBits = TagBits + 5;  // high half, kind, tag
  logic bursts_valid_q, bursts_second_q;
  logic [AddressBits-1:0] burst_address_q;
  logic [7:0] burst_len_q;
  logic [2:0] owed_q;
  logic [1:0] outs_q;
  logic [OutBits-1:0] out0_q, out1_q;
  logic second_q, asks, beat, out0_two, last;
  logic [31:0] first_q;
  assign asks = ar_valid && ar_ready_i;
  assign beat = r_valid_i && r_ready;
  assign out0_two = out0_q[TagBits+2] && entry_units == 2'd3;
  assign last = beat && (!out0_two || second_q);
  always_ff @(posedge clk_i) begin
    if (asked) begin
      burst_address_q <= {address[AddressBits-1:6], 6'b0};
      burst_len_q <= 8'(beats_two && address[11:6] != '1);
    end else if (asks) begin
      burst_address_q <= burst_address_q + AddressBits'(64);
      burst_len_q <= '0;
    end
    if (last) out0_q <= out1_q;
    if (asked && outs_q == 2'(last)) out0_q <= {address[5], kind, ask[TagBits-1:0]};
    else if (asked) out1_q <= {address[5], kind, ask[TagBits-1:0]};
    if (beat && !last) first_q <= r_data_i;
    if (!rst_ni) begin
      {bursts_valid_q, bursts_second_q, second_q} <= '0;
      owed_q <= '0;
      outs_q <= '0;
    end else begin
      if (asked) {bursts_valid_q, bursts_second_q} <= {1'b1, beats_two && address[11:6] == '1};
      else if (asks) {bursts_valid_q, bursts_second_q} <= {bursts_second_q, 1'b0};
      owed_q <= owed_q + (asks ? 3'(ar_len) + 3'd1 : 3'd0) - 3'(beat);
      outs_q <= outs_q + 2'(asked) - 2'(last);
      if (beat) second_q <= !last;
    end
  end

  // ---- Answers ---------------------------------------------------------------------------------
  localparam int unsigned AnswerBits = 48 + TagBits + 4;
  logic [47:0] data;
  logic high, answers, held_q, few_q;
  logic [AnswerBits-1:0] answer, answer_q;
  assign high = out0_q[OutBits-1];
  assign answers = r_valid_i && (!out0_two || second_q);
  assign data = out0_two ? (high ? {r_data_i, first_q[31:16]} : {r_data_i[15:0], first_q}) :
                high ? {32'b0, r_data_i[31:16]} : {16'b0, r_data_i};
  assign answer = {data, out0_q[TagBits +: 4], out0_q[TagBits-1:0]};
  always_ff @(posedge clk_i) begin
    held_q <= rst_ni && answers && !r_ready;
    answer_q <= answer;
  end

  logic ar_held_q, parted_q;
  logic [AddressBits+7:0] ar_seen_q;
  always_ff @(posedge clk_i) begin
    ar_held_q <= rst_ni && ar_valid && !ar_ready_i;
    ar_seen_q <= {ar_address, ar_len};
    parted_q <= rst_ni && (parted_q || bursts_second_q);
    few_q <= rst_ni && few_i && \u_port.want != '0 && outs_q == 2'd1 && !asked && !bursts_valid_q;
  end

  initial assume (!rst_ni);
  always_comb if (rst_ni) assume (!r_valid_i || owed_q != '0);
  logic r_held_q;
  logic [31:0] r_data_q;
  always_ff @(posedge clk_i) begin
    r_held_q <= rst_ni && r_valid_i && !r_ready;
    r_data_q <= r_data_i;
  end
  always_comb if (rst_ni) assume (!r_held_q || (r_valid_i && r_data_i == r_data_q));

  always_comb if (rst_ni) begin
    asks_in_order: assert (!asked || (\u_port.want != '0 && \u_port.grant == kind));
    takes_what_it_asks_for: assert (asked == (\u_port.grant != '0));
    no_more_than_places: assert (!asked || outs_q != 2'd2);
    no_more_than_few: assert (!(asked && few_i) || outs_q == '0);
    address_holds: assert (!ar_held_q || (ar_valid && {ar_address, ar_len} == ar_seen_q));
    asked_for: assert (ar_valid == bursts_valid_q &&
                       (!ar_valid || {ar_address, ar_len} == {burst_address_q, burst_len_q}));
    within_the_page: assert (!ar_valid || (ar_address[5:0] == '0 && ar_len <= 8'd1 &&
                                           !(ar_address[11:6] == '1 && ar_len != '0)));
    answered_once: assert (out_valid == (answers ? out0_q[TagBits +: 4] : '0));
    with_its_bytes: assert (!answers || {out_data, out_tag} == {data, out0_q[TagBits-1:0]});
    taken_with_its_beat: assert (!answers || r_ready == ((out_valid & out_ready_i) != '0));
    answer_holds: assert (!held_q || (answers && answer == answer_q));
    busy_until_done: assert (busy == (outs_q != '0 || bursts_valid_q || \u_port.want != '0));
    parted_and_answered: cover (parted_q && last && out_valid[2]);
    most_are_out: cover (outs_q == 2'd2 && owed_q == 3'd4);
    memory_waits: cover (r_held_q && !r_ready && outs_q == 2'd2);
    few_wait: cover (few_q);
    entry_before_others: cover (asked && \u_port.want == 4'b1111);
    walk_goes: cover (last && out_valid[3] && high);
  end

  // ---- The registers inside, for induction -----------------------------------------------------
  (* hierconn *) wire \u_port.ar_second_q ;
  (* hierconn *) wire \u_port.second_q ;
  (* hierconn *) wire \u_port.head_high ;
  (* hierconn *) wire [31:0] \u_port.first_q ;
  (* hierconn *) wire [3:0] \u_port.head_kind ;
  (* hierconn *) wire \u_port.noted_q ;
  (* hierconn *) wire [OutBits-1:0] \u_port.note_q ;
  (* hierconn *) wire [1:0] \u_port.u_out.fill_q ;
  (* hierconn *) wire \u_port.u_out.read_q ;
  (* hierconn *) wire \u_port.u_out.looked ;
  (* hierconn *) wire [OutBits-1:0] \u_port.u_out.looked_data ;
  assign \u_port.u_out.looked = ~\u_port.u_out.read_q ;
  function automatic logic one(input logic [3:0] kinds);
    one = kinds == 4'b0001 || kinds == 4'b0010 || kinds == 4'b0100 || kinds == 4'b1000;
  endfunction
  logic out1_two;
  logic [2:0] beats, to_ask;
  assign out1_two = out1_q[TagBits+2] && entry_units == 2'd3;
  assign beats = (outs_q != '0 ? 3'd1 + 3'(out0_two) : 3'd0) +
                 (outs_q == 2'd2 ? 3'd1 + 3'(out1_two) : 3'd0) - 3'(second_q);
  assign to_ask = bursts_valid_q ? 3'(burst_len_q) + 3'd1 + 3'(bursts_second_q) : 3'd0;
  always_comb if (rst_ni) begin
    counted: assert (\u_port.u_out.fill_q + 2'(\u_port.noted_q ) == outs_q &&
                     \u_port.ar_second_q == bursts_second_q && \u_port.second_q == second_q);
    outs: assert ((outs_q == 2'(\u_port.noted_q ) ||
                   {\u_port.head_high , \u_port.head_kind , out_tag} == out0_q) &&
                  (outs_q != 2'd2 || \u_port.noted_q || \u_port.u_out.looked_data == out1_q));
    noted_before_it_is_asked: assert (!\u_port.noted_q || (bursts_valid_q && outs_q != '0 &&
        \u_port.note_q == (outs_q == 2'd2 ? out1_q : out0_q) &&
        to_ask == 3'd1 + 3'(outs_q == 2'd2 ? out1_two : out0_two)));
    beats_are_owed: assert (beats == owed_q + to_ask && outs_q <= 2'd2 && owed_q <= 3'd4);
    burst_is_legal: assert (!bursts_valid_q || (burst_address_q[5:0] == '0 &&
        burst_len_q <= 8'd1 && !(burst_address_q[11:6] == '1 && burst_len_q != '0) &&
        !(bursts_second_q && burst_len_q != '0)));
    first_of_two: assert (!second_q || (outs_q != '0 && out0_two && \u_port.first_q == first_q));
    one_kind: assert ((outs_q == '0 || one(out0_q[TagBits +: 4])) &&
                      (outs_q != 2'd2 || one(out1_q[TagBits +: 4])));
  end
endmodule
`default_nettype wire
