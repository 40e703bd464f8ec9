// cst_state_table: which copies are on chip: from a tag to its id, set-associative.
// Promises   ask_i brings in a question; from the next clock on hit_o, conflict_o, free_o and id_o
//            answer the one before it, and stay current until ask_i comes again: takes and drops of
//            the meantime are seen.
//            hit_o: the tag has id_o. Else free_o: take_i gives it id_o, which no other tag has.
//            conflict_o: another tag is there whose lowest MatchBits are the same.
// Needs      take_i only with ask_i and free_o, with neither hit_o nor conflict_o; drops of ids
//            that are taken.
// After reset, ready_o comes after Ids clocks, or as many as there are sets.
// Cost       no flip-flop an entry: two bits of LUT memory, of which takes turn over one and drops
//            the other. An entry is valid while they differ. What a take left stands beside the id,
//            so that a drop need not read it at a place that it has just read.
//
// stage    known                              what comes in meanwhile
// read     the set's rows                     a take of the question before it; drops
// answer   which are valid, which is the tag  drops, by the rows' ids
`default_nettype none
module cst_state_table #(
  parameter int unsigned SetBits = 9,
  parameter int unsigned Ways = 8,
  parameter int unsigned Ids = 1024,
  parameter int unsigned TagBits = 64,
  parameter int unsigned MatchBits = TagBits,
  localparam int unsigned IdBits = cst_state_pkg::IdBits
) (
  input  wire logic               clk_i,
  input  wire logic               rst_ni,
  output      logic               ready_o,
  input  wire logic               ask_i,
  input  wire logic [SetBits-1:0] set_i,
  input  wire logic [TagBits-1:0] tag_i,
  output      logic               hit_o,
  output      logic               conflict_o,
  output      logic               free_o,
  output      logic [IdBits-1:0]  id_o,
  input  wire logic               take_i,
  input  wire logic               drop_i,
  input  wire logic [IdBits-1:0]  drop_id_i
);
  localparam int unsigned Sets = 1 << SetBits;
  localparam int unsigned WayBits = $clog2(Ways);
  localparam int unsigned RowBits = TagBits + IdBits;

  if (SetBits < 1 || SetBits > 16) begin : g_set_bits
    $error("cst_state_table: SetBits %0d, must be 1 to 16", SetBits);
  end
  if (Ways < 2 || Ways > 64 || (Ways & (Ways - 1)) != 0) begin : g_ways
    $error("cst_state_table: Ways %0d, must be a power of two from 2 to 64", Ways);
  end
  if (Ids < 2 || Ids > cst_state_pkg::Ids) begin : g_ids
    $error("cst_state_table: Ids %0d, must be 2 to 1024", Ids);
  end
  if (TagBits < 1 || TagBits > 256) begin : g_tag_bits
    $error("cst_state_table: TagBits %0d, must be 1 to 256", TagBits);
  end
  if (MatchBits < 1 || MatchBits > TagBits) begin : g_match_bits
    $error("cst_state_table: MatchBits %0d, must be 1 to TagBits, %0d", MatchBits, TagBits);
  end

  // ---- Two questions: one whose set is read, and one that is answered ---------------------------
  logic [SetBits-1:0] read_set_q, set_q;
  logic [TagBits-1:0] read_tag_q, tag_q;
  // Of the one that is read and the one that is answered.
  logic set_equal_q, tag_equal_q, match_equal_q;
  logic [Ways*IdBits-1:0] ids;
  logic [Ways-1:0] valid_q, turns_q, same_q, conflicts_q;
  logic [WayBits-1:0] way_free;
  logic [IdBits-1:0] id_hit, id_free;

  // Every entry's bits are made equal by a walk through the sets.
  logic [SetBits:0] clear_q;
  logic clearing;
  logic [SetBits+WayBits-1:0] where_drop, where_take;
  logic [SetBits-1:0] set_drop, set_taken, set_dropped;
  logic turn_take, turn_drop;

  assign clearing = !clear_q[SetBits];
  assign set_drop = where_drop[WayBits +: SetBits];
  assign set_taken = clearing ? clear_q[SetBits-1:0] : set_q;
  assign set_dropped = clearing ? clear_q[SetBits-1:0] : set_drop;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) clear_q <= '0;
    else if (clearing) clear_q <= clear_q + 1'b1;
  end

`ifdef CST_ASSERT
  logic [Ways-1:0] drops_nothing, turns_other;
