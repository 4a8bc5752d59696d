// SPDX-License-Identifier: Apache-2.0
// A selection of which several inputs are selected, as Verilog has it: the first. The unit never
// selects two; a fault may, and a proof must be about the netlist that is simulated.

(* techmap_celltype = "$pmux" *)
module first_selected (A, B, S, Y);
  parameter WIDTH = 1;
  parameter S_WIDTH = 1;
  input [WIDTH-1:0] A;
  input [S_WIDTH*WIDTH-1:0] B;
  input [S_WIDTH-1:0] S;
  output [WIDTH-1:0] Y;

  wire [(S_WIDTH+1)*WIDTH-1:0] from;  // what is selected by S[i] and all above it

  assign from[S_WIDTH*WIDTH+:WIDTH] = A;
  genvar i;
  generate
    for (i = 0; i < S_WIDTH; i = i + 1) begin : gen_input
      assign from[i*WIDTH+:WIDTH] = S[i] ? B[i*WIDTH+:WIDTH] : from[(i+1)*WIDTH+:WIDTH];
    end
  endgenerate
  assign Y = from[0+:WIDTH];
endmodule
