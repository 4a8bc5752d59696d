# SPDX-License-Identifier: Apache-2.0
"""Bugs of REXP, and of the three passes that it shares with the 2D-LUT."""

from tests.rtl.mutations import TUSER, VALUE, Mutation, Rule

# XS = 16, so that sums go past it: at XS = 320 the output of every sum from 171 on is the same.
SMALL = {"LANES": 4, "MAX_LEN": 32, "XS": 16}

PASSES = "common/sn_two_pass.sv"
OUTPUT = "common/sn_three_pass.sv"
ELEM = "rexp/rexp_elem.sv"
RECIPROCAL = "rexp/rexp_reciprocal.sv"
LINE = "rexp/rexp_line.sv"
TABLES = "rexp/rexp_tables_pkg.sv"

WIDE = {"W": 15, "XS": 16}

# Only all-masked rows have j = 0 before saturation, and their output is 0 whatever TA says. So no
# mutation leaves out the lower clamp.
MUTATIONS: dict[str, Mutation] = {
    "XS compared in the bits of the sum": Mutation(
        ((RECIPROCAL, "CmpW = (TopW > 10) ? TopW : 10;", "CmpW = TopW;"),),
        "smoke",
        VALUE,
        {"LANES": 1, "MAX_LEN": 64, "W": 15, "XS": 512},
    ),
    # ------------------------------------------------------------------------- arithmetic
    "T1: last bin is the one before": Mutation(
        ((ELEM, "Last = 4'(ENTRIES - 1);", "Last = 4'(ENTRIES - 2);"),), "shapes", VALUE
    ),
    "index cut one late": Mutation(
        ((ELEM, "(index > 8'(Last)) ? Last", "(index > 8'(Last) + 8'd1) ? Last"),), "shapes", VALUE
    ),
    "index wraps": Mutation(
        ((ELEM, "(index > 8'(Last)) ? Last : index[3:0];", "index[3:0];"),), "shapes", VALUE
    ),
    "index floored where it is to be rounded": Mutation(
        ((ELEM, "if (INDEX_MODE == 0)", "if (INDEX_MODE == 1)"),), "shapes", VALUE
    ),
    "index rounded where it is to be floored": Mutation(
        ((ELEM, "if (INDEX_MODE == 0)", "if (INDEX_MODE == 1)"),),
        "shapes",
        VALUE,
        {"INDEX_MODE": "floor"},
    ),
    "T1: wrong entry": Mutation(
        ((TABLES, "3'd4: t1_w8 = 8'd5;", "3'd4: t1_w8 = 8'd6;"),), "shapes", VALUE
    ),
    "T1: wrong entry, W = 15": Mutation(
        ((TABLES, "4'd9: t1_w15 = 15'd4;", "4'd9: t1_w15 = 15'd5;"),), "shapes", VALUE, WIDE
    ),
    "TA: wrong entry": Mutation(
        ((TABLES, "9'd4: ta_w8 = 8'd51;", "9'd4: ta_w8 = 8'd52;"),), "levels", VALUE
    ),
    "TA: wrong entry, W = 15": Mutation(
        ((TABLES, "9'd9: ta_w15 = 15'd3277;", "9'd9: ta_w15 = 15'd3276;"),), "levels", VALUE, WIDE
    ),
    "sum not cut at XS": Mutation(
        ((RECIPROCAL, "    else if (top > CmpW'(XS)) index = 9'(XS - 1);\n", ""),), "levels", VALUE
    ),
    "sum not cut at XS, W = 15": Mutation(
        ((RECIPROCAL, "    else if (top > CmpW'(XS)) index = 9'(XS - 1);\n", ""),),
        "levels",
        VALUE,
        WIDE,
    ),
    "sum cut one late": Mutation(
        ((RECIPROCAL, "top > CmpW'(XS)", "top > CmpW'(XS + 1)"),), "levels", VALUE
    ),
    "sum cut one early": Mutation(
        (
            (
                RECIPROCAL,
                "(top > CmpW'(XS)) index = 9'(XS - 1);",
                "(top > CmpW'(XS - 1)) index = 9'(XS - 2);",
            ),
        ),
        "levels",
        VALUE,
    ),
    "top bits of the sum rounded down": Mutation(
        ((RECIPROCAL, " + TopW'(sum_i[W-1]));", ");"),), "shapes", VALUE
    ),
    "product rounded down": Mutation(((LINE, " + (2 * W)'(1 << (W - 1));", ";"),), "shapes", VALUE),
    "product rounded down, W = 15": Mutation(
        ((LINE, " + (2 * W)'(1 << (W - 1));", ";"),), "shapes", VALUE, WIDE
    ),
    "upper byte of a lane lost": Mutation(
        ((OUTPUT, "OUT_W'(line[p3_sel_code[i]]);", "OUT_W'(8'(line[p3_sel_code[i]]));"),),
        "smoke",
        VALUE,
        WIDE,
    ),
    "F of the next row": Mutation(
        ((PASSES, "elem_cfg_o <= p2_rd_cfg;", "elem_cfg_o <= p1_in_ctl.cfg;"),), "settings", VALUE
    ),
    "maximum of the row in pass 1": Mutation(
        ((PASSES, "elem_d_o[i] <= p2_rd_m -", "elem_d_o[i] <= p1_max_m -"),), "smoke", VALUE
    ),
    # ------------------------------------------------------------------------------ masks
    "masked elements in the sum": Mutation(
        (
            (
                PASSES,
                "p2_code_active[i] ? BeatW'(elem_share_i[i]) : '0;",
                "BeatW'(elem_share_i[i]);",
            ),
        ),
        "masks",
        VALUE,
    ),
    "masked elements not zeroed": Mutation(
        ((PASSES, "Absent : !p2_code_active[i] ? Zero : elem", "Absent : elem"),),
        "masks",
        VALUE,
    ),
    "masked elements take the code of the maximum": Mutation(
        ((PASSES, "!p2_code_active[i] ? Zero", "!p2_code_active[i] ? 4'd0"),), "masks", VALUE
    ),
    "masked elements are absent": Mutation(
        (
            (
                PASSES,
                "p2_rd_keep[i]   = p2_rd_lane[i][8] || p2_rd_lane[i][0];",
                "p2_rd_keep[i]   = p2_rd_lane[i][8];",
            ),
        ),
        "masks",
        "tkeep: expected",
    ),
    "absent elements are there": Mutation(
        ((PASSES, "!p2_code_keep[i] ? Absent : !p2_code_active", "!p2_code_active"),),
        "lengths",
        "tkeep: expected",
    ),
    # -------------------------------------------------------------------- the three passes
    "sum of the last row kept": Mutation(
        ((PASSES, "(p2_sum_first ? '0 : p2_sum)", "p2_sum"),), "smoke", ""
    ),
    "every beat is its row's first": Mutation(
        ((PASSES, "p2_rd_first <= p2_rd_last;", "p2_rd_first <= 1'b1;"),), "shapes", VALUE
    ),
    "a row's first beat is not": Mutation(
        ((PASSES, "p2_rd_first <= p2_rd_last;", "p2_rd_first <= 1'b0;"),), "smoke", VALUE
    ),
    "first flag comes without a beat": Mutation(
        ((PASSES, "if (p2_rd_go) p2_rd_first <= p2_rd_last;", "p2_rd_first <= p2_rd_last;"),),
        "stalls",
        "",
    ),
    "flags of the row in pass 1": Mutation(
        (
            (
                PASSES,
                ".data_i({p2_rd_err_keep, p2_rd_err_len}),",
                ".data_i({p1_max_ctl.err_keep, p1_max_ctl.err_len}),",
            ),
        ),
        "errors",
        TUSER,
    ),
    "flags of the first beat": Mutation(
        (
            (
                PASSES,
                "  always_ff @(posedge clk_i) p1_max_ctl <= p1_in_ctl;",
                "  logic first_q;\n  always_ff @(posedge clk_i) first_q <= p1_in_first;\n"
                "  always_ff @(posedge clk_i) p1_max_ctl <= p1_in_ctl;",
            ),
            (
                PASSES,
                "({p1_max_ctl.err_keep, p1_max_ctl.err_len,",
                "({first_q && p1_max_ctl.err_keep, first_q && p1_max_ctl.err_len,",
            ),
        ),
        "errors",
        TUSER,
    ),
    "flags swapped": Mutation(
        (
            (
                OUTPUT,
                ".user_i   ({p3_sel_err_keep, p3_sel_err_len,",
                ".user_i   ({p3_sel_err_len, p3_sel_err_keep,",
            ),
        ),
        "errors",
        TUSER,
    ),
    "pass 2 does not wait for ring 2": Mutation(
        (
            (PASSES, "p2_rd_go = p2_rd_valid && ring2_ready;", "p2_rd_go = p2_rd_valid;"),
            (PASSES, ".advance_i  (ring2_ready),", ".advance_i  (1'b1),"),
        ),
        "stalls",
        "",
    ),
    "pass 2 goes on while ring 1 holds": Mutation(
        ((PASSES, "p2_rd_go = p2_rd_valid && ring2_ready;", "p2_rd_go = p2_rd_valid;"),),
        "stalls",
        "",
    ),
    "ring 1 goes on while pass 2 waits": Mutation(
        ((PASSES, ".advance_i  (ring2_ready),", ".advance_i  (1'b1),"),), "stalls", ""
    ),
    "tlast a beat early": Mutation(
        ((OUTPUT, ".last_i   (p3_sel_last),", ".last_i   (p3_rd_last),"),), "lengths", ""
    ),
    "outputs of the next row": Mutation(
        ((LINE, "if (load_i) line_o[n] <=", "line_o[n] <="),), "stalls", VALUE
    ),
    "ring 1 a slot too few": Mutation(
        ((PASSES, "Turnaround1 = StMax + 1 + IN_REG;", "Turnaround1 = StMax + IN_REG;"),),
        "timing",
        "s_axis_tready fell with no stall outside",
    ),
    "ring 2 a slot too few": Mutation(
        ((PASSES, "Turnaround2 = StRow + 1;", "Turnaround2 = StRow;"),),
        "timing",
        "latency 4 + 10",
    ),
    "a clock more in pass 2": Mutation(
        (
            (
                PASSES,
                "  sn_row_buffer #(\n    .BEAT_W    (CODE_W * LANES),",
                "  logic [1:0] late_q;\n  logic [ROW_W+1:0] late_row;\n"
                "  always_ff @(posedge clk_i or negedge rst_ni) begin\n"
                "    if (!rst_ni) late_q <= '0;\n"
                "    else late_q <= {p2_valid[StRow], p2_valid[StRow] && p2_row_last};\n"
                "  end\n"
                "  always_ff @(posedge clk_i) begin\n"
                "    late_row <= {p2_row_err_keep, p2_row_err_len, row_word_i};\n"
                "  end\n"
                "  sn_row_buffer #(\n    .BEAT_W    (CODE_W * LANES),",
            ),
            (PASSES, ".done_i     (p2_valid[StRow]),", ".done_i     (late_q[1]),"),
            (PASSES, ".close_i    (p2_valid[StRow] && p2_row_last),", ".close_i    (late_q[0]),"),
            (
                PASSES,
                ".close_row_i({p2_row_err_keep, p2_row_err_len, row_word_i}),",
                ".close_row_i(late_row),",
            ),
        ),
        "timing",
        "latency 4 + 10",
    ),
    "a clock more in pass 1": Mutation(
        (
            (
                PASSES,
                "  logic                  p2_rd_valid, p2_rd_last,",
                "  logic [1:0] late_q;\n  logic [CFG_W+9:0] late_row;\n"
                "  always_ff @(posedge clk_i or negedge rst_ni) begin\n"
                "    if (!rst_ni) late_q <= '0;\n"
                "    else late_q <= {2{p1_valid[StMax]}} & {p1_max_ctl.store, p1_max_ctl.close};\n"
                "  end\n"
                "  always_ff @(posedge clk_i) begin\n"
                "    late_row <= {p1_max_ctl.err_keep, p1_max_ctl.err_len,\n"
                "                 p1_max_ctl.cfg, p1_max_m};\n"
                "  end\n"
                "  logic                  p2_rd_valid, p2_rd_last,",
            ),
            (
                PASSES,
                ".done_i     (p1_valid[StMax] && p1_max_ctl.store),",
                ".done_i     (late_q[1]),",
            ),
            (
                PASSES,
                ".close_i    (p1_valid[StMax] && p1_max_ctl.close),",
                ".close_i    (late_q[0]),",
            ),
            (
                PASSES,
                ".close_row_i({p1_max_ctl.err_keep, p1_max_ctl.err_len, "
                "p1_max_ctl.cfg, p1_max_m}),",
                ".close_row_i(late_row),",
            ),
        ),
        "timing",
        "latency 4 + 10",
    ),
    # ------------------------------------------------------------------------------ reset
    "first flag not reset": Mutation(
        (
            (
                PASSES,
                "  logic             p2_rd_first;",
                "  logic             p2_rd_first = 1'b1;",
            ),
            (PASSES, "      p2_rd_first <= 1'b1;\n", ""),
        ),
        "reset",
        VALUE,
    ),
    "stages of pass 2 not reset": Mutation(
        (
            (PASSES, "logic [StRow:1]   p2_valid;", "logic [StRow:1]   p2_valid = '0;"),
            (PASSES, "      p2_valid    <= '0;\n", ""),
        ),
        "reset",
        "",
    ),
    "stage of pass 3 not reset": Mutation(
        (
            (
                OUTPUT,
                "  logic                        p3_sel_valid,",
                "  logic p3_sel_valid = 1'b0;\n  logic                       ",
            ),
            (
                OUTPUT,
                "if (!rst_ni) p3_sel_valid <= 1'b0;",
                "if (!rst_ni) p3_sel_valid <= p3_sel_valid;",
            ),
        ),
        "reset",
        "",
    ),
    # ----------------------------------------------------------- one sentence of the page each
    "T1: wrong entry, W = 2": Mutation(
        ((TABLES, "2'd1: t1_w2 = 2'd1;", "2'd1: t1_w2 = 2'd2;"),), "shapes", VALUE, {"W": 2}
    ),
    "T1: wrong entry, W = 4": Mutation(
        ((TABLES, "3'd2: t1_w4 = 4'd2;", "3'd2: t1_w4 = 4'd3;"),), "shapes", VALUE, {"W": 4}
    ),
    "TA: a tie rounded down": Mutation(
        ((TABLES, "9'd5: ta_w8 = 8'd43;", "9'd5: ta_w8 = 8'd42;"),), "levels", VALUE
    ),
    "exponent not 0": Mutation(
        ((OUTPUT, "p3_sel_err_len, 5'd0}),", "p3_sel_err_len, 5'd1}),"),), "smoke", TUSER
    ),
    "absent lanes put out noise": Mutation(
        ((OUTPUT, "assign line[n] = '0;", "assign line[n] = '1;"),), "lengths", VALUE
    ),
}

RULES: dict[str, Rule] = {}
