// cst_encode_value: the first 16 bytes of a fixed-width value as they stand in a key, ascending.
// Promises   combinational. Numbers big-endian and left-aligned: byte 0 of bytes_o, bits 7 to 0, is
//            the key's first. Sign bits flipped, floats canonical, as docs/formats.md has it. Types
//            that are bytes pass through. Bytes behind the value's width are anything.
//            out_of_range_o: a bool above 1, a decimal of 39 digits.
// Cost       three levels of LUTs to bytes_o; two 128-bit compares beside them.
`default_nettype none
module cst_encode_value (
  input  wire logic [4:0]   kind_i,  // cst_pkg::type_e
  input  wire logic [127:0] data_i,  // little-endian
  output      logic [127:0] bytes_o,
  output      logic         out_of_range_o
);
  // 10^38, which a decimal128 stays below on both sides of zero.
  localparam logic [127:0] DecimalBound = 128'h4b3b4ca85a86c47a098a224000000000;

  logic [127:0] number;
  logic [7:0] flip;  // of the number's top byte
  logic nan32, nan64, zero32, zero64;

  assign nan32 = data_i[30:23] == '1 && data_i[22:0] != '0;
  assign nan64 = data_i[62:52] == '1 && data_i[51:0] != '0;
  assign zero32 = data_i[30:0] == '0;
  assign zero64 = data_i[62:0] == '0;

  always_comb begin
    number = data_i;
    flip = 8'h00;
    unique case (kind_i)
      cst_pkg::TypeI8, cst_pkg::TypeI16, cst_pkg::TypeI32, cst_pkg::TypeI64, cst_pkg::TypeI128,
      cst_pkg::TypeDate, cst_pkg::TypeTimestamp, cst_pkg::TypeDecimal128: flip = 8'h80;
      cst_pkg::TypeF32: begin
        if (nan32) number[31:0] = 32'hffc00000;
        else if (zero32) number[31:0] = 32'h80000000;
        else number[31:0] = data_i[31] ? ~data_i[31:0] : {1'b1, data_i[30:0]};
      end
      cst_pkg::TypeF64: begin
        if (nan64) number[63:0] = 64'hfff8000000000000;
        else if (zero64) number[63:0] = 64'h8000000000000000;
        else number[63:0] = data_i[63] ? ~data_i[63:0] : {1'b1, data_i[62:0]};
      end
      default: ;
    endcase
  end

  // Byte b of a number of so many bytes, from its other end.
  always_comb begin
    bytes_o = data_i;
    unique case (cst_pkg::type_bytes(kind_i))
      5'd1: bytes_o[7:0] = number[7:0] ^ flip;
      5'd2: for (int unsigned b = 0; b < 2; b++) begin
        bytes_o[8*b +: 8] = number[8*(1-b) +: 8] ^ ((b == 0) ? flip : 8'h00);
      end
      5'd4: for (int unsigned b = 0; b < 4; b++) begin
        bytes_o[8*b +: 8] = number[8*(3-b) +: 8] ^ ((b == 0) ? flip : 8'h00);
      end
      5'd8: for (int unsigned b = 0; b < 8; b++) begin
        bytes_o[8*b +: 8] = number[8*(7-b) +: 8] ^ ((b == 0) ? flip : 8'h00);
      end
      5'd16: if (kind_i != cst_pkg::TypeUuid) begin
        for (int unsigned b = 0; b < 16; b++) begin
          bytes_o[8*b +: 8] = number[8*(15-b) +: 8] ^ ((b == 0) ? flip : 8'h00);
        end
      end
      default: ;
    endcase
  end

  always_comb begin
    out_of_range_o = 1'b0;
    unique case (kind_i)
      cst_pkg::TypeBool: out_of_range_o = data_i[7:1] != '0;
      cst_pkg::TypeDecimal128: out_of_range_o = data_i[127] ? data_i <= -DecimalBound
                                                            : data_i >= DecimalBound;
      default: ;
    endcase
  end
endmodule
`default_nettype wire
