// axi_split: cst_axi_split cuts commands into bursts that cross no 4 KiB line.
// Shows      in order, all of it, nothing twice, none longer than BurstBeats, each as long as it
//            can be, the last one marked.
// How        what is left of the oldest command is kept outside, and of the one behind it.
//: prove induction 2 DataBytes=64 BurstBeats=16
//: prove induction 2 DataBytes=64 BurstBeats=64
//: prove induction 2 DataBytes=4 BurstBeats=16
//: prove induction 2 DataBytes=128 BurstBeats=3
//: cover 10
//: mistake over_the_line in cst_axi_split: piece = BeatsBits'(PageBeats - i); ==> piece = BeatsBits'(PageBeats - i + 1);
//: mistake a_beat_short in cst_axi_split: left_d = left_q - piece; ==> left_d = left_q - piece + 1'b1;
//: mistake final_early in cst_axi_split: assign final_burst = left_q <= piece; ==> assign final_burst = left_q <= piece + 1'b1;
//: mistake does_not_stand in cst_axi_split: assign free = !valid_q || burst_ready_i; ==> assign free = 1'b1;
//: mistake idle_early in cst_axi_split: assign idle_o = !busy_q && !valid_q; ==> assign idle_o = command_ready_o && !valid_q;
//: mistake overtaken in cst_axi_split: assign command_ready_o = !busy_q || (free && final_burst); ==> assign command_ready_o = !busy_q || free;
`default_nettype none
module axi_split #(
  parameter int unsigned DataBytes = 64,
  parameter int unsigned BurstBeats = 16,
  localparam int unsigned BeatsBits = 11,
  localparam int unsigned Shift = $clog2(DataBytes)
) (
  input wire logic                 clk_i,
  input wire logic                 rst_ni,
  input wire logic                 command_valid_i,
  input wire logic [63:0]          command_address_i,
  input wire logic [BeatsBits-1:0] command_beats_i,
  input wire logic                 burst_ready_i
);
  logic command_ready, burst_valid, burst_final, idle, take, give;
  logic [63:0] burst_address;
  logic [7:0] burst_length;

  cst_axi_split #(.DataBytes(DataBytes), .BurstBeats(BurstBeats), .BeatsBits(BeatsBits)) u_split (
    .clk_i, .rst_ni, .command_valid_i, .command_ready_o(command_ready), .command_address_i,
    .command_beats_i, .burst_valid_o(burst_valid), .burst_ready_i,
    .burst_address_o(burst_address), .burst_length_o(burst_length), .burst_final_o(burst_final),
    .idle_o(idle)
  );
  assign take = command_valid_i && command_ready;
  assign give = burst_valid && burst_ready_i;

  initial assume (!rst_ni);
  always_comb if (command_valid_i)
    assume (command_address_i[Shift-1:0] == '0 && command_beats_i != '0);

  // ---- What is left of the oldest command, and the one behind it -------------------------------
  logic [1:0] count_q;
  logic [63:0] address_q, behind_address_q;
  logic [BeatsBits-1:0] left_q, behind_left_q, beats;
  logic held_q, ends;
  logic [63:0] seen_address_q;
  logic [8:0] seen_q;

  assign beats = BeatsBits'(burst_length) + 1'b1;
  assign ends = give && burst_final;
  always_ff @(posedge clk_i) begin
    held_q <= rst_ni && burst_valid && !burst_ready_i;
    seen_address_q <= burst_address;
    seen_q <= {burst_final, burst_length};
    if (give) begin
      address_q <= ends ? behind_address_q : address_q + (64'(beats) << Shift);
      left_q <= ends ? behind_left_q : left_q - beats;
    end
    if (take && count_q == 2'(ends)) {address_q, left_q} <= {command_address_i, command_beats_i};
    else if (take) {behind_address_q, behind_left_q} <= {command_address_i, command_beats_i};
    if (!rst_ni) count_q <= '0;
    else count_q <= count_q + 2'(take) - 2'(ends);
  end

  // ---- The registers inside, for induction -----------------------------------------------------
  (* hierconn *) wire \u_split.busy_q ;
  (* hierconn *) wire [63:0] \u_split.address_q ;
  (* hierconn *) wire [BeatsBits-1:0] \u_split.left_q ;
  logic [63:0] next_address;
  logic [BeatsBits-1:0] next_left;
  always_comb begin
    {next_address, next_left} = {address_q, left_q};
    if (burst_valid && burst_final) {next_address, next_left} = {behind_address_q, behind_left_q};
    else if (burst_valid) begin
      next_address = address_q + (64'(beats) << Shift);
      next_left = left_q - beats;
    end
  end

  logic [12:0] end_in_page;
  assign end_in_page = 13'(burst_address[11:0]) + (13'(beats) << Shift);
  always_comb if (rst_ni) begin
    two_at_most: assert (count_q == 2'(burst_valid && burst_final) + 2'(\u_split.busy_q ));
    idle_is_idle: assert (idle == (count_q == '0));
    stands_still: assert (!held_q || (burst_valid && burst_address == seen_address_q &&
                                      {burst_final, burst_length} == seen_q));
    inside: assert (!\u_split.busy_q || (\u_split.address_q == next_address &&
                                         \u_split.left_q == next_left && next_left != '0 &&
                                         next_address[Shift-1:0] == '0));
    if (burst_valid) begin
      asked_for: assert (count_q != '0);
      in_order: assert (burst_address == address_q);
      no_more_than_asked: assert (beats <= left_q && beats != '0);
      final_is_last: assert (burst_final == (beats == left_q));
      not_too_long: assert (32'(beats) <= BurstBeats);
      within_the_page: assert (end_in_page <= 13'd4096);
      aligned: assert (burst_address[Shift-1:0] == '0);
      as_long_as_can_be: assert (burst_final || 32'(beats) == BurstBeats ||
                                 end_in_page == 13'd4096);
    end
    two_bursts_a_page_between: cover (give && burst_final && count_q == 2'd2 &&
                                      burst_address[11:0] == '0 && 32'(left_q) < 32'd3);
    longest: cover (give && 32'(beats) == BurstBeats);
    ends_at_the_page: cover (give && burst_final && end_in_page == 13'd4096);
    one_beat: cover (give && burst_length == '0 && burst_final && held_q);
  end
endmodule
`default_nettype wire
