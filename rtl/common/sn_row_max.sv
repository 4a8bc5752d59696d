// SPDX-License-Identifier: Apache-2.0
// Online maximum: the largest unmasked element of a row so far, beat by beat.
//
//   key [LANES] --> tree of maxima --> max(row so far, beat) --[reg]--> max_o
//                                      row so far ------------[reg]--> prev_o
//
//   m_t = max(m_(t-1), max of unmasked x in beat t)       max_o = m_t + B,  prev_o = m_(t-1) + B,
//                                                         B = 2^(W-1): 128 of int8
// Elements are compared as x + B, unsigned, and a masked lane counts as 0: before the first unmasked
// element max_o is 0, i.e. x = -B. A sum that is shifted by the rise from there is still 0.
//
// on_i tells which lanes of key_i count: what comes as 0 needs none. store_i = 0: no lane does; it may come late.
//
// START = 1: a row starts from start_i, the key of a maximum so far, in place of 0.
//
// Latency one clock, one beat a clock: the levels of the tree overlap (sn_max), so that no register
// between them is needed, nor one to keep the elements beside it.

module sn_row_max #(
  parameter  int LANES  = 32,
  parameter  int W      = 8,   // bits of an element
  parameter  int START  = 0,
  localparam int LEVELS = $clog2(LANES)
) (
  input  logic                    clk_i,
  input  logic                    load_i,   // there is a beat
  input  logic                    store_i,
  input  logic [LANES-1:0]        on_i,
  input  logic [LANES-1:0][W-1:0] key_i,    // x + B; anything where on_i is 0, 0 where it is masked else
  input  logic                    first_i,  // it is the first of its row
  input  logic [W-1:0]            start_i,  // with first_i; ignored with START = 0
  output logic [W-1:0]            max_o,
  output logic [W-1:0]            prev_o
);
  logic [W-1:0] prev, so_far;

  for (genvar l = 0; l <= LEVELS; l++) begin : gen_level
    logic [(LANES>>l)*W-1:0] node;

    if (l == 0) begin : gen_leaf
      assign node = key_i;
    end else begin : gen_max
      for (genvar i = 0; i < (LANES >> l); i++) begin : gen_node
        logic a_on, b_on;
        if (l == 1) begin : gen_on
          assign {b_on, a_on} = on_i[2*i+:2];
        end else begin : gen_all
          assign {b_on, a_on} = 2'b11;
        end
        sn_max #(
          .W(W)
        ) u_max (
          .a_on_i(a_on),
          .b_on_i(b_on),
          .a_i  (gen_level[l-1].node[2*W*i+:W]),
          .b_i  (gen_level[l-1].node[2*W*i+W+:W]),
          .max_o(node[W*i+:W])
        );
      end
    end
  end

  if (START == 0) begin : gen_zero
    logic unused;
    assign prev = first_i ? '0 : max_o;
    assign unused = ^start_i;
  end else begin : gen_start
    assign prev = first_i ? start_i : max_o;
  end

  logic beat_on;
  if (LEVELS == 0) begin : gen_one
    assign beat_on = store_i && on_i[0];
  end else begin : gen_some
    assign beat_on = store_i;
  end

  sn_max #(
    .W(W)
  ) u_row (
    .a_on_i(beat_on),
    .b_on_i(1'b1),
    .a_i  (gen_level[LEVELS].node),
    .b_i  (prev),
    .max_o(so_far)
  );

  always_ff @(posedge clk_i) begin
    if (load_i) begin
      max_o  <= so_far;
      prev_o <= prev;
    end
  end
endmodule
