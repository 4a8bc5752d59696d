# SPDX-License-Identifier: Apache-2.0
"""Bugs of AILayerNorm; those of the cells that it shares with E2Softmax are there."""

from tests.rtl.mutations import TUSER, VALUE, Mutation, Rule

SMALL = {"LANES": 4, "MAX_LEN": 32}

GUARD = "common/sn_row_guard.sv"
TOP = "ailayernorm/ailayernorm.sv"
BACK = "common/sn_norm_back.sv"
STATISTICS = "ailayernorm/ailayernorm_statistics.sv"
QUANTISE = "ailayernorm/ailayernorm_quantise.sv"
COMPRESS = "ailayernorm/ailayernorm_compress.sv"
SQUARE = "ailayernorm/ailayernorm_square.sv"
MOMENTS = "ailayernorm/ailayernorm_moments.sv"
AFFINE = "common/sn_affine.sv"
SHIFT = "common/sn_shift_saturate.sv"
MULTIPLY = "common/sn_multiply.sv"
COLUMN = "common/sn_channel_column.sv"
TABLES = "ailayernorm/ailayernorm_tables_pkg.sv"

ERR_LEN = "err_len_o was high for"

ERR_IMPRECISE = "err_imprecise_o was high for"
FLAG = "tuser imprecise: expected"

EXACT = {"EXACT_SQ": 1}
EPSILON = {"EPS": 1}
FLAGGED = {"IMPRECISE": 1}
WIDE = {"IN_W": 32}
FEWER = {"A_BITS": 8}
ONE_BANK = {"BANKS": 1}

# A bank that a pass switches to a row late; `{}` loads it at the end of a row.
_LATE_BANK = (
    TOP,
    "    if (advance) p2_s1_mu <= p2_s0_mu;\n  end\n",
    "    if (advance) p2_s1_mu <= p2_s0_mu;\n  end\n"
    "  logic late_bank_q = 1'b0;\n"
    "  always_ff @(posedge clk_i) if (%s) late_bank_q <= %s;\n",
)
_MASKED_DATA = (GUARD, "{LANE_W{active[i] && accept}}", "{LANE_W{accept}}")

