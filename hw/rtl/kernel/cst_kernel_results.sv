// cst_kernel_results: results on their way to memory: of keys, of look-ups, rows of a scan.
// Promises   look-ups and rows of a scan ask for the write of each (asks_o), then give its beat or
//            two, in order; keys, whose write is one for the command, give theirs at once: one,
//            half a one (compact: two keys a beat, the last of an odd number alone), or two.
// Needs      check_i before a command's first result; what is offered stands still until it is
//            taken: a key by key_taken_i, the others by their over.
//
//   result     of      first beat                             second beat
//   key        keys    code, length, row, hash, 48 bytes      bytes 48 to 63, if two are asked for
//   look-up    rows    code, found, row                       value
//   record     scan    head, the entry from its key on        its rest, of an entry of 96 bytes
`default_nettype none
module cst_kernel_results (
  input  wire logic         clk_i,
  input  wire logic         rst_ni,
  input  wire logic         check_i,
  input  wire cst_kernel_pkg::what_t what_i,
  // keys
  input  wire logic         key_valid_i,
  input  wire logic         key_last_i,      // none is behind it
  input  wire logic         key_taken_i,
  output      logic         key_ready_o,
  input  wire logic [7:0]   key_code_i,
  input  wire cst_state_pkg::op_t key_op_i,
  input  wire logic [511:0] key_i,
  // look-ups
  input  wire logic         lookup_valid_i,
  output      logic         lookup_over_o,
  input  wire cst_state_pkg::result_t lookup_i,
  // rows of a scan
  input  wire logic         record_valid_i,
  output      logic         record_over_o,
  input  wire cst_state_pkg::config_t config_i,
  input  wire cst_pkg::entry_head_t entry_head_i,
  input  wire logic [767:0] entry_i,
  // memory
  output      logic         asks_o,          // for a beat, or two (what_i.two_beats)
  input  wire logic         write_ready_i,
  output      logic         data_valid_o,
  input  wire logic         data_ready_i,
  output      logic [511:0] data_o,
  output      logic         none_o           // no look-up, no row is under way
);
  // A look-up's or a row's: its two beats.
  typedef enum logic [1:0] { NoResult, FirstBeat, SecondBeat } result_e;
  result_e result_q;
  logic key_held, key_half_q, key_second_q;
  logic [255:0] key_first_q;
  cst_kernel_pkg::result_t key_result, lookup_result;
  cst_pkg::record_head_t record_head;

  assign none_o = result_q == NoResult;
  assign asks_o = (lookup_valid_i || record_valid_i) && none_o;
  assign lookup_over_o = result_q == SecondBeat && data_ready_i;
  assign record_over_o = what_i.is_scan && data_ready_i &&
                         (result_q == SecondBeat ||
                          (result_q == FirstBeat && !what_i.two_beats));
  // Compact results: two a beat; the first of them is held.
  assign key_held = what_i.compact && !key_half_q && !key_last_i;
  assign key_ready_o = key_held || (data_ready_i && (!what_i.keys_two || key_second_q));

  always_comb begin
    lookup_result = '0;
    lookup_result.code = lookup_i.code;
    lookup_result.found = 8'(lookup_i.found);
    lookup_result.row = lookup_i.row;
    key_result = '0;
    key_result.code = key_code_i;
    key_result.key_bytes = key_op_i.key_bytes;
    key_result.row = key_op_i.row;
    key_result.hash = key_op_i.hash;
    key_result.key = key_i[383:0];
    record_head = '0;
    record_head.hash = entry_head_i.hash;
    record_head.key_bytes = 16'(entry_head_i.key_bytes);
    record_head.units = 16'(config_i.entry_units);
    record_head.value_bytes = 24'(config_i.value_bytes);
    record_head.present = 1'b1;
  end

  always_comb begin
    data_valid_o = key_valid_i && !key_held;
    data_o = key_result;
    if (what_i.compact) data_o = {256'b0, key_result[255:0]};
    if (what_i.compact && key_half_q) data_o = {key_result[255:0], key_first_q};
    if (key_second_q) data_o = {384'b0, key_i[511:384]};
    if (!none_o) begin
      data_valid_o = 1'b1;
      data_o = (result_q == FirstBeat) ? lookup_result : lookup_i.value;
      if (what_i.is_scan) data_o = (result_q == FirstBeat) ? {entry_i[511:128], record_head}
                                                           : {256'b0, entry_i[767:512]};
    end
  end

  always_ff @(posedge clk_i) begin
    if (key_taken_i) key_first_q <= key_result[255:0];
    if (!rst_ni) begin
      result_q <= NoResult;
      key_half_q <= 1'b0;
      key_second_q <= 1'b0;
    end else begin
      if (check_i) key_half_q <= 1'b0;
      else if (key_taken_i) key_half_q <= key_held;
      if (check_i) key_second_q <= 1'b0;
      else if (what_i.keys_two && key_valid_i && data_ready_i) key_second_q <= !key_second_q;
      unique case (result_q)
        NoResult: if (asks_o && write_ready_i) result_q <= FirstBeat;
        FirstBeat: if (data_ready_i) result_q <= what_i.two_beats ? SecondBeat : NoResult;
        default: if (data_ready_i) result_q <= NoResult;
      endcase
    end
  end

  logic unused_bits;
  assign unused_bits = ^{what_i, key_op_i, lookup_i, config_i, entry_head_i, entry_i};
endmodule
`default_nettype wire
