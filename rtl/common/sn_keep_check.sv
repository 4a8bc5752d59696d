// SPDX-License-Identifier: Apache-2.0
// Whether a beat's tkeep is one that the stream contract does not allow (docs/stream.md). Combinational.
//
// Allowed is all ones, and in a row's last beat any run of ones from lane 0 with at least one of them.

module sn_keep_check #(
  parameter int LANES = 32
) (
  input  logic [LANES-1:0] keep_i,
  input  logic             last_i,
  output logic             bad_o
);
  logic [LANES-1:0] run;

  // A run of ones from lane 0 plus one has no bit in common with the run.
  assign run   = keep_i & (keep_i + LANES'(1));
  assign bad_o = last_i ? (run != '0 || !keep_i[0]) : !(&keep_i);
endmodule