MUTATIONS: dict[str, Mutation] = {
    # ------------------------------------------------------------------- registers at the ports
    "no input register: err_len_o of a long row a clock late": Mutation(
        ((TOP, "StErr = StSum - 1 + IN_REG;", "StErr = StSum;"),),
        "errors",
        "and must be",
        {"IN_REG": 0, "MAX_LEN": 30},
    ),
    "no input register: masked lanes in the sum": Mutation(
        ((STATISTICS, "a_q & {9{active_q[i]}}", "a_q"),), "masks", VALUE, {"IN_REG": 0}
    ),
    "no input register: masked lanes in the squares": Mutation(
        ((STATISTICS, "y_q & {4{active_q[i]}}", "y_q"),), "masks", VALUE, {"IN_REG": 0}
    ),
    "no input register: masked lanes in the exact squares": Mutation(
        ((STATISTICS, "exact_q & {16{active_q[i]}}", "exact_q"),),
        "masks",
        VALUE,
        {"IN_REG": 0, "EXACT_SQ": 1},
    ),
    # ---------------------------------------------------------------- one bank of channels
    "one bank: read where cfg_bank_i says": Mutation(
        (
            (
                COLUMN,
                "assign rd_addr = rd_beat_i;",
                "assign rd_addr = rd_beat_i ^ WordW'(rd_bank_i);",
            ),
        ),
        "smoke",
        VALUE,
        ONE_BANK,
    ),
    "one bank: written where chan_bank_i says": Mutation(
        ((COLUMN, "assign wr_addr = wr_beat;", "assign wr_addr = wr_beat ^ WordW'(wr_bank_i);"),),
        "smoke",
        "",
        ONE_BANK,
    ),
    "one bank: lane of a write by chan_bank_i": Mutation(
        (
            (
                COLUMN,
                "wr_chan_i[LaneW-1:0] == LaneW'(i);",
                "(wr_chan_i[LaneW-1:0] ^ LaneW'(wr_bank_i)) == LaneW'(i);",
            ),
        ),
        "smoke",
        "",
        ONE_BANK,
    ),
    "one bank: a write that names bank 1 lost": Mutation(
        (
            (
                COLUMN,
                "wr_chan_i[LaneW-1:0] == LaneW'(i);",
                "wr_chan_i[LaneW-1:0] == LaneW'(i) && !wr_bank_i;",
            ),
        ),
        "smoke",
        "",
        ONE_BANK,
    ),
    "one bank: alpha has two": Mutation(
        ((TOP, "    .W      (2),\n    .BANKS  (BANKS)\n", "    .W      (2)\n"),),
        "smoke",
        "",
        ONE_BANK,
    ),
    "one bank: gamma has two": Mutation(
        ((BACK, "    .W      (FACTOR_W),\n    .BANKS  (BANKS)\n", "    .W      (FACTOR_W)\n"),),
        "smoke",
        "",
        ONE_BANK,
    ),
    "one bank: beta has two": Mutation(
        ((BACK, "    .W      (8),\n    .BANKS  (BANKS)\n", "    .W      (8)\n"),),
        "smoke",
        "",
        ONE_BANK,
    ),
    # Without an input register a row's first beat reads in the clock in which it comes.
    "one bank: alpha written a clock late": Mutation(
        (
            (
                TOP,
                "  sn_channel_column #(\n",
                "  logic              late_we_q;\n"
                "  logic [ADDR_W-1:0] late_addr_q;\n"
                "  logic [1:0]        late_alpha_q;\n"
                "  always_ff @(posedge clk_i) begin\n"
                "    late_we_q    <= chan_we_i;\n"
                "    late_addr_q  <= chan_addr_i;\n"
                "    late_alpha_q <= chan_alpha_i;\n"
                "  end\n"
                "  sn_channel_column #(\n",
            ),
            (
                TOP,
                "    .wr_en_i  (chan_we_i),\n    .wr_bank_i(chan_bank_i),\n"
                "    .wr_chan_i(chan_addr_i),\n    .wr_data_i(chan_alpha_i),",
                "    .wr_en_i  (late_we_q),\n    .wr_bank_i(chan_bank_i),\n"
                "    .wr_chan_i(late_addr_q),\n    .wr_data_i(late_alpha_q),",
            ),
        ),
        "settings",
        "",
        {"BANKS": 1, "IN_REG": 0, "MAX_LEN": 4},
    ),
    # ----------------------------------------------------------------------- exact squares
    "exact squares: the sign's part left out": Mutation(
        ((SQUARE, "- {low[6:0] & {7{a_i[8]}}, 9'b0}", ""),), "shapes", VALUE, EXACT
    ),
    "exact squares: top pair left out": Mutation(
        ((SQUARE, "assign row[i] = ", "assign row[i] = (i == 6) ? '0 : "),), "shapes", VALUE, EXACT
    ),
    "exact squares: least pair left out": Mutation(
        ((SQUARE, ">> (i + 1)) &", ">> (i + 1) & {8'hff, i > 0}) &"),), "shapes", VALUE, EXACT
    ),
    "exact squares: shifted by alpha, not 2 alpha": Mutation(
        ((STATISTICS, "SqW'(exact_masked) << {alpha, 1'b0}", "SqW'(exact_masked) << alpha"),),
        "shapes",
        VALUE,
        EXACT,
    ),
    "exact squares: counted in units of 16": Mutation(
        ((TOP, "(EXACT_SQ == 1) ? 3 : CMP_RANGES", "CMP_RANGES"),), "smoke", "", EXACT
    ),
    # --------------------------------------------------------------- gamma / sigma of 8 bits
    "8 bits: RSQRT not rounded": Mutation(
        (
            (
                MOMENTS,
                "ailayernorm_tables_pkg::rsqrt8(index_q)",
                "{ailayernorm_tables_pkg::rsqrt(index_q)} >> 2",
            ),
        ),
        "smoke",
        VALUE,
        FEWER,
    ),
    "8 bits: shift as with 10": Mutation(
        ((TOP, ".LEFT     (17 - RsqrtW)", ".LEFT     (7)"),), "smoke", VALUE, FEWER
    ),
    "8 bits: an entry of RSQRT": Mutation(
        ((TABLES, "default: rsqrt8 = 8'd128;", "default: rsqrt8 = 8'd129;"),),
        "shapes",
        VALUE,
        FEWER,
    ),
    # ------------------------------------------------------------------------- epsilon
    "epsilon left out": Mutation(
        ((MOMENTS, "- {1'b0, mean_sq_q} + (Ex2W + 2)'(eps);", "- {1'b0, mean_sq_q};"),),
        "smoke",
        "",
        EPSILON,
    ),
    "epsilon of the next row": Mutation(
        (
            (
                TOP,
                ".data_i(p1_s0_cfg[BaseW+:16]),\n      .data_o(p1_sum_eps)",
                ".data_i(p1_s0_cfg[BaseW+:16]),\n      .data_o()",
            ),
            (
                TOP,
                "  logic [15:0] p1_sum_eps;\n",
                "  logic [15:0] p1_sum_eps;\n"
                "  if (EPS == 1) assign p1_sum_eps = p1_s0_cfg[BaseW+:16];\n",
            ),
        ),
        "settings",
        VALUE,
        EPSILON,
    ),
    "epsilon a clock early": Mutation(
        ((MOMENTS, ".STAGES(2 + PROD)", ".STAGES(1 + PROD)"),),
        "settings",
        VALUE,
        EPSILON,
    ),
    "epsilon above the floor": Mutation(
        (
            (
                MOMENTS,
                "- {1'b0, mean_sq_q} + (Ex2W + 2)'(eps);",
                "- {1'b0, mean_sq_q} < 32'h80000000 ?\n"
                "        {2'b0, ex2_3_q} - {1'b0, mean_sq_q} + 32'(eps) : 32'(eps);",
            ),
        ),
        "shapes",
        VALUE,
        EPSILON,
    ),
    "variance wraps with its epsilon": Mutation(
        (
            (
                MOMENTS,
                "assign diff  = total | {2'b0, {Ex2W{total[Ex2W+1:Ex2W] == 2'b01}}};",
                "assign diff  = total;",
            ),
        ),
        "shapes",
        VALUE,
        EPSILON,
    ),
    "epsilon of 15 bits": Mutation(
        ((MOMENTS, "(Ex2W + 2)'(eps)", "(Ex2W + 2)'(eps[14:0])"),), "shapes", "expected", EPSILON
    ),
    # ------------------------------------------------------------------------- the flag
    "flag from a mean of twice the deviation, not above it": Mutation(
        (
            (
                MOMENTS,
                "{3'b0, ex2_3_q, 2'b0} - {2'b0, mean_sq_q, 2'b0} - (Ex2W + 5)'(mean_sq_q)",
                "{3'b0, ex2_3_q, 2'b0} - {2'b0, mean_sq_q, 2'b0} - (Ex2W + 5)'(mean_sq_q) - 35'd1",
            ),
        ),
        "shapes",
        FLAG,
        FLAGGED,
    ),
    "flag from a mean of four times the deviation": Mutation(
        (
            (
                MOMENTS,
                "{3'b0, ex2_3_q, 2'b0} - {2'b0, mean_sq_q, 2'b0} -",
                "{1'b0, ex2_3_q, 4'b0} - {mean_sq_q, 4'b0} -",
            ),
        ),
        "smoke",
        FLAG,
        FLAGGED,
    ),
    "flag of a mean that is next to none": Mutation(
        ((MOMENTS, "&& mean_sq_q > SqW'(4)", ""),), "shapes", FLAG, FLAGGED
    ),
    "flag with a floor of 3": Mutation(
        ((MOMENTS, "mean_sq_q > SqW'(4)", "mean_sq_q > SqW'(9)"),), "shapes", FLAG, FLAGGED
    ),
    "flag with epsilon in it": Mutation(
        (
            (
                MOMENTS,
                "assign rest        = {3'b0, ex2_3_q, 2'b0}",
                "assign rest        = {3'b0, ex2_3_q + 30'(eps_i), 2'b0}",
            ),
        ),
        "shapes",
        FLAG,
        {**FLAGGED, **EPSILON},
    ),
    "flag of the row behind": Mutation(
        (
            (
                TOP,
                "always_ff @(posedge clk_i) row_q <= err_imprecise_o;",
                "assign row_q = err_imprecise_o;",
            ),
        ),
        "random",
        FLAG,
        FLAGGED,
    ),
    "no err_imprecise_o": Mutation(
        (
            (
                TOP,
                "else err_imprecise_o <= p1_imprecise && p1_closing[Moments-2];",
                "else err_imprecise_o <= 1'b0;",
            ),
            (TOP, "row_q <= err_imprecise_o;", "row_q <= late_q;"),
            (
                TOP,
                "    logic row_q;\n",
                "    logic row_q, late_q;\n"
                "    always_ff @(posedge clk_i) late_q <= p1_imprecise;\n",
            ),
        ),
        "smoke",
        ERR_IMPRECISE,
        FLAGGED,
    ),
    "err_imprecise_o a clock late": Mutation(
        (
            (TOP, "p1_imprecise && p1_closing[Moments-2];", "late_q;"),
            (TOP, "row_q <= err_imprecise_o;", "row_q <= late_q;"),
            (
                TOP,
                "    logic row_q;\n",
                "    logic row_q, late_q;\n"
                "    always_ff @(posedge clk_i)\n"
                "      late_q <= p1_imprecise && p1_closing[Moments-2];\n",
            ),
        ),
        "smoke",
        ERR_IMPRECISE,
        FLAGGED,
    ),
    "flag with exact squares": Mutation(
        ((TOP, "(EXACT_SQ == 1) ? 0 : IMPRECISE", "IMPRECISE"),),
        "smoke",
        FLAG,
        {**FLAGGED, **EXACT},
    ),
    # ------------------------------------------------------------------------- wide inputs
    "wide: Q taken as signed": Mutation(
        ((QUANTISE, "{1'b0, qmult_i}", "{qmult_i[15], qmult_i}"),), "smoke", "", WIDE
    ),
    "wide: quotient rounded down": Mutation(
        ((QUANTISE, "+ $signed({9'b0, half_q})", ""),), "shapes", VALUE, WIDE
    ),
    "wide: quotient wraps": Mutation(
        (
            (
                QUANTISE,
                ".out_o (quotient),\n      .low_o (unused_low),",
                ".out_o (unused_low),\n      .low_o (quotient),",
            ),
        ),
        "shapes",
        VALUE,
        WIDE,
    ),
    "wide: alpha left out of the shift": Mutation(
        ((QUANTISE, "7'(qshift_i) + 7'(alpha_i[i])", "7'(qshift_i)"),), "smoke", "", WIDE
    ),
    "wide: shift of 64 and more wraps": Mutation(
        ((QUANTISE, "sum[6] ? '1 : sum[5:0]", "sum[5:0]"),), "shapes", VALUE, WIDE
    ),
    "wide: byte not cut at 0": Mutation(
        ((QUANTISE, "total[9] ? 8'd0 : ", ""),), "shapes", "", WIDE
    ),
    "wide: byte not cut at 255": Mutation(
        ((QUANTISE, "total[8:0] > 9'd255 ? 8'd255 : ", ""),), "shapes", "", WIDE
    ),
    "wide: zp of the next row": Mutation(
        ((TOP, ".zp_i    (zp_late_q),", ".zp_i    (p1_s0_zp),"),), "settings", "", WIDE
    ),
    "wide: qshift of the next row": Mutation(
        ((TOP, ".qshift_i(qshift_late),", ".qshift_i(qshift),"),), "settings", "", WIDE
    ),
    "wide: alpha of the beat behind": Mutation(
        (
            (
                TOP,
                "      .W     (2 * LANES),\n      .STAGES(3)",
                "      .W     (2 * LANES),\n      .STAGES(2)",
            ),
        ),
        "shapes",
        VALUE,
        WIDE,
    ),
    "wide: top bits of an input lost": Mutation(
        ((QUANTISE, ".b_i (v_i[i])", ".b_i (IN_W'($signed(v_i[i][IN_W-2:0])))"),),
        "shapes",
        "",
        WIDE,
    ),
    # ------------------------------------------------------------------------- statistics
    "compress: wraps at 62 and 63": Mutation(
        ((COMPRESS, "(&top) ? top", "(&top && upper) ? top"),), "shapes", VALUE
    ),
    "compress: wraps from 248 on": Mutation(
        ((COMPRESS, "(&top) ? top", "(&top && !upper) ? top"),), "shapes", VALUE
    ),
    "compress: floor for round": Mutation(
        ((COMPRESS, "(&top) ? top : top + 4'(half)", "top"),), "shapes", VALUE
    ),
    "compress: upper range from 65 on": Mutation(
        ((COMPRESS, "t[7:6] != 2'd0 ||", "(t > 8'd64 || t == 8'd64 && negative) ||"),),
        "shapes",
        VALUE,
    ),
    "compress: magnitude compared as signed": Mutation(
        ((COMPRESS, "t[7:6] != 2'd0 ||", "t[7:6] == 2'd1 ||"),), "shapes", VALUE
    ),
    "compress: -64 in the lower range": Mutation(
        ((COMPRESS, " || (negative && t[5:0] == 6'd63);", ";"),), "shapes", VALUE, rows=400
    ),
    "compress: magnitude of a negative one short, lower range": Mutation(
        ((COMPRESS, "t[1] || (negative && t[0]);", "t[1];"),), "shapes", VALUE
    ),
    "compress: magnitude of a negative one short, upper range": Mutation(
        ((COMPRESS, "t[3] || (negative && t[2:0] == 3'd7);", "t[3];"),), "shapes", VALUE
    ),
    "compress: three ranges where two are asked for": Mutation(
        ((COMPRESS, "if (CMP_RANGES == 2) begin : gen_two", "if (1'b0) begin : gen_two"),),
        "shapes",
        VALUE,
    ),
    "x - zp for its magnitude": Mutation(
        ((COMPRESS, "a_i[7:0] ^ {8{negative}};", "a_i[7:0];"),), "shapes", VALUE
    ),
    "range of x - zp with its sign": Mutation(
        ((STATISTICS, "range_q <= range;", "range_q <= a[8] ? 2'd0 : range;"),),
        "shapes",
        VALUE,
    ),
    "x - zp modulo 256": Mutation(
        (
            (
                STATISTICS,
                "{1'b0, x_i[i]} - {1'b0, zp_i} : 9'd0;",
                "9'($signed(x_i[i] - zp_i)) : 9'd0;",
            ),
        ),
        "shapes",
        VALUE,
    ),
    "alpha left out of the sum": Mutation(
        (
            (STATISTICS, ".data_i (step_o),", ".data_i (unshifted),"),
            (
                STATISTICS,
                "    assign alpha     =",
                "    assign unshifted[i] = 12'(a_q);\n    assign alpha     =",
            ),
            (
                STATISTICS,
                "[LANES-1:0]          active_q;",
                "[LANES-1:0]          active_q;\n  logic [LANES-1:0][11:0] unshifted;",
            ),
        ),
        "shapes",
        VALUE,
    ),
    "alpha left out of the squares": Mutation(
        ((STATISTICS, "<< {range_q, 2'b0}) << {alpha, 1'b0};", "<< {range_q, 2'b0});"),),
        "shapes",
        VALUE,
    ),
    "squares shifted by alpha, not 2 alpha": Mutation(
        ((STATISTICS, "{range_q, 2'b0}) << {alpha, 1'b0};", "{range_q, 2'b0}) << alpha;"),),
        "shapes",
        VALUE,
    ),
    "alpha left out of pass 2": Mutation(
        ((TOP, "? p1_s1_step[i] :", "? StepW'($signed(p1_s1_step[i]) >>> p1_s1_alpha[i]) :"),),
        "shapes",
        VALUE,
    ),
    "square: wrong entry": Mutation(
        ((TABLES, "4'd11: square = 8'd121;", "4'd11: square = 8'd122;"),), "shapes", VALUE
    ),
    "sum a bit narrow": Mutation(
        ((TOP, ".sum_i       (p1_sum)", ".sum_i       (SumW'($signed(p1_sum[SumW-2:0])))"),),
        "levels",
        VALUE,
        rows=100,
    ),
    "sum of squares a bit narrow": Mutation(
        (
            (
                TOP,
                ".square_sum_i(p1_square_sum)",
                ".square_sum_i({1'b0, p1_square_sum[SquareW-2:0]})",
            ),
        ),
        "levels",
        VALUE,
        rows=100,
    ),
    "sum of the last row kept": Mutation(
        (
            (
                STATISTICS,
                ".data_i (step_o),\n    .load_i,\n    .first_i,",
                ".data_i (step_o),\n    .load_i,\n    .first_i(1'b0),",
            ),
        ),
        "smoke",
        "",
    ),
    "sum of squares of the last row kept": Mutation(
        (
            (
                STATISTICS,
                ".data_i (square),\n    .load_i,\n    .first_i,",
                ".data_i (square),\n    .load_i,\n    .first_i(1'b0),",
            ),
        ),
        "smoke",
        "",
    ),
    "count of the last row kept": Mutation(
        (
            (
                STATISTICS,
                ".data_i (active_q),\n    .load_i,\n    .first_i,",
                ".data_i (active_q),\n    .load_i,\n    .first_i(1'b0),",
            ),
        ),
        "smoke",
        "",
    ),
    # ------------------------------------------------------------------------------ masks
    "masked lanes in the sums": Mutation(
        (
            (STATISTICS, "active_i[i] ? {1'b0, x_i[i]}", "1'b1 ? {1'b0, x_i[i]}"),
            (STATISTICS, "alpha     = active_q[i] ?", "alpha     = 1'b1 ?"),
            _MASKED_DATA,
        ),
        "masks",
        VALUE,
    ),
    "masked lanes in the count": Mutation(
        ((STATISTICS, ".data_i (active_q),", ".data_i ({LANES{1'b1}}),"),), "masks", TUSER
    ),
    "masked lanes not zeroed": Mutation(
        ((BACK, "out_active[i] ? out_sum[i] : 8'd0;", "out_sum[i];"),), "masks", VALUE
    ),
    "masked lane without its keep": Mutation(
        ((TOP, "{1'b1, 10'b0, p1_s1_keep[i]};", "{1'b1, 11'b0};"),), "masks", ""
    ),
    "smallest steps taken for masked ones": Mutation(
        ((TOP, "lane[i][10:3] != '0;", "lane[i][10:4] != '0;"),), "settings", ""
    ),
    # ---------------------------------------------------------------------------- moments
    "last shift of the mean square left out": Mutation(
        ((MOMENTS, "(CMP_RANGES == 2) ? 1 : 5;", "5;"),), "shapes", VALUE
    ),
    "mean rounded down": Mutation(
        ((MOMENTS, "mean_raw[MeanW:1] + MeanW'(mean_raw[0]);", "mean_raw[MeanW:1];"),),
        "levels",
        VALUE,
    ),
    "mean square rounded down": Mutation(
        ((MOMENTS, "ex2_q[Ex2W:1] + Ex2W'(ex2_q[0]);", "ex2_q[Ex2W:1];"),),
        "levels",
        VALUE,
        rows=100,
    ),
    "mean a bit narrow": Mutation(
        (
            (
                MOMENTS,
                "mean_raw[MeanW:1] + MeanW'(mean_raw[0]);",
                "MeanW'($signed(mean_raw[MeanW-1:1] + 15'(mean_raw[0])));",
            ),
        ),
        "levels",
        VALUE,
        rows=100,
    ),
    "mean does not wrap": Mutation(
        ((MOMENTS, "MeanW   = 16;", "MeanW   = 17;"),), "levels", VALUE, rows=100
    ),
    "mean square two bits narrow": Mutation(
        ((MOMENTS, "Ex2W    = 30;", "Ex2W    = 28;"),), "levels", VALUE
    ),
    "mean not zeroed for RMSNorm": Mutation(
        ((MOMENTS, "rms_q ? '0 : mean_raw", "mean_raw"),), "settings", VALUE
    ),
    "M of the next row": Mutation(
        ((TOP, "(p1_sum_run.inv_mant),", "(p1_s0_run.inv_mant),"),), "random", VALUE
    ),
    "M of 2^15 for its half": Mutation(
        ((MOMENTS, "PLACE_W'(!inv_mant_i[15]),", "PLACE_W'(1),"),), "shapes", VALUE
    ),
    "square of the mean: its sign not taken off": Mutation(
        ((MOMENTS, " - (SqW'(low & {", " - (SqW'(0 & {"),), "levels", VALUE
    ),
    "square of the mean: top pair left out": Mutation(
        ((MOMENTS, "assign sq_row[i] = ", "assign sq_row[i] = (i == MeanW - 3) ? '0 : "),),
        "levels",
        VALUE,
        rows=100,
    ),
    "Lz of the next row": Mutation(
        ((TOP, "(p1_sum_run.inv_exp),", "(p1_s0_run.inv_exp),"),), "random", VALUE
    ),
    "rms of the next row": Mutation(
        ((TOP, "(p1_sum_run.rms),", "(p1_s0_run.rms),"),), "settings", VALUE
    ),
    "gfrac of the next row": Mutation(
        ((TOP, "(p1_sum_run.gfrac),", "(p1_s0_run.gfrac),"),), "settings", VALUE
    ),
    "variance of 0 kept": Mutation(
        ((MOMENTS, "(diff[Ex2W+1] || diff == '0)", "(diff[Ex2W+1])"),), "levels", VALUE, rows=400
    ),
    "negative variance kept": Mutation(
        ((MOMENTS, "(diff[Ex2W+1] || diff == '0)", "(diff == '0)"),), "shapes", VALUE
    ),
    "leading pair off by one": Mutation(
        ((MOMENTS, "e = 4'(i);", "e = 4'(i + 1);"),), "shapes", VALUE
    ),
    "leading pair by its upper bit": Mutation(
        ((MOMENTS, "var_q[2*i+:2] != 2'd0", "var_q[2*i+1]"),), "shapes", VALUE
    ),
    "top pair not searched": Mutation(
        ((MOMENTS, "i < Ex2W / 2;", "i < Ex2W / 2 - 1;"),), "shapes", VALUE
    ),
    "RSQRT: wrong entry": Mutation(
        ((TABLES, "7'd40: rsqrt = 10'd680;", "7'd40: rsqrt = 10'd681;"),),
        "levels",
        VALUE,
        rows=400,
    ),
    "rounding of mu left out": Mutation(
        ((MOMENTS, "(17'(mean_q) + 17'sd2) >>> 2", "17'(mean_q) >>> 2"),), "shapes", VALUE
    ),
    "shift without ofrac": Mutation(
        ((MOMENTS, " + 5'd7 - 5'(ofrac);", " + 5'd7;"),), "settings", VALUE
    ),
    "shift without gfrac": Mutation(
        ((MOMENTS, "5'(e_q) + 5'(gfrac) +", "5'(e_q) +"),), "settings", VALUE
    ),
    # ----------------------------------------------------------------------------- affine
    "A rounded down": Mutation(((AFFINE, ".ADD(128)", ".ADD(0)"),), "shapes", VALUE),
    "RSQRT without its top bit": Mutation(
        ((TOP, "({1'b1, p2_s0_rsqrt}),", "({1'b0, p2_s0_rsqrt}),"),), "shapes", VALUE
    ),
    "deviation a bit narrow": Mutation(
        (
            (
                TOP,
                "DevW'($signed({p2_s1_lane[i], 2'b0})) - p2_s1_mu;",
                "DevW'($signed(14'(DevW'($signed({p2_s1_lane[i], 2'b0})) - p2_s1_mu)));",
            ),
        ),
        "levels",
        VALUE,
        rows=400,
    ),
    "left shift left out": Mutation(
        ((BACK, ".sh_i   (s1_sh),", ".sh_i   ((s1_sh < SH_W'(7)) ? SH_W'(7) : s1_sh),"),),
        "levels",
        VALUE,
        rows=400,
    ),
    "quotient rounded down": Mutation(
        ((SHIFT, "half_o = gen_shift[0].d[0];", "half_o = 1'b0;"),), "shapes", VALUE
    ),
    "quotient wraps": Mutation(
        ((SHIFT, "over_o = over != '0;", "over_o = 1'b0;"),),
        "settings",
        VALUE,
    ),
    "quotient cut before beta": Mutation(
        (
            (
                AFFINE,
                "10'(quotient)",
                "((quotient[8] == quotient[7]) ? 10'(quotient)"
                " : {{3{quotient[8]}}, {7{!quotient[8]}}})",
            ),
        ),
        "settings",
        VALUE,
    ),
    **{
        f"overflow not seen before the shift by {1 << bit}": Mutation(
            ((SHIFT, "over[s] = !sh_i[s]", f"over[s] = s != {bit} && !sh_i[s]"),),
            "levels",
            VALUE,
            rows=100,
        )
        for bit in range(5)
    },
    "product: ones of negative rows left out": Mutation(
        ((MULTIPLY, "W'(ones) + Offset", "Offset"),), "shapes", VALUE
    ),
    "product: top digit without the sign": Mutation(
        ((MULTIPLY, "{(2 * Rows - A_W + 1) {a_i[A_W-1]}}", "{(2 * Rows - A_W + 1) {1'b0}}"),),
        "shapes",
        VALUE,
    ),
    "no saturation at 127": Mutation(((AFFINE, "high ? 8'h7f : ", ""),), "shapes", VALUE),
    "no saturation at -128": Mutation(((AFFINE, "low ? 8'h80 : ", ""),), "shapes", VALUE),
    "beta of the neighbouring lane": Mutation(
        ((AFFINE, "$signed(beta_i[i])", "$signed(beta_i[(i+1)%LANES])"),), "smoke", VALUE
    ),
    "gamma of the neighbouring lane": Mutation(
        ((AFFINE, ".a_i(gamma_i[i])", ".a_i(gamma_i[(i+1)%LANES])"),), "smoke", VALUE
    ),
    # ---------------------------------------------------------------------- channel table
    "beta of the beat behind": Mutation(
        ((BACK, ".STAGES(StBeta)", ".STAGES(StBeta - 1)"),), "smoke", VALUE
    ),
    "bank of pass 1 a row late": Mutation(
        (
            (TOP, ".rd_bank_i(p1_s0_bank),", ".rd_bank_i(late_bank_q),"),
            (*_LATE_BANK[:2], _LATE_BANK[2] % ("p1_s0_valid && p1_s0_ctl.close", "p1_s0_bank")),
        ),
        "settings",
        VALUE,
    ),
    "bank of pass 1 from the pins": Mutation(
        ((TOP, ".rd_bank_i(p1_s0_bank),", ".rd_bank_i(cfg_bank_i),"),), "random", VALUE
    ),
    "bank of pass 2 a row late": Mutation(
        (
            (TOP, ".bank_i       (p2_s0_bank),", ".bank_i       (late_bank_q),"),
            (
                *_LATE_BANK[:2],
                _LATE_BANK[2] % ("advance && p2_s0_valid && p2_s0_last", "p2_s0_bank"),
            ),
        ),
        "settings",
        VALUE,
    ),
    "bank of the row in pass 1 for pass 2": Mutation(
        ((TOP, ".bank_i       (p2_s0_bank),", ".bank_i       (p1_s0_bank),"),), "random", VALUE
    ),
    "written to the other bank": Mutation(
        ((COLUMN, "{wr_beat, wr_bank_i};", "{wr_beat, !wr_bank_i};"),), "smoke", ""
    ),
    "written without enable": Mutation(
        ((COLUMN, "wr_en_i && wr_chan_i[LaneW-1:0]", "wr_chan_i[LaneW-1:0]"),), "random", ""
    ),
    "all lanes of a word written": Mutation(
        ((COLUMN, "wr_en_i && wr_chan_i[LaneW-1:0] == LaneW'(i);", "wr_en_i;"),),
        "smoke",
        "",
    ),
    "alpha of pass 1 not written while pass 2 reads": Mutation(
        (
            (
                TOP,
                "u_alpha (\n    .clk_i,\n    .wr_en_i  (chan_we_i),",
                "u_alpha (\n    .clk_i,\n"
                "    .wr_en_i  (chan_we_i && (advance && p2_s0_valid) === 1'b0),",
            ),
        ),
        "random",
        "",
    ),
    "index of pass 1 not restarted": Mutation(
        (
            (TOP, "p1_s0_index, p1_s0_index_q;", "p1_s0_index, p1_s0_index_q = '0;"),
            (TOP, "p1_s0_ctl.first ? '0 : p1_s0_index_q;", "p1_s0_index_q;"),
        ),
        "random",
        "",
    ),
    "index of pass 2 not restarted": Mutation(
        ((BACK, "(valid_i && !last_i) ? index_q", "valid_i ? index_q"),),
        "random",
        "",
    ),
    # ----------------------------------------------------------------------------- errors
    "Lz + 1 in the bits of Lz": Mutation(
        ((TOP, "PlaceW   = $clog2($clog2(MAX_LEN + 1) + 1);", "PlaceW   = EXP_W;"),),
        "random",
        VALUE,
        {"LANES": 2, "MAX_LEN": 3},
    ),
    "channels written in the order in which they come": Mutation(
        (
            (
                COLUMN,
                "  assign wr_beat = BEAT_W'(wr_chan_i >> LaneW);",
                "  logic [ADDR_W-1:0] count_q = '0;\n"
                "  always_ff @(posedge clk_i) if (wr_en_i)\n"
                "    count_q <= (count_q == ADDR_W'(MAX_LEN - 1)) ? '0 : count_q + ADDR_W'(1);\n"
                "  assign wr_beat = BEAT_W'(count_q >> LaneW);",
            ),
            (COLUMN, "wr_chan_i[LaneW-1:0] == LaneW'(i);", "count_q[LaneW-1:0] == LaneW'(i);"),
        ),
        "smoke",
        VALUE,
    ),
    "top bit of a channel's number lost": Mutation(
        (
            (
                COLUMN,
                "BEAT_W'(wr_chan_i >> LaneW);",
                "BEAT_W'(wr_chan_i >> LaneW) & BEAT_W'((1 << (BEAT_W - 1)) - 1);",
            ),
        ),
        "smoke",
        "",
    ),
    "wrong count not flagged": Mutation(
        ((TOP, "p1_sum_ctl.err_len || p1_wrong_len}", "p1_sum_ctl.err_len}"),), "random", TUSER
    ),
    "no err_len_o for a wrong count": Mutation(
        ((TOP, "!p1_sum_ctl.err_len && p1_wrong_len);", "1'b0);"),), "random", ERR_LEN
    ),
    "err_len_o twice for a long row of a wrong count": Mutation(
        ((TOP, "!p1_sum_ctl.err_len && p1_wrong_len);", "p1_wrong_len);"),), "errors", ERR_LEN
    ),
    "err_len_o at every beat of a wrong count": Mutation(
        ((TOP, "p1_sum_ctl.close && !p1_sum_ctl", "!p1_sum_ctl"),),
        "random",
        ERR_LEN,
    ),
    "err_len_o of two rows in one clock": Mutation(
        (
            (
                TOP,
                "err_len_o    <= p1_err_len[StErr] ||",
                "err_len_o    <= guard_err_len ||",
            ),
        ),
        "errors",
        ERR_LEN,
        # The long row has to be over MAX_LEN while the one before it is being summed.
        {"MAX_LEN": 6},
    ),
    "len of the next row": Mutation(
        ((TOP, "count != p1_sum_run.len;", "count != p1_s0_run.len;"),), "random", TUSER
    ),
    # ----------------------------------------------------------------------- flow control
    "a slot too few": Mutation(
        ((TOP, "Turnaround = StRow + 1 + IN_REG;", "Turnaround = StRow + IN_REG;"),),
        "timing",
        "s_axis_tready fell with no stall outside",
    ),
    # ------------------------------------------------------------------------------ reset
    "stages of pass 1 not reset": Mutation(
        (
            (TOP, "[StSum-1:0]      p1_valid_q;", "[StSum-1:0]      p1_valid_q = '0;"),
            (TOP, "if (!rst_ni) p1_valid_q <= '0;", "if (!rst_ni) p1_valid_q[0] <= 1'b0;"),
        ),
        "reset",
        "",
    ),
    "stages of the moments not reset": Mutation(
        (
            (TOP, " p1_closing_q, p1_storing_q;", " p1_closing_q = '0, p1_storing_q = '0;"),
            (
                TOP,
                "      p1_closing_q <= '0;\n      p1_storing_q <= '0;\n",
                "      p1_closing_q[0] <= 1'b0;\n",
            ),
        ),
        "reset",
        "",
    ),
    "stages of pass 2 not reset": Mutation(
        (
            (BACK, " valid_q;\n", " valid_q = '0;\n"),
            (BACK, "      valid_q <= '0;\n", ""),
        ),
        "reset",
        "",
    ),
    "late err_len not reset": Mutation(
        ((TOP, "      p1_err_len_q <= '0;\n", ""),),
        "smoke",  # what the first reset leaves of it comes out as a pulse
        ERR_LEN,
    ),
    # ----------------------------------------------------------- one sentence of the page each
    "compress: the exact range left out": Mutation(
        ((COMPRESS, "assign exact   = t[7:4] == 4'd0 &&", "assign exact   = 1'b0 &&"),),
        "shapes",
        VALUE,
        {"CMP_RANGES": 3},
    ),
    "compress: magnitude of a negative one short, exact range": Mutation(
        ((COMPRESS, "exact ? negative : upper", "exact ? 1'b0 : upper"),),
        "shapes",
        VALUE,
        {"CMP_RANGES": 3},
    ),
    "last shift of the mean square for three ranges": Mutation(
        ((MOMENTS, "(CMP_RANGES == 2) ? 1 : 5;", "1;"),), "shapes", VALUE, {"CMP_RANGES": 3}
    ),
    "exponent not 0": Mutation(
        ((BACK, "({out_err, 5'd0}),", "({out_err, 5'd1}),"),), "smoke", TUSER
    ),
    "count compared without its top bit": Mutation(
        (
            (
                TOP,
                "p1_count != p1_sum_run.len;",
                "p1_count[LEN_W-2:0] != p1_sum_run.len[LEN_W-2:0];",
            ),
        ),
        "levels",
        TUSER,
    ),
    "count of an all-masked row not compared": Mutation(
        ((TOP, "p1_count != p1_sum_run.len;", "p1_count != p1_sum_run.len && p1_count != '0;"),),
        "masks",
        TUSER,
    ),
    "write lost while the other bank is read": Mutation(
        (
            (
                BACK,
                ".wr_en_i  (chan_we_i),\n    .wr_bank_i(chan_bank_i),\n"
                "    .wr_chan_i(chan_addr_i),\n    .wr_data_i(chan_beta_i),",
                ".wr_en_i  (chan_we_i && (advance && valid[StBeta]) === 1'b0),\n"
                "    .wr_bank_i(chan_bank_i),\n"
                "    .wr_chan_i(chan_addr_i),\n    .wr_data_i(chan_beta_i),",
            ),
        ),
        "random",
        VALUE,
    ),
    "last channel of bank 1 not written": Mutation(
        (
            (
                COLUMN,
                "wr_en_i && wr_chan_i[LaneW-1:0] == LaneW'(i);",
                "wr_en_i && wr_chan_i[LaneW-1:0] == LaneW'(i) &&\n"
                "                        !(wr_bank_i && wr_chan_i == ADDR_W'(MAX_LEN - 1));",
            ),
        ),
        "random",
        "",
    ),
    "write lost in a reset": Mutation(
        (
            (
                BACK,
                ".wr_en_i  (chan_we_i),\n    .wr_bank_i(chan_bank_i),\n"
                "    .wr_chan_i(chan_addr_i),\n    .wr_data_i(chan_beta_i),",
                ".wr_en_i  (chan_we_i && rst_ni),\n"
                "    .wr_bank_i(chan_bank_i),\n"
                "    .wr_chan_i(chan_addr_i),\n    .wr_data_i(chan_beta_i),",
            ),
        ),
        "reset",
        "",
    ),
    "reset writes a channel": Mutation(
        (
            (
                BACK,
                ".wr_en_i  (chan_we_i),\n    .wr_bank_i(chan_bank_i),\n"
                "    .wr_chan_i(chan_addr_i),\n    .wr_data_i(chan_beta_i),",
                ".wr_en_i  (chan_we_i || !rst_ni),\n"
                "    .wr_bank_i(chan_bank_i),\n"
                "    .wr_chan_i(chan_addr_i),\n    .wr_data_i(chan_beta_i),",
            ),
        ),
        "reset",
        VALUE,
    ),
}

RULES: dict[str, Rule] = {}
