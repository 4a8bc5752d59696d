# SPDX-License-Identifier: Apache-2.0
"""Bugs of the 2D-LUT; those of the three passes are with REXP."""

from tests.rtl.mutations import VALUE, Mutation, Rule

# Rows of more than 64 elements: a row of T2 that is not clamped wraps from there on, and below,
# beyond 60, the table itself gives row 60.
SMALL = {"LANES": 4, "MAX_LEN": 96}

PASSES = "common/sn_two_pass.sv"
ELEM = "lut2d/lut2d_elem.sv"
ROW = "lut2d/lut2d_row.sv"
LINE = "lut2d/lut2d_line.sv"
TABLES = "lut2d/lut2d_tables_pkg.sv"

# No output shows these, so they are no mutations: an index cut at 101 to 127 (E and COL are 0 from
# there on), a row clamped to 59 (its entries are those of row 60, at each W), and one that is not
# raised to 1 (an all-masked row's).
MUTATIONS: dict[str, Mutation] = {
    # ------------------------------------------------------------------------- arithmetic
    "d times 8 for times 10": Mutation(
        ((ELEM, "{1'b0, d_i, 3'b0} + {3'b0, d_i, 1'b0};", "{1'b0, d_i, 3'b0};"),), "shapes", VALUE
    ),
    "index rounded down": Mutation(
        ((ELEM, "raw[12:1] + 12'(raw[0]);", "raw[12:1];"),), "shapes", VALUE
    ),
    "index not cut": Mutation(
        ((ELEM, "(index > 12'(Last)) ? Last : index[6:0];", "index[6:0];"),), "shapes", VALUE
    ),
    "index cut at 10": Mutation(((ELEM, "Last = 7'd100;", "Last = 7'd10;"),), "shapes", VALUE),
    "COL for E": Mutation(((ELEM, "share_o <= share;", "share_o <= W'(col);"),), "shapes", VALUE),
    "E for COL": Mutation(
        ((ELEM, "code_o  <= col;", "code_o  <= (share > W'(10)) ? 4'd10 : 4'(share);"),),
        "shapes",
        VALUE,
    ),
    # One bit: by one step, E moves no sum that any row shows, or nearly none.
    "E: wrong entry": Mutation(
        ((TABLES, "7'd7: e_w8 = 8'd127;", "7'd7: e_w8 = 8'd111;"),), "shapes", VALUE
    ),
    "COL: wrong entry": Mutation(
        ((TABLES, "7'd5: col_w8 = 4'd6;", "7'd5: col_w8 = 4'd5;"),), "shapes", VALUE
    ),
    "T2: wrong entry": Mutation(
        ((TABLES, "6'd4: t2_w8 = {8'd51,", "6'd4: t2_w8 = {8'd52,"),), "levels", VALUE
    ),
    "T2: row and column swapped": Mutation(
        (
            (
                LINE,
                "    assign line = lut2d_tables_pkg::t2_w8(row_i);\n",
                "    for (genvar n = 0; n < 11; n++) begin : gen_swapped\n"
                "      logic [10:0][W-1:0] other;\n"
                "      assign other = lut2d_tables_pkg::t2_w8(6'(n));\n"
                "      assign line[n] = other[row_i%11];\n"
                "    end\n",
            ),
        ),
        "smoke",
        VALUE,
    ),
    "T2: columns in the other order": Mutation(
        (
            (
                LINE,
                "if (load_i) line_o <= line;",
                "if (load_i) for (int n = 0; n < 11; n++) line_o[n] <= line[10-n];",
            ),
        ),
        "smoke",
        VALUE,
    ),
    "T2: the row after": Mutation(
        ((LINE, "lut2d_tables_pkg::t2_w8(row_i);", "lut2d_tables_pkg::t2_w8(row_i + 6'd1);"),),
        "smoke",
        VALUE,
    ),
    "last row compared in the bits of the sum": Mutation(
        ((ROW, "CmpW = (TopW > 7) ? TopW : 7;", "CmpW = TopW;"),),
        "smoke",
        VALUE,
        {"LANES": 1, "MAX_LEN": 1, "W": 2},
    ),
    "sum not cut at 60": Mutation(
        ((ROW, "    else if (top_q > CmpW'(60)) row_o <= 6'd59;\n", ""),), "levels", VALUE
    ),
    "sum cut at 40": Mutation(
        ((ROW, "(top_q > CmpW'(60)) row_o <= 6'd59;", "(top_q > CmpW'(40)) row_o <= 6'd39;"),),
        "levels",
        VALUE,
    ),
    "top bits of the sum rounded down": Mutation(
        ((ROW, " + TopW'(sum_i[W-1]));", ");"),), "shapes", VALUE
    ),
    "F of the next row": Mutation(
        ((PASSES, "elem_cfg_o <= p2_rd_cfg;", "elem_cfg_o <= p1_in_ctl.cfg;"),), "settings", VALUE
    ),
    "outputs of the next row": Mutation(
        ((LINE, "if (load_i) line_o <=", "line_o <="),), "stalls", VALUE
    ),
    # ------------------------------------------------------------------------------ masks
    "masked elements take the largest output": Mutation(
        ((PASSES, "!p2_code_active[i] ? Zero", "!p2_code_active[i] ? 4'd10"),), "masks", VALUE
    ),
    # ----------------------------------------------------------- one sentence of the page each
    "T2: wrong entry, W = 4": Mutation(
        ((TABLES, "6'd3: t2_w4 = {4'd4, 4'd3,", "6'd3: t2_w4 = {4'd4, 4'd2,"),),
        "shapes",
        VALUE,
        {"W": 4},
    ),
    "T2: a tie rounded down": Mutation(
        ((TABLES, "6'd5: t2_w8 = {8'd43,", "6'd5: t2_w8 = {8'd42,"),), "levels", VALUE
    ),
}

RULES: dict[str, Rule] = {}
