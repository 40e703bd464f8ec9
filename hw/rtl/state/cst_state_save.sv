// cst_state_save: key states on their way to memory: each is written to its slot and to its record.
// A state whose record's unit is 0 has none: its answer comes from here.
// Promises   in order of the queue; a state leaves as it is when it is popped. A key that is not
//            present leaves zeros in its last slot and a tombstone in its record.
//
// stage    known                    decided
// a        id                       popped
// b        state, identity          the slot's place; which log segment
// c        the segment's place      bytes, channels
`default_nettype none
module cst_state_save #(
  localparam int unsigned IdBits = cst_state_pkg::IdBits,
  localparam int unsigned PlaceBits = cst_state_pkg::PlaceBits
) (
  input  wire logic                    clk_i,
  input  wire logic                    rst_ni,
  input  wire cst_state_pkg::config_t  config_i,
  input  wire logic                    head_valid_i,
  input  wire logic [IdBits-1:0]       head_id_i,
  input  wire logic                    head_parity_i,
  output      logic                    pop_o,
  // copies of identities and states
  input  wire logic                    ident_write_i,
  input  wire logic [IdBits-1:0]       ident_id_i,
  input  wire cst_state_pkg::ident_t   ident_i,
  input  wire logic                    state_write_i,
  input  wire logic [IdBits-1:0]       state_id_i,
  input  wire cst_state_pkg::state_t   state_i,
  // places of log segments
  input  wire logic                    map_write_i,
  input  wire logic [PlaceBits-1:0]    map_segment_i,
  input  wire logic [PlaceBits-1:0]    map_place_i,
  output      logic                    entry_valid_o,
  input  wire logic                    entry_ready_i,
  output      logic [3:0]              entry_channel_o,
  output      cst_state_pkg::write_t   entry_o,
  output      logic                    record_valid_o,
  input  wire logic                    record_ready_i,
  output      logic [3:0]              record_channel_o,
  output      cst_state_pkg::write_t   record_o,
  output      logic                    none_valid_o,   // answers for records that there are none of
  input  wire logic                    none_ready_i,
  output      cst_state_pkg::ack_t     none_o,
  output      logic                    busy_o
);
  // ---- b ----------------------------------------------------------------------------------------
  logic moves, b_valid_q, b_parity_q;
  logic [IdBits-1:0] b_id_q;
  cst_state_pkg::state_t b_state;
  cst_state_pkg::ident_t b_ident;

  assign pop_o = moves && head_valid_i;
  // The state as it is popped: from then on the record may be left behind for a new one.
  cst_state_ram #(.Width(cst_state_pkg::StateBits), .AddressBits(IdBits), .Follow(1'b0))
  u_state (
    .clk_i, .write_i(state_write_i), .write_address_i(state_id_i), .write_data_i(state_i),
    .read_i(pop_o), .read_address_i(head_id_i), .data_o(b_state)
  );
  cst_state_ram #(.Width(cst_state_pkg::IdentBits), .AddressBits(IdBits), .Follow(1'b0))
  u_ident (
    .clk_i, .write_i(ident_write_i), .write_address_i(ident_id_i), .write_data_i(ident_i),
    .read_i(pop_o), .read_address_i(head_id_i), .data_o(b_ident)
  );
  // ---- c ----------------------------------------------------------------------------------------
  logic c_valid_q, c_parity_q, c_entry_gone_q, c_record_gone_q, c_go, c_none;
  logic [IdBits-1:0] c_id_q;
  cst_state_pkg::state_t c_state_q;
  cst_state_pkg::ident_t c_ident_q;
  cst_state_pkg::place_t c_slot_q, c_record;
  logic [639:0] body;  // behind the head
  cst_pkg::entry_head_t entry_head;
  cst_pkg::record_head_t record_head;

  cst_state_save_place u_place (
    .clk_i, .config_i, .map_write_i, .map_segment_i, .map_place_i,
    .read_i(moves), .unit_i(b_state.unit), .place_o(c_record)
  );

  assign entry_valid_o = c_valid_q && !c_entry_gone_q;
  assign record_valid_o = c_valid_q && !c_record_gone_q && !c_none;
  assign c_none = c_state_q.unit == '0;
  assign none_valid_o = c_valid_q && !c_record_gone_q && c_none;
  assign none_o.id = c_id_q;
  assign none_o.counts = 1'b1;
  assign none_o.parity = c_parity_q;
  assign c_go = (!entry_valid_o || entry_ready_i) && (!record_valid_o || record_ready_i) &&
                (!none_valid_o || none_ready_i);
  assign moves = !c_valid_q || c_go;
  assign entry_channel_o = c_slot_q.channel;
  assign record_channel_o = c_record.channel;
  assign busy_o = b_valid_q || c_valid_q;

  always_comb begin
    body = {128'b0, c_state_q.present ? c_state_q.value : 512'd0};
    if (config_i.key_words == 2'd1) body = {body[575:0], c_ident_q.key[63:0]};
    if (config_i.key_words == 2'd2) body = {body[511:0], c_ident_q.key};
  end

  always_comb begin
    entry_head.hash = c_ident_q.hash;
    entry_head.key_bytes = c_ident_q.key_bytes;
    entry_head.change = 56'(c_state_q.unit);
    entry_o.address = c_slot_q.address;
    entry_o.atoms = config_i.entry_units;
    entry_o.data = c_state_q.present ? {body, entry_head} : '0;
    entry_o.id = c_id_q;
    entry_o.counts = 1'b1;
    entry_o.parity = c_parity_q;
  end

  always_comb begin
    record_head.hash = c_ident_q.hash;
    record_head.key_bytes = 16'(c_ident_q.key_bytes);
    record_head.units = 16'(config_i.entry_units);
    record_head.value_bytes = c_state_q.present ? 24'(config_i.value_bytes) : 24'd0;
    record_head.reserved = '0;
    record_head.gap = 1'b0;
    record_head.tombstone = !c_state_q.present;
    record_head.present = c_state_q.present;
    record_o.data = {body, record_head};
    record_o.address = c_record.address;
    record_o.atoms = config_i.entry_units;
    record_o.id = c_id_q;
    record_o.counts = 1'b1;
    record_o.parity = c_parity_q;
  end

  always_ff @(posedge clk_i) begin
    if (moves) begin
      b_id_q <= head_id_i;
      b_parity_q <= head_parity_i;
      c_id_q <= b_id_q;
      c_parity_q <= b_parity_q;
      c_state_q <= b_state;
      c_ident_q <= b_ident;
      c_slot_q <= cst_state_pkg::slot_place(b_state.odd ? b_ident.odd_no : b_ident.even_no,
                                            b_state.slot, config_i.entry_units,
                                            config_i.slots_base);
    end
    if (!rst_ni) begin
      b_valid_q <= 1'b0;
      c_valid_q <= 1'b0;
      c_entry_gone_q <= 1'b0;
      c_record_gone_q <= 1'b0;
    end else begin
      if (moves) begin
        b_valid_q <= pop_o;
        c_valid_q <= b_valid_q;
        c_entry_gone_q <= 1'b0;
        c_record_gone_q <= 1'b0;
      end else begin
        if (entry_valid_o && entry_ready_i) c_entry_gone_q <= 1'b1;
        if ((record_valid_o && record_ready_i) || (none_valid_o && none_ready_i))
          c_record_gone_q <= 1'b1;
      end
    end
  end

  logic unused_bits;
  assign unused_bits = ^{config_i, c_ident_q, b_ident, c_state_q};
endmodule
`default_nettype wire
