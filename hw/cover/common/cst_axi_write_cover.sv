// cst_axi_write_cover: what memory answers, and what a burst waits for.
`default_nettype none
module cst_axi_write_cover (
  input wire logic       clk_i,
  input wire logic       rst_ni,
  input wire logic       answer,
  input wire logic       answer_final,
  input wire logic [1:0] m_bresp_i,
  input wire logic [1:0] worst_q,
  input wire logic       m_awvalid_o,
  input wire logic       m_awready_i,
  input wire logic       burst_valid,
  input wire logic       go,
  input wire logic       in_valid_i,
  input wire logic       in_ready_o,
  input wire logic       length_valid,
  input wire logic       result_valid_o,
  input wire logic       result_ready_i,
  input wire logic       idle_o
);
  always_ff @(posedge clk_i) if (rst_ni) begin
    answer_okay: cover (answer && m_bresp_i == 2'd0);
    answer_exokay: cover (answer && m_bresp_i == 2'd1);
    answer_slverr: cover (answer && m_bresp_i == 2'd2);
    answer_decerr: cover (answer && m_bresp_i == 2'd3);
    error_of_an_earlier_burst: cover (answer && answer_final && worst_q != '0 && m_bresp_i == '0);
    second_error: cover (answer && worst_q != '0 && m_bresp_i != '0 && m_bresp_i != worst_q);
    address_waits: cover (m_awvalid_o && !m_awready_i);
    burst_waits_for_places: cover (burst_valid && !go && (!m_awvalid_o || m_awready_i));
    beat_waits_for_its_address: cover (in_valid_i && !length_valid);
    beat_waits_for_memory: cover (in_valid_i && length_valid && !in_ready_o);
    result_waits: cover (result_valid_o && !result_ready_i);
    idle_again: cover (idle_o);
  end
endmodule
bind cst_axi_write cst_axi_write_cover u_cover (.*);
`default_nettype wire
