// cst_axi_read_cover: what memory answers, and what a burst waits for.
`default_nettype none
module cst_axi_read_cover (
  input wire logic       clk_i,
  input wire logic       rst_ni,
  input wire logic       beat,
  input wire logic [1:0] m_rresp_i,
  input wire logic       m_arvalid_o,
  input wire logic       m_arready_i,
  input wire logic       burst_valid,
  input wire logic       go,
  input wire logic       out_last_o,
  input wire logic       out_valid_o,
  input wire logic       out_ready_i,
  input wire logic       idle_o
);
  always_ff @(posedge clk_i) if (rst_ni) begin
    answer_okay: cover (beat && m_rresp_i == 2'd0);
    answer_exokay: cover (beat && m_rresp_i == 2'd1);
    answer_slverr: cover (beat && m_rresp_i == 2'd2);
    answer_decerr: cover (beat && m_rresp_i == 2'd3);
    address_waits: cover (m_arvalid_o && !m_arready_i);
    burst_waits_for_places: cover (burst_valid && !go && (!m_arvalid_o || m_arready_i));
    beat_waits: cover (out_valid_o && !out_ready_i);
    command_ends: cover (out_valid_o && out_ready_i && out_last_o);
    idle_again: cover (idle_o);
  end
endmodule
bind cst_axi_read cst_axi_read_cover u_cover (.*);
`default_nettype wire
