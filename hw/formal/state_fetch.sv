// state_fetch: cst_state_fetch makes one copy of each key and line, and reads when there is none.
// Shows      operations leave in order, none lost, none twice, each as it came, with the two
//            buckets that the directory's row says; one whose key is on chip has that id and takes
//            and reads nothing else; a new one has an id that no key has, waits for another key of
//            its hash, and takes both its lines: one on chip has its id and is not read, another
//            gets an id that no line has and is read once, at its own place, in the clock in which
//            it is taken, so behind the clock in which an older copy was let go. An operation on a
//            key that is on chip, or on none, waits for the queue alone.
// Reduced    to two ids, buckets' numbers of five bits, keys and operands of a byte.
// Given      that a table does what formal.state_table shows: one like that stands in its place;
//            and that no id is dropped that is taken now (formal.state_pins).
// How        one operation, any, is followed; what has an id stands outside.
//: reduce cst_state_pkg: IdBits = 10; ==> IdBits = 1;
//: reduce cst_state_pkg: Ids = 1024; ==> Ids = 2;
//: reduce cst_state_pkg: BucketNoBits = 27; ==> BucketNoBits = 5;
//: reduce cst_state_pkg: [127:0] ==> [7:0]
//: reduce cst_state_pkg: [511:0] ==> [7:0]
//: reduce cst_state_pkg: logic [31:0] row; ==> logic [3:0] row;
//: reduce cst_state_pkg: OpBits = 755; ==> OpBits = 103;
//: reduce cst_state_table: Ids = 1024, ==> Ids = 2,
//: reduce cst_state_fetch: LineSetBits = 10, ==> LineSetBits = 1,
//: reduce cst_state_fetch: TagBits = 64 + 8 + 128; ==> TagBits = 64 + 8 + 8;
//: reduce cst_state_fetch: cst_state_table # ==> state_fetch_table #
//: prove induction 2
//: cover 14
//: mistake asks_for_the_one_behind in cst_state_fetch: .tag_i({b_op_q.key, b_op_q.key_bytes, b_op_q.hash}), ==> .tag_i({a_op_q.key, a_op_q.key_bytes, a_op_q.hash}),
//: mistake reads_what_is_on_chip in cst_state_fetch: new_fits && op_ready_i && !line_hit[0] && ==> new_fits && op_ready_i &&
//: mistake reads_twice in cst_state_fetch: (line_hit[1] || read_ready_i[1]); ==> 1'b1;
//: mistake hash_of_another in cst_state_fetch: assign new_fits = key_free && !key_conflict && match_ready_i ==> assign new_fits = key_free && match_ready_i
//: mistake another_set in cst_state_fetch: .ask_i(moves), .set_i(b_odd_set), ==> .ask_i(moves), .set_i(b_even_set),
//: mistake another_half_dropped in cst_state_fetch: .take_i(line_new_o[1]), .drop_i(line_drop_i[1]), ==> .take_i(line_new_o[1]), .drop_i(line_drop_i[0]),
//: mistake half_of_another in cst_state_fetch: b_first_odd_q <= a_first_q[0]; ==> b_first_odd_q <= in_first[0];
//: mistake too_long_and_looked_for in cst_state_fetch: b_uses_q <= a_keyed && a_op_q.key_bytes <= config_i.key_bytes; ==> b_uses_q <= a_keyed;
//: mistake another_ones_buckets in cst_state_fetch: d_even_q <= c_even_q; ==> d_even_q <= b_even_q;
//: mistake kept_without_moving in cst_state_fetch: assign moves = go || !d_valid_q; ==> assign moves = go || !d_valid_q || !c_valid_q;
`default_nettype none
module state_fetch #(
  localparam int unsigned NoBits = cst_state_pkg::BucketNoBits
) (
  input wire logic               clk_i,
  input wire logic               rst_ni,
  input wire logic               in_valid_i,
  input wire cst_state_pkg::op_t in_op_i,
  input wire logic [175:0]       in_row_i,
  input wire logic               op_ready_i,
  input wire logic               match_ready_i,
  input wire logic [1:0]         read_ready_i,
  input wire logic               key_drop_i,
  input wire logic               key_drop_id_i,
  input wire logic [1:0]         line_drop_i,
  input wire logic [1:0]         line_drop_id_i,
  input wire logic               mark_i
);
  (* anyconst *) cst_state_pkg::config_t config_c;
  logic ready, in_ready, op_valid, key_take, key_new, key_id, hit, waits, wait_copy;
  logic [1:0] line_new, line_id, read_valid;
  cst_state_pkg::queued_t op;
  cst_state_pkg::ident_t ident;
  cst_state_pkg::place_t read_even, read_odd;

  cst_state_fetch #(.KeySetBits(1), .KeyWays(2), .KeyIds(2), .LineSetBits(1), .LineWays(2),
                    .LineIds(2)) u_fetch (
    .clk_i, .rst_ni, .ready_o(ready), .config_i(config_c),
    .in_valid_i, .in_ready_o(in_ready), .in_op_i, .in_row_i,
    .op_valid_o(op_valid), .op_ready_i, .op_o(op),
    .key_take_o(key_take), .key_new_o(key_new), .key_id_o(key_id), .ident_o(ident), .match_ready_i,
    .line_new_o(line_new), .line_id_o(line_id), .read_valid_o(read_valid), .read_ready_i,
    .read_even_o(read_even), .read_odd_o(read_odd),
    .key_drop_i, .key_drop_id_i, .line_drop_i, .line_drop_id_i,
    .hit_o(hit), .wait_o(waits), .wait_copy_o(wait_copy)
  );
  logic take, give;
  assign take = in_valid_i && in_ready;
  assign give = op_valid && op_ready_i;

  // ---- What has an id: keys, even lines, odd lines ---------------------------------------------
  localparam int unsigned KeyBits = 64 + 8 + 8;
  logic [1:0] keys_q, evens_q, odds_q;
  logic [1:0] of_key, of_hash, of_even, of_odd;  // the ids that have what is followed
  logic marked_q, again_q;
  logic [KeyBits-1:0] key0_q, key1_q;
  logic [NoBits-1:0] even0_q, even1_q, odd0_q, odd1_q;
  always_ff @(posedge clk_i) begin
    if (key_new && !key_id) key0_q <= {ident.key, ident.key_bytes, ident.hash};
    if (key_new && key_id) key1_q <= {ident.key, ident.key_bytes, ident.hash};
    if (line_new[0] && !line_id[0]) even0_q <= ident.even_no;
    if (line_new[0] && line_id[0]) even1_q <= ident.even_no;
    if (line_new[1] && !line_id[1]) odd0_q <= ident.odd_no;
    if (line_new[1] && line_id[1]) odd1_q <= ident.odd_no;
    if (!rst_ni) begin
      {keys_q, evens_q, odds_q, again_q} <= '0;
    end else begin
      keys_q <= (keys_q & ~({1'b0, key_drop_i} << key_drop_id_i)) | ({1'b0, key_new} << key_id);
      evens_q <= (evens_q & ~({1'b0, line_drop_i[0]} << line_drop_id_i[0])) |
                 ({1'b0, line_new[0]} << line_id[0]);
      odds_q <= (odds_q & ~({1'b0, line_drop_i[1]} << line_drop_id_i[1])) |
                ({1'b0, line_new[1]} << line_id[1]);
      again_q <= marked_q && (again_q || (line_drop_i[0] && of_even[line_drop_id_i[0]]));
    end
  end

  // ---- The operation that is followed ----------------------------------------------------------
  logic [5:0] first, second;
  logic [NoBits-1:0] first_no, second_no, mark_even_q, mark_odd_q;
  logic [2:0] inside_q, at_q;  // at_q: a, b, c, d
  logic [1:0] ahead_q;
  logic mark_uses, mark_odd_first_q, head;
  cst_state_pkg::op_t mark_q;
  assign first = cst_pkg::hash_bucket_first(in_op_i.hash, in_row_i[170:168]);
  assign second = cst_pkg::hash_bucket_second(in_op_i.hash, in_row_i[170:168], first);
  assign first_no = {in_row_i[32'(first[5:3]) * 24 +: 24], first[2:0]};
  assign second_no = {in_row_i[32'(second[5:3]) * 24 +: 24], second[2:0]};
  assign mark_uses = cst_state_pkg::uses_key(mark_q.kind) && mark_q.key_bytes <= config_c.key_bytes;
  assign head = marked_q && ahead_q == '0 && at_q == 3'd4;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      inside_q <= '0;
      marked_q <= 1'b0;
    end else begin
      inside_q <= inside_q + 3'(take) - 3'(give);
      if (in_ready && marked_q) at_q <= at_q + 1'b1;
      if (!marked_q && take && mark_i) begin
        marked_q <= 1'b1;
        at_q <= 3'd1;
        ahead_q <= 2'(inside_q - 3'(give));
        mark_q <= in_op_i;
        mark_odd_first_q <= first[0];
        mark_even_q <= first[0] ? second_no : first_no;
        mark_odd_q <= first[0] ? first_no : second_no;
      end else if (marked_q && give) begin
        ahead_q <= ahead_q - 1'b1;
        if (ahead_q == '0) marked_q <= 1'b0;
      end
    end
  end

  assign of_key = keys_q & {key1_q == {mark_q.key, mark_q.key_bytes, mark_q.hash},
                            key0_q == {mark_q.key, mark_q.key_bytes, mark_q.hash}};
  assign of_hash = keys_q & {key1_q[63:0] == mark_q.hash, key0_q[63:0] == mark_q.hash};
  assign of_even = evens_q & {even1_q == mark_even_q, even0_q == mark_even_q};
  assign of_odd = odds_q & {odd1_q == mark_odd_q, odd0_q == mark_odd_q};

  // ---- What those around it keep to ------------------------------------------------------------
  initial assume (!rst_ni);
  always_comb begin
    if (!ready) assume (!in_valid_i);
    if (!ready || !rst_ni) assume (!key_drop_i && line_drop_i == '0);
    if (key_drop_i) assume (keys_q[key_drop_id_i] && !(key_take && key_id == key_drop_id_i));
    if (line_drop_i[0])
      assume (evens_q[line_drop_id_i[0]] && !(key_new && line_id[0] == line_drop_id_i[0]));
    if (line_drop_i[1])
      assume (odds_q[line_drop_id_i[1]] && !(key_new && line_id[1] == line_drop_id_i[1]));
  end

  // ---- What must come out ----------------------------------------------------------------------
  always_comb if (rst_ni) begin
    none_made_up: assert (!op_valid || inside_q != '0);
    in_order: assert (!(marked_q && ahead_q == '0 && op_valid) || head);
    reads_as_it_goes: assert (((read_valid & read_ready_i) == '0) || (give && key_new));
    takes_as_it_goes: assert (!(key_take || key_new || line_new != '0) || give);
    if (head && op_valid) begin
      as_it_came: assert (op.kind == mark_q.kind && op.row == mark_q.row &&
                          op.nulls == mark_q.nulls && op.operands == mark_q.operands &&
                          op.tag == cst_pkg::hash_tag(mark_q.hash) && op.uses_key == mark_uses &&
                          op.too_long == (mark_q.key_bytes > config_c.key_bytes));
      its_ident: assert (!key_new || (ident.hash == mark_q.hash &&
                                      ident.key_bytes == mark_q.key_bytes &&
                                      ident.key == mark_q.key && ident.even_no == mark_even_q &&
                                      ident.odd_no == mark_odd_q &&
                                      ident.first_odd == mark_odd_first_q &&
                                      ident.even_id == line_id[0] &&
                                      ident.odd_id == line_id[1]));
      uses_its_id: assert (key_take == mark_uses && op.id == key_id);
      new_is_new: assert (key_new == (mark_uses && of_key == '0) && op.first == key_new);
      on_chip_has_its_id: assert (!(mark_uses && !key_new) || of_key[key_id]);
      a_new_id_is_free: assert (!key_new || (!keys_q[key_id] && of_hash == '0));
      lines_are_new_or_not: assert (line_new == {key_new && of_odd == '0,
                                                 key_new && of_even == '0});
      lines_on_chip: assert (!key_new || ((line_new[0] || of_even[line_id[0]]) &&
                                          (line_new[1] || of_odd[line_id[1]])));
      lines_ids_are_free: assert (!(line_new[0] && evens_q[line_id[0]]) &&
                                  !(line_new[1] && odds_q[line_id[1]]));
      read_once: assert ((read_valid & read_ready_i) == line_new);
    end
    if (head) begin
      older_memory_is_not_read: assert (!(read_valid[0] && of_even != '0) &&
                                        !(read_valid[1] && of_odd != '0));
      read_at_its_place: assert (
          (!read_valid[0] || read_even == cst_state_pkg::line_place(mark_even_q,
                                                                    config_c.index_base)) &&
          (!read_valid[1] || read_odd == cst_state_pkg::line_place(mark_odd_q,
                                                                   config_c.index_base)));
      goes_when_it_can: assert (op_valid || !op_ready_i || (mark_uses && of_key == '0));
    end
    a_new_one: cover (give && head && line_new == 2'b11);
    one_line_on_chip: cover (give && head && line_new == 2'b10);
    on_chip: cover (give && head && mark_uses && !key_new);
    another_of_its_hash: cover (head && of_hash != '0 && of_key == '0 && wait_copy);
    dropped_and_read_again: cover (head && read_valid[0] && read_ready_i[0] && again_q);
    one_of_four: cover (marked_q && ahead_q == 2'd3);
  end

  // ---- The stages and tables inside, for induction ---------------------------------------------
  localparam int unsigned OpBits = cst_state_pkg::OpBits;
  (* hierconn *) wire \u_fetch.a_valid_q ;
  (* hierconn *) wire \u_fetch.b_valid_q ;
  (* hierconn *) wire \u_fetch.c_valid_q ;
  (* hierconn *) wire \u_fetch.d_valid_q ;
  (* hierconn *) wire \u_fetch.b_uses_q ;
  (* hierconn *) wire \u_fetch.c_uses_q ;
  (* hierconn *) wire \u_fetch.d_uses_q ;
  (* hierconn *) wire \u_fetch.b_long_q ;
  (* hierconn *) wire \u_fetch.c_long_q ;
  (* hierconn *) wire \u_fetch.d_long_q ;
  (* hierconn *) wire \u_fetch.b_first_odd_q ;
  (* hierconn *) wire \u_fetch.c_first_odd_q ;
  (* hierconn *) wire \u_fetch.d_first_odd_q ;
  (* hierconn *) wire [OpBits-1:0] \u_fetch.a_op_q ;
  (* hierconn *) wire [OpBits-1:0] \u_fetch.b_op_q ;
  (* hierconn *) wire [OpBits-1:0] \u_fetch.c_op_q ;
  (* hierconn *) wire [OpBits-1:0] \u_fetch.d_op_q ;
  (* hierconn *) wire [5:0] \u_fetch.a_first_q ;
  (* hierconn *) wire [5:0] \u_fetch.a_second_q ;
  (* hierconn *) wire [NoBits-1:0] \u_fetch.a_first_no ;
  (* hierconn *) wire [NoBits-1:0] \u_fetch.a_second_no ;
  (* hierconn *) wire [NoBits-1:0] \u_fetch.b_even_q ;
  (* hierconn *) wire [NoBits-1:0] \u_fetch.b_odd_q ;
  (* hierconn *) wire [NoBits-1:0] \u_fetch.c_even_q ;
  (* hierconn *) wire [NoBits-1:0] \u_fetch.c_odd_q ;
  (* hierconn *) wire [NoBits-1:0] \u_fetch.d_even_q ;
  (* hierconn *) wire [NoBits-1:0] \u_fetch.d_odd_q ;
  (* hierconn *) wire [1:0] \u_fetch.u_keys.alive_q ;
  (* hierconn *) wire [1:0] \u_fetch.u_keys.sets_q ;
  (* hierconn *) wire [KeyBits-1:0] \u_fetch.u_keys.read_tag_q ;
  (* hierconn *) wire [KeyBits-1:0] \u_fetch.u_keys.tag_q ;
  (* hierconn *) wire [KeyBits-1:0] \u_fetch.u_keys.tag0_q ;
  (* hierconn *) wire [KeyBits-1:0] \u_fetch.u_keys.tag1_q ;
  (* hierconn *) wire \u_fetch.u_keys.read_set_q ;
  (* hierconn *) wire \u_fetch.u_keys.set_q ;
  (* hierconn *) wire [1:0] \u_fetch.u_even.alive_q ;
  (* hierconn *) wire [1:0] \u_fetch.u_even.sets_q ;
  (* hierconn *) wire [NoBits-2:0] \u_fetch.u_even.read_tag_q ;
  (* hierconn *) wire [NoBits-2:0] \u_fetch.u_even.tag_q ;
  (* hierconn *) wire [NoBits-2:0] \u_fetch.u_even.tag0_q ;
  (* hierconn *) wire [NoBits-2:0] \u_fetch.u_even.tag1_q ;
  (* hierconn *) wire \u_fetch.u_even.read_set_q ;
  (* hierconn *) wire \u_fetch.u_even.set_q ;
  (* hierconn *) wire [1:0] \u_fetch.u_odd.alive_q ;
  (* hierconn *) wire [1:0] \u_fetch.u_odd.sets_q ;
  (* hierconn *) wire [NoBits-2:0] \u_fetch.u_odd.read_tag_q ;
  (* hierconn *) wire [NoBits-2:0] \u_fetch.u_odd.tag_q ;
  (* hierconn *) wire [NoBits-2:0] \u_fetch.u_odd.tag0_q ;
  (* hierconn *) wire [NoBits-2:0] \u_fetch.u_odd.tag1_q ;
  (* hierconn *) wire \u_fetch.u_odd.read_set_q ;
  (* hierconn *) wire \u_fetch.u_odd.set_q ;
  cst_state_pkg::op_t c_op, d_op;
  logic [KeyBits-1:0] c_key, d_key;
  assign c_op = \u_fetch.c_op_q ;
  assign d_op = \u_fetch.d_op_q ;
  assign c_key = {c_op.key, c_op.key_bytes, c_op.hash};
  assign d_key = {d_op.key, d_op.key_bytes, d_op.hash};
  always_comb if (rst_ni) begin
    counted: assert (inside_q == 3'(\u_fetch.a_valid_q ) + 3'(\u_fetch.b_valid_q ) +
                                 3'(\u_fetch.c_valid_q ) + 3'(\u_fetch.d_valid_q ));
    nothing_before_ready: assert (ready || (inside_q == '0 && {keys_q, evens_q, odds_q} == '0));
    halves: assert ((!\u_fetch.a_valid_q || \u_fetch.a_first_q [0] != \u_fetch.a_second_q [0]) &&
                    (!\u_fetch.b_valid_q || (!\u_fetch.b_even_q [0] && \u_fetch.b_odd_q [0])) &&
                    (!\u_fetch.c_valid_q || (!\u_fetch.c_even_q [0] && \u_fetch.c_odd_q [0])) &&
                    (!\u_fetch.d_valid_q || (!\u_fetch.d_even_q [0] && \u_fetch.d_odd_q [0])));
    if (marked_q) begin
      somewhere: assert (at_q != 3'd0 && at_q <= 3'd4);
      in_a: assert (at_q != 3'd1 || (\u_fetch.a_valid_q && \u_fetch.a_op_q == mark_q &&
          ahead_q == 2'(\u_fetch.b_valid_q ) + 2'(\u_fetch.c_valid_q ) +
                     2'(\u_fetch.d_valid_q ) &&
          \u_fetch.a_first_q [0] == mark_odd_first_q &&
          \u_fetch.a_first_no == (mark_odd_first_q ? mark_odd_q : mark_even_q) &&
          \u_fetch.a_second_no == (mark_odd_first_q ? mark_even_q : mark_odd_q)));
      in_b: assert (at_q != 3'd2 || (\u_fetch.b_valid_q && \u_fetch.b_op_q == mark_q &&
          ahead_q == 2'(\u_fetch.c_valid_q ) + 2'(\u_fetch.d_valid_q ) &&
          \u_fetch.b_uses_q == mark_uses &&
          \u_fetch.b_long_q == (mark_q.key_bytes > config_c.key_bytes) &&
          \u_fetch.b_first_odd_q == mark_odd_first_q && \u_fetch.b_even_q == mark_even_q &&
          \u_fetch.b_odd_q == mark_odd_q));
      in_c: assert (at_q != 3'd3 || (\u_fetch.c_valid_q && \u_fetch.c_op_q == mark_q &&
          ahead_q == 2'(\u_fetch.d_valid_q ) && \u_fetch.c_uses_q == mark_uses &&
          \u_fetch.c_long_q == (mark_q.key_bytes > config_c.key_bytes) &&
          \u_fetch.c_first_odd_q == mark_odd_first_q && \u_fetch.c_even_q == mark_even_q &&
          \u_fetch.c_odd_q == mark_odd_q));
      in_d: assert (at_q != 3'd4 || (\u_fetch.d_valid_q && \u_fetch.d_op_q == mark_q &&
          ahead_q == '0 && \u_fetch.d_uses_q == mark_uses &&
          \u_fetch.d_long_q == (mark_q.key_bytes > config_c.key_bytes) &&
          \u_fetch.d_first_odd_q == mark_odd_first_q && \u_fetch.d_even_q == mark_even_q &&
          \u_fetch.d_odd_q == mark_odd_q));
    end
    asked: assert (!\u_fetch.c_valid_q ||
        (\u_fetch.u_keys.read_tag_q == c_key &&
         \u_fetch.u_keys.read_set_q == (c_key[0] ^ c_key[36]) &&
         \u_fetch.u_even.read_tag_q == \u_fetch.c_even_q [NoBits-1:1] &&
         \u_fetch.u_even.read_set_q == (\u_fetch.c_even_q [1] ^ \u_fetch.c_even_q [2]) &&
         \u_fetch.u_odd.read_tag_q == \u_fetch.c_odd_q [NoBits-1:1] &&
         \u_fetch.u_odd.read_set_q == (\u_fetch.c_odd_q [1] ^ \u_fetch.c_odd_q [2])));
    answered: assert (!\u_fetch.d_valid_q ||
        (\u_fetch.u_keys.tag_q == d_key &&
         \u_fetch.u_keys.set_q == (d_key[0] ^ d_key[36]) &&
         \u_fetch.u_even.tag_q == \u_fetch.d_even_q [NoBits-1:1] &&
         \u_fetch.u_even.set_q == (\u_fetch.d_even_q [1] ^ \u_fetch.d_even_q [2]) &&
         \u_fetch.u_odd.tag_q == \u_fetch.d_odd_q [NoBits-1:1] &&
         \u_fetch.u_odd.set_q == (\u_fetch.d_odd_q [1] ^ \u_fetch.d_odd_q [2])));
    as_outside: assert (\u_fetch.u_keys.alive_q == keys_q && \u_fetch.u_even.alive_q == evens_q &&
                        \u_fetch.u_odd.alive_q == odds_q);
    keys_are_theirs: assert (
        (!keys_q[0] || (\u_fetch.u_keys.tag0_q == key0_q &&
                        \u_fetch.u_keys.sets_q [0] == (key0_q[0] ^ key0_q[36]))) &&
        (!keys_q[1] || (\u_fetch.u_keys.tag1_q == key1_q &&
                        \u_fetch.u_keys.sets_q [1] == (key1_q[0] ^ key1_q[36]))));
    evens_are_theirs: assert (
        (!evens_q[0] || ({\u_fetch.u_even.tag0_q , 1'b0} == even0_q &&
                         \u_fetch.u_even.sets_q [0] == (even0_q[1] ^ even0_q[2]))) &&
        (!evens_q[1] || ({\u_fetch.u_even.tag1_q , 1'b0} == even1_q &&
                         \u_fetch.u_even.sets_q [1] == (even1_q[1] ^ even1_q[2]))));
    odds_are_theirs: assert (
        (!odds_q[0] || ({\u_fetch.u_odd.tag0_q , 1'b1} == odd0_q &&
                        \u_fetch.u_odd.sets_q [0] == (odd0_q[1] ^ odd0_q[2]))) &&
        (!odds_q[1] || ({\u_fetch.u_odd.tag1_q , 1'b1} == odd1_q &&
                        \u_fetch.u_odd.sets_q [1] == (odd1_q[1] ^ odd1_q[2]))));
    each_once: assert (!(&keys_q && key0_q == key1_q) && !(&evens_q && even0_q == even1_q) &&
                       !(&odds_q && odd0_q == odd1_q));
  end
endmodule

// What formal.state_table shows of cst_state_table, with two ids, and no more: any id that is free
// may be the one to give, and a set or the ids may be said to be full at any clock.
module state_fetch_table #(
  parameter int unsigned SetBits = 1,
  parameter int unsigned Ways = 2,
  parameter int unsigned Ids = 2,
  parameter int unsigned TagBits = 64,
  parameter int unsigned MatchBits = TagBits
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
  output      logic               id_o,
  input  wire logic               take_i,
  input  wire logic               drop_i,
  input  wire logic               drop_id_i
);
  (* anyseq *) logic any_ready, any_free, any_id;
  logic ready_q;
  logic [SetBits-1:0] read_set_q, set_q;
  logic [TagBits-1:0] read_tag_q, tag_q, tag0_q, tag1_q;
  logic [1:0] alive_q, sets_q, in_set, same;
  assign in_set = alive_q & {sets_q[1] == set_q, sets_q[0] == set_q};
  assign same = in_set & {tag1_q == tag_q, tag0_q == tag_q};
  assign ready_o = ready_q;
  assign hit_o = |same;
  assign conflict_o = |(in_set & ~same & {tag1_q[MatchBits-1:0] == tag_q[MatchBits-1:0],
                                          tag0_q[MatchBits-1:0] == tag_q[MatchBits-1:0]});
  assign free_o = any_free && !(&alive_q);
  assign id_o = hit_o ? same[1] : free_o && alive_q != '0 ? alive_q[0] : any_id;
  always_ff @(posedge clk_i) begin
    if (ask_i) {read_set_q, read_tag_q, set_q, tag_q} <= {set_i, tag_i, read_set_q, read_tag_q};
    if (take_i && !id_o) {sets_q[0], tag0_q} <= {set_q, tag_q};
    if (take_i && id_o) {sets_q[1], tag1_q} <= {set_q, tag_q};
    if (!rst_ni) begin
      ready_q <= 1'b0;
      alive_q <= '0;
    end else begin
      ready_q <= ready_q || any_ready;
      alive_q <= (alive_q & ~({1'b0, drop_i} << drop_id_i)) | ({1'b0, take_i} << id_o);
    end
  end
  always_comb if (rst_ni) begin
    needs_to_take: assert (!take_i || (ready_q && ask_i && free_o && !hit_o && !conflict_o));
    needs_to_drop: assert (!drop_i || (ready_q && alive_q[drop_id_i]));
  end
endmodule
`default_nettype wire
