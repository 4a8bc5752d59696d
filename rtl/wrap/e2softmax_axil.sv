// SPDX-License-Identifier: Apache-2.0
// E2Softmax behind registers on AXI4-Lite: settings are written ahead, a descriptor a row.
//
//   s_axil_* --> sn_axil --> e2softmax_axil_regs --> sn_row_queue --> cfg_*
//                               ^  |                     | not empty     |
//   irq_o <---------------------|--+                     v               v
//   s_axis_* ------------------ | ---------------------> & ---------> e2softmax --> m_axis_*
//                               +-- err_len, err_keep, rows, count ------+
//
// Registers: e2softmax_axil.rdl, of which PeakRDL makes e2softmax_axil_regs*.sv, e2softmax_axil.h and
// docs/e2softmax_axil_regs.md. A write of DESC puts the settings of one row into the queue, of DEPTH
// entries; the row that comes in takes the oldest one, and frees it with its tlast. Without one
// s_axis_tready is low. A write of DESC into a full queue, or of a part of it, is answered with SLVERR,
// and nothing is lost.
//
// The streams are those of e2softmax (docs/stream.md), but that s_axis_tready is an AND of two flip-flops.
// One beat a clock, rows of one beat, too; no clock of latency more. From the acceptance of a DESC write's
// last channel to s_axis_tready: 4 clocks.
//
// For Verilator, slang and Yosys with slang: PeakRDL's structures are not packed, which Icarus does not read.

