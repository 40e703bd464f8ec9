// cst_crc32c: CRC32C (Castagnoli, as csti_crc32c of the host) of a stream, Bytes bytes a clock.
// Promises   one beat a clock, messages back to back; the result 3 + log2 Bytes clocks behind the
//            last beat of its message. No back-pressure: out_valid_o is there for one clock.
// Needs      in_bytes_i is 1 to Bytes, and Bytes in all beats but a message's last (checked).
//            Byte i of a beat is bits 8i + 7 to 8i.
//
//   stage   knows                                    decides
//   s1      bytes behind the message's end are 0     part of each 8 bytes: linear in their bits
//   s2      all parts                                their sum
//   s3      state := A^Bytes state ^ sum             the only loop: one 32 x 32 matrix of xors
//   u0..    zeros that were too many                 each takes 2^j of them back: A^-(2^j)
//
// A is "go on by one zero byte". It can be undone, so a short last beat costs no second matrix in
// the loop: it is taken as a full one with zeros behind, which are then taken back.
`default_nettype none
module cst_crc32c #(
  parameter int unsigned Bytes = 64,
  localparam int unsigned CountBits = $clog2(Bytes + 1),
  localparam int unsigned Steps = $clog2(Bytes)
) (
  input  wire logic                 clk_i,
  input  wire logic                 rst_ni,
  input  wire logic                 in_valid_i,
  input  wire logic [8*Bytes-1:0]   in_data_i,
  input  wire logic [CountBits-1:0] in_bytes_i,
  input  wire logic                 in_last_i,
  output      logic                 out_valid_o,
  output      logic [31:0]          out_crc_o
);
  if (Bytes != 8 && Bytes != 16 && Bytes != 32 && Bytes != 64) begin : g_bytes
    $error("cst_crc32c: Bytes %0d, must be 8, 16, 32 or 64", Bytes);
  end

  localparam logic [31:0] Polynomial = 32'h82f63b78;  // Castagnoli's, reflected

  // One zero byte forth and back. The polynomial's top bit is 1, so a step back sees by it whether
  // the polynomial was added.
  function automatic logic [31:0] forth(input logic [31:0] crc, input integer zeros);
    forth = crc;
    for (integer i = 0; i < 8 * zeros; i = i + 1) begin
      forth = {1'b0, forth[31:1]} ^ (forth[0] ? Polynomial : 32'h0);
    end
  endfunction

  function automatic logic [31:0] back(input logic [31:0] crc, input integer zeros);
    back = crc;
    for (integer i = 0; i < 8 * zeros; i = i + 1) begin
      back = back[31] ? {back[30:0] ^ Polynomial[30:0], 1'b1} : {back[30:0], 1'b0};
    end
  endfunction

  // Matrices, a column of 32 bits for each bit that goes in: what a state of that one bit becomes.
  function automatic logic [256*Bytes-1:0] data_columns();
    logic [31:0] column;
    for (integer b = 0; b < 8; b = b + 1) begin
      column = 32'd1 << b;
      for (integer byte_at = Bytes - 1; byte_at >= 0; byte_at = byte_at - 1) begin
        column = forth(column, 1);
        data_columns[32*(8*byte_at + b) +: 32] = column;
      end
    end
  endfunction

  function automatic logic [1023:0] state_columns();
    for (integer b = 0; b < 32; b = b + 1) state_columns[32*b +: 32] = forth(32'd1 << b, Bytes);
  endfunction

  function automatic logic [1023:0] back_columns(input integer zeros);
    for (integer b = 0; b < 32; b = b + 1) back_columns[32*b +: 32] = back(32'd1 << b, zeros);
  endfunction

  // Row r of such a matrix: what is xored to make bit r.
  localparam logic [256*Bytes-1:0] DataColumns = data_columns();
  localparam logic [1023:0] StateColumns = state_columns();

  function automatic logic [63:0] data_row(input integer word, input integer r);
    for (integer b = 0; b < 64; b = b + 1) data_row[b] = DataColumns[32*(64*word + b) + r];
  endfunction

  function automatic logic [31:0] square_row(input logic [1023:0] columns, input integer r);
    for (integer b = 0; b < 32; b = b + 1) square_row[b] = columns[32*b + r];
  endfunction

  // s1, s2: the message's own bits.
  localparam int unsigned Words = Bytes / 8;
  logic [8*Bytes-1:0] data;
  logic [32*Words-1:0] part_d, part_q;
  logic [31:0] sum_d, sum_q;
  logic s1_valid_q, s1_last_q, s2_valid_q, s2_last_q;
  logic [Steps-1:0] s1_zeros_q, s2_zeros_q;

  for (genvar i = 0; i < Bytes; i++) begin : g_cut
    assign data[8*i +: 8] = (CountBits'(i) < in_bytes_i) ? in_data_i[8*i +: 8] : '0;
  end
  for (genvar w = 0; w < Words; w++) begin : g_word
    for (genvar r = 0; r < 32; r++) begin : g_row
      localparam logic [63:0] Row = data_row(w, r);
      assign part_d[32*w + r] = ^(data[64*w +: 64] & Row);
    end
  end

  always_comb begin
    sum_d = '0;
    for (int unsigned w = 0; w < Words; w++) sum_d = sum_d ^ part_q[32*w +: 32];
  end

  // s3: the state, from all ones at the message's first beat.
  logic [31:0] state_d, state_q, from;
  logic first_q, s3_valid_q;
  logic [Steps-1:0] s3_zeros_q;

  assign from = first_q ? '1 : state_q;
  for (genvar r = 0; r < 32; r++) begin : g_state
    localparam logic [31:0] Row = square_row(StateColumns, r);
    assign state_d[r] = ^(from & Row) ^ sum_q[r];
  end

  always_ff @(posedge clk_i) begin
    part_q <= part_d;
    sum_q <= sum_d;
    s1_last_q <= in_last_i;
    s1_zeros_q <= Steps'(CountBits'(Bytes) - in_bytes_i);
    s2_last_q <= s1_last_q;
    s2_zeros_q <= s1_zeros_q;
    s3_zeros_q <= s2_zeros_q;
    if (s2_valid_q) state_q <= state_d;
    if (!rst_ni) begin
      s1_valid_q <= 1'b0;
      s2_valid_q <= 1'b0;
      s3_valid_q <= 1'b0;
      first_q <= 1'b1;
    end else begin
      s1_valid_q <= in_valid_i;
      s2_valid_q <= s1_valid_q;
      s3_valid_q <= s2_valid_q && s2_last_q;
      if (s2_valid_q) first_q <= s2_last_q;
    end
  end

  // u0, u1, ...: bit j of the count of zeros.
  for (genvar j = 0; j < Steps; j++) begin : g_undo
    localparam logic [1023:0] Columns = back_columns(1 << j);
    logic valid_q, in_valid;
    logic [Steps-1:j] in_zeros;
    logic [31:0] crc_q, in_crc, fewer;

    if (j == 0) begin : g_first
      assign {in_valid, in_zeros, in_crc} = {s3_valid_q, s3_zeros_q, state_q};
    end else begin : g_next
      logic [Steps-1:j] zeros_q;
      always_ff @(posedge clk_i) zeros_q <= g_undo[j-1].in_zeros[Steps-1:j];
      assign {in_valid, in_zeros, in_crc} = {g_undo[j-1].valid_q, zeros_q, g_undo[j-1].crc_q};
    end
    for (genvar r = 0; r < 32; r++) begin : g_row
      localparam logic [31:0] Row = square_row(Columns, r);
      assign fewer[r] = ^(in_crc & Row);
    end
    always_ff @(posedge clk_i) begin
      crc_q <= in_zeros[j] ? fewer : in_crc;
      if (!rst_ni) valid_q <= 1'b0;
      else valid_q <= in_valid;
    end
  end

  assign out_valid_o = g_undo[Steps-1].valid_q;
  assign out_crc_o = ~g_undo[Steps-1].crc_q;

`ifdef CST_ASSERT
  always_ff @(posedge clk_i) if (rst_ni && in_valid_i) begin
    bytes_in_range: assert (in_bytes_i != '0 && in_bytes_i <= CountBits'(Bytes));
    full_but_the_last: assert (in_last_i || in_bytes_i == CountBits'(Bytes));
  end
`endif
endmodule
`default_nettype wire
