// cst_state_ram: a memory of one write and one read port.
// Promises   the word asked for stands at data_o from the next clock on, until the next question,
//            with what was written in the clock of the question. With Follow it stays current:
//            later writes to its address show at data_o in the clock after. Without, it stays as it
//            was.
// Cost       Depth * Width bits of block memory, whose own register holds what was read; beside it
//            a register for what is written meanwhile, one comparison, one mux behind both.
`default_nettype none
module cst_state_ram #(
  parameter int unsigned Width = 32,
  parameter int unsigned AddressBits = 10,
  parameter bit Follow = 1'b1
) (
  input  wire logic                   clk_i,
  input  wire logic                   write_i,
  input  wire logic [AddressBits-1:0] write_address_i,
  input  wire logic [Width-1:0]       write_data_i,
  input  wire logic                   read_i,
  input  wire logic [AddressBits-1:0] read_address_i,
  output      logic [Width-1:0]       data_o
);
  if (Width < 1) begin : g_width
    $error("cst_state_ram: Width %0d, must be at least 1", Width);
  end
  if (AddressBits < 1 || AddressBits > 16) begin : g_address
    $error("cst_state_ram: AddressBits %0d, must be 1 to 16", AddressBits);
  end

  logic [Width-1:0] memory_q [1 << AddressBits];
  logic [AddressBits-1:0] address_q, address;
  logic [Width-1:0] read_q, written_q;
  logic is_written_q;

  assign data_o = is_written_q ? written_q : read_q;
  assign address = read_i ? read_address_i : address_q;

  // A register with another source than the memory would keep it from being a block memory.
  always_ff @(posedge clk_i) begin
    if (write_i) memory_q[write_address_i] <= write_data_i;
    if (read_i) read_q <= memory_q[read_address_i];
  end

  always_ff @(posedge clk_i) begin
    address_q <= address;
    if (write_i && write_address_i == address && (read_i || Follow)) begin
      written_q <= write_data_i;
      is_written_q <= 1'b1;
    end else if (read_i) begin
      is_written_q <= 1'b0;
    end
  end
endmodule
`default_nettype wire
