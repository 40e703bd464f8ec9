// cst_state_table: which copies are on chip: from a tag to its id, set-associative.
// Promises   asked with ask_i, hit_o, conflict_o, free_o and id_o answer from the next clock on and
//            stay current until the next question: drops and takes of the meantime are seen.
//            hit_o: the tag has id_o. Else free_o: take_i gives it id_o, which no other tag has.
//            conflict_o: another tag is there whose lowest MatchBits are the same.
// Needs      take_i only with free_o and neither hit_o nor conflict_o; drops of ids that are taken.
// After reset, ready_o comes after Ids clocks, or as many as there are sets.
// Cost       no flip-flop an entry: two bits of LUT memory, of which takes turn over one and drops
//            the other. An entry is valid while they differ. What a take left stands beside the id,
//            so that a drop need not read it at a place that it has just read.
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

  // ---- The set that was asked for ---------------------------------------------------------------
  logic [SetBits-1:0] set_q;
  logic [TagBits-1:0] tag_q;
  logic [Ways*RowBits-1:0] rows;
  logic [Ways-1:0] valid, turns, same, conflicts;
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
    logic taken_q [Sets];
    logic dropped_q [Sets];
    logic write, drop;

    assign write = take_i && way_free == WayBits'(w);
    assign drop = drop_i && where_drop[WayBits-1:0] == WayBits'(w);
    assign valid[w] = taken_q[set_q] != dropped_q[set_q];
    assign turns[w] = !dropped_q[set_q];
    assign rows[w*RowBits +: RowBits] = row_q;
    assign same[w] = valid[w] && row_q[IdBits +: TagBits] == tag_q;
    assign conflicts[w] = valid[w] && row_q[IdBits +: MatchBits] == tag_q[MatchBits-1:0] &&
                          !same[w];
    always_ff @(posedge clk_i) begin
      if (write) memory_q[set_q] <= {tag_q, id_free};
      if (ask_i) row_q <= (write && set_i == set_q) ? {tag_q, id_free} : memory_q[set_i];
      else if (write) row_q <= {tag_q, id_free};
      if (write || clearing) taken_q[set_taken] <= !clearing && turns[w];
      if (drop || clearing) dropped_q[set_dropped] <= !clearing && turn_drop;
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
      if (!valid[Ways-1-w]) begin
        way_free = WayBits'(Ways - 1 - w);
        turn_take = turns[Ways-1-w];
      end
      if (same[w]) id_hit |= rows[w*RowBits +: IdBits];
    end
  end

  // ---- Ids that are free ------------------------------------------------------------------------
  logic [IdBits-1:0] ring_q [1 << IdBits];
  logic [IdBits-1:0] first_q, last_q;
  logic [IdBits:0] count_q;
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

  always_ff @(posedge clk_i) begin
    if (ask_i) begin
      set_q <= set_i;
      tag_q <= tag_i;
    end
    if (put) ring_q[last_q] <= put_id;
    if (take_i) where_q[id_free] <= where_take;
    if (take_i) turn_q[id_free] <= turn_take;
    if (!rst_ni) begin
      first_q <= '0;
      last_q <= '0;
      count_q <= '0;
      filling_q <= 1'b1;
    end else begin
      if (take_i) first_q <= first_q + 1'b1;
      if (put) last_q <= last_q + 1'b1;
      count_q <= count_q + (IdBits+1)'(put) - (IdBits+1)'(take_i);
      if (filling_q && 32'(last_q) == Ids - 1) filling_q <= 1'b0;
    end
  end

  assign ready_o = !filling_q && !clearing;
  assign hit_o = |same;
  assign conflict_o = |conflicts;
  assign free_o = !(&valid) && count_q != '0;
  assign id_o = hit_o ? id_hit : id_free;

`ifdef CST_ASSERT
  always_ff @(posedge clk_i) if (rst_ni) begin
    drop_is_taken: assert (drops_nothing == '0);
    turn_is_the_takes: assert (turns_other == '0);
    take_is_free: assert (!take_i || (free_o && !hit_o && !conflict_o));
    nothing_before_ready: assert (ready_o || (!take_i && !drop_i));
  end
`endif
endmodule
`default_nettype wire
