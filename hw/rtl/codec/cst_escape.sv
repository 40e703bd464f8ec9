// cst_escape: 8 bytes of a string as they stand in a key: each 00 becomes 00 FF.
// Promises   combinational; of the first count_i bytes. bytes_o has zeros behind them; zeros_o is
//            how many were 00, which is how many more bytes there are now.
// Cost       four levels of LUTs: which bytes are 00; how many of them stand before each, one-hot;
//            each byte's place among those that this leaves.
`default_nettype none
module cst_escape (
  input  wire logic [63:0]  data_i,
  input  wire logic [3:0]   count_i,  // 0 to 8
  output      logic [127:0] bytes_o,
  output      logic [3:0]   zeros_o
);
  logic [7:0] zero;
  logic [63:0] data;
  logic [8:0] ahead;  // bit k: k zeros so far

  for (genvar i = 0; i < 8; i++) begin : g_byte
    assign data[8*i +: 8] = (4'(i) < count_i) ? data_i[8*i +: 8] : '0;
    assign zero[i] = 4'(i) < count_i && data_i[8*i +: 8] == cst_pkg::KeyEscape;
  end

  // A 00 stays what it is, so all that it leaves is what follows it.
  always_comb begin
    bytes_o = '0;
    ahead = 9'd1;
    for (int unsigned i = 0; i < 8; i++) begin
      for (int unsigned k = 0; k <= i; k++) begin
        if (ahead[k]) begin
          bytes_o[8*(i+k) +: 8] = bytes_o[8*(i+k) +: 8] | data[8*i +: 8];
          if (zero[i]) begin
            bytes_o[8*(i+k+1) +: 8] = bytes_o[8*(i+k+1) +: 8] | cst_pkg::KeyZero;
          end
        end
      end
      if (zero[i]) ahead = {ahead[7:0], 1'b0};
    end
    zeros_o = '0;
    for (int unsigned k = 0; k <= 8; k++) if (ahead[k]) zeros_o = zeros_o | 4'(k);
  end
endmodule
`default_nettype wire
