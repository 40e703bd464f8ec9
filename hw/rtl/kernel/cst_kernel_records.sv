// cst_kernel_records: records of rows, as a change log and RESTORE have them, become operations.
// Promises   an item a row or tombstone, in order, with the unit it begins at; gaps, and the rows
//            that windows set aside, are passed over; a unit of 32 bytes a clock. The first record
//            that breaks a rule of RESTORE (docs/formats.md) comes out as CodeSegmentRecord;
//            nothing of what follows does, and it is taken all the same. One that ends behind the
//            last unit breaks a rule too, or with more_i is left for the next command. over_o: all
//            units are taken and nothing is on its way out; end_o then is the unit behind the last
//            record that was whole.
// Needs      all inputs but the beats stand still from start_i on while units are under way; the
//            configuration has stood for a clock before the first unit.
`default_nettype none
module cst_kernel_records (
  input  wire logic                   clk_i,
  input  wire logic                   rst_ni,
  input  wire cst_state_pkg::config_t config_i,
  input  wire logic                   start_i,
  input  wire logic [31:0]            units_i,
  input  wire logic                   more_i,
  input  wire logic                   beat_valid_i,
  output      logic                   beat_ready_o,
  input  wire logic [511:0]           beat_i,
  output      logic                   out_valid_o,
  input  wire logic                   out_ready_i,
  output      cst_state_pkg::op_t     out_op_o,
  output      logic [7:0]             out_code_o,
  output      logic                   over_o,
  output      logic [31:0]            end_o
);
  // ---- Units ------------------------------------------------------------------------------------
  logic high_q, unit_valid, unit_taken, out_valid_q, out_wrong_q, out_taken;
  logic [31:0] unit_q;      // number of the unit that comes
  logic [31:0] rest_q;      // how many come, with it
  logic [255:0] unit;

  assign unit = high_q ? beat_i[511:256] : beat_i[255:0];
  assign unit_valid = beat_valid_i && rest_q != '0;
  assign unit_taken = unit_valid && (!out_valid_q || out_taken);
  assign beat_ready_o = unit_taken && (high_q || rest_q == 32'd1);

  // ---- A record's head --------------------------------------------------------------------------
  cst_pkg::record_head_t head, record;
  logic [15:0] left_q;      // units of the record that are still to come
  logic first, gap_q, wrong_q, cut_q, gap, gap_wrong, row_wrong, head_wrong, cut, one_kind;
  logic [31:0] begin_q;
  logic [767:0] record_q;
  logic last, whole;

  assign head = unit[127:0];
  assign first = left_q == '0;
  assign one_kind = (head.present ^ head.tombstone ^ head.gap) &&
                    !(head.present && head.tombstone && head.gap);
  // One with a key is a row that was set aside. A tombstone has no value, or the last one.
  assign gap = head.gap && head.key_bytes == '0;
  assign gap_wrong = head.hash != '0 || head.value_bytes != '0;
  assign row_wrong = head.units != 16'(config_i.entry_units) ||
                     head.key_bytes[15:5] != '0 || head.key_bytes[4:0] > config_i.key_bytes[4:0] ||
                     (head.value_bytes != 24'(config_i.value_bytes) &&
                      !(head.tombstone && head.value_bytes == '0));
  assign head_wrong = !one_kind || head.reserved != '0 || head.units == '0 ||
                      (gap ? gap_wrong || unit[255:128] != '0 : row_wrong);
  assign cut = 32'(head.units) > rest_q;
  assign last = first ? head.units == 16'd1 : left_q == 16'd1;

  // ---- Zeros where nothing is: looked at as units come ------------------------------------------
  // A byte of a record is the head's, the key's or the value's, or behind them. A head that breaks
  // no rule of its own has lengths that fit the settings, which is why few of their bits are asked.
  logic [15:0] in_key_q;    // of the bytes behind the head: places for a key
  logic [79:0] behind_q;    // and places behind the value
  logic [7:0] value_end_q;
  logic [31:0] behind;      // of the unit that comes
  logic third, none, none_q, padding, padding_q;

  always_ff @(posedge clk_i) begin
    for (int unsigned i = 0; i < 16; i++) in_key_q[i] <= i < 8 * 32'(config_i.key_words);
    value_end_q <= 8'({config_i.key_words, 3'b0}) + 8'(config_i.value_bytes);
    for (int unsigned i = 0; i < 80; i++) behind_q[i] <= i >= 32'(value_end_q);
  end
  assign third = left_q == 16'd1 && config_i.entry_units == 2'd3;
  assign none = first ? head.value_bytes[6:0] == '0 : none_q;
  always_comb begin
    behind = third ? behind_q[79:48] : behind_q[47:16];
    behind |= {32{none}};
    if (first) begin
      behind[15:0] = '0;
      for (int unsigned i = 0; i < 16; i++)
        behind[16+i] = in_key_q[i] ? head.key_bytes[4:0] <= 5'(i) : behind_q[i] || none;
    end
    padding = 1'b0;
    for (int unsigned i = 0; i < 32; i++) padding |= behind[i] && unit[i*8 +: 8] != '0;
    padding |= !first && padding_q;
  end

  // ---- A whole one ------------------------------------------------------------------------------
  logic [511:0] value;
  logic [127:0] key;
  logic [639:0] body;

  assign record = record_q[127:0];
  assign body = (config_i.entry_units == 2'd1) ? {512'b0, record_q[255:128]} :
                (config_i.entry_units == 2'd2) ? {256'b0, record_q[511:128]} : record_q[767:128];
  always_comb begin
    key = '0;
    value = body[511:0];
    if (config_i.key_words == 2'd1) begin
      key = {64'b0, body[63:0]};
      value = body[575:64];
    end
    if (config_i.key_words == 2'd2) begin
      key = body[127:0];
      value = body[639:128];
    end
  end

  // What was set aside goes nowhere, if it is sound.
  assign out_valid_o = out_valid_q && (!record.gap || out_wrong_q);
  assign out_taken = out_ready_i || !out_valid_o;
  assign out_code_o = out_wrong_q ? cst_pkg::CodeSegmentRecord : cst_pkg::CodeOk;
  always_comb begin
    out_op_o = '0;
    out_op_o.kind = record.present ? cst_state_pkg::KindPut : cst_state_pkg::KindDrop;
    out_op_o.row = begin_q;
    out_op_o.hash = record.hash;
    out_op_o.key_bytes = record.key_bytes[7:0];
    out_op_o.key = key;
    out_op_o.operands = value;
  end
  assign over_o = rest_q == '0 && !out_valid_q;
  assign end_o = cut_q ? begin_q : units_i;

  // An item stands in record_q and begin_q until it is taken: the unit behind it waits.
  always_ff @(posedge clk_i) begin
    if (unit_taken) begin
      padding_q <= padding;
      if (first) begin
        record_q[255:0] <= unit;
        begin_q <= (wrong_q || cut_q) ? begin_q : unit_q;
        gap_q <= gap;
        none_q <= none;
      end else begin
        if (third) record_q[767:512] <= unit;
        else record_q[511:256] <= unit;
      end
    end
  end

  // A gap's units are zeros behind its head.
  assign whole = unit_taken && !wrong_q && !cut_q &&
                 (first ? head_wrong || (cut && !more_i) || (last && !gap)
                        : gap_q ? unit != '0 : last);

  always_ff @(posedge clk_i) begin
    if (!rst_ni || start_i) begin
      high_q <= 1'b0;
      unit_q <= '0;
      rest_q <= units_i;
      left_q <= '0;
      wrong_q <= 1'b0;
      cut_q <= 1'b0;
      out_valid_q <= 1'b0;
      out_wrong_q <= 1'b0;
    end else begin
      if (unit_taken) begin
        high_q <= !high_q;
        unit_q <= unit_q + 32'd1;
        rest_q <= rest_q - 32'd1;
        // Of no matter behind a wrong record, or one that is cut: nothing comes out any more.
        left_q <= (first ? head.units : left_q) - 16'd1;
        if (!wrong_q && !cut_q) begin
          if (first && !head_wrong && cut && more_i) cut_q <= 1'b1;
          if (whole && (first ? head_wrong || cut : gap_q)) wrong_q <= 1'b1;
        end
      end
      if (whole) begin
        out_valid_q <= 1'b1;
        out_wrong_q <= (first ? head_wrong || cut : gap_q) || padding;
      end else if (out_taken) begin
        out_valid_q <= 1'b0;
      end
    end
  end

  // A record's head says more than an operation holds; the rest of the configuration is not here.
  logic unused_bits;
  assign unused_bits = ^{config_i, record};
endmodule
`default_nettype wire
