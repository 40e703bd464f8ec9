// axil_control: cst_axil_control keeps to AXI4-Lite, and its registers do what its table says.
// Shows      each access is answered once, with OKAY; a read of any offset brings what was written
//            there; starts, completions, interrupts, soft reset.
// How        an argument's byte, any, is followed; what a write does is known from outside: it is
//            done when both its parts are in and no answer waits.
//: prove induction 3
//: cover 14
//: mistake answer_withdrawn in cst_axil_control: b_valid_q <= write || (b_valid_q && !s_bready_i); ==> b_valid_q <= write;
//: mistake answered_early in cst_axil_control: assign write = aw_full_q && w_full_q && !b_valid_q; ==> assign write = aw_full_q && (w_full_q || s_wvalid_i) && !b_valid_q;
//: mistake address_lost in cst_axil_control: if (!aw_full_q) aw_word_q <= ==> if (!w_full_q) aw_word_q <=
//: mistake strobe_ignored in cst_axil_control: && w_strobe_q[b]) begin ==> ) begin
//: mistake read_data_moves in cst_axil_control: if (read_take) s_rdata_o <= read_d; ==> s_rdata_o <= read_d;
//: mistake args_not_kept in cst_axil_control: assign args_o = run_args_q; ==> assign args_o = args_q;
//: mistake start_lost in cst_axil_control: if (started) start_q <= 1'b0; ==> if (started || s_arvalid_i) start_q <= 1'b0;
//: mistake idle_before_it_starts in cst_axil_control: idle_i && !start_q ==> idle_i
//: mistake completed_twice in cst_axil_control: assign done_ready_o = !done_q; ==> assign done_ready_o = !done_q || idle_i;
//: mistake interrupt_masked_wrong in cst_axil_control: if (finished && ier_q[0]) isr_q[0] <= 1'b1; ==> if (finished && ier_q[1]) isr_q[0] <= 1'b1;
//: mistake run_left_behind in cst_axil_control: if (!rst_ni || soft_reset_q) begin ==> if (!rst_ni) begin
//: mistake gap_is_register in cst_axil_control: if (s_araddr_i[11:2] == 10'(StatusFirst + i)) ==> if (s_araddr_i[10:2] == 9'(StatusFirst + i))
`default_nettype none
module axil_control #(
  localparam int unsigned ArgWords = 2,
  localparam int unsigned StatusWords = 2
) (
  input wire logic                      clk_i,
  input wire logic                      rst_ni,
  input wire logic                      awvalid_i,
  input wire logic [11:0]               awaddr_i,
  input wire logic                      wvalid_i,
  input wire logic [31:0]               wdata_i,
  input wire logic [3:0]                wstrb_i,
  input wire logic                      bready_i,
  input wire logic                      arvalid_i,
  input wire logic [11:0]               araddr_i,
  input wire logic                      rready_i,
  input wire logic                      start_ready_i,
  input wire logic                      done_valid_i,
  input wire logic                      idle_i,
  input wire logic [32*StatusWords-1:0] status_i
);
  logic awready, wready, bvalid, arready, rvalid, start_valid, done_ready, soft_reset, interrupt;
  logic [1:0] bresp, rresp;
  logic [31:0] rdata;
  logic [32*ArgWords-1:0] args;

  cst_axil_control #(.ArgWords(ArgWords), .StatusWords(StatusWords)) u_control (
    .clk_i, .rst_ni,
    .s_awvalid_i(awvalid_i), .s_awready_o(awready), .s_awaddr_i(awaddr_i),
    .s_wvalid_i(wvalid_i), .s_wready_o(wready), .s_wdata_i(wdata_i), .s_wstrb_i(wstrb_i),
    .s_bvalid_o(bvalid), .s_bready_i(bready_i), .s_bresp_o(bresp),
    .s_arvalid_i(arvalid_i), .s_arready_o(arready), .s_araddr_i(araddr_i),
    .s_rvalid_o(rvalid), .s_rready_i(rready_i), .s_rdata_o(rdata), .s_rresp_o(rresp),
    .start_valid_o(start_valid), .start_ready_i, .args_o(args),
    .done_valid_i, .done_ready_o(done_ready), .idle_i, .status_i,
    .soft_reset_o(soft_reset), .interrupt_o(interrupt)
  );
  initial assume (!rst_ni);

  // ---- Writes, seen from outside ---------------------------------------------------------------
  logic aw_in_q, w_in_q, write, aw_take, w_take, read_take;
  logic [11:0] address_q;
  logic [35:0] word_q;
  logic [31:0] written;
  logic low;

  assign aw_take = awvalid_i && awready;
  assign w_take = wvalid_i && wready;
  assign read_take = arvalid_i && arready;
  assign write = aw_in_q && w_in_q && !bvalid;
  assign written = word_q[31:0];
  assign low = write && word_q[32];
  always_ff @(posedge clk_i) begin
    if (aw_take) address_q <= awaddr_i;
    if (w_take) word_q <= {wstrb_i, wdata_i};
    if (!rst_ni) begin
      aw_in_q <= 1'b0;
      w_in_q <= 1'b0;
    end else begin
      aw_in_q <= aw_take || (aw_in_q && !write);
      w_in_q <= w_take || (w_in_q && !write);
    end
  end

  // ---- What stands in the registers ------------------------------------------------------------
  (* anyconst *) logic [0:0] word;
  (* anyconst *) logic [1:0] lane;
  logic [7:0] byte_q, run_byte_q;
  logic start_q, done_q, ready_q, gie_q, soft_q, started, finished;
  logic [1:0] ier_q, isr_q;

  assign started = start_valid && start_ready_i;
  assign finished = done_valid_i && done_ready;
  always_ff @(posedge clk_i) begin
    if (started) run_byte_q <= byte_q;
    soft_q <= rst_ni && write && address_q[11:2] == 10'h0 && word_q[33] && written[8];
    if (!rst_ni) begin
      byte_q <= '0;
      gie_q <= 1'b0;
      ier_q <= '0;
    end else begin
      if (write && address_q[11:2] == 10'h4 + 10'(word) && word_q[32 + 32'(lane)])
        byte_q <= written[8*lane +: 8];
      if (low && address_q[11:2] == 10'h1) gie_q <= written[0];
      if (low && address_q[11:2] == 10'h2) ier_q <= written[1:0];
    end
    if (!rst_ni || soft_q) begin
      start_q <= 1'b0;
      done_q <= 1'b0;
      ready_q <= 1'b0;
      isr_q <= '0;
    end else begin
      start_q <= !started && (start_q || (low && address_q[11:2] == 10'h0 && written[0]));
      done_q <= finished ||
                (done_q && !(low && address_q[11:2] == 10'h0 && written[4]));
      ready_q <= started || (ready_q && !(read_take && araddr_i[11:2] == 10'h0));
      isr_q <= (isr_q ^ (low && address_q[11:2] == 10'h3 ? written[1:0] : 2'b00)) |
               {started && ier_q[1], finished && ier_q[0]};
    end
  end

  // ---- A read: what it has to bring ------------------------------------------------------------
  logic [31:0] bring_q, seen_q;
  logic [9:0] read_word_q;
  logic b_held_q, r_held_q, b_owed_q, interrupts_q, ran_q, soft_behind_q, continued_q;
  logic [31:0] status;
  assign status = araddr_i[2] ? status_i[63:32] : status_i[31:0];
  always_ff @(posedge clk_i) begin
    b_held_q <= rst_ni && bvalid && !bready_i;
    r_held_q <= rst_ni && rvalid && !rready_i;
    b_owed_q <= rst_ni && (write || (b_owed_q && !bready_i));
    interrupts_q <= rst_ni && gie_q && isr_q != '0;
    ran_q <= rst_ni && (ran_q || started);
    soft_behind_q <= rst_ni && soft_q;
    continued_q <= rst_ni && done_q && low && address_q[11:2] == 10'h0 && written[4];
    seen_q <= rdata;
    if (read_take) begin
      read_word_q <= araddr_i[11:2];
      case (araddr_i[11:2])
        10'h0: bring_q <= {28'b0, ready_q, idle_i && !start_q, done_q, start_q};
        10'h1: bring_q <= {31'b0, gie_q};
        10'h2: bring_q <= {30'b0, ier_q};
        10'h3: bring_q <= {30'b0, isr_q};
        10'h200, 10'h201: bring_q <= status;
        default: bring_q <= '0;
      endcase
      if (araddr_i[11:2] == 10'h4 + 10'(word)) bring_q <= 32'(byte_q);
    end
  end
  logic is_arg, is_mine;
  assign is_arg = read_word_q == 10'h4 || read_word_q == 10'h5;
  assign is_mine = read_word_q == 10'h4 + 10'(word);

  // ---- The registers inside, for induction -----------------------------------------------------
  (* hierconn *) wire \u_control.aw_full_q ;
  (* hierconn *) wire \u_control.w_full_q ;
  (* hierconn *) wire [9:0] \u_control.aw_word_q ;
  (* hierconn *) wire [31:0] \u_control.w_data_q ;
  (* hierconn *) wire [3:0] \u_control.w_strobe_q ;
  (* hierconn *) wire [63:0] \u_control.args_q ;
  (* hierconn *) wire \u_control.done_q ;
  (* hierconn *) wire \u_control.ready_q ;
  (* hierconn *) wire \u_control.gie_q ;
  (* hierconn *) wire [1:0] \u_control.ier_q ;
  (* hierconn *) wire [1:0] \u_control.isr_q ;
  logic inside;
  assign inside = \u_control.aw_full_q == aw_in_q && \u_control.w_full_q == w_in_q &&
                  (!aw_in_q || \u_control.aw_word_q == address_q[11:2]) &&
                  (!w_in_q || {\u_control.w_strobe_q , \u_control.w_data_q } == word_q) &&
                  \u_control.args_q [32*word + 8*lane +: 8] == byte_q &&
                  {\u_control.done_q , \u_control.ready_q , \u_control.gie_q } ==
                      {done_q, ready_q, gie_q} &&
                  {\u_control.ier_q , \u_control.isr_q } == {ier_q, isr_q};

  always_comb if (rst_ni) begin
    // AXI4-Lite
    answers_hold: assert ((!b_held_q || bvalid) && (!r_held_q || (rvalid && rdata == seen_q)));
    always_okay: assert ((!bvalid || bresp == 2'b00) && (!rvalid || rresp == 2'b00));
    a_write_is_answered_once: assert (bvalid == b_owed_q);
    one_write_under_way: assert (awready == !aw_in_q && wready == !w_in_q);
    a_read_is_answered_once: assert (arready == !rvalid);
    // registers
    brings_what_stands_there: assert (!rvalid || is_arg || rdata == bring_q);
    brings_the_argument: assert (!(rvalid && is_mine) ||
                                 rdata[8*lane +: 8] == bring_q[7:0]);
    // a run
    starts_when_told: assert (start_valid == start_q);
    args_stand_still: assert (args[32*word + 8*lane +: 8] == run_byte_q || !ran_q);
    completes_once: assert (done_ready == !done_q);
    soft_reset_is_a_clock: assert (soft_reset == soft_q);
    nothing_left_behind: assert (!soft_behind_q || (!start_valid && done_ready));
    interrupts: assert (interrupt == interrupts_q);
    inside_as_outside: assert (inside);
    argument_changed_while_running: cover (ran_q && byte_q != run_byte_q && byte_q != '0);
    interrupted_by_both: cover (interrupt && isr_q == 2'b11);
    toggled_away: cover (interrupt && isr_q == 2'b00 && gie_q);
    continued: cover (continued_q);
    soft_reset_of_a_run: cover (soft_q && done_q && start_valid);
    data_before_address: cover (w_in_q && !aw_in_q && rvalid);
    answer_waits: cover (b_held_q && aw_in_q && w_in_q);
    ready_was_read: cover (rvalid && rdata == 32'h8 && read_word_q == '0);
  end
endmodule
`default_nettype wire
