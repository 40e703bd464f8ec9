// encode_order: keys of fixed-width values order as they do: a < b exactly if enc(a) < enc(b).
// Shows      for two values, any, of each type, ascending and descending, with nulls first or last:
//            keys made of cst_encode_value's bytes (marker and complement are the harness's, as
//            docs/formats.md has them) compare, byte by byte, as the values do; equal keys are
//            equal values, or two NaNs, or two zeros.
// How        combinational: one clock is all there is. Kind is the type's number (cst_pkg::type_e).
//: prove induction 1 Kind=12
//: prove induction 1 Kind=9
//: prove induction 1 Kind=1
//: prove induction 1 Kind=2
//: prove induction 1 Kind=3
//: prove induction 1 Kind=4
//: prove induction 1 Kind=5
//: prove induction 1 Kind=6
//: prove induction 1 Kind=7
//: prove induction 1 Kind=8
//: prove induction 1 Kind=10
//: prove induction 1 Kind=11
//: prove induction 1 Kind=13
//: prove induction 1 Kind=14
//: prove induction 1 Kind=15
//: prove induction 1 Kind=16
//: prove induction 1 Kind=17
//: cover 1
//: mistake sign_as_it_is in cst_encode_value: cst_pkg::TypeDecimal128: flip = 8'h80; ==> cst_pkg::TypeDecimal128: flip = 8'h00;
//: mistake nan_as_it_is in cst_encode_value: if (nan64) number[63:0] = 64'hfff8000000000000; ==> if (nan64) number[63:0] = data_i[63:0];
//: mistake zeros_apart in cst_encode_value: (zero64) number[63:0] = 64'h8000000000000000; ==> (zero64) number[63:0] = {!data_i[63], 63'h0};
//: mistake below_zero_upright in cst_encode_value: number[63:0] = data_i[63] ? ~data_i[63:0] ==> number[63:0] = data_i[63] ? data_i[63:0]
//: mistake little_endian in cst_encode_value: number[8*(7-b) +: 8] ==> number[8*b +: 8]
`default_nettype none
module encode_order #(
  parameter int unsigned Kind = 1
) (
  input wire logic         clk_i,
  input wire logic [127:0] a_i,
  input wire logic [127:0] b_i,
  input wire logic         a_null_i,
  input wire logic         b_null_i,
  input wire logic         nullable_i,
  input wire logic         nulls_last_i,
  input wire logic         descending_i
);
  localparam int unsigned Bits = 8 * 32'(cst_pkg::type_bytes(5'(Kind)));
  localparam bit IsSigned = (Kind >= 6 && Kind <= 10) || (Kind >= 14 && Kind <= 16);
  localparam bit IsFloat = Kind == 11 || Kind == 12;
  localparam bit IsBytes = Kind == 17;
  localparam int unsigned Exponent = (Kind == 11) ? 8 : 11;
  localparam int unsigned Fraction = (Kind == 11) ? 23 : 52;

  logic [127:0] a_bytes, b_bytes;
  logic a_wrong, b_wrong;
  cst_encode_value u_a (
    .kind_i(5'(Kind)), .data_i(a_i), .bytes_o(a_bytes), .out_of_range_o(a_wrong)
  );
  cst_encode_value u_b (
    .kind_i(5'(Kind)), .data_i(b_i), .bytes_o(b_bytes), .out_of_range_o(b_wrong)
  );

  // ---- Keys: marker, then bytes, the first in the highest place; nothing behind a null's marker 
  logic [Bits+7:0] a_key, b_key;
  always_comb begin
    a_key = '0;
    b_key = '0;
    for (int unsigned i = 0; i < Bits / 8; i++) begin
      a_key[Bits - 8 - 8*i +: 8] = a_bytes[8*i +: 8] ^ {8{descending_i}};
      b_key[Bits - 8 - 8*i +: 8] = b_bytes[8*i +: 8] ^ {8{descending_i}};
    end
    if (nullable_i) a_key[Bits +: 8] = cst_pkg::KeyValue;
    if (nullable_i) b_key[Bits +: 8] = cst_pkg::KeyValue;
    if (nullable_i && a_null_i)
      a_key = {nulls_last_i ? cst_pkg::KeyNullLast : cst_pkg::KeyNullFirst, {Bits{1'b0}}};
    if (nullable_i && b_null_i)
      b_key = {nulls_last_i ? cst_pkg::KeyNullLast : cst_pkg::KeyNullFirst, {Bits{1'b0}}};
  end

  // ---- Values: what comes before what ----------------------------------------------------------
  logic [Bits-1:0] a, b, a_first, b_first;
  logic before, same, a_nan, b_nan, a_zero, b_zero;
  assign a = a_i[Bits-1:0];
  assign b = b_i[Bits-1:0];
  // Bytes order as they lie.
  for (genvar i = 0; i < Bits / 8; i++) begin : g_byte
    assign a_first[Bits - 8 - 8*i +: 8] = a[8*i +: 8];
    assign b_first[Bits - 8 - 8*i +: 8] = b[8*i +: 8];
  end
  if (IsFloat) begin : g_float
    assign a_nan = (&a[Fraction +: Exponent]) && a[Fraction-1:0] != '0;
    assign b_nan = (&b[Fraction +: Exponent]) && b[Fraction-1:0] != '0;
    assign a_zero = a[Bits-2:0] == '0;
    assign b_zero = b[Bits-2:0] == '0;
  end else begin : g_no_float
    assign {a_nan, b_nan, a_zero, b_zero} = '0;
  end
  always_comb begin
    before = a < b;
    same = a == b;
    if (IsBytes) before = a_first < b_first;
    if (IsSigned) before = $signed(a) < $signed(b);
    if (IsFloat) begin
      // Magnitudes order as their bits; below zero the other way round; a NaN behind all others.
      same = a == b || (a_nan && b_nan) || (a_zero && b_zero);
      if (a_nan || b_nan) before = !a_nan;
      else if (a[Bits-1] != b[Bits-1]) before = a[Bits-1];
      else before = a[Bits-1] ? a[Bits-2:0] > b[Bits-2:0] : a[Bits-2:0] < b[Bits-2:0];
      if (same) before = 1'b0;
    end
  end
  logic wanted_before, wanted_same, a_null, b_null;
  assign a_null = nullable_i && a_null_i;
  assign b_null = nullable_i && b_null_i;
  always_comb begin
    wanted_same = same;
    wanted_before = descending_i ? !before && !same : before;
    if (a_null || b_null) begin
      wanted_same = a_null && b_null;
      wanted_before = !wanted_same && (a_null ^ nulls_last_i);
    end
  end

  logic good;
  assign good = (a_null || !a_wrong) && (b_null || !b_wrong);
  always_comb if (good) begin
    order: assert ((a_key < b_key) == wanted_before);
    equality: assert ((a_key == b_key) == wanted_same);
    less: cover (a_key < b_key && !a_null && !b_null && descending_i);
    nulls_behind: cover (a_null && !b_null && a_key > b_key);
    both_of_top_bit: cover (a[Bits-1] && b[Bits-1] && a_key < b_key && !a_null && !b_null);
  end

  logic unused_clock;
  assign unused_clock = clk_i;
endmodule
`default_nettype wire
