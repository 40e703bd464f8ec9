// state_table: cst_state_table finds a copy as long as there is one, and gives each id to one tag.
// Shows      asked for a tag, it is found exactly while an id has it, and the id is that one; takes
//            and drops behind the question are seen; an id that is given has no other tag, none is
//            lost: there is one to give when an id and a place of the set are free; a conflict is
//            another tag whose lowest MatchBits are the same. After a reset at any clock too.
// Reduced    to four ids, two sets of two ways, tags of two bits.
// How        what each id is taken for stands outside; places, ids and the ring of free ids agree.
//: reduce cst_state_pkg: IdBits = 10; ==> IdBits = 2;
//: reduce cst_state_pkg: Ids = 1024; ==> Ids = 4;
//: reduce cst_state_table: Ids = 1024, ==> Ids = 4,
//: prove induction 2 MatchBits=1
//: cover 12
//: mistake found_no_more in cst_state_table: row_q <= (write && set_i == set_q) ? {tag_q, id_free} : memory_q[set_i]; ==> row_q <= memory_q[set_i];
//: mistake found_no_more_behind in cst_state_table: same_q[w] <= here ? tag_equal_q : valid && same; ==> same_q[w] <= valid && same;
//: mistake found_as_it_is_dropped in cst_state_table: !(drop_i && drop_id_i == row_q[IdBits-1:0]); ==> 1'b1;
//: mistake found_while_it_waits in cst_state_table: end else if (drop_i && drop_id_i == id_q) begin ==> end else if (drop_i && drop_id_i == id_q && !same_q[w]) begin
//: mistake found_before_it_is_cleared in cst_state_table: if (clearing) begin ==> if (!rst_ni) begin
//: mistake one_too_many in cst_state_table: assign one = count_q == (IdBits+1)'(taken_before_q) + 1'b1; ==> assign one = count_q == (IdBits+1)'(1);
//: mistake found_when_dropped in cst_state_table: taken_q[read_set_q] != dropped_q[read_set_q] && ==> taken_q[read_set_q] &&
//: mistake given_twice in cst_state_table: if (take_i) first_q <= first_q + 1'b1; ==> if (take_i && !drop_i) first_q <= first_q + 1'b1;
//: mistake another_one_back in cst_state_table: assign put_id = filling_q ? last_q : drop_id_i; ==> assign put_id = last_q;
//: mistake another_place_dropped in cst_state_table: assign where_take = {set_q, way_free}; ==> assign where_take = {read_set_q, way_free};
//: mistake half_a_tag in cst_state_table: row_q[IdBits +: TagBits] == read_tag_q; ==> row_q[IdBits +: 1] == read_tag_q[0];
`default_nettype none
module state_table #(
  parameter int unsigned MatchBits = 2
) (
  input wire logic       clk_i,
  input wire logic       rst_ni,
  input wire logic       ask_i,
  input wire logic       set_i,
  input wire logic [1:0] tag_i,
  input wire logic       take_i,
  input wire logic       drop_i,
  input wire logic [1:0] drop_id_i
);
  localparam int unsigned Ids = 4;
  logic ready, hit, conflict, free;
  logic [1:0] id;

  cst_state_table #(.SetBits(1), .Ways(2), .Ids(Ids), .TagBits(2), .MatchBits(MatchBits)) u_table (
    .clk_i, .rst_ni, .ready_o(ready), .ask_i, .set_i, .tag_i, .hit_o(hit), .conflict_o(conflict),
    .free_o(free), .id_o(id), .take_i, .drop_i, .drop_id_i
  );

  // ---- What was asked, and what each id is taken for -------------------------------------------
  logic read_q, read_set_q, asked_q, set_q, again_q;
  logic [1:0] read_tag_q, tag_q;
  logic [Ids-1:0] alive_q, sets_q, dropped_q;
  logic [2*Ids-1:0] tags_q;
  always_ff @(posedge clk_i) begin
    if (ask_i) begin
      read_set_q <= set_i;
      read_tag_q <= tag_i;
      set_q <= read_set_q;
      tag_q <= read_tag_q;
    end
    if (take_i) begin
      sets_q[id] <= set_q;
      tags_q[2*id +: 2] <= tag_q;
    end
    if (!rst_ni) begin
      read_q <= 1'b0;
      asked_q <= 1'b0;
      alive_q <= '0;
      dropped_q <= '0;
      again_q <= 1'b0;
    end else begin
      if (ask_i) read_q <= 1'b1;
      if (ask_i) asked_q <= read_q;
      if (take_i) alive_q[id] <= 1'b1;
      if (drop_i) begin
        alive_q[drop_id_i] <= 1'b0;
        dropped_q[drop_id_i] <= 1'b1;
      end
      if (take_i && dropped_q[id]) again_q <= 1'b1;
    end
  end

  initial assume (!rst_ni);
  always_comb begin
    if (take_i) assume (rst_ni && ready && ask_i && asked_q && free && !hit && !conflict);
    if (drop_i) assume (rst_ni && ready && alive_q[drop_id_i]);
  end

  // ---- What must come out ----------------------------------------------------------------------
  logic [Ids-1:0] in_set, same, others;
  always_comb
    for (int unsigned i = 0; i < Ids; i++) begin
      in_set[i] = alive_q[i] && sets_q[i] == set_q;
      same[i] = in_set[i] && tags_q[2*i +: 2] == tag_q;
      others[i] = in_set[i] && tags_q[2*i +: MatchBits] == tag_q[MatchBits-1:0] && !same[i];
    end
  logic [2:0] in_set_count, alive_count;
  assign in_set_count = 3'(in_set[0]) + 3'(in_set[1]) + 3'(in_set[2]) + 3'(in_set[3]);
  assign alive_count = 3'(alive_q[0]) + 3'(alive_q[1]) + 3'(alive_q[2]) + 3'(alive_q[3]);

  always_comb if (rst_ni && ready && asked_q) begin
    found_while_there: assert (hit == (same != '0));
    found_is_it: assert (!hit || same[id]);
    given_is_free: assert (hit || !free || !alive_q[id]);
    none_lost: assert (free == (in_set_count < 3'd2 && alive_count < 3'(Ids)));
    conflicts: assert (conflict == (others != '0));
    taken_again: cover (again_q && hit);
    taken_and_dropped: cover (take_i && drop_i);
    full: cover (&alive_q && hit);
  end

  // ---- The registers inside, for induction -----------------------------------------------------
  (* hierconn *) wire \u_table.filling_q ;
  (* hierconn *) wire [1:0] \u_table.clear_q ;
  (* hierconn *) wire [2:0] \u_table.count_q ;
  (* hierconn *) wire [1:0] \u_table.first_q ;
  (* hierconn *) wire [1:0] \u_table.last_q ;
  (* hierconn *) wire \u_table.taken_before_q ;
  (* hierconn *) wire \u_table.some_q ;
  (* hierconn *) wire \u_table.read_set_q ;
  (* hierconn *) wire [1:0] \u_table.read_tag_q ;
  (* hierconn *) wire \u_table.set_q ;
  (* hierconn *) wire [1:0] \u_table.tag_q ;
  (* hierconn *) wire \u_table.set_equal_q ;
  (* hierconn *) wire \u_table.tag_equal_q ;
  (* hierconn *) wire \u_table.match_equal_q ;
  (* hierconn *) wire [1:0] \u_table.valid_q ;
  (* hierconn *) wire [1:0] \u_table.turns_q ;
  (* hierconn *) wire [1:0] \u_table.same_q ;
  (* hierconn *) wire [1:0] \u_table.conflicts_q ;
  (* hierconn *) wire [1:0] \u_table.ring_q[0] ;
  (* hierconn *) wire [1:0] \u_table.ring_q[1] ;
  (* hierconn *) wire [1:0] \u_table.ring_q[2] ;
  (* hierconn *) wire [1:0] \u_table.ring_q[3] ;
  (* hierconn *) wire [1:0] \u_table.where_q[0] ;
  (* hierconn *) wire [1:0] \u_table.where_q[1] ;
  (* hierconn *) wire [1:0] \u_table.where_q[2] ;
  (* hierconn *) wire [1:0] \u_table.where_q[3] ;
  (* hierconn *) wire [3:0] \u_table.g_way[0].memory_q[0] ;
  (* hierconn *) wire [3:0] \u_table.g_way[0].memory_q[1] ;
  (* hierconn *) wire [3:0] \u_table.g_way[1].memory_q[0] ;
  (* hierconn *) wire [3:0] \u_table.g_way[1].memory_q[1] ;
  (* hierconn *) wire [3:0] \u_table.g_way[0].row_q ;
  (* hierconn *) wire [3:0] \u_table.g_way[1].row_q ;
  (* hierconn *) wire [1:0] \u_table.g_way[0].id_q ;
  (* hierconn *) wire [1:0] \u_table.g_way[1].id_q ;
  (* hierconn *) wire \u_table.g_way[0].taken_q[0] ;
  (* hierconn *) wire \u_table.g_way[0].taken_q[1] ;
  (* hierconn *) wire \u_table.g_way[1].taken_q[0] ;
  (* hierconn *) wire \u_table.g_way[1].taken_q[1] ;
  (* hierconn *) wire \u_table.g_way[0].dropped_q[0] ;
  (* hierconn *) wire \u_table.g_way[0].dropped_q[1] ;
  (* hierconn *) wire \u_table.g_way[1].dropped_q[0] ;
  (* hierconn *) wire \u_table.g_way[1].dropped_q[1] ;
  (* hierconn *) wire \u_table.turn_q[0] ;
  (* hierconn *) wire \u_table.turn_q[1] ;
  (* hierconn *) wire \u_table.turn_q[2] ;
  (* hierconn *) wire \u_table.turn_q[3] ;
  logic [7:0] ring, where;
  logic [15:0] memory;  // place = 2 * set + way: tag, id
  logic [3:0] valid, taken, turns;
  assign ring = {\u_table.ring_q[3] , \u_table.ring_q[2] ,
                 \u_table.ring_q[1] , \u_table.ring_q[0] };
  assign where = {\u_table.where_q[3] , \u_table.where_q[2] , \u_table.where_q[1] ,
                  \u_table.where_q[0] };
  assign memory = {\u_table.g_way[1].memory_q[1] , \u_table.g_way[0].memory_q[1] ,
                   \u_table.g_way[1].memory_q[0] , \u_table.g_way[0].memory_q[0] };
  assign turns = {\u_table.turn_q[3] , \u_table.turn_q[2] ,
                  \u_table.turn_q[1] , \u_table.turn_q[0] };
  assign taken = {\u_table.g_way[1].taken_q[1] , \u_table.g_way[0].taken_q[1] ,
                  \u_table.g_way[1].taken_q[0] , \u_table.g_way[0].taken_q[0] };
  assign valid = taken ^
                 {\u_table.g_way[1].dropped_q[1] , \u_table.g_way[0].dropped_q[1] ,
                  \u_table.g_way[1].dropped_q[0] , \u_table.g_way[0].dropped_q[0] };

  logic [Ids-1:0] placed, held, waits;
  logic twice;
  logic [1:0] at, entry, here, here_same, here_matches;
  logic [2:0] count;
  assign count = \u_table.count_q - 3'(\u_table.taken_before_q );
  always_comb begin
    waits = '0;
    at = '0;
    entry = '0;
    for (int unsigned i = 0; i < Ids; i++) begin
      at = where[2*i +: 2];
      placed[i] = valid[at] && taken[at] == turns[i] && at[1] == sets_q[i] &&
                  memory[4*at +: 4] == {tags_q[2*i +: 2], 2'(i)};
      entry = memory[4*i +: 2];
      held[i] = alive_q[entry] && where[2*entry +: 2] == 2'(i);
    end
    twice = 1'b0;
    for (int unsigned i = 0; i < Ids; i++)
      for (int unsigned j = 0; j < i; j++)
        if (alive_q[i] && alive_q[j] && sets_q[i] == sets_q[j] &&
            tags_q[2*i +: 2] == tags_q[2*j +: 2])
          twice = 1'b1;
    for (int unsigned i = 0; i < Ids; i++) begin
      at = \u_table.first_q + 2'(i);
      if (3'(i) < count) waits[ring[2*at +: 2]] = 1'b1;
    end
    for (int unsigned w = 0; w < 2; w++) begin
      at = {set_q, 1'(w)};
      here[w] = valid[at];
      here_same[w] = valid[at] && memory[4*at + 2 +: 2] == tag_q;
      here_matches[w] = valid[at] && memory[4*at + 2 +: MatchBits] == tag_q[MatchBits-1:0];
    end
  end
  always_comb if (rst_ni) begin
    question: assert (!read_q || (\u_table.read_set_q == read_set_q &&
                                  \u_table.read_tag_q == read_tag_q &&
                                  \u_table.g_way[0].row_q == memory[8*read_set_q +: 4] &&
                                  \u_table.g_way[1].row_q == memory[8*read_set_q + 4 +: 4]));
    answered: assert (!asked_q || (read_q &&
        \u_table.set_q == set_q && \u_table.tag_q == tag_q &&
        \u_table.set_equal_q == (set_q == read_set_q) &&
        \u_table.tag_equal_q == (tag_q == read_tag_q) &&
        \u_table.match_equal_q == (tag_q[MatchBits-1:0] == read_tag_q[MatchBits-1:0]) &&
        \u_table.g_way[0].id_q == memory[8*set_q +: 2] &&
        \u_table.g_way[1].id_q == memory[8*set_q + 4 +: 2]));
    answer: assert (!asked_q || !\u_table.clear_q [1] ||
        (\u_table.valid_q == here && \u_table.turns_q == ~taken[2*set_q +: 2] &&
         \u_table.same_q == here_same && \u_table.conflicts_q == (here_matches & ~here_same)));
    all_bits_cleared: assert (ready || ((\u_table.clear_q == '0 || taken[1:0] == '0) &&
                                        (!\u_table.clear_q [1] || taken == '0)));
    cleared: assert (\u_table.clear_q <= 2'd2 && (\u_table.clear_q == 2'd0 || valid[1:0] == '0 ||
                                                  ready) && (!\u_table.clear_q [1] || ready ||
                                                             valid == '0));
    nothing_before: assert (ready || alive_q == '0);
    filled: assert (\u_table.filling_q ? \u_table.count_q == 3'(\u_table.last_q ) &&
                                         \u_table.first_q == '0 :
                                         count == 3'(Ids) - alive_count);
    some: assert (\u_table.some_q == (count != '0) && (ready || !\u_table.taken_before_q ));
    ring_turns: assert (\u_table.last_q == 2'(\u_table.first_q + count[1:0]));
    filled_in_order: assert (!\u_table.filling_q || waits == 4'((5'd1 << \u_table.last_q ) - 5'd1));
    ring_is_what_is_free: assert (\u_table.filling_q || waits == ~alive_q);
    places: assert (!ready || (alive_q & ~placed) == '0);
    entries: assert (!ready || (valid & ~held) == '0);
    each_tag_once: assert (!twice);
  end
endmodule
`default_nettype wire
