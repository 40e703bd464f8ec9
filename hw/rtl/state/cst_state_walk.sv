// cst_state_walk: the entries of a run of buckets, in order of bucket and slot, as memory has them.
// Promises   every occupied slot from first_i on once; at most 1 + 8 * units reads of 64 bytes a
//            bucket, up to four buckets ahead; an entry every two clocks (of three units: three),
//            and two a bucket, behind the first, which comes two reads after start_i. Behind the
//            last bucket of the image comes the first. No beat waits for out_ready_i. busy_o until
//            all that was asked for has come. stop_i: nothing more is asked for or offered.
// Needs      memory that holds the image's newest bytes of what is still to be read, and start_i
//            while not busy_o; first_i within the image, no more buckets than it has; config_i two
//            clocks before start_i.
//
//            line   one read a bucket ──► which slots are occupied, kept for four buckets
//            beats  what these slots lie in ──► 4 x 24 beats of 64 bytes, each with a valid bit
//            pick   slot by slot, its one or two beats ──► out
//
// The slot that is next, and in which beat of its bucket's stripe it begins, is found a clock
// before it is needed.
`default_nettype none
module cst_state_walk #(
  localparam int unsigned NoBits = cst_state_pkg::BucketNoBits,
  localparam int unsigned SlotNoBits = cst_state_pkg::SlotNoBits,
  localparam int unsigned TagBits = cst_state_pkg::WalkTagBits,
  localparam int unsigned AddressBits = cst_state_pkg::AddressBits
) (
  input  wire logic                    clk_i,
  input  wire logic                    rst_ni,
  input  wire cst_state_pkg::config_t  config_i,
  input  wire logic                    start_i,
  input  wire logic [SlotNoBits-1:0]   first_i,
  input  wire logic [16:0]             buckets_i,     // as many
  input  wire logic                    stop_i,
  output      logic                    busy_o,
  output      logic                    read_valid_o,
  input  wire logic                    read_ready_i,
  output      cst_state_pkg::place_t   read_place_o,
  output      logic [TagBits-1:0]      read_tag_o,
  input  wire logic                    beat_valid_i,
  input  wire logic [TagBits-1:0]      beat_tag_i,
  input  wire logic [511:0]            beat_i,
  output      logic                    out_valid_o,
  input  wire logic                    out_ready_i,
  output      logic [16:0]             out_index_o,   // of the bucket: 0 is the first
  output      logic [SlotNoBits-1:0]   out_slot_o,
  output      logic [767:0]            out_entry_o    // zeros behind its units
);
  localparam int unsigned Ahead = 4;
  localparam int unsigned BeatBits = 5;

  // Where each part of it stands: how many buckets it is done with, and the next one's number.
  logic going_q;
  logic [16:0] line_q, beat_q, pick_q;
  logic [NoBits-1:0] line_no_q, beat_no_q, pick_no_q, last_no_q;
  logic [7:0] out_q;  // reads that have not come
  logic [Ahead-1:0] known_q;
  logic [15:0] slots_q [Ahead];
  logic [Ahead*32-1:0] there_q;
  logic [15:0] first_slots;

  assign busy_o = going_q || out_q != '0;

  // ---- Lines ------------------------------------------------------------------------------------
  logic line_wants, line_goes, beat_wants, beat_goes, beat_leaves, pick_leaves;
  logic line_came;
  logic [2:0] ahead_q;  // buckets whose lines were asked for, and that are not done
  cst_pkg::control_line_t line;

  assign line_wants = going_q && line_q != buckets_q && ahead_q != 3'(Ahead);
  assign line_goes = line_wants && !beat_wants && read_ready_i;
  assign line_came = beat_valid_i && beat_tag_i[BeatBits+2];
  assign line = beat_i;

  // ---- Beats: slot by slot, what was not asked for with the slot before -------------------------
  // The next beat is want_beat_q; ask_q are the slots whose beats stood there neither yet.
  logic [16:0] buckets_q;
  logic [15:0] ask_q, beat_slots;
  logic asking_q, second_q, asked_q, want_q, want_goes;
  logic [BeatBits-1:0] want_beat_q, asked_beat_q;
  logic ask_any, ask_again, ask_last, three;
  logic [AddressBits-1:0] stripe_q, stripe_at_q;  // the bucket's, from the region on; in memory

  assign three = config_i.entry_units == 2'd3;
  assign beat_slots = slots_q[beat_q[1:0]];
  assign ask_any = asking_q && ask_q != '0;
  assign ask_again = asked_q && asked_beat_q == want_beat_q;
  assign ask_last = !three || second_q;
  assign beat_wants = going_q && want_q && !ask_again;
  assign beat_goes = beat_wants && read_ready_i;
  assign want_goes = want_q && (ask_again || read_ready_i);
  assign beat_leaves = going_q && asking_q && ask_q == '0 && (!want_q || want_goes);

  always_comb begin
    read_valid_o = beat_wants || line_wants;
    read_place_o = cst_state_pkg::line_place(line_no_q, config_i.index_base);
    read_tag_o = {1'b1, line_q[1:0], 5'd0};
    if (beat_wants) begin
      read_place_o.channel = cst_state_pkg::fold(32'(beat_no_q));
      read_place_o.address = stripe_at_q + AddressBits'({want_beat_q, 6'b0});
      read_tag_o = {1'b0, beat_q[1:0], want_beat_q};
    end
  end

  // ---- Pick -------------------------------------------------------------------------------------
  typedef enum logic [1:0] { Look, Second, Out } pick_e;

  // left_q: slots behind the one that slot_q and beat_q are of, if next_q.
  pick_e stage_q;
  logic picking_q, next_q, high_q, pick_there, pick_reads, out_beat, next_goes;
  logic [15:0] left_q;
  logic [3:0] slot_q, out_slot_q;
  logic [BeatBits-1:0] beat_at_q;
  logic [511:0] beat, low_q;
  logic [767:0] both;

  assign pick_there = there_q[{pick_q[1:0], beat_at_q}];
  assign pick_reads = going_q && next_q && pick_there && stage_q != Out;
  assign next_goes = pick_reads && (!three || stage_q == Second);
  assign pick_leaves = going_q && picking_q && left_q == '0 && !next_q &&
                       (stage_q == Look || out_beat);
  assign out_valid_o = going_q && stage_q == Out;
  assign out_beat = out_valid_o && out_ready_i;
  assign out_index_o = pick_q;
  assign out_slot_o = {pick_no_q, out_slot_q};

  cst_state_ram #(.Width(512), .AddressBits(BeatBits + 2), .Follow(1'b0)) u_beats (
    .clk_i, .write_i(beat_valid_i && !line_came), .write_address_i(beat_tag_i[BeatBits+1:0]),
    .write_data_i(beat_i), .read_i(pick_reads), .read_address_i({pick_q[1:0], beat_at_q}),
    .data_o(beat)
  );

  // An entry of one unit is half a beat; of three: a beat and a half, from its low or high half on.
  assign both = high_q ? {beat, low_q[511:256]} : {beat[255:0], low_q};
  always_comb begin
    out_entry_o = both;
    if (config_i.entry_units == 2'd2) out_entry_o = {256'b0, beat};
    if (config_i.entry_units == 2'd1)
      out_entry_o = {512'b0, high_q ? beat[511:256] : beat[255:0]};
  end

  function automatic logic [NoBits-1:0] behind(input logic [NoBits-1:0] bucket,
                                               input logic [NoBits-1:0] last_no);
    behind = (bucket == last_no) ? '0 : bucket + 1'b1;
  endfunction

  assign first_slots = 16'hffff << first_i[3:0];
  logic [15:0] mask_q;  // of the first bucket's slots

  function automatic logic [3:0] first_of(input logic [15:0] slots);
    logic [1:0] four;  // the first four with one
    logic [7:0] low;   // the first of each four
    four = (slots[3:0] != '0) ? 2'd0 : (slots[7:4] != '0) ? 2'd1 : (slots[11:8] != '0) ? 2'd2
                                                                                       : 2'd3;
    for (int unsigned i = 0; i < 4; i++)
      low[2*i +: 2] = slots[4*i] ? 2'd0 : slots[4*i+1] ? 2'd1 : slots[4*i+2] ? 2'd2 : 2'd3;
    first_of = {four, low[{four, 1'b0} +: 2]};
  endfunction

  always_ff @(posedge clk_i) begin
    last_no_q <= {config_i.chunks, 3'b0} - 1'b1;
    stripe_q <= (config_i.entry_units[1] ? AddressBits'({beat_no_q[NoBits-1:4], 10'b0}) : '0) +
                (config_i.entry_units[0] ? AddressBits'({beat_no_q[NoBits-1:4], 9'b0}) : '0);
    stripe_at_q <= config_i.slots_base + stripe_q;
    if (start_i) begin
      buckets_q <= buckets_i;
      mask_q <= first_slots;
      line_no_q <= first_i[SlotNoBits-1:4];
      beat_no_q <= first_i[SlotNoBits-1:4];
      pick_no_q <= first_i[SlotNoBits-1:4];
    end else begin
      if (line_goes) line_no_q <= behind(line_no_q, last_no_q);
      if (beat_leaves) beat_no_q <= behind(beat_no_q, last_no_q);
      if (pick_leaves) pick_no_q <= behind(pick_no_q, last_no_q);
    end
    if (line_came) slots_q[beat_tag_i[BeatBits +: 2]] <= line.occupied;
    if (beat_goes) asked_beat_q <= want_beat_q;
    if (!asking_q) begin
      ask_q <= beat_slots & ((beat_q == '0) ? mask_q : '1);
    end else if (ask_any && (!want_q || want_goes)) begin
      want_beat_q <= cst_state_pkg::slot_beat(first_of(ask_q), config_i.entry_units) +
                     BeatBits'(second_q);
      if (ask_last) ask_q <= ask_q & (ask_q - 1'b1);
    end
    if (!picking_q) left_q <= slots_q[pick_q[1:0]] & ((pick_q == '0) ? mask_q : '1);
    else if (!next_q) left_q <= left_q & (left_q - 1'b1);
    if (!next_q) begin
      slot_q <= first_of(left_q);
      beat_at_q <= cst_state_pkg::slot_beat(first_of(left_q), config_i.entry_units);
    end else if (pick_reads) begin
      beat_at_q <= beat_at_q + 1'b1;  // an entry's second one
    end
    if (stage_q == Look) out_slot_q <= slot_q;
    if (stage_q == Look) high_q <= slot_q[0];
    if (stage_q == Second) low_q <= beat;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      going_q <= 1'b0;
      out_q <= '0;
    end else begin
      if (start_i) going_q <= 1'b1;
      else if (stop_i || pick_q == buckets_q) going_q <= 1'b0;
      out_q <= out_q + 8'(read_valid_o && read_ready_i) - 8'(beat_valid_i);
    end
    if (!going_q) begin
      line_q <= '0;
      beat_q <= '0;
      pick_q <= '0;
      known_q <= '0;
      there_q <= '0;
      ahead_q <= '0;
      asking_q <= 1'b0;
      second_q <= 1'b0;
      want_q <= 1'b0;
      asked_q <= 1'b0;
      picking_q <= 1'b0;
      next_q <= 1'b0;
      stage_q <= Look;
    end else begin
      if (line_goes) line_q <= line_q + 1'b1;
      ahead_q <= ahead_q + 3'(line_goes) - 3'(pick_leaves);
      for (int unsigned i = 0; i < Ahead * 32; i++)
        if (beat_valid_i && beat_tag_i == TagBits'(i)) there_q[i] <= 1'b1;

      if (!asking_q) asking_q <= beat_q != line_q && known_q[beat_q[1:0]];
      if (ask_any && (!want_q || want_goes)) second_q <= three && !second_q;
      if (!want_q || want_goes) want_q <= ask_any;
      if (beat_goes) asked_q <= 1'b1;
      if (beat_leaves) begin
        beat_q <= beat_q + 1'b1;
        asking_q <= 1'b0;
        asked_q <= 1'b0;
      end

      if (!picking_q) picking_q <= pick_q != beat_q;
      if (!next_q) next_q <= picking_q && left_q != '0;
      else if (next_goes) next_q <= 1'b0;
      unique case (stage_q)
        Look: if (pick_reads) stage_q <= three ? Second : Out;
        Second: if (pick_reads) stage_q <= Out;
        default: if (out_ready_i) stage_q <= Look;
      endcase
      if (pick_leaves) begin
        pick_q <= pick_q + 1'b1;
        picking_q <= 1'b0;
      end
      for (int unsigned i = 0; i < Ahead; i++) begin
        if (line_came && beat_tag_i[BeatBits +: 2] == 2'(i)) known_q[i] <= 1'b1;
        if (pick_leaves && pick_q[1:0] == 2'(i)) begin
          known_q[i] <= 1'b0;
          there_q[i*32 +: 32] <= '0;
        end
      end
    end
  end

  // Of the configuration it needs the image's; a line's tags and filter say nothing here.
  logic unused_bits;
  assign unused_bits = ^{config_i, line.tag, line.reserved, line.overflow};

`ifdef CST_ASSERT
  always_ff @(posedge clk_i) if (rst_ni) begin
    starts_idle: assert (!start_i || !busy_o);
    came_was_asked: assert (!beat_valid_i || out_q != '0);
  end
`endif
endmodule
`default_nettype wire
