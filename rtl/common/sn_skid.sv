// SPDX-License-Identifier: Apache-2.0
// Two registers in front of a pipeline that can stall, so that tready comes from a flip-flop.
//
//   data_i --+-----------> mux --[reg]--> data_o, valid_o
//            |              ^
//            +--[skid reg]--+             ready_o: the skid register is free
//
// A beat that is accepted while the output register is not free waits in the skid register. ready_o is
// low only while one waits there, so that no beat is ever refused for longer than the pipeline stalls.
//
// Latency one clock, one beat a clock. The data is not reset: whoever reads it looks at valid_o first.

module sn_skid #(
  parameter int W = 8
) (
  input  logic         clk_i,
  input  logic         rst_ni,

  input  logic         valid_i,
  output logic         ready_o,
  input  logic [W-1:0] data_i,

  output logic         valid_o,
  input  logic         advance_i,  // the beat at the output is taken, if there is one
  output logic [W-1:0] data_o
);
  logic         waits_q;  // there is a beat in the skid register
  logic [W-1:0] data_q;
  logic         load, held;

  assign load = advance_i || !valid_o;
  assign held = waits_q || (valid_i && ready_o);  // a beat for the output register

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      ready_o <= 1'b0;
      waits_q <= 1'b0;
      valid_o <= 1'b0;
    end else begin
      ready_o <= load || !held;
      waits_q <= !load && held;
      if (load) valid_o <= held;
    end
  end

  // Only what an accepted beat brings gets in, so that nothing toggles while the bus is idle.
  always_ff @(posedge clk_i) begin
    if (valid_i && ready_o) data_q <= data_i;
    if (load && held) data_o <= waits_q ? data_q : data_i;
  end
endmodule
