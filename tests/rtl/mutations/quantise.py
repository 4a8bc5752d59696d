# SPDX-License-Identifier: Apache-2.0
"""Bugs of the requantiser, and of the cells that stream cells share."""

from tests.rtl.mutations import TUSER, VALUE, Mutation, Rule

SMALL = {"LANES": 4, "IN_W": 16}

TOP = "quantise/quantise.sv"
SKID = "common/sn_skid.sv"
PRODUCT = "common/sn_multiply_clocked.sv"
KEEP = "common/sn_keep_check.sv"

TSTRB = "tstrb: expected"
WIDE = {"IN_W": 32}  # whose product takes two clocks

MUTATIONS: dict[str, Mutation] = {
    # ------------------------------------------------------------------------- arithmetic
    "Q as signed": Mutation(
        ((TOP, ".a_i ({1'b0, s1_cfg.mult}),", ".a_i ({s1_cfg.mult[15], s1_cfg.mult}),"),),
        "random",
        VALUE,
    ),
    "rounded down": Mutation(
        ((TOP, "half_q     <= half;", "half_q     <= 1'b0;"),), "shapes", VALUE
    ),
    "rounded before the last bit of the shift": Mutation(
        ((TOP, "half_q     <= half;", "half_q     <= half && !s2_cfg.shift[0];"),), "shapes", VALUE
    ),
    "shifts of 32 and more wrap": Mutation(
        ((TOP, ".sh_i  (s2_cfg.shift),", ".sh_i  ({1'b0, s2_cfg.shift[4:0]}),"),), "shapes", VALUE
    ),
    "quotient wraps": Mutation(
        ((TOP, "quotient_q <= shifted;", "quotient_q <= unused_low;"),), "shapes", VALUE
    ),
    "zero point as unsigned": Mutation(
        ((TOP, "11'($signed(s3_cfg.zp))", "11'(s3_cfg.zp)"),), "shapes", VALUE
    ),
    "int8 up to 255": Mutation(
        ((TOP, "!(s3_cfg.bare && total[9:8] == '0)", "total[9:8] != '0"),), "shapes", VALUE
    ),
    "uint8 up to 127": Mutation(
        ((TOP, " && !(s3_cfg.bare && total[9:8] == '0);", ";"),), "shapes", VALUE
    ),
    "uint8 below 0": Mutation(
        ((TOP, "(s3_cfg.bare || total[9:7] != '1)", "(total[9:7] != '1)"),), "shapes", VALUE
    ),
    "upper end one less": Mutation(
        ((TOP, "{s3_cfg.bare, 7'h7f}", "{s3_cfg.bare, 7'h7e}"),), "shapes", VALUE
    ),
    "lower end one more": Mutation(
        ((TOP, "{!s3_cfg.bare, 7'h00}", "{!s3_cfg.bare, 7'h01}"),), "shapes", VALUE
    ),
    "product: carry of the low bits lost": Mutation(
        ((PRODUCT, " + (W - Low)'(low_q[Low]);", ";"),), "random", VALUE, WIDE
    ),
    "product: a full adder's carry of two words alone": Mutation(
        ((PRODUCT, "(c[W-2:0] & (a[W-2:0] | b[W-2:0]))", "(c[W-2:0] & a[W-2:0])"),),
        "random",
        VALUE,
        WIDE,
    ),
    "product: its last row taken as positive": Mutation(
        ((PRODUCT, "negative = bits[2*n+2];", "negative = bits[2*n+2] && n > 0;"),),
        "random",
        VALUE,
        WIDE,
    ),
    # --------------------------------------------------------------------------- settings
    "settings of each beat": Mutation(
        ((TOP, "assign cfg_in      = in_row_q ? cfg_q : {", "assign cfg_in      = {"),),
        "settings",
        VALUE,
    ),
    "shift of the next row": Mutation(
        ((TOP, ".sh_i  (s2_cfg.shift),", ".sh_i  (s1_cfg.shift),"),), "settings", VALUE
    ),
    "zero point of the next row": Mutation(
        ((TOP, "11'($signed(s3_cfg.zp))", "11'($signed(s2_cfg.zp))"),), "settings", VALUE
    ),
    "range of the row's neighbour": Mutation(
        (
            (
                TOP,
                "assign low   = total[10] && (s3_cfg.bare",
                "assign low   = total[10] && (s2_cfg.bare",
            ),
        ),
        "settings",
        VALUE,
    ),
    # ------------------------------------------------------------------------------ masks
    "masked elements come out": Mutation(
        ((TOP, "q & {8{s3.active[i]}}", "q & {8{s3.keep[i]}}"),), "masks", VALUE
    ),
    "tstrb is tkeep": Mutation(((TOP, "= {s3.active[i], q", "= {s3.keep[i], q"),), "masks", TSTRB),
    "tstrb without tkeep": Mutation(
        ((TOP, "in.active   = s_axis_tkeep & s_axis_tstrb;", "in.active   = s_axis_tstrb;"),),
        "lengths",
        "tstrb",
    ),
    "tkeep comes out whole": Mutation(
        ((TOP, ".keep_i       (s3.keep),", ".keep_i       ('1),"),), "lengths", "tkeep: expected"
    ),
    # ----------------------------------------------------------------------------- errors
    "flag of the beat alone": Mutation(
        ((TOP, "keep_bad || (in_row_q && err_keep_q);", "keep_bad;"),), "errors", "tuser"
    ),
    "flag of the row before": Mutation(
        ((TOP, "keep_bad || (in_row_q && err_keep_q);", "keep_bad || err_keep_q;"),),
        "errors",
        TUSER,
    ),
    "flag a beat late": Mutation(
        ((TOP, "keep_bad || (in_row_q && err_keep_q);", "in_row_q && err_keep_q;"),),
        "errors",
        TUSER,
    ),
    "err_keep_o without a transfer": Mutation(
        ((TOP, "err_keep_o <= accept && keep_bad;", "err_keep_o <= s_axis_tvalid && keep_bad;"),),
        "errors",
        "err_keep_o was high for",
    ),
    "err_len in tuser": Mutation(
        ((TOP, ".user_i       ({s3.err_keep, 6'b0}),", ".user_i       ({s3.err_keep, 6'd32}),"),),
        "smoke",
        TUSER,
    ),
    "holes in a last beat allowed": Mutation(
        ((KEEP, "(run != '0 || !keep_i[0])", "!keep_i[0]"),), "errors", TUSER
    ),
    "an empty last beat allowed": Mutation(
        ((KEEP, "(run != '0 || !keep_i[0])", "(run != '0)"),), "errors", TUSER
    ),
    "any run of ones allowed": Mutation(
        ((KEEP, ": !(&keep_i);", ": (run != '0 || !keep_i[0]);"),), "errors", TUSER
    ),
    # -------------------------------------------------------------------------- handshake
    "skid: a beat that waits is lost": Mutation(
        ((SKID, "held = waits_q || (valid_i && ready_o);", "held = valid_i && ready_o;"),),
        "stalls",
        "does not match the model",
    ),
    "skid: takes one more than it can hold": Mutation(
        ((SKID, "ready_o <= load || !held;", "ready_o <= 1'b1;"),),
        "stalls",
        "does not match the model",
    ),
    "skid: the newer beat first": Mutation(
        ((SKID, "data_o <= waits_q ? data_q : data_i;", "data_o <= data_i;"),), "stalls", "row "
    ),
    "skid: a beat in two clocks": Mutation(
        (
            (
                SKID,
                "ready_o <= load || !held;",
                "ready_o <= (load || !held) && !(valid_i && ready_o);",
            ),
        ),
        "timing",
        "s_axis_tready fell with no stall outside",
    ),
    "pipeline goes on while the output waits": Mutation(
        (
            (
                TOP,
                "if (advance) {s3_cfg, s3} <=",
                "{s3_cfg, s3} <=",
            ),
        ),
        "stalls",
        "does not match the model",
    ),
    "product: goes on while the output waits": Mutation(
        ((PRODUCT, "      if (en_i) begin\n        low_q", "      begin\n        low_q"),),
        "stalls",
        "does not match the model",
        WIDE,
    ),
    "a clock more": Mutation(
        (
            (
                TOP,
                "  sn_row_output #(\n",
                "  logic late_valid;\n"
                "  logic [10*LANES+1:0] late;\n"
                "  always_ff @(posedge clk_i or negedge rst_ni) begin\n"
                "    if (!rst_ni) late_valid <= 1'b0;\n"
                "    else if (advance) late_valid <= valid[StOut];\n"
                "  end\n"
                "  always_ff @(posedge clk_i) begin\n"
                "    if (advance) late <= {out, s3.keep, s3.last, s3.err_keep};\n"
                "  end\n"
                "  sn_row_output #(\n",
            ),
            (
                TOP,
                "    .valid_i      (valid[StOut]),\n"
                "    .data_i       (out),\n"
                "    .keep_i       (s3.keep),\n"
                "    .last_i       (s3.last),\n"
                "    .user_i       ({s3.err_keep, 6'b0}),\n",
                "    .valid_i      (late_valid),\n"
                "    .data_i       (late[10*LANES+1:LANES+2]),\n"
                "    .keep_i       (late[LANES+1:2]),\n"
                "    .last_i       (late[1]),\n"
                "    .user_i       ({late[0], 6'b0}),\n",
            ),
        ),
        "timing",
        "latency ",
    ),
    "a beat stays in the pipeline": Mutation(
        (
            (TOP, "else if (advance) valid_q <=", "else if (advance && s1_valid) valid_q <="),
            (TOP, ".valid_i      (valid[StOut]),", ".valid_i      (valid[StOut] && s1_valid),"),
        ),
        "stalls",
        "no tvalid came",
    ),
    # ------------------------------------------------------------------------------ reset
    "pipeline not reset": Mutation(
        (
            (
                TOP,
                "    if (!rst_ni) valid_q <= '0;\n    else if (advance) valid_q",
                "    if (advance && rst_ni) valid_q",
            ),
        ),
        "reset",
        "in reset",
    ),
    "skid: reset waits for a clock": Mutation(
        (
            (
                SKID,
                "  always_ff @(posedge clk_i or negedge rst_ni) begin\n",
                "  always_ff @(posedge clk_i) begin\n",
            ),
        ),
        "reset",
        "in reset",
    ),
    "a row goes on behind a reset": Mutation(
        ((TOP, "      in_row_q   <= 1'b0;\n", ""),), "reset", VALUE
    ),
}

RULES: dict[str, Rule] = {}
