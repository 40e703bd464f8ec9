// cst_kernel_ahead: what is asked of memory before its turn: the command behind rows, and the rows
// of that one.
// Promises   rows that overlap what is behind them have the next command asked for first, so it is
//            known while they come. If it is one of rows with the same flags, the one behind it and
//            its rows are asked for as soon as these rows have all been. If it was not there yet,
//            it is asked for once more, behind the rows. What was asked for and is not to be done
//            is counted, to be skipped. No beat is asked for twice.
//
//   beats     command n + 1 | rows n | command n + 2 | rows n + 1 | ...
//
// Needs      at most one of idle_i, check_i, begins_i (rows are asked for), rows_i (they come),
//            last_i (their end is issued), skip_i, descriptor_i: stages of cst_kernel_commands.
`default_nettype none
module cst_kernel_ahead #(
  localparam int unsigned BeatsBits = cst_kernel_pkg::BeatsBits
) (
  input  wire logic         clk_i,
  input  wire logic         rst_ni,
  input  wire logic         idle_i,
  input  wire logic         check_i,
  input  wire logic         begins_i,
  input  wire logic         rows_i,
  input  wire logic         last_i,
  input  wire logic         skip_i,
  input  wire logic         descriptor_i,
  input  wire logic         overlaps_i,      // the command's rows may
  input  wire logic         leaves_i,        // the command is over, or waits beside the next one
  input  wire cst_kernel_pkg::descriptor_t command_i,
  input  wire logic [BeatsBits-1:0] beats_i, // of its rows
  input  wire logic [31:0]  number_i,
  input  wire logic [63:0]  next_at_i,       // of the ring, the next command
  input  wire logic [63:0]  behind_at_i,     // the one behind it
  input  wire logic [51:0]  first_page_i,
  input  wire logic [52:0]  end_page_i,
  input  wire logic         beat_valid_i,
  input  wire cst_kernel_pkg::descriptor_t beat_i,
  input  wire logic         read_ready_i,
  // the next command
  output      cst_kernel_pkg::descriptor_t next_o,
  output      logic         next_there_o,    // read while rows came
  output      logic         next_fits_o,     // of rows with the same flags, and nothing is wrong
  output      logic         next_asked_o,    // asked for again, and not read yet
  output      logic         takes_next_o,    // it is the command from the next clock on
  output      logic         takes_beat_o,    // the beat that comes is it, and not of rows
  output      logic         early_o,         // the next beat will be
  // what is asked for
  output      logic         asks_ahead_o,    // of the command behind the next one, or of its rows
  output      logic         asks_again_o,
  output      logic         asks_command_o,  // a command, at at_o
  output      logic [63:0]  at_o,
  output      logic [BeatsBits-1:0] next_beats_o,
  output      logic         rows_asked_o,    // these rows are, already
  output      logic         asked_o,         // a command or rows are
  output      logic         skip_last_o      // of the beats to be skipped
);
  logic early_q, next_there_q, next_late_q, next_fits_q, asked_q, command_asked_q, rows_asked_q;
  logic [1:0] next_step_q;  // 1: there, 2: its beats are known, 3: and where they end
  logic alike, alike_q, is_next;  // rows of the same flags, whatever memory they ask for
  logic [31:0] number_next_q;
  logic [BeatsBits-1:0] next_beats_q, skip_q;
  logic [64:6] next_end_q;
  cst_kernel_pkg::descriptor_t behind_q;

  assign next_o = behind_q;
  assign next_there_o = next_there_q;
  assign next_fits_o = next_fits_q;
  assign next_asked_o = asked_q;
  assign early_o = early_q;
  assign takes_beat_o = rows_i && early_q && beat_valid_i;
  assign takes_next_o = next_there_q && leaves_i;
  assign asks_ahead_o = (rows_i || last_i) && next_fits_q && !rows_asked_q;
  assign asks_again_o = rows_i && next_late_q && !asked_q;
  assign asks_command_o = asks_again_o ||
                          ((asks_ahead_o || (begins_i && overlaps_i)) && !command_asked_q);
  assign at_o = asks_ahead_o ? behind_at_i : next_at_i;
  assign next_beats_o = next_beats_q;
  assign rows_asked_o = rows_asked_q;
  assign asked_o = command_asked_q || rows_asked_q;
  assign skip_last_o = skip_q == BeatsBits'(1);
  assign alike = behind_q.op == command_i.op && behind_q.flags == command_i.flags &&
                     behind_q.results == '0 && behind_q.epoch == '0 && behind_q.at == '0 &&
                     behind_q.reserved0 == '0 && behind_q.reserved1 == '0 &&
                     behind_q.count != '0 && behind_q.count <= 32'(cst_kernel_pkg::RowsMax) &&
                     behind_q.address[5:0] == '0;
  assign is_next = beat_i.number == number_next_q;

  always_ff @(posedge clk_i) begin
    number_next_q <= number_i + 32'd1;
    alike_q <= alike;
    if (takes_beat_o) behind_q <= beat_i;
    if (next_step_q == 2'd1) begin
      next_beats_q <= command_i.flags[cst_kernel_pkg::FlagCompact]
                          ? BeatsBits'((behind_q.count + 32'd1) >> 1)
                    : command_i.flags[cst_kernel_pkg::FlagWide]
                          ? {behind_q.count[BeatsBits-2:0], 1'b0}
                          : behind_q.count[BeatsBits-1:0];
    end
    if (next_step_q == 2'd2) next_end_q <= {1'b0, behind_q.address[63:6]} + 59'(next_beats_q);
    if (check_i) skip_q <= BeatsBits'(command_asked_q) + (rows_asked_q ? beats_i : '0);
    else if (skip_i && beat_valid_i) skip_q <= skip_q - 1'b1;
    if (!rst_ni || idle_i || begins_i || takes_next_o) begin
      early_q <= begins_i && overlaps_i;
      next_there_q <= 1'b0;
      next_late_q <= 1'b0;
      next_fits_q <= 1'b0;
      next_step_q <= '0;
    end else begin
      if (takes_beat_o) begin
        early_q <= 1'b0;
        next_there_q <= is_next;
        next_late_q <= !is_next;
        next_step_q <= 2'(is_next);
      end else if (next_step_q != '0) begin
        next_step_q <= next_step_q + 2'd1;  // 3, then 0
      end
      if (next_step_q == 2'd3)
        next_fits_q <= alike_q && behind_q.address[63:12] >= first_page_i &&
                       next_end_q <= {end_page_i, 6'b0};
    end
    if (!rst_ni || idle_i || rows_i && !asks_ahead_o && !next_fits_q || skip_i) begin
      command_asked_q <= 1'b0;
      rows_asked_q <= 1'b0;
    end else if (read_ready_i && (asks_ahead_o || (begins_i && !rows_asked_q))) begin
      if (asks_command_o) command_asked_q <= 1'b1;
      else rows_asked_q <= 1'b1;
    end
    if (!rst_ni || descriptor_i) asked_q <= 1'b0;
    else if (asks_again_o && read_ready_i) asked_q <= 1'b1;
  end

  logic unused_bits;
  assign unused_bits = ^command_i;
endmodule
`default_nettype wire
