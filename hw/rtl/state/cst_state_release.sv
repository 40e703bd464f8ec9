// cst_state_release: RELEASE: segments of the log whose pins ended go to the end of the ring of
// free places, oldest first: docs/formats.md, Commands.
// Promises   a segment a clock, at most as many as the ring has places; done_o for a clock, with
//            the code, and with it load_o and the new control block if that is CodeOk. Else nothing
//            has changed: what stands in the ring behind its last place is not part of it. More
//            segments than the ring takes: CodeTableCorrupt.
// Needs      the unit idle, and what is asked for standing still, from start_i to done_o.
`default_nettype none
module cst_state_release #(
  localparam int unsigned PlaceBits = cst_state_pkg::PlaceBits,
  localparam int unsigned FloorBits = cst_state_pkg::FloorBits
) (
  input  wire logic                    clk_i,
  input  wire logic                    rst_ni,
  input  wire cst_state_pkg::config_t  config_i,
  input  wire cst_state_pkg::control_t control_i,
  input  wire logic                    start_i,
  input  wire logic [63:0]             epoch_i,
  input  wire logic [63:0]             to_i,          // the delta's end, in bytes
  output      logic                    busy_o,
  output      logic                    done_o,
  output      cst_pkg::code_e          code_o,
  // the log's map and ring of free places
  output      logic [PlaceBits-1:0]    map_segment_o,
  input  wire logic [PlaceBits-1:0]    map_place_i,
  output      logic                    ring_write_o,
  output      logic [PlaceBits-1:0]    ring_index_o,
  output      logic [PlaceBits-1:0]    ring_place_o,
  output      logic                    load_o,
  output      cst_state_pkg::control_t control_o
);
  typedef enum logic [1:0] { Idle, Look, Move } stage_e;

  stage_e stage_q;
  logic [FloorBits-1:0] segment_q, end_q;
  logic [PlaceBits:0] free_q;  // places of the ring in use
  logic [5:0] shift;           // bytes of a segment, as a power of two
  logic early, nothing, over, full;

  assign shift = 6'(config_i.log_shift) + 6'd5;
  assign early = epoch_i >= control_i.epoch || to_i > {11'b0, control_i.epoch_first, 5'b0};
  assign nothing = to_i <= 64'(control_i.floor);
  assign over = segment_q == end_q;
  assign full = free_q > {1'b0, config_i.log_mask};

  assign busy_o = stage_q != Idle;
  assign map_segment_o = (segment_q[PlaceBits-1:0] +
                          PlaceBits'(cst_mistake_pkg::planted(cst_mistake_pkg::Release))) &
                         config_i.log_mask;
  assign ring_write_o = stage_q == Move && !over && !full;
  assign ring_index_o = (control_i.free_first + free_q[PlaceBits-1:0]) & config_i.log_mask;
  assign ring_place_o = map_place_i;

  assign done_o = (stage_q == Look && (early || nothing)) || (stage_q == Move && (over || full));
  assign load_o = stage_q == Move && over;
  always_comb begin
    code_o = cst_pkg::CodeOk;
    if (stage_q == Look && early) code_o = cst_pkg::CodeEpoch;
    if (stage_q == Move && !over) code_o = cst_pkg::CodeTableCorrupt;
    control_o = control_i;
    control_o.free_count = free_q;
    control_o.floor = to_i[FloorBits-1:0];
  end

  always_ff @(posedge clk_i) begin
    if (stage_q == Look) begin
      segment_q <= control_i.floor >> shift;
      end_q <= to_i[FloorBits-1:0] >> shift;
      free_q <= control_i.free_count;
    end else if (ring_write_o) begin
      segment_q <= segment_q + 1'b1;
      free_q <= free_q + 1'b1;
    end
    if (!rst_ni) begin
      stage_q <= Idle;
    end else begin
      unique case (stage_q)
        Idle: if (start_i) stage_q <= Look;
        Look: stage_q <= (early || nothing) ? Idle : Move;
        default: if (over || full) stage_q <= Idle;
      endcase
    end
  end

  // Of the configuration it needs the log's; of the segment's number what the map has places for.
  logic unused_bits;
  assign unused_bits = ^{config_i, segment_q};
endmodule
`default_nettype wire
