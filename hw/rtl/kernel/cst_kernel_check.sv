// cst_kernel_check: what a command is, how much memory it takes, and whether it can be.
// Promises   what_o, place_beats_o, key_beats_o at once; beats_o, and what code_o compares, from
//            the clock behind measure_i. code_o is the last broken rule's, CodeOk if none is:
//              CodeUsage        memory that is not the batch's, or begins between beats
//              CodeLimit        more rows, places, units or buckets than a command may have
//              CodeUsage        of results, of buckets that the image does not have
//              CodeUnsupported  an expiry without a time to live; a command that is none
//              CodeUsage        flags that do not go together, a reserved byte
//              CodeAborted      the run has stopped, and this one changes the table
// Needs      the command stands still from measure_i on, the table as well.
`default_nettype none
module cst_kernel_check #(
  localparam int unsigned BeatsBits = cst_kernel_pkg::BeatsBits
) (
  input  wire logic         clk_i,
  input  wire logic         measure_i,
  input  wire cst_kernel_pkg::descriptor_t command_i,
  input  wire logic [51:0]  first_page_i,    // of what it may read and write
  input  wire logic [52:0]  end_page_i,
  input  wire cst_state_pkg::config_t config_i,
  input  wire logic         has_ttl_i,
  input  wire logic         stopped_i,
  output      cst_kernel_pkg::what_t what_o,
  output      logic [BeatsBits-1:0] place_beats_o,  // of each list of places
  output      logic [BeatsBits-1:0] key_beats_o,    // of the results of keys
  output      logic [BeatsBits-1:0] beats_o,        // of what it reads
  output      logic [7:0]   code_o
);
  cst_kernel_pkg::what_t what;
  logic flag_wrong, cells_wrong, at_wrong;
  logic flag_wide, flag_long, flag_hash;
  logic [63:0] first_byte, buckets_all;
  logic [64:0] end_byte, address_end_q, results_end_q, results_bytes;
  logic [BeatsBits-1:0] beats;

  assign what_o = what;
  assign first_byte = {first_page_i, 12'b0};
  assign end_byte = {end_page_i, 12'b0};
  assign buckets_all = {37'b0, config_i.chunks, 3'b0};
  assign flag_hash = command_i.flags[cst_kernel_pkg::FlagHash];
  assign flag_wide = command_i.flags[cst_kernel_pkg::FlagWide];
  assign flag_long = command_i.flags[cst_kernel_pkg::FlagLong];

  // ---- What it is -------------------------------------------------------------------------------
  always_comb begin
    what.is_load = command_i.op == cst_kernel_pkg::OpLoad;
    what.is_rows = command_i.op == cst_kernel_pkg::OpRows;
    what.is_keys = command_i.op == cst_kernel_pkg::OpKeys;
    what.is_barrier = command_i.op == cst_kernel_pkg::OpBarrier;
    what.is_end = command_i.op == cst_kernel_pkg::OpEnd;
    what.is_release = command_i.op == cst_kernel_pkg::OpRelease;
    what.is_expire = command_i.op == cst_kernel_pkg::OpExpire;
    what.is_scan = command_i.op == cst_kernel_pkg::OpScan;
    what.is_restore = command_i.op == cst_kernel_pkg::OpRestore;
    what.compact = command_i.flags[cst_kernel_pkg::FlagCompact];
    what.cells = command_i.flags[cst_kernel_pkg::FlagCells];
    what.keys_two = what.cells && flag_long;
    what.two_beats = !what.is_scan || config_i.entry_units == 2'd3;
    what.gives = what.is_keys || what.is_scan || (what.is_rows && command_i.results != '0);
    what.overlaps = ((what.is_rows && !what.gives && !has_ttl_i) || what.is_barrier) &&
              !command_i.flags[cst_kernel_pkg::FlagFence];
  end

  // Keys alone come as cells, which are encoded and hashed; a row has as many beats as `at` says.
  assign cells_wrong = what.cells && (!what.is_keys || what.compact || flag_wide || !flag_hash ||
                                      !command_i.flags[cst_kernel_pkg::FlagEncode] ||
                                      command_i.at == '0 ||
                                      command_i.at > 64'(cst_kernel_pkg::RowBeatsMax));
  assign flag_wrong = cells_wrong || (flag_long && !what.compact && !what.cells) ||
                      (what.compact && (flag_wide || (what.is_rows && !flag_hash))) ||
                      (!what.is_restore && command_i.flags[cst_kernel_pkg::FlagMore]) ||
                      command_i.reserved0 != '0 || command_i.reserved1 != '0 ||
                      (!what.is_release && command_i.epoch != '0) ||
                      (!what.is_release && !what.is_expire && !what.is_scan && !what.cells &&
                       command_i.at != '0) ||
                      (!what.is_rows && !what.is_expire && !what.is_scan && command_i.now != '0);
  // Buckets that the image has, each once; a scan ends with the last.
  assign at_wrong = what.is_expire
                        ? command_i.at >= buckets_all || 64'(command_i.count) > buckets_all
                        : 65'(command_i.at[63:4]) + 65'(command_i.count) > 65'(buckets_all);

  // ---- How much memory --------------------------------------------------------------------------
  assign place_beats_o = BeatsBits'((command_i.count + 32'd31) >> 5);
  assign key_beats_o = what.compact ? BeatsBits'((command_i.count + 32'd1) >> 1)
                     : what.keys_two ? {command_i.count[BeatsBits-2:0], 1'b0}
                                     : BeatsBits'(command_i.count);
  assign beats = what.is_load ? BeatsBits'(cst_kernel_pkg::TableBeats) +
                                    {place_beats_o[BeatsBits-2:0], 1'b0}
               : what.is_restore || what.compact ? BeatsBits'((command_i.count + 32'd1) >> 1)
               : what.cells ? command_i.count[BeatsBits-1:0] * BeatsBits'(command_i.at[3:0])
               : flag_wide ? {command_i.count[BeatsBits-2:0], 1'b0}
                           : command_i.count[BeatsBits-1:0];
  assign results_bytes = what.is_scan ? (what.two_beats ? 65'({command_i.row, 7'b0})
                                                        : 65'({command_i.row, 6'b0}))
                       : what.is_keys && what.compact
                             ? {32'b0, 33'({1'b0, command_i.count} + 33'd1) >> 1} << 6
                       : what.is_keys && !what.keys_two ? 65'({command_i.count, 6'b0})
                                                        : 65'({command_i.count, 7'b0});
  always_ff @(posedge clk_i) if (measure_i) begin
    beats_o <= beats;
    address_end_q <= {1'b0, command_i.address} + 65'({beats, 6'b0});
    results_end_q <= {1'b0, command_i.results} + results_bytes;
  end

  // ---- Whether it can be ------------------------------------------------------------------------
  always_comb begin
    code_o = cst_pkg::CodeOk;
    if (what.is_load || what.is_rows || what.is_keys || what.is_restore) begin
      if (command_i.address < first_byte || address_end_q > end_byte ||
          command_i.address[5:0] != '0)
        code_o = cst_pkg::CodeUsage;
      if (command_i.count > (what.is_load ? 32'(cst_kernel_pkg::PlacesMax)
                                          : 32'(cst_kernel_pkg::RowsMax)))
        code_o = cst_pkg::CodeLimit;
    end
    if (what.gives && (command_i.results < first_byte || results_end_q > end_byte ||
                       command_i.results[5:0] != '0) && code_o == cst_pkg::CodeOk)
      code_o = cst_pkg::CodeUsage;
    if (what.is_expire || what.is_scan) begin
      if (at_wrong) code_o = cst_pkg::CodeUsage;
      if (command_i.count > 32'(cst_kernel_pkg::RowsMax) ||
          (what.is_scan && command_i.row > 32'(cst_kernel_pkg::RowsMax)))
        code_o = cst_pkg::CodeLimit;
      if (what.is_expire && !has_ttl_i) code_o = cst_pkg::CodeUnsupported;
    end
    if (!what.is_load && !what.is_rows && !what.is_keys && !what.is_barrier && !what.is_end &&
        !what.is_release && !what.is_expire && !what.is_scan && !what.is_restore)
      code_o = cst_pkg::CodeUnsupported;
    if (flag_wrong) code_o = cst_pkg::CodeUsage;
    if (stopped_i && (what.is_rows || what.is_barrier || what.is_expire || what.is_restore))
      code_o = cst_pkg::CodeAborted;
  end

  logic unused_bits;
  assign unused_bits = ^{command_i, config_i};
endmodule
`default_nettype wire
