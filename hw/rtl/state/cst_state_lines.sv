// cst_state_lines: one half, even or odd, of the control lines on chip.
// Promises   three questions a clock, answered in the next and kept current (cst_state_ram): the
//            tags and meta of a line for the match, its meta for the execution, all for the
//            write-back. An update is done at once; a fill waits while one is.
//            present_o: the line of ask_id_i has been filled since it was taken.
// Needs      a fill for each take, none in the clock of a take of the same line.
`default_nettype none
module cst_state_lines #(
  localparam int unsigned IdBits = cst_state_pkg::IdBits
) (
  input  wire logic                        clk_i,
  input  wire logic                        take_i,
  input  wire logic [IdBits-1:0]           take_id_i,
  input  wire logic [cst_state_pkg::BucketNoBits-1:0] take_no_i,
  input  wire logic                        fill_valid_i,
  output      logic                        fill_ready_o,
  input  wire logic [IdBits-1:0]           fill_id_i,
  input  wire logic [511:0]                fill_data_i,
  input  wire cst_state_pkg::line_update_t update_i,
  input  wire logic [IdBits-1:0]           ask_id_i,
  output      logic                        present_o,
  input  wire logic                        match_read_i,
  input  wire logic [IdBits-1:0]           match_id_i,
  output      logic [255:0]                match_tags_o,
  output      cst_state_pkg::meta_t        match_meta_o,
  input  wire logic                        execute_read_i,
  input  wire logic [IdBits-1:0]           execute_id_i,
  output      cst_state_pkg::meta_t        execute_meta_o,
  input  wire logic                        save_read_i,
  input  wire logic [IdBits-1:0]           save_id_i,
  output      logic [511:0]                save_line_o,
  output      logic [cst_state_pkg::BucketNoBits-1:0] save_no_o
);
  localparam int unsigned NoBits = cst_state_pkg::BucketNoBits;
  localparam int unsigned MetaBits = cst_state_pkg::MetaBits;

  logic write;
  logic [IdBits-1:0] id;
  logic [15:0] lanes;
  logic [255:0] tags, save_tags;
  cst_state_pkg::meta_t meta, save_meta;
  cst_pkg::control_line_t fill, save;
  // Two bits of LUT memory a line, as in cst_state_table: a take makes them differ, a fill equal.
  logic taken_q [cst_state_pkg::Ids];
  logic filled_q [cst_state_pkg::Ids];

  assign fill = fill_data_i;
  assign fill_ready_o = !update_i.write;
  assign write = update_i.write || fill_valid_i;
  assign id = update_i.write ? update_i.id : fill_id_i;
  assign lanes = update_i.write ? 16'(update_i.retag) << update_i.slot : '1;
  assign tags = update_i.write ? {16{update_i.tag}} : fill.tag;
  assign meta.overflow = update_i.write ? update_i.meta.overflow : fill.overflow;
  assign meta.occupied = update_i.write ? update_i.meta.occupied : fill.occupied;

  for (genvar s = 0; s < 16; s++) begin : g_slot
    cst_state_ram #(.Width(16), .AddressBits(IdBits)) u_match (
      .clk_i, .write_i(write && lanes[s]), .write_address_i(id), .write_data_i(tags[s*16 +: 16]),
      .read_i(match_read_i), .read_address_i(match_id_i), .data_o(match_tags_o[s*16 +: 16])
    );
    cst_state_ram #(.Width(16), .AddressBits(IdBits)) u_save (
      .clk_i, .write_i(write && lanes[s]), .write_address_i(id), .write_data_i(tags[s*16 +: 16]),
      .read_i(save_read_i), .read_address_i(save_id_i), .data_o(save_tags[s*16 +: 16])
    );
  end
  cst_state_ram #(.Width(MetaBits), .AddressBits(IdBits)) u_meta_match (
    .clk_i, .write_i(write), .write_address_i(id), .write_data_i(meta),
    .read_i(match_read_i), .read_address_i(match_id_i), .data_o(match_meta_o)
  );
  cst_state_ram #(.Width(MetaBits), .AddressBits(IdBits)) u_meta_execute (
    .clk_i, .write_i(write), .write_address_i(id), .write_data_i(meta),
    .read_i(execute_read_i), .read_address_i(execute_id_i), .data_o(execute_meta_o)
  );
  cst_state_ram #(.Width(MetaBits), .AddressBits(IdBits)) u_meta_save (
    .clk_i, .write_i(write), .write_address_i(id), .write_data_i(meta),
    .read_i(save_read_i), .read_address_i(save_id_i), .data_o(save_meta)
  );
  cst_state_ram #(.Width(NoBits), .AddressBits(IdBits)) u_number (
    .clk_i, .write_i(take_i), .write_address_i(take_id_i), .write_data_i(take_no_i),
    .read_i(save_read_i), .read_address_i(save_id_i), .data_o(save_no_o)
  );

  assign save.tag = save_tags;
  assign save.occupied = save_meta.occupied;
  assign save.reserved = '0;
  assign save.overflow = save_meta.overflow;
  assign save_line_o = save;
  assign present_o = taken_q[ask_id_i] == filled_q[ask_id_i];

  always_ff @(posedge clk_i) begin
    if (take_i) taken_q[take_id_i] <= !filled_q[take_id_i];
    if (fill_valid_i && fill_ready_o) filled_q[fill_id_i] <= taken_q[fill_id_i];
  end

  logic unused_bits;
  assign unused_bits = ^fill.reserved;
endmodule
`default_nettype wire
