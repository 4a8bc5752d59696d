// SPDX-License-Identifier: Apache-2.0
// Delay line of STAGES registers for data that travels beside a chain of valid bits.
//
// For delays of several clocks; a single register is an always_ff in its owner.
//
// All stages load while en_i is set: tie it to 1 where nothing ever waits, since an enable costs a
// multiplexer a bit. During a bubble the register before the line holds its value, so that the line
// loads the same data again and nothing toggles. STAGES = 0 is a wire. The data is not reset: whoever
// reads it looks at the valid bit first.

module sn_pipe #(
  parameter int W      = 8,
  parameter int STAGES = 1
) (
  input  logic         clk_i,
  input  logic         en_i,
  input  logic [W-1:0] data_i,
  output logic [W-1:0] data_o
);
  for (genvar s = 0; s < STAGES; s++) begin : gen_stage
    logic [W-1:0] d, q;
    if (s == 0) begin : gen_first
      assign d = data_i;
    end else begin : gen_next
      assign d = gen_stage[s-1].q;
    end
    always_ff @(posedge clk_i) begin
      if (en_i) q <= d;
    end
  end

  if (STAGES == 0) begin : gen_wire
    logic unused;
    assign unused = ^{clk_i, en_i};
    assign data_o = data_i;
  end else begin : gen_out
    assign data_o = gen_stage[STAGES-1].q;
  end
endmodule
