// cst_kernel_check: what a command is, how much memory it takes, and whether it can be.
// Promises   place_beats_o at once. From the clock behind measure_i what_o and beats_o, from them
//            key_beats_o; two clocks later good_o and code_o. known_i, in place of measure_i, is
//            for rows like those of the command before, in memory that is known to be the batch's:
//            what_o stays, beats_o is next_beats_i, and code_o comes two clocks behind it. code_o
//            is the last broken rule's, CodeOk if none is, as good_o says:
//              CodeUsage        memory that is not the batch's, or begins between beats
//              CodeLimit        more rows, places, units or buckets than a command may have
//              CodeUsage        of results, of buckets that the image does not have
//              CodeUnsupported  an expiry without a time to live; a command that is none
//              CodeUsage        flags that do not go together, a reserved byte
//              CodeAborted      the run has stopped, and this one changes the table
// Needs      the command stands still from measure_i on, or from the clock behind known_i on; the
//            table as well.
`default_nettype none
module cst_kernel_check #(
  localparam int unsigned BeatsBits = cst_kernel_pkg::BeatsBits
) (
  input  wire logic         clk_i,
  input  wire logic         measure_i,
  input  wire logic         known_i,
  input  wire logic [BeatsBits-1:0] next_beats_i,
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
  output      logic         good_o,
  output      logic [7:0]   code_o
);
  cst_kernel_pkg::what_t what_is, what_q;
  logic cells_wrong, at_over, flag_wide, flag_long, flag_hash;
  logic [63:0] buckets_all;
  logic [BeatsBits-1:0] beats, cells_beats, count;

  assign what_o = what_q;
  assign buckets_all = {37'b0, config_i.chunks, 3'b0};
  assign count = command_i.count[BeatsBits-1:0];
  assign flag_hash = command_i.flags[cst_kernel_pkg::FlagHash];
  assign flag_wide = command_i.flags[cst_kernel_pkg::FlagWide];
  assign flag_long = command_i.flags[cst_kernel_pkg::FlagLong];

  // ---- What it is -------------------------------------------------------------------------------
  always_comb begin
    what_is.is_load = command_i.op == cst_kernel_pkg::OpLoad;
    what_is.is_rows = command_i.op == cst_kernel_pkg::OpRows;
    what_is.is_keys = command_i.op == cst_kernel_pkg::OpKeys;
    what_is.is_barrier = command_i.op == cst_kernel_pkg::OpBarrier;
    what_is.is_end = command_i.op == cst_kernel_pkg::OpEnd;
    what_is.is_release = command_i.op == cst_kernel_pkg::OpRelease;
    what_is.is_expire = command_i.op == cst_kernel_pkg::OpExpire;
    what_is.is_scan = command_i.op == cst_kernel_pkg::OpScan;
    what_is.is_restore = command_i.op == cst_kernel_pkg::OpRestore;
    what_is.compact = command_i.flags[cst_kernel_pkg::FlagCompact];
    what_is.cells = command_i.flags[cst_kernel_pkg::FlagCells];
    what_is.keys_two = what_is.cells && flag_long;
    what_is.two_beats = !what_is.is_scan || config_i.entry_units == 2'd3;
    what_is.gives = what_is.is_keys || what_is.is_scan ||
                    (what_is.is_rows && command_i.results != '0);
    what_is.overlaps = ((what_is.is_rows && !what_is.gives && !has_ttl_i) || what_is.is_barrier) &&
                       !command_i.flags[cst_kernel_pkg::FlagFence];
  end
  always_ff @(posedge clk_i) if (measure_i) what_q <= what_is;

  // Keys alone come as cells, which are encoded and hashed; a row has as many beats as `at` says,
  // cst_kernel_pkg::RowBeatsMax at most.
  assign at_over = command_i.at[63:4] != '0 || (command_i.at[3] && command_i.at[2:0] != '0);
  assign cells_wrong = what_q.cells &&
                       (!what_q.is_keys || what_q.compact || flag_wide || !flag_hash ||
                        !command_i.flags[cst_kernel_pkg::FlagEncode] || command_i.at == '0 ||
                        at_over);

  // ---- How much memory --------------------------------------------------------------------------
  assign place_beats_o = BeatsBits'((command_i.count + 32'd31) >> 5);
  assign key_beats_o = what_q.compact ? BeatsBits'((command_i.count + 32'd1) >> 1)
                     : what_q.keys_two ? count << 1 : count;
  // What is wrong if a row has more than eight. Three numbers make two before they are added.
  always_comb begin
    cells_beats = (command_i.at[0] ? count : '0) + (command_i.at[1] ? count << 1 : '0) +
                  (command_i.at[2] ? count << 2 : '0);
    if (command_i.at[3]) cells_beats = count << 3;
  end
  assign beats = what_is.is_load ? BeatsBits'(cst_kernel_pkg::TableBeats) +
                                       {place_beats_o[BeatsBits-2:0], 1'b0}
               : what_is.is_restore || what_is.compact
                     ? BeatsBits'((command_i.count + 32'd1) >> 1)
               : what_is.cells ? cells_beats
               : flag_wide ? count << 1 : count;

  // In beats: memory that begins between two is wrong in any case.
  logic fits_q;
  logic [32:0] results_beats, results_beats_q;
  logic [64:6] address_end_q, results_end_q;
  logic [60:0] at_end_q;
  assign results_beats = what_is.is_scan ? (what_is.two_beats ? {command_i.row, 1'b0}
                                                              : {1'b0, command_i.row})
                       : what_is.is_keys && what_is.compact
                             ? (33'(command_i.count) + 33'd1) >> 1
                       : what_is.is_keys && !what_is.keys_two ? {1'b0, command_i.count}
                                                              : {command_i.count, 1'b0};
  always_ff @(posedge clk_i) begin
    if (measure_i) beats_o <= beats;
    else if (known_i) beats_o <= next_beats_i;
    if (measure_i) results_beats_q <= results_beats;
    if (measure_i || known_i) fits_q <= known_i;
    address_end_q <= {1'b0, command_i.address[63:6]} + 59'(beats_o);
    results_end_q <= {1'b0, command_i.results[63:6]} + 59'(results_beats_q);
    at_end_q <= 61'(command_i.at[63:4]) + 61'(command_i.count);
  end

  // ---- Whether it can be ------------------------------------------------------------------------
  // Rules that are broken. at_q: a bucket that the image does not have, or one twice; a scan ends
  // with the last.
  logic address_q, limit_q, results_q, at_q, at_limit_q, no_ttl_q, none_q, flags_q, changes_q;
  logic count_over, stops;

  assign count_over = command_i.count > 32'(cst_kernel_pkg::RowsMax);
  always_ff @(posedge clk_i) begin
    address_q <= !fits_q &&
                 (what_q.is_load || what_q.is_rows || what_q.is_keys || what_q.is_restore) &&
                 (command_i.address[63:12] < first_page_i || command_i.address[5:0] != '0 ||
                  address_end_q > {end_page_i, 6'b0});
    limit_q <= what_q.is_load ? command_i.count > 32'(cst_kernel_pkg::PlacesMax)
             : (what_q.is_rows || what_q.is_keys || what_q.is_restore) && count_over;
    results_q <= what_q.gives &&
                 (command_i.results[63:12] < first_page_i || command_i.results[5:0] != '0 ||
                  results_end_q > {end_page_i, 6'b0});
    at_q <= what_q.is_expire ? command_i.at >= buckets_all || 64'(command_i.count) > buckets_all
          : what_q.is_scan && at_end_q > 61'(buckets_all);
    at_limit_q <= (what_q.is_expire || what_q.is_scan) &&
                  (count_over || (what_q.is_scan && command_i.row > 32'(cst_kernel_pkg::RowsMax)));
    no_ttl_q <= what_q.is_expire && !has_ttl_i;
    none_q <= !what_q.is_load && !what_q.is_rows && !what_q.is_keys && !what_q.is_barrier &&
              !what_q.is_end && !what_q.is_release && !what_q.is_expire && !what_q.is_scan &&
              !what_q.is_restore;
    flags_q <= cells_wrong || (flag_long && !what_q.compact && !what_q.cells) ||
               (what_q.compact && (flag_wide || (what_q.is_rows && !flag_hash))) ||
               (!what_q.is_restore && command_i.flags[cst_kernel_pkg::FlagMore]) ||
               command_i.reserved0 != '0 || command_i.reserved1 != '0 ||
               (!what_q.is_release && command_i.epoch != '0) ||
               (!what_q.is_release && !what_q.is_expire && !what_q.is_scan && !what_q.cells &&
                command_i.at != '0) ||
               (!what_q.is_rows && !what_q.is_expire && !what_q.is_scan && command_i.now != '0);
    changes_q <= what_q.is_rows || what_q.is_barrier || what_q.is_expire || what_q.is_restore;
  end

  assign stops = stopped_i && changes_q;
  assign good_o = !(address_q || limit_q || results_q || at_q || at_limit_q || no_ttl_q || none_q ||
                    flags_q || stops);
  always_comb begin
    code_o = cst_pkg::CodeOk;
    if (address_q || results_q || at_q) code_o = cst_pkg::CodeUsage;
    if (limit_q || at_limit_q) code_o = cst_pkg::CodeLimit;
    if (no_ttl_q || none_q) code_o = cst_pkg::CodeUnsupported;
    if (flags_q) code_o = cst_pkg::CodeUsage;
    if (stops) code_o = cst_pkg::CodeAborted;
  end

  logic unused_bits;
  assign unused_bits = ^{command_i, config_i};
endmodule
`default_nettype wire
