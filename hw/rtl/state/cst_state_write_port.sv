// cst_state_write_port: one channel's writes: entries, records and gaps, control lines.
// Promises   in order; answers by kind, in order. Whole atoms of 32 bytes, no burst across 4 KiB,
//            one id: two writes of one address arrive in order. At most 64 bursts out.
`default_nettype none
module cst_state_write_port #(
  localparam int unsigned AddressBits = cst_state_pkg::AddressBits,
  localparam int unsigned WriteBits = cst_state_pkg::WriteBits,
  localparam int unsigned AckBits = cst_state_pkg::AckBits
) (
  input  wire logic                   clk_i,
  input  wire logic                   rst_ni,
  // entry, record, line
  input  wire logic [2:0]             in_valid_i,
  output      logic [2:0]             in_ready_o,
  input  wire logic [WriteBits-1:0]   in_entry_i,
  input  wire logic [WriteBits-1:0]   in_record_i,
  input  wire logic [WriteBits-1:0]   in_line_i,
  output      logic [2:0]             ack_valid_o,
  input  wire logic [2:0]             ack_ready_i,
  output      logic [3*AckBits-1:0]   ack_o,       // each kind's
  // AXI
  output      logic                   aw_valid_o,
  input  wire logic                   aw_ready_i,
  output      logic [AddressBits-1:0] aw_address_o,
  output      logic [7:0]             aw_len_o,
  output      logic                   w_valid_o,
  input  wire logic                   w_ready_i,
  output      logic [511:0]           w_data_o,
  output      logic [63:0]            w_strb_o,
  input  wire logic                   b_valid_i,
  output      logic                   b_ready_o,
  output      logic                   asked_o,
  output      logic                   busy_o,
  output      logic [1:0]             answered_o  // a write, by its epoch's parity
);
  // ---- One queue; of two that come at once, a line goes first, then a record --------------------
  // A log line's records come one behind the other to one channel: the queue holds a line of them.
  // Data stands still but when it moves: a simulator that runs 16 of these looks at it only then.
  localparam int unsigned PlaceBits = 5;
  localparam int unsigned Places = 1 << PlaceBits;
  localparam int unsigned DataBits = 768;
  localparam int unsigned HeadBits = WriteBits - DataBits;  // what stands above a write's data
  logic take, room, data_room, address_there, address_next, data_there, data_next;
  logic [2:0] chosen, kind;
  logic [PlaceBits-1:0] put_q, address_place, data_place;
  logic [HeadBits-1:0] heads_q [Places];
  logic [DataBits-1:0] memory_q [Places];

  assign chosen[2] = in_valid_i[2];
  assign chosen[1] = in_valid_i[1] && !in_valid_i[2];
  assign chosen[0] = in_valid_i[0] && in_valid_i[2:1] == '0;
  assign in_ready_o = {1'b1, !in_valid_i[2], in_valid_i[2:1] == '0} & {3{room && data_room}};
  assign take = in_valid_i != '0 && room && data_room;
  // Addresses go ahead of their data, so a place is free when both have left it.
  cst_fifo #(.Width(PlaceBits + 3), .Depth(Places)) u_address (
    .clk_i, .rst_ni, .in_valid_i(take), .in_ready_o(room), .in_data_i({chosen, put_q}),
    .out_valid_o(address_there), .out_ready_i(address_next), .out_data_o({kind, address_place}),
    .fill_o()
  );
  cst_fifo #(.Width(PlaceBits), .Depth(Places)) u_data (
    .clk_i, .rst_ni, .in_valid_i(take), .in_ready_o(data_room), .in_data_i(put_q),
    .out_valid_o(data_there), .out_ready_i(data_next), .out_data_o(data_place), .fill_o()
  );
  always_ff @(posedge clk_i) begin
    if (take) begin
      if (chosen[2]) {heads_q[put_q], memory_q[put_q]} <= in_line_i;
      else if (chosen[1]) {heads_q[put_q], memory_q[put_q]} <= in_record_i;
      else {heads_q[put_q], memory_q[put_q]} <= in_entry_i;
    end
    if (!rst_ni) put_q <= '0;
    else if (take) put_q <= put_q + 1'b1;
  end

  // ---- Addresses: a burst, or two where its beats part at 4 KiB; the order keeps each burst -----
  logic [HeadBits-1:0] head_now;
  logic [AddressBits-1:0] address;
  logic [1:0] atoms;
  logic two, split, second_q, aw_moves, aw_final, order_room;

  assign head_now = heads_q[address_place];
  assign address = head_now[HeadBits-1 -: AddressBits];
  assign atoms = head_now[HeadBits-AddressBits-1 -: 2];
  assign two = atoms[1] && (atoms[0] || address[5]);  // more than two halves of a beat
  assign split = two && address[11:6] == '1;
  assign aw_valid_o = address_there && order_room;
  assign aw_address_o = {address[AddressBits-1:6], 6'b0} +
                        (second_q ? AddressBits'(64) : '0);
  assign aw_len_o = {7'b0, two && !split};
  assign aw_final = !split || second_q;
  assign aw_moves = aw_valid_o && aw_ready_i;
  assign address_next = aw_moves && aw_final;
  assign asked_o = address_next;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) second_q <= 1'b0;
    else if (aw_moves) second_q <= !aw_final;
  end

  // ---- Data, beat by beat, from the beat's begin on -------------------------------------------
  logic [HeadBits-1:0] data_head;
  logic full_q, more_q, high;
  logic [1:0] data_atoms;
  logic [3:0] strobe, strobe_q;
  logic [511:0] low_q, high_q;

  assign data_head = heads_q[data_place];
  assign high = data_head[HeadBits-AddressBits+5];
  assign data_atoms = data_head[HeadBits-AddressBits-1 -: 2];
  assign strobe = ({1'b0, &data_atoms, data_atoms[1], |data_atoms} &
                   ~{2'b0, cst_mistake_pkg::planted(cst_mistake_pkg::Strobe), 1'b0}) << high;
  assign w_valid_o = full_q;
  assign w_data_o = low_q;
  assign w_strb_o = {{32{strobe_q[1]}}, {32{strobe_q[0]}}};
  assign data_next = data_there && (!full_q || (w_ready_i && !more_q));
  always_ff @(posedge clk_i) begin
    if (!rst_ni) full_q <= 1'b0;
    else if (data_next) full_q <= 1'b1;
    else if (w_ready_i && !more_q) full_q <= 1'b0;
    if (data_next) begin
      if (high) {high_q, low_q} <= {memory_q[data_place], 256'b0};
      else {high_q, low_q} <= {256'b0, memory_q[data_place]};
    end else if (w_ready_i && more_q) begin
      low_q <= high_q;
    end
    if (data_next || (full_q && w_ready_i)) begin
      strobe_q <= data_next ? strobe : {2'b0, strobe_q[3:2]};
      more_q <= data_next && strobe[3:2] != '0;
    end
  end

  // ---- Answers ----------------------------------------------------------------------------------
  // Memory writes many at once, and each kind's answers of all channels go one a clock: they wait
  // here, each kind for itself, and not in memory, where a port has 64.
  logic head_valid, head_final;
  logic [2:0] head_kind, ack_readies;
  cst_state_pkg::ack_t head;

  cst_fifo #(.Width(AckBits + 4), .Depth(64)) u_order (
    .clk_i, .rst_ni,
    .in_valid_i(aw_moves), .in_ready_o(order_room),
    .in_data_i({aw_final, kind, head_now[AckBits-1:0]}),
    .out_valid_o(head_valid), .out_ready_i(b_valid_i && b_ready_o),
    .out_data_o({head_final, head_kind, head}), .fill_o()
  );
  assign b_ready_o = &ack_readies;
  assign answered_o = {head.parity, !head.parity} & {2{b_valid_i && b_ready_o && head_final}};
  for (genvar k = 0; k < 3; k++) begin : g_ack
    cst_fifo #(.Width(AckBits), .Depth(32)) u_ack (
      .clk_i, .rst_ni,
      .in_valid_i(b_valid_i && b_ready_o && head_final && head_kind[k] && head.counts),
      .in_ready_o(ack_readies[k]), .in_data_i(head),
      .out_valid_o(ack_valid_o[k]), .out_ready_i(ack_ready_i[k]),
      .out_data_o(ack_o[k*AckBits +: AckBits]), .fill_o()
    );
  end
  assign busy_o = address_there || data_there || full_q || head_valid || (|ack_valid_o);

  // Writes begin at atoms.
  logic unused_bits;
  assign unused_bits = ^{address[4:0], data_head};

`ifdef CST_ASSERT
  always_ff @(posedge clk_i) if (rst_ni) begin
    answer_was_asked: assert (!b_valid_i || head_valid);
  end
`endif
endmodule
`default_nettype wire
