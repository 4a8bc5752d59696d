// SPDX-License-Identifier: Apache-2.0
// The exact softmax's element step: the exponential of the distance to the maximum, from a table.
//
//   d_i [8] --> << 7 - F --[reg]--> z --> one of four parts of the table, or 0 --[reg]--> e_o [16]
//
//   e = round((2^16 - 1) * e^(-d * 2^-F)),  z = d * 2^(7-F)
//
// The table's steps double with z, as those of the distances do, so that every distance at every F
// has an entry of its own. Latency two clocks.

module exact_softmax_exponential (
  input  logic        clk_i,
  input  logic [7:0]  d_i,
  input  logic [2:0]  frac_i,
  output logic [15:0] e_o
);
  logic [14:0] z;
  logic [10:0] z_q;
  logic        beyond_q;
  logic [15:0] e;

  assign z = {7'b0, d_i} << (3'd7 - frac_i);

  assign e = (beyond_q || z_q[10:9] == 2'b11) ? 16'd0 :
             z_q[10] ? exact_softmax_tables_pkg::exp_1024(z_q[8:3]) :
             z_q[9]  ? exact_softmax_tables_pkg::exp_512(z_q[8:2]) :
             z_q[8]  ? exact_softmax_tables_pkg::exp_256(z_q[7:1]) :
                       exact_softmax_tables_pkg::exp_0(z_q[7:0]);

  always_ff @(posedge clk_i) begin
    z_q      <= z[10:0];
    beyond_q <= z[14:11] != '0;
    e_o      <= e;
  end
endmodule
