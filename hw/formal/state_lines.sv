// state_lines: cst_state_lines answers of a line what was written or filled last, never older.
// Shows      the answer to each of the three questions is the line as it stands, and stays so
//            until the next question: fills and updates of the meantime are in it, those of the
//            question's clock too, and of an id that was taken again nothing of the line before;
//            a slot that is freed and taken again has the new tag; the bucket's number is the one
//            that the id was taken for; present_o comes with the fill and goes with the take; a
//            fill is lost to no update.
// Reduced    to two ids, and two of the 16 slots, of which all are one text.
// Given      that a line is filled once, behind the clock in which its id is taken, and updated
//            when it is there (formal.state_fetch, formal.state_slots).
// How        both lines stand outside; what every memory inside holds, and was asked for, is that.
//: reduce cst_state_pkg: IdBits = 10; ==> IdBits = 1;
//: reduce cst_state_pkg: Ids = 1024; ==> Ids = 2;
//: reduce cst_state_lines: s < 16 ==> s < 2
//: prove induction 2
//: cover 10
//: mistake asked_before_it_was_filled in cst_state_ram: if (write_i && write_address_i == address && (read_i || Follow)) begin ==> if (write_i && write_address_i == address && read_i) begin
//: mistake an_update_missed in cst_state_ram: end else if (read_i) begin ==> end else begin
//: mistake fill_lost in cst_state_lines: assign fill_ready_o = !update_i.write; ==> assign fill_ready_o = 1'b1;
//: mistake present_while_it_is_read in cst_state_lines: if (take_i) taken_q[take_id_i] <= !filled_q[take_id_i]; ==> if (take_i && update_i.write) taken_q[take_id_i] <= !filled_q[take_id_i];
//: mistake another_slot in cst_state_lines: 16'(update_i.retag) << update_i.slot ==> 16'(update_i.retag) << (update_i.slot >> 1)
//: mistake fill_without_a_tag in cst_state_lines: << update_i.slot : '1; ==> << update_i.slot : '1 << 1;
//: mistake number_of_another in cst_state_lines: .write_i(take_i), ==> .write_i(take_i && !fill_valid_i),
`default_nettype none
module state_lines #(
  localparam int unsigned NoBits = cst_state_pkg::BucketNoBits,
  localparam int unsigned MetaBits = cst_state_pkg::MetaBits,
  localparam int unsigned LineBits = 32 + MetaBits  // overflow, occupied, two tags
) (
  input wire logic                        clk_i,
  input wire logic                        take_i,
  input wire logic                        take_id_i,
  input wire logic [NoBits-1:0]           take_no_i,
  input wire logic                        fill_valid_i,
  input wire logic                        fill_id_i,
  input wire logic [511:0]                fill_data_i,
  input wire cst_state_pkg::line_update_t update_i,
  input wire logic                        ask_id_i,
  input wire logic [2:0]                  read_i,  // match, execute, save
  input wire logic [2:0]                  read_id_i
);
  logic fill_ready, present, fill;
  logic [255:0] match_tags;
  logic [MetaBits-1:0] match_meta, execute_meta;
  logic [511:0] save_line;
  logic [NoBits-1:0] save_no;

  cst_state_lines u_lines (
    .clk_i, .take_i, .take_id_i, .take_no_i,
    .fill_valid_i, .fill_ready_o(fill_ready), .fill_id_i, .fill_data_i, .update_i,
    .ask_id_i, .present_o(present),
    .match_read_i(read_i[0]), .match_id_i(read_id_i[0]),
    .match_tags_o(match_tags), .match_meta_o(match_meta),
    .execute_read_i(read_i[1]), .execute_id_i(read_id_i[1]), .execute_meta_o(execute_meta),
    .save_read_i(read_i[2]), .save_id_i(read_id_i[2]), .save_line_o(save_line), .save_no_o(save_no)
  );
  assign fill = fill_valid_i && fill_ready;

  // ---- Both lines, as those around the module know them ----------------------------------------
  cst_state_pkg::meta_t meta;
  logic [1:0] taken_q, there_q, again_q;  // ever, filled since, with another line before
  logic [1:0] is_taken, is_filled, is_updated, is_freed, freed_q, retaken_q;
  logic [2*LineBits-1:0] lines_q;
  logic [2*NoBits-1:0] nos_q;
  logic [2:0] asked_q, asked_id_q;
  logic held_q, waited_q;
  initial {taken_q, asked_q} = '0;
  assign meta = update_i.meta;
  for (genvar i = 0; i < 2; i++) begin : g_line
    assign is_taken[i] = take_i && take_id_i == i;
    assign is_filled[i] = fill && fill_id_i == i;
    assign is_updated[i] = update_i.write && update_i.id == i;
    assign is_freed[i] = is_updated[i] && update_i.retag && update_i.slot == 4'd0 &&
                         !meta.occupied[0];
    always_ff @(posedge clk_i) begin
      if (is_taken[i]) begin
        taken_q[i] <= 1'b1;
        there_q[i] <= 1'b0;
        again_q[i] <= taken_q[i] && there_q[i];
        nos_q[i*NoBits +: NoBits] <= take_no_i;
      end
      if (is_filled[i]) begin
        there_q[i] <= 1'b1;
        lines_q[i*LineBits +: LineBits] <= {fill_data_i[511:384], fill_data_i[271:256],
                                            fill_data_i[31:0]};
      end
      if (is_updated[i]) begin
        lines_q[i*LineBits+32 +: MetaBits] <= meta;
        if (update_i.retag && update_i.slot == 4'd0) lines_q[i*LineBits +: 16] <= update_i.tag;
        if (update_i.retag && update_i.slot == 4'd1) lines_q[i*LineBits+16 +: 16] <= update_i.tag;
      end
      freed_q[i] <= is_freed[i];
      retaken_q[i] <= freed_q[i] && is_updated[i] && update_i.retag && update_i.slot == 4'd0 &&
                      meta.occupied[0];
    end
  end
  always_ff @(posedge clk_i) begin
    asked_q <= asked_q | read_i;
    asked_id_q <= (asked_id_q & ~read_i) | (read_id_i & read_i);
    held_q <= fill_valid_i && !fill_ready;
    waited_q <= held_q && fill;
  end

  // ---- What those around it keep to ------------------------------------------------------------
  always_comb begin
    if (fill_valid_i)
      assume (taken_q[fill_id_i] && !there[fill_id_i] && !(take_i && take_id_i == fill_id_i));
    if (update_i.write)
      assume (there[update_i.id] && !(take_i && take_id_i == update_i.id));
  end

  // ---- What must come out ----------------------------------------------------------------------
  logic [1:0] there;
  logic [2:0] known;
  logic [LineBits-1:0] match, execute, save;  // the lines that were asked for
  logic [NoBits-1:0] no;
  assign there = there_q & taken_q;
  assign known = asked_q & ((asked_id_q & {3{there[1]}}) | (~asked_id_q & {3{there[0]}}));
  assign match = asked_id_q[0] ? lines_q[LineBits +: LineBits] : lines_q[0 +: LineBits];
  assign execute = asked_id_q[1] ? lines_q[LineBits +: LineBits] : lines_q[0 +: LineBits];
  assign save = asked_id_q[2] ? lines_q[LineBits +: LineBits] : lines_q[0 +: LineBits];
  assign no = asked_id_q[2] ? nos_q[NoBits +: NoBits] : nos_q[0 +: NoBits];
  always_comb begin
    match_is_current: assert (!known[0] || {match_meta, match_tags[31:0]} == match);
    execute_is_current: assert (!known[1] || execute_meta == execute[32 +: MetaBits]);
    save_is_current: assert (!known[2] || {save_line[511:384], save_line[271:256],
                                           save_line[31:0]} == save);
    save_reserves: assert (save_line[383:272] == '0);
    number_is_its: assert (!(asked_q[2] && taken_q[asked_id_q[2]]) ||
                           save_no == no);
    present_is_filled: assert (!taken_q[ask_id_i] || present == there[ask_id_i]);
    fill_waits_for_updates_alone: assert (fill_ready == !update_i.write);
    filled_while_asked: cover (again_q[0] && taken_q[0] && known == 3'b111 && asked_id_q == 3'b000);
    slot_freed_and_taken: cover (retaken_q[1] && asked_id_q[2] && known[2]);
    fill_behind_an_update: cover (waited_q && known[0]);
    both_there: cover (there == 2'b11 && asked_id_q == 3'b010 && known == 3'b111);
  end

  // ---- The memories inside, for induction ------------------------------------------------------
  (* hierconn *) wire \u_lines.taken_q[0] ;
  (* hierconn *) wire \u_lines.taken_q[1] ;
  (* hierconn *) wire \u_lines.filled_q[0] ;
  (* hierconn *) wire \u_lines.filled_q[1] ;
  (* hierconn *) wire [15:0] \u_lines.g_slot[0].u_match.memory_q[0] ;
  (* hierconn *) wire [15:0] \u_lines.g_slot[0].u_match.memory_q[1] ;
  (* hierconn *) wire [15:0] \u_lines.g_slot[1].u_match.memory_q[0] ;
  (* hierconn *) wire [15:0] \u_lines.g_slot[1].u_match.memory_q[1] ;
  (* hierconn *) wire [15:0] \u_lines.g_slot[0].u_save.memory_q[0] ;
  (* hierconn *) wire [15:0] \u_lines.g_slot[0].u_save.memory_q[1] ;
  (* hierconn *) wire [15:0] \u_lines.g_slot[1].u_save.memory_q[0] ;
  (* hierconn *) wire [15:0] \u_lines.g_slot[1].u_save.memory_q[1] ;
  (* hierconn *) wire [MetaBits-1:0] \u_lines.u_meta_match.memory_q[0] ;
  (* hierconn *) wire [MetaBits-1:0] \u_lines.u_meta_match.memory_q[1] ;
  (* hierconn *) wire [MetaBits-1:0] \u_lines.u_meta_execute.memory_q[0] ;
  (* hierconn *) wire [MetaBits-1:0] \u_lines.u_meta_execute.memory_q[1] ;
  (* hierconn *) wire [MetaBits-1:0] \u_lines.u_meta_save.memory_q[0] ;
  (* hierconn *) wire [MetaBits-1:0] \u_lines.u_meta_save.memory_q[1] ;
  (* hierconn *) wire [NoBits-1:0] \u_lines.u_number.memory_q[0] ;
  (* hierconn *) wire [NoBits-1:0] \u_lines.u_number.memory_q[1] ;
  (* hierconn *) wire \u_lines.g_slot[0].u_match.address_q ;
  (* hierconn *) wire \u_lines.g_slot[1].u_match.address_q ;
  (* hierconn *) wire \u_lines.u_meta_match.address_q ;
  (* hierconn *) wire \u_lines.u_meta_execute.address_q ;
  (* hierconn *) wire \u_lines.g_slot[0].u_save.address_q ;
  (* hierconn *) wire \u_lines.g_slot[1].u_save.address_q ;
  (* hierconn *) wire \u_lines.u_meta_save.address_q ;
  (* hierconn *) wire \u_lines.u_number.address_q ;
  logic [2*LineBits-1:0] matched, saved;
  logic [2*MetaBits-1:0] executed;
  logic [7:0] addresses;
  logic [1:0] presents;
  assign presents = ~({\u_lines.taken_q[1] , \u_lines.taken_q[0] } ^
                      {\u_lines.filled_q[1] , \u_lines.filled_q[0] });
  assign matched = {\u_lines.u_meta_match.memory_q[1] , \u_lines.g_slot[1].u_match.memory_q[1] ,
                    \u_lines.g_slot[0].u_match.memory_q[1] ,
                    \u_lines.u_meta_match.memory_q[0] , \u_lines.g_slot[1].u_match.memory_q[0] ,
                    \u_lines.g_slot[0].u_match.memory_q[0] };
  assign saved = {\u_lines.u_meta_save.memory_q[1] , \u_lines.g_slot[1].u_save.memory_q[1] ,
                  \u_lines.g_slot[0].u_save.memory_q[1] ,
                  \u_lines.u_meta_save.memory_q[0] , \u_lines.g_slot[1].u_save.memory_q[0] ,
                  \u_lines.g_slot[0].u_save.memory_q[0] };
  assign executed = {\u_lines.u_meta_execute.memory_q[1] , \u_lines.u_meta_execute.memory_q[0] };
  assign addresses = {\u_lines.g_slot[0].u_save.address_q , \u_lines.g_slot[1].u_save.address_q ,
                      \u_lines.u_meta_save.address_q , \u_lines.u_number.address_q ,
                      \u_lines.u_meta_execute.address_q , \u_lines.g_slot[0].u_match.address_q ,
                      \u_lines.g_slot[1].u_match.address_q , \u_lines.u_meta_match.address_q };
  logic [1:0] held;
  always_comb
    for (int unsigned i = 0; i < 2; i++)
      held[i] = matched[i*LineBits +: LineBits] == lines_q[i*LineBits +: LineBits] &&
                saved[i*LineBits +: LineBits] == lines_q[i*LineBits +: LineBits] &&
                executed[i*MetaBits +: MetaBits] == lines_q[i*LineBits+32 +: MetaBits];
  always_comb begin
    asked_for: assert ((!asked_q[0] || addresses[2:0] == {3{asked_id_q[0]}}) &&
                       (!asked_q[1] || addresses[3] == asked_id_q[1]) &&
                       (!asked_q[2] || addresses[7:4] == {4{asked_id_q[2]}}));
    filled: assert (((there_q ^ presents) & taken_q) == '0);
    memories: assert ((there & ~held) == '0);
    numbers: assert ((!taken_q[0] || \u_lines.u_number.memory_q[0] == nos_q[0 +: NoBits]) &&
                     (!taken_q[1] || \u_lines.u_number.memory_q[1] == nos_q[NoBits +: NoBits]));
  end
endmodule
`default_nettype wire
