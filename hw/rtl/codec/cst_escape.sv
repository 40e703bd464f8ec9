// cst_escape: 8 bytes of a string as they stand in a key: each 00 becomes 00 FF.
// Promises   combinational; of the first count_i bytes. bytes_o has count_o bytes, zeros behind.
`default_nettype none
module cst_escape (
  input  wire logic [63:0]  data_i,
  input  wire logic [3:0]   count_i,  // 0 to 8
  output      logic [127:0] bytes_o,
  output      logic [4:0]   count_o
);
  always_comb begin
    bytes_o = '0;
    count_o = '0;
    for (int unsigned i = 0; i < 8; i++) begin
      if (4'(i) < count_i) begin
        // The byte stands as many places further on as zeros came before it.
        bytes_o[{count_o[3:0], 3'b000} +: 8] = data_i[8*i +: 8];
        if (data_i[8*i +: 8] == cst_pkg::KeyEscape) begin
          bytes_o[{count_o[3:0] + 4'd1, 3'b000} +: 8] = cst_pkg::KeyZero;
          count_o = count_o + 5'd2;
        end else begin
          count_o = count_o + 5'd1;
        end
      end
    end
  end
endmodule
`default_nettype wire
