// SPDX-License-Identifier: Apache-2.0
// Delay line of STAGES registers for data that travels beside a chain of valid bits.
//
/// Like sn_reduce_tree, a stage loads only when its bit of load_i is set. STAGES = 0 is a wire. The
/// data is not reset: whoever reads it looks at the valid bit first.

module sn_pipe #(
  parameter  int W      = 8,
  parameter  int STAGES = 1,
  localparam int LW     = (STAGES > 0) ? STAGES : 1
) (
  input  logic          clk_i,
  input  logic [LW-1:0] load_i,  // [s]: stage s takes what is before it
  input  logic [W-1:0]  data_i,
  output logic [W-1:0]  data_o
);
  for (genvar s = 0; s < STAGES; s++) begin : gen_stage
    logic [W-1:0] d, q;
    if (s == 0) begin : gen_first
      assign d = data_i;
    end else begin : gen_next
      assign d = gen_stage[s-1].q;
    end
    always_ff @(posedge clk_i) begin
      if (load_i[s]) q <= d;
    end
  end

  if (STAGES == 0) begin : gen_wire
    logic unused;
    assign unused = ^{clk_i, load_i};
    assign data_o = data_i;
  end else begin : gen_out
    assign data_o = gen_stage[STAGES-1].q;
  end
endmodule
