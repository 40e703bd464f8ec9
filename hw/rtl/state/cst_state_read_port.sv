// cst_state_read_port: one channel's reads: rows of the directory, control lines, entries, and the
// beats of 64 bytes of a walk.
// Promises   answers in order of the requests, each in the clock of its last beat, which stands
//            until it is taken; entries are asked for first, then rows, then lines, a walk's beats
//            last.
//            At most 64 requests out; while few_i, none is added to FewReads or more. No burst
//            crosses 4 KiB. Data is where the request's address says: bit 0 of data_o is its first
//            byte's.
`default_nettype none
module cst_state_read_port #(
  localparam int unsigned AddressBits = cst_state_pkg::AddressBits,
  localparam int unsigned TagBits = cst_state_pkg::ReadTagBits,
  localparam int unsigned AskBits = AddressBits + TagBits
) (
  input  wire logic                     clk_i,
  input  wire logic                     rst_ni,
  input  wire logic [1:0]               entry_units_i,
  input  wire logic                     few_i,
  // row, line, entry, walk
  input  wire logic [3:0]               in_valid_i,
  output      logic [3:0]               in_ready_o,
  input  wire logic [AskBits-1:0]       in_row_i,     // address, tag
  input  wire logic [AskBits-1:0]       in_line_i,
  input  wire logic [AskBits-1:0]       in_entry_i,
  input  wire logic [AskBits-1:0]       in_walk_i,
  output      logic [3:0]               out_valid_o,
  input  wire logic [3:0]               out_ready_i,
  output      logic [TagBits-1:0]       out_tag_o,
  output      logic [767:0]             out_data_o,
  // AXI
  output      logic                     ar_valid_o,
  input  wire logic                     ar_ready_i,
  output      logic [AddressBits-1:0]   ar_address_o,
  output      logic [7:0]               ar_len_o,
  input  wire logic                     r_valid_i,
  output      logic                     r_ready_o,
  input  wire logic [511:0]             r_data_i,
  output      logic                     asked_o,
  output      logic                     busy_o
);
  // ---- Requests ---------------------------------------------------------------------------------
  logic [3:0] want, grant;
  logic [AskBits-1:0] want_row, want_line, want_entry, want_walk;
  logic [AddressBits-1:0] address;
  logic [TagBits-1:0] tag;
  logic idle, take, out_room;
  logic [6:0] out_fill, out_count;

  // A channel that refreshes takes nothing for 80 clocks: what is for others goes on meanwhile.
  cst_fifo #(.Width(AskBits), .Depth(32)) u_row (
    .clk_i, .rst_ni, .in_valid_i(in_valid_i[0]), .in_ready_o(in_ready_o[0]), .in_data_i(in_row_i),
    .out_valid_o(want[0]), .out_ready_i(grant[0]), .out_data_o(want_row), .fill_o()
  );
  cst_fifo #(.Width(AskBits), .Depth(32)) u_line (
    .clk_i, .rst_ni, .in_valid_i(in_valid_i[1]), .in_ready_o(in_ready_o[1]), .in_data_i(in_line_i),
    .out_valid_o(want[1]), .out_ready_i(grant[1]), .out_data_o(want_line), .fill_o()
  );
  cst_fifo #(.Width(AskBits), .Depth(32)) u_entry (
    .clk_i, .rst_ni, .in_valid_i(in_valid_i[2]), .in_ready_o(in_ready_o[2]),
    .in_data_i(in_entry_i),
    .out_valid_o(want[2]), .out_ready_i(grant[2]), .out_data_o(want_entry), .fill_o()
  );
  cst_fifo #(.Width(AskBits), .Depth(4)) u_walk (
    .clk_i, .rst_ni, .in_valid_i(in_valid_i[3]), .in_ready_o(in_ready_o[3]), .in_data_i(in_walk_i),
    .out_valid_o(want[3]), .out_ready_i(grant[3]), .out_data_o(want_walk), .fill_o()
  );

  always_comb begin
    grant = '0;
    {address, tag} = '0;
    if (want != '0) begin
      {address, tag} = want[2] ? want_entry : want[0] ? want_row :
                       want[1] ? want_line : want_walk;
      if (idle && out_room) begin
        grant[3] = want[3] && want[2:0] == '0;
        grant[2] = want[2];
        grant[1] = want[1] && !want[2] && !want[0];
        grant[0] = want[0] && !want[2];
      end
    end
  end
  assign take = |grant;

  // An entry of three units is two beats wherever it begins, a shorter one is in one.
  logic three;
  assign three = entry_units_i == 2'd3;

  // Requests begin at atoms.
  logic unused_bits;
  assign unused_bits = ^address[4:0];

  // ---- Address channel: two beats in two bursts where they part at 4 KiB ------------------------
  logic ar_valid_q, ar_second_q;
  logic [AddressBits-1:0] ar_address_q;
  logic [7:0] ar_len_q;

  assign idle = !ar_valid_q || (ar_ready_i && !ar_second_q);
  assign ar_valid_o = ar_valid_q;
  assign ar_address_o = ar_address_q;
  assign ar_len_o = ar_len_q;
  assign asked_o = take;

  always_ff @(posedge clk_i) begin
    if (take) begin
      ar_address_q <= {address[AddressBits-1:6], 6'b0};
      ar_len_q <= {7'b0, grant[2] && three && address[11:6] != '1};
    end else if (ar_valid_q && ar_ready_i) begin
      ar_address_q <= ar_address_q + AddressBits'(64);
      ar_len_q <= '0;
    end
    if (!rst_ni) begin
      ar_valid_q <= 1'b0;
      ar_second_q <= 1'b0;
    end else if (take) begin
      ar_valid_q <= 1'b1;
      ar_second_q <= grant[2] && three && address[11:6] == '1;
    end else if (ar_valid_q && ar_ready_i) begin
      ar_valid_q <= ar_second_q;
      ar_second_q <= 1'b0;
    end
  end

  // ---- Answers ----------------------------------------------------------------------------------
  logic head_valid, head_high, second_q, last, joins;
  logic [3:0] head_kind;
  logic [511:0] first_q;

  // That there is a request is found late, by who takes the address before it: it is noted a clock
  // later, when its own is offered.
  logic noted_q;
  logic [TagBits+4:0] note_q;
  always_ff @(posedge clk_i) begin
    if (take) note_q <= {address[5], grant, tag};
    if (!rst_ni) noted_q <= 1'b0;
    else noted_q <= take;
  end
  cst_fifo #(.Width(TagBits + 5), .Depth(64)) u_out (
    .clk_i, .rst_ni,
    .in_valid_i(noted_q), .in_ready_o(), .in_data_i(note_q),
    .out_valid_o(head_valid), .out_ready_i(r_valid_i && r_ready_o && last),
    .out_data_o({head_high, head_kind, out_tag_o}), .fill_o(out_fill)
  );
  assign out_count = out_fill + 7'(noted_q);
  assign out_room = out_count != 7'd64 && !(few_i && out_count >= 7'(cst_state_pkg::FewReads));
  assign joins = head_kind[2] && three;
  assign last = !joins || second_q;
  assign r_ready_o = !last || (head_kind & out_ready_i) != '0;
  assign out_valid_o = head_kind & {4{r_valid_i && last}};
  always_comb begin
    if (joins) out_data_o = head_high ? {r_data_i, first_q[511:256]} : {r_data_i[255:0], first_q};
    else out_data_o = head_high ? {512'b0, r_data_i[511:256]} : {256'b0, r_data_i};
  end
  assign busy_o = head_valid || ar_valid_q || (|want);

  always_ff @(posedge clk_i) begin
    if (r_valid_i && r_ready_o && !last) first_q <= r_data_i;
    if (!rst_ni) begin
      second_q <= 1'b0;
    end else if (r_valid_i && r_ready_o) begin
      second_q <= !last;
    end
  end

`ifdef CST_ASSERT
  always_ff @(posedge clk_i) if (rst_ni) begin
    answer_was_asked: assert (!r_valid_i || head_valid);
  end
`endif
endmodule
`default_nettype wire