module e2softmax_axil #(
  parameter  int LANES    = 32,    // those of e2softmax
  parameter  int MAX_LEN  = 1024,
  parameter  int DIV_BITS = 1,
  parameter  int EXP_FRAC = 0,
  parameter  int IN_W     = 8,
  parameter  int SCALE    = 0,
  parameter  int BLOCKS   = 0,
  parameter  int FORMATS  = 0,
  parameter  int DEPTH    = 16,    // 1 .. 2048: descriptors that the queue holds
  localparam int USER_W   = (BLOCKS == 0) ? 7 : 39 + IN_W,
  localparam int ADDR_W   = 6
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,  // asynchronous assert, synchronous release

  input  logic [ADDR_W-1:0]     s_axil_awaddr,
  input  logic                  s_axil_awvalid,
  output logic                  s_axil_awready,
  input  logic [31:0]           s_axil_wdata,
  input  logic [3:0]            s_axil_wstrb,
  input  logic                  s_axil_wvalid,
  output logic                  s_axil_wready,
  output logic [1:0]            s_axil_bresp,
  output logic                  s_axil_bvalid,
  input  logic                  s_axil_bready,
  input  logic [ADDR_W-1:0]     s_axil_araddr,
  input  logic                  s_axil_arvalid,
  output logic                  s_axil_arready,
  output logic [31:0]           s_axil_rdata,
  output logic [1:0]            s_axil_rresp,
  output logic                  s_axil_rvalid,
  input  logic                  s_axil_rready,
  output logic                  irq_o,   // high while a cause that is enabled is set

  input  logic [IN_W*LANES-1:0] s_axis_tdata,
  input  logic [LANES-1:0]      s_axis_tkeep,
  input  logic [LANES-1:0]      s_axis_tstrb,
  input  logic                  s_axis_tlast,
  input  logic                  s_axis_tvalid,
  output logic                  s_axis_tready,

  output logic [8*LANES-1:0]    m_axis_tdata,
  output logic [LANES-1:0]      m_axis_tkeep,
  output logic                  m_axis_tlast,
  output logic [USER_W-1:0]     m_axis_tuser,
  output logic                  m_axis_tvalid,
  input  logic                  m_axis_tready
);
  if (DEPTH < 1 || DEPTH > 2048) begin : gen_check_depth
    e2softmax_axil_error_DEPTH_must_be_1_to_2048 u_stop ();
  end

  localparam int CntW  = $clog2(DEPTH + 1);
  localparam int FmtW  = (FORMATS == 0) ? 1 : 2;
  localparam int DescW = 3 + 2 + 1 + 7 + 6 + IN_W + 32;

  // ------------------------------------------------------------------------------------ the registers
  e2softmax_axil_regs_pkg::e2softmax_axil_regs__in_t  to_regs;
  e2softmax_axil_regs_pkg::e2softmax_axil_regs__out_t regs;

  logic              req, write, refuse, desc, push_q, pop, empties, wr_err, rd_err;
  logic [ADDR_W-1:0] addr;
  logic [31:0]       wr_data, rd_data;
  logic [3:0]        strb;
  logic [CntW-1:0]   count;
  logic              err_len, err_keep;

  sn_axil #(
    .ADDR_W(ADDR_W)
  ) u_axil (
    .clk_i,
    .rst_ni,
    .s_axil_awaddr,
    .s_axil_awvalid,
    .s_axil_awready,
    .s_axil_wdata,
    .s_axil_wstrb,
    .s_axil_wvalid,
    .s_axil_wready,
    .s_axil_bresp,
    .s_axil_bvalid,
    .s_axil_bready,
    .s_axil_araddr,
    .s_axil_arvalid,
    .s_axil_arready,
    .s_axil_rdata,
    .s_axil_rresp,
    .s_axil_rvalid,
    .s_axil_rready,
    .req_o   (req),
    .write_o (write),
    .addr_o  (addr),
    .data_o  (wr_data),
    .strb_o  (strb),
    .refuse_i(refuse),
    .err_i   (write ? wr_err : rd_err),
    .data_i  (rd_data)
  );

  e2softmax_axil_regs u_regs (
    .clk                 (clk_i),
    .arst_n              (rst_ni),
    .s_cpuif_req         (req),
    .s_cpuif_req_is_wr   (write),
    .s_cpuif_addr        ({addr[ADDR_W-1:2], 2'b00}),
    .s_cpuif_wr_data     (wr_data),
    .s_cpuif_wr_biten    ({{8{strb[3]}}, {8{strb[2]}}, {8{strb[1]}}, {8{strb[0]}}}),
    .s_cpuif_req_stall_wr(),  // they never stall, and answer in the same clock
    .s_cpuif_req_stall_rd(),
    .s_cpuif_rd_ack      (),
    .s_cpuif_rd_err      (rd_err),
    .s_cpuif_rd_data     (rd_data),
    .s_cpuif_wr_ack      (),
    .s_cpuif_wr_err      (wr_err),
    .hwif_in             (to_regs),
    .hwif_out            (regs)
  );

  assign desc   = write && addr[ADDR_W-1:2] == (ADDR_W - 2)'(8);
  assign refuse = desc && (count == CntW'(DEPTH) || strb != 4'b1111);

  always_comb begin
    to_regs.ID.lanes.next     = 8'(LANES);
    to_regs.ID.in_w.next      = 6'(IN_W);
    to_regs.ID.scale.next     = SCALE != 0;
    to_regs.ID.blocks.next    = BLOCKS != 0;
    to_regs.ID.formats.next   = FORMATS != 0;
    to_regs.SIZE.max_len.next = 17'(MAX_LEN);
    to_regs.SIZE.depth.next   = 12'(DEPTH);
    to_regs.STATUS.count.next = 12'(count);
    to_regs.STATUS.full.next  = count == CntW'(DEPTH);
    to_regs.STATUS.empty.next = count == '0;
    to_regs.IRQ.err_len.next  = err_len;
    to_regs.IRQ.err_keep.next = err_keep;
    to_regs.IRQ.refused.next  = refuse;
    to_regs.IRQ.empty.next    = empties;
    to_regs.ROWS.count.incr     = m_axis_tvalid && m_axis_tready && m_axis_tlast;
    to_regs.ERR_LEN.count.incr  = err_len;
    to_regs.ERR_KEEP.count.incr = err_keep;
  end
  assign irq_o = regs.IRQ.intr;

  // ---------------------------------------------------------------------------------------- the queue
  logic [DescW-1:0] row;
  logic [2:0]       frac;
  logic [1:0]       fmt;
  logic             s7, there, unit_ready;
  logic [6:0]       mult;
  logic [5:0]       shift;
  logic [IN_W-1:0]  carry_max;
  logic [31:0]      carry_sum;

  // The registers have what was written a clock after the request.
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) push_q <= 1'b0;
    else push_q <= req && desc;
  end

  sn_row_queue #(
    .W    (DescW),
    .DEPTH(DEPTH)
  ) u_queue (
    .clk_i,
    .rst_ni,
    .push_i (push_q),
    .data_i ({regs.DESC.frac.value, regs.DESC.fmt.value, regs.DESC.s7.value, regs.DESC.mult.value,
              regs.DESC.shift.value, regs.CARRY_MAX.value.value[IN_W-1:0], regs.CARRY_SUM.value.value}),
    .pop_i  (pop),
    .data_o (row),
    .count_o(count)
  );

  assign {frac, fmt, s7, mult, shift, carry_max, carry_sum} = row;
  assign there         = count != '0;
  assign s_axis_tready = unit_ready && there;
  assign pop           = s_axis_tvalid && s_axis_tready && s_axis_tlast;
  assign empties       = pop && count == CntW'(1) && !push_q;

  // ----------------------------------------------------------------------------------------- the unit
  e2softmax #(
    .LANES   (LANES),
    .MAX_LEN (MAX_LEN),
    .DIV_BITS(DIV_BITS),
    .EXP_FRAC(EXP_FRAC),
    .IN_W    (IN_W),
    .SCALE   (SCALE),
    .BLOCKS  (BLOCKS),
    .FORMATS (FORMATS)
  ) u_softmax (
    .clk_i,
    .rst_ni,
    .cfg_frac_i     (frac),
    .cfg_fmt_i      (fmt[FmtW-1:0]),
    .cfg_mult_i     (mult),
    .cfg_shift_i    (shift),
    .cfg_s7_i       (s7),
    .cfg_carry_max_i(carry_max),
    .cfg_carry_sum_i(carry_sum),
    .s_axis_tdata,
    .s_axis_tkeep,
    .s_axis_tstrb,
    .s_axis_tlast,
    .s_axis_tvalid  (s_axis_tvalid && there),
    .s_axis_tready  (unit_ready),
    .m_axis_tdata,
    .m_axis_tkeep,
    .m_axis_tlast,
    .m_axis_tuser,
    .m_axis_tvalid,
    .m_axis_tready,
    .err_len_o      (err_len),
    .err_keep_o     (err_keep)
  );

  logic unused;
  assign unused = ^{addr[1:0], fmt[1], regs.CARRY_MAX.value.value};
endmodule