`endif
  for (genvar w = 0; w < Ways; w++) begin : g_way
    logic [RowBits-1:0] memory_q [Sets];
    logic [RowBits-1:0] row_q;
    logic [IdBits-1:0] id_q;
    logic taken_q [Sets];
    logic dropped_q [Sets];
    logic write, drop, here, valid, same, alike;

    assign write = take_i && way_free == WayBits'(w);
    assign here = write && set_equal_q;
    assign drop = drop_i && where_drop[WayBits-1:0] == WayBits'(w);
    // An id that is taken is in one row: as a row is valid its id alone says that it is dropped.
    assign valid = taken_q[read_set_q] != dropped_q[read_set_q] &&
                   !(drop_i && drop_id_i == row_q[IdBits-1:0]);
    assign same = row_q[IdBits +: TagBits] == read_tag_q;
    assign alike = row_q[IdBits +: MatchBits] == read_tag_q[MatchBits-1:0];
    assign ids[w*IdBits +: IdBits] = id_q;
    always_ff @(posedge clk_i) begin
      if (write) memory_q[set_q] <= {tag_q, id_free};
      if (ask_i) row_q <= (write && set_i == set_q) ? {tag_q, id_free} : memory_q[set_i];
      if (write || clearing) taken_q[set_taken] <= !clearing && turns_q[w];
      if (drop || clearing) dropped_q[set_dropped] <= !clearing && turn_drop;
      if (ask_i) id_q <= here ? id_free : row_q[IdBits-1:0];
      // A question may come before its set is cleared.
      if (clearing) begin
        valid_q[w] <= 1'b0;
        same_q[w] <= 1'b0;
        conflicts_q[w] <= 1'b0;
        turns_q[w] <= 1'b1;
      end else if (ask_i) begin
        valid_q[w] <= here || valid;
        same_q[w] <= here ? tag_equal_q : valid && same;
        conflicts_q[w] <= here ? match_equal_q && !tag_equal_q : valid && alike && !same;
        turns_q[w] <= taken_q[read_set_q] == here;
      end else if (drop_i && drop_id_i == id_q) begin
        valid_q[w] <= 1'b0;
        same_q[w] <= 1'b0;
        conflicts_q[w] <= 1'b0;
      end
    end

`ifdef CST_ASSERT
    assign drops_nothing[w] = drop && taken_q[set_drop] == dropped_q[set_drop];
    assign turns_other[w] = drop && taken_q[set_drop] != turn_drop;
`endif
  end

  always_comb begin
    way_free = '0;
    turn_take = 1'b0;
    id_hit = '0;
    for (int unsigned w = 0; w < Ways; w++) begin
      if (!valid_q[Ways-1-w]) begin
        way_free = WayBits'(Ways - 1 - w);
        turn_take = turns_q[Ways-1-w];
      end
      if (same_q[w]) id_hit |= ids[w*IdBits +: IdBits];
    end
  end

  // ---- Ids that are free ------------------------------------------------------------------------
  logic [IdBits-1:0] ring_q [1 << IdBits];
  logic [IdBits-1:0] first_q, last_q;
  logic [IdBits:0] count_q;    // with what was taken in the clock before
  logic taken_before_q, some_q, one;
  logic filling_q;
  logic [SetBits+WayBits-1:0] where_q [1 << IdBits];
  logic turn_q [1 << IdBits];  // what the take left in taken_q there
  logic put;
  logic [IdBits-1:0] put_id;

  assign put = filling_q || drop_i;
  assign put_id = filling_q ? last_q : drop_id_i;
  assign id_free = ring_q[first_q];
  assign where_drop = where_q[drop_id_i];
  assign where_take = {set_q, way_free};
  assign turn_drop = turn_q[drop_id_i];
  assign one = count_q == (IdBits+1)'(taken_before_q) + 1'b1;

  always_ff @(posedge clk_i) begin
    if (ask_i) begin
      read_set_q <= set_i;
      read_tag_q <= tag_i;
      set_equal_q <= set_i == read_set_q;
      tag_equal_q <= tag_i == read_tag_q;
      match_equal_q <= tag_i[MatchBits-1:0] == read_tag_q[MatchBits-1:0];
      set_q <= read_set_q;
      tag_q <= read_tag_q;
    end
    if (put) ring_q[last_q] <= put_id;
    if (take_i) where_q[id_free] <= where_take;
    if (take_i) turn_q[id_free] <= turn_take;
    if (!rst_ni) begin
      first_q <= '0;
      last_q <= '0;
      count_q <= '0;
      taken_before_q <= 1'b0;
      some_q <= 1'b0;
      filling_q <= 1'b1;
    end else begin
      if (take_i) first_q <= first_q + 1'b1;
      if (put) last_q <= last_q + 1'b1;
      count_q <= count_q + (IdBits+1)'(put) - (IdBits+1)'(taken_before_q);
      taken_before_q <= take_i;
      if (put) some_q <= 1'b1;
      else if (take_i && one) some_q <= 1'b0;
      if (filling_q && 32'(last_q) == Ids - 1) filling_q <= 1'b0;
    end
  end

  assign ready_o = !filling_q && !clearing;
  assign hit_o = |same_q;
  assign conflict_o = |conflicts_q;
  assign free_o = !(&valid_q) && some_q;
  assign id_o = hit_o ? id_hit : id_free;

`ifdef CST_ASSERT
  always_ff @(posedge clk_i) if (rst_ni) begin
    drop_is_taken: assert (drops_nothing == '0);
    turn_is_the_takes: assert (turns_other == '0);
    take_is_free: assert (!take_i || (ask_i && free_o && !hit_o && !conflict_o));
    nothing_before_ready: assert (ready_o || (!take_i && !drop_i));
  end
`endif
endmodule
`default_nettype wire
