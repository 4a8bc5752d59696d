# SPDX-License-Identifier: Apache-2.0
"""Bugs of AILayerNorm; those of the cells that it shares with E2Softmax are there."""

from tests.rtl.mutations import TUSER, VALUE, Bug, Mutation, Rule

SMALL = {"LANES": 4, "MAX_LEN": 32}

GUARD = "common/sn_row_guard.sv"
TOP = "ailayernorm/ailayernorm.sv"
STATISTICS = "ailayernorm/ailayernorm_statistics.sv"
COMPRESS = "ailayernorm/ailayernorm_compress.sv"
MOMENTS = "ailayernorm/ailayernorm_moments.sv"
AFFINE = "ailayernorm/ailayernorm_affine.sv"
MULTIPLY = "common/sn_multiply.sv"
CHANNELS = "ailayernorm/ailayernorm_channels.sv"
TABLES = "ailayernorm/ailayernorm_tables_pkg.sv"

ERR_LEN = "err_len_o was high for"

# A bank that a pass switches to a row late; `{}` loads it at the end of a row.
_LATE_BANK = (
    TOP,
    "  assign p_valid = {p_valid_q, rd_valid};\n",
    "  logic late_bank_q = 1'b0;\n"
    "  always_ff @(posedge clk_i) if (%s) late_bank_q <= %s;\n"
    "  assign p_valid = {p_valid_q, rd_valid};\n",
)
_MASKED_DATA = (GUARD, "{LANE_W{active[i] && accept}}", "{LANE_W{accept}}")

MUTATIONS: dict[str, Mutation] = {
    # ------------------------------------------------------------------------- statistics
    "compress: wraps at 62 and 63": Bug(
        ((COMPRESS, "(&top) ? top", "(&top && upper) ? top"),), "shapes", VALUE
    ),
    "compress: wraps from 248 on": Bug(
        ((COMPRESS, "(&top) ? top", "(&top && !upper) ? top"),), "shapes", VALUE
    ),
    "compress: floor for round": Bug(
        ((COMPRESS, "(&top) ? top : top + 4'(half)", "top"),), "shapes", VALUE
    ),
    "compress: upper range from 65 on": Bug(
        ((COMPRESS, "t[7:6] != 2'd0 ||", "(t > 8'd64 || t == 8'd64 && negative) ||"),),
        "shapes",
        VALUE,
    ),
    "compress: magnitude compared as signed": Bug(
        ((COMPRESS, "t[7:6] != 2'd0 ||", "t[7:6] == 2'd1 ||"),), "shapes", VALUE
    ),
    "compress: -64 in the lower range": Bug(
        ((COMPRESS, " || (negative && t[5:0] == 6'd63);", ";"),), "shapes", VALUE, rows=400
    ),
    "compress: magnitude of a negative one short, lower range": Bug(
        ((COMPRESS, "t[1] || (negative && t[0]);", "t[1];"),), "shapes", VALUE
    ),
    "compress: magnitude of a negative one short, upper range": Bug(
        ((COMPRESS, "t[3] || (negative && t[2:0] == 3'd7);", "t[3];"),), "shapes", VALUE
    ),
    "compress: three ranges where two are asked for": Bug(
        ((COMPRESS, "if (CMP_RANGES == 2) begin : gen_two", "if (1'b0) begin : gen_two"),),
        "shapes",
        VALUE,
    ),
    "x - zp for its magnitude": Bug(
        ((COMPRESS, "a_i[7:0] ^ {8{negative}};", "a_i[7:0];"),), "shapes", VALUE
    ),
    "range of x - zp with its sign": Bug(
        ((STATISTICS, "range_q  <= range;", "range_q  <= a[8] ? 2'd0 : range;"),),
        "shapes",
        VALUE,
    ),
    "x - zp modulo 256": Bug(
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
    "alpha left out of the sum": Bug(
        ((STATISTICS, "({!step[11], step[10:0]})", "(12'(a_q) + 12'd2048)"),), "shapes", VALUE
    ),
    "alpha left out of the squares": Bug(
        ((STATISTICS, "<< {range_q, 2'b0}) << {alpha, 1'b0};", "<< {range_q, 2'b0});"),),
        "shapes",
        VALUE,
    ),
    "squares shifted by alpha, not 2 alpha": Bug(
        ((STATISTICS, "<< {alpha, 1'b0};", "<< alpha;"),), "shapes", VALUE
    ),
    "alpha left out of pass 2": Bug(
        ((STATISTICS, "assign step_o[i]     = step;", "assign step_o[i]     = 12'(a_q);"),),
        "shapes",
        VALUE,
    ),
    "square: wrong entry": Bug(
        ((TABLES, "4'd11: square = 8'd121;", "4'd11: square = 8'd122;"),), "shapes", VALUE
    ),
    "sum a bit narrow": Bug(
        ((TOP, "SumW     = 12 + LenLog", "SumW     = 11 + LenLog"),), "levels", VALUE, rows=100
    ),
    "sum of squares a bit narrow": Bug(
        ((TOP, "? 18 : 22) + LenLog", "? 17 : 22) + LenLog"),), "levels", VALUE, rows=100
    ),
    "sum of the last row kept": Bug(
        ((STATISTICS, "(first_i ? SUM_W'(0) : sum_o)", "sum_o"),), "smoke", ""
    ),
    "sum of squares of the last row kept": Bug(
        ((STATISTICS, "(first_i ? SQUARE_W'(0) : square_sum_o)", "square_sum_o"),), "smoke", ""
    ),
    "count of the last row kept": Bug(
        ((STATISTICS, "(first_i ? COUNT_W'(0) : count_o)", "count_o"),), "smoke", ""
    ),
    # ------------------------------------------------------------------------------ masks
    "masked lanes in the sums": Bug(
        (
            (STATISTICS, "active_i[i] ? {1'b0, x_i[i]}", "1'b1 ? {1'b0, x_i[i]}"),
            (STATISTICS, "alpha         = active_q ?", "alpha         = 1'b1 ?"),
            _MASKED_DATA,
        ),
        "masks",
        VALUE,
    ),
    "masked lanes in the count": Bug(
        ((STATISTICS, "BeatCountW'(active_q);", "BeatCountW'(1);"),), "masks", TUSER
    ),
    "masked lanes not zeroed": Bug(
        ((TOP, "(p_valid[StOut] && out_active[i])", "p_valid[StOut]"),), "masks", VALUE
    ),
    "masked lane without its keep": Bug(
        ((TOP, "{1'b1, 10'b0, s1_keep[i]};", "{1'b1, 11'b0};"),), "masks", ""
    ),
    "smallest steps taken for masked ones": Bug(
        ((TOP, "p1_lane[i][10:3] != '0;", "p1_lane[i][10:4] != '0;"),), "settings", ""
    ),
    # ---------------------------------------------------------------------------- moments
    "last shift of the mean square left out": Bug(
        ((MOMENTS, "(CMP_RANGES == 2) ? 1 : 5;", "5;"),), "shapes", VALUE
    ),
    "mean rounded down": Bug(
        ((MOMENTS, "mean_raw[MeanW:1] + MeanW'(mean_raw[0]);", "mean_raw[MeanW:1];"),),
        "levels",
        VALUE,
    ),
    "mean square rounded down": Bug(
        ((MOMENTS, "ex2_q[Ex2W:1] + Ex2W'(ex2_q[0]);", "ex2_q[Ex2W:1];"),),
        "levels",
        VALUE,
        rows=100,
    ),
    "mean a bit narrow": Bug(
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
    "mean does not wrap": Bug(
        ((MOMENTS, "MeanW  = 16;", "MeanW  = 17;"),), "levels", VALUE, rows=100
    ),
    "mean square two bits narrow": Bug(
        ((MOMENTS, "Ex2W   = 30;", "Ex2W   = 28;"),), "levels", VALUE
    ),
    "mean not zeroed for RMSNorm": Bug(
        ((MOMENTS, "rms_q ? '0 : mean_raw", "mean_raw"),), "settings", VALUE
    ),
    "M of the next row": Bug(
        ((TOP, "(sum_run.inv_mant),", "(s0_cfg.run.inv_mant),"),), "random", VALUE
    ),
    "M of 2^15 for its half": Bug(
        ((MOMENTS, "(EXP_W + 1)'(!inv_mant_i[15]);", "(EXP_W + 1)'(1);"),), "shapes", VALUE
    ),
    "square of the mean: its sign not taken off": Bug(
        ((MOMENTS, " - (SqW'(low & {", " - (SqW'(0 & {"),), "levels", VALUE
    ),
    "square of the mean: top pair left out": Bug(
        ((MOMENTS, "assign sq_row[i] = ", "assign sq_row[i] = (i == MeanW - 3) ? '0 : "),),
        "levels",
        VALUE,
        rows=100,
    ),
    "Lz of the next row": Bug(
        ((TOP, "(sum_run.inv_exp),", "(s0_cfg.run.inv_exp),"),), "random", VALUE
    ),
    "rms of the next row": Bug(((TOP, "(sum_run.rms),", "(s0_cfg.run.rms),"),), "settings", VALUE),
    "gfrac of the next row": Bug(
        ((TOP, "(sum_run.gfrac),", "(s0_cfg.run.gfrac),"),), "settings", VALUE
    ),
    "variance of 0 kept": Bug(
        ((MOMENTS, "(diff[Ex2W+1] || diff == '0)", "(diff[Ex2W+1])"),), "levels", VALUE, rows=400
    ),
    "negative variance kept": Bug(
        ((MOMENTS, "(diff[Ex2W+1] || diff == '0)", "(diff == '0)"),), "shapes", VALUE
    ),
    "leading pair off by one": Bug(((MOMENTS, "e = 4'(i);", "e = 4'(i + 1);"),), "shapes", VALUE),
    "leading pair by its upper bit": Bug(
        ((MOMENTS, "var_q[2*i+:2] != 2'd0", "var_q[2*i+1]"),), "shapes", VALUE
    ),
    "top pair not searched": Bug(
        ((MOMENTS, "i < Ex2W / 2;", "i < Ex2W / 2 - 1;"),), "shapes", VALUE
    ),
    "RSQRT: wrong entry": Bug(
        ((TABLES, "7'd40: rsqrt = 10'd680;", "7'd40: rsqrt = 10'd681;"),),
        "levels",
        VALUE,
        rows=400,
    ),
    "rounding of mu left out": Bug(
        ((MOMENTS, "(17'(mean_q) + 17'sd2) >>> 2", "17'(mean_q) >>> 2"),), "shapes", VALUE
    ),
    "shift without ofrac": Bug(((MOMENTS, " + 5'd7 - 5'(ofrac);", " + 5'd7;"),), "settings", VALUE),
    "shift without gfrac": Bug(
        ((MOMENTS, "5'(e_q) + 5'(gfrac) +", "5'(e_q) +"),), "settings", VALUE
    ),
    # ----------------------------------------------------------------------------- affine
    "A rounded down": Bug(((AFFINE, ".ADD(128)", ".ADD(0)"),), "shapes", VALUE),
    "RSQRT without its top bit": Bug(
        ((AFFINE, ".b_i({2'b01, rsqrt_i}),", ".b_i({2'b00, rsqrt_i}),"),), "shapes", VALUE
    ),
    "deviation a bit narrow": Bug(
        (
            (AFFINE, "logic [14:0]       centred_q;", "logic [13:0]       centred_q;"),
            (AFFINE, ".b_i(centred_q)", ".b_i({centred_q[13], centred_q})"),
            (
                AFFINE,
                "15'($signed({step_i[i], 2'b0})) - mu_i;",
                "14'(15'($signed({step_i[i], 2'b0})) - mu_i);",
            ),
        ),
        "levels",
        VALUE,
        rows=400,
    ),
    "left shift left out": Bug(
        (
            (
                AFFINE,
                ".data_i(sh_i),",
                ".data_i((sh_i < 5'd7) ? 5'd7 : sh_i),",
            ),
        ),
        "levels",
        VALUE,
        rows=400,
    ),
    "quotient rounded down": Bug(((AFFINE, "{9'b0, by1[0]}", "10'b0"),), "shapes", VALUE),
    "quotient wraps": Bug(
        ((AFFINE, "cut   = over != '0;", "cut   = 1'b0;"),),
        "settings",
        VALUE,
    ),
    "quotient cut before beta": Bug(
        (
            (
                AFFINE,
                "10'($signed(by1[9:1]))",
                "((by1[9] == by1[8]) ? 10'($signed(by1[9:1])) : {{3{sign}}, {7{!sign}}})",
            ),
        ),
        "settings",
        VALUE,
    ),
    **{
        f"overflow not seen before the shift by {1 << bit}": Bug(
            ((AFFINE, f"assign over[{bit}] = !sh[{bit}]", f"assign over[{bit}] = 1'b0"),),
            "levels",
            VALUE,
            rows=100,
        )
        for bit in range(5)
    },
    "product: ones of negative rows left out": Bug(
        ((MULTIPLY, "W'(ones) + Offset", "Offset"),), "shapes", VALUE
    ),
    "product: top digit without the sign": Bug(
        ((MULTIPLY, "{(2 * Rows - A_W + 1) {a_i[A_W-1]}}", "{(2 * Rows - A_W + 1) {1'b0}}"),),
        "shapes",
        VALUE,
    ),
    "no saturation at 127": Bug(((AFFINE, "high ? 8'h7f : ", ""),), "shapes", VALUE),
    "no saturation at -128": Bug(((AFFINE, "low ? 8'h80 : ", ""),), "shapes", VALUE),
    "beta of the neighbouring lane": Bug(
        ((AFFINE, "$signed(beta_i[i])", "$signed(beta_i[(i+1)%LANES])"),), "smoke", VALUE
    ),
    "gamma of the neighbouring lane": Bug(
        ((AFFINE, ".a_i(gamma_i[i])", ".a_i(gamma_i[(i+1)%LANES])"),), "smoke", VALUE
    ),
    # ---------------------------------------------------------------------- channel table
    "beta of the beat behind": Bug(
        ((TOP, ".STAGES(StBeta)", ".STAGES(StBeta - 1)"),), "smoke", VALUE
    ),
    "bank of pass 1 a row late": Bug(
        (
            (TOP, ".rd1_bank_i (s0_cfg.bank),", ".rd1_bank_i (late_bank_q),"),
            (*_LATE_BANK[:2], _LATE_BANK[2] % ("s0_valid && s0_ctl.close", "s0_cfg.bank")),
        ),
        "random",
        VALUE,
    ),
    "bank of pass 1 from the pins": Bug(
        ((TOP, ".rd1_bank_i (s0_cfg.bank),", ".rd1_bank_i (cfg_bank_i),"),), "random", VALUE
    ),
    "bank of pass 2 a row late": Bug(
        (
            (TOP, ".rd2_bank_i (rd_bank),", ".rd2_bank_i (late_bank_q),"),
            (*_LATE_BANK[:2], _LATE_BANK[2] % ("advance && rd_valid && rd_last", "rd_bank")),
        ),
        "random",
        VALUE,
    ),
    "bank of the row in pass 1 for pass 2": Bug(
        ((TOP, ".rd2_bank_i (rd_bank),", ".rd2_bank_i (s0_cfg.bank),"),), "random", VALUE
    ),
    "written to the other bank": Bug(
        ((CHANNELS, "{wr_beat, chan_bank_i};", "{wr_beat, !chan_bank_i};"),), "smoke", ""
    ),
    "written without enable": Bug(
        ((CHANNELS, "chan_we_i && chan_addr_i[LaneW-1:0]", "chan_addr_i[LaneW-1:0]"),), "random", ""
    ),
    "all lanes of a word written": Bug(
        ((CHANNELS, "chan_we_i && chan_addr_i[LaneW-1:0] == LaneW'(i);", "chan_we_i;"),),
        "smoke",
        "",
    ),
    "alpha of pass 1 not written while pass 2 reads": Bug(
        (
            (
                CHANNELS,
                ".wr_en_i  (wr_en),\n    .wr_addr_i(wr_addr[AddrW-1:0]),\n"
                "    .wr_data_i({LANES{chan_alpha_i}}),",
                ".wr_en_i  (wr_en & {LANES{rd2_en_i === 1'b0}}),\n"
                "    .wr_addr_i(wr_addr[AddrW-1:0]),\n"
                "    .wr_data_i({LANES{chan_alpha_i}}),",
            ),
        ),
        "random",
        "",
    ),
    "index of pass 1 not restarted": Bug(
        (
            (
                TOP,
                "s0_index_q;\n  logic [LANES-1:0][1:0]    s1_alpha",
                "s0_index_q = '0;\n  logic [LANES-1:0][1:0]    s1_alpha",
            ),
            (TOP, "s0_ctl.first ? '0 : s0_index_q;", "s0_index_q;"),
        ),
        "random",
        "",
    ),
    "index of pass 2 not restarted": Bug(
        ((TOP, "rd_last ? '0 : p0_index_q + IndexW'(1);", "p0_index_q + IndexW'(1);"),),
        "random",
        "",
    ),
    # ----------------------------------------------------------------------------- errors
    "wrong count not flagged": Bug(
        ((TOP, "sum_ctl.err_len || wrong_len}", "sum_ctl.err_len}"),), "random", TUSER
    ),
    "no err_len_o for a wrong count": Bug(
        ((TOP, "!sum_ctl.err_len && wrong_len);", "1'b0);"),), "random", ERR_LEN
    ),
    "err_len_o twice for a long row of a wrong count": Bug(
        ((TOP, "!sum_ctl.err_len && wrong_len);", "wrong_len);"),), "errors", ERR_LEN
    ),
    "err_len_o at every beat of a wrong count": Bug(
        ((TOP, "valid[StSum] && sum_ctl.close && !sum_ctl", "valid[StSum] && !sum_ctl"),),
        "random",
        ERR_LEN,
    ),
    "err_len_o of two rows in one clock": Bug(
        (
            (
                TOP,
                "err_len_o      <= late_err_len_q[StSum-1] ||",
                "err_len_o      <= guard_err_len ||",
            ),
        ),
        "errors",
        ERR_LEN,
        # The long row has to be over MAX_LEN while the one before it is being summed.
        {"MAX_LEN": 6},
    ),
    "len of the next row": Bug(
        ((TOP, "count != sum_run.len;", "count != s0_cfg.run.len;"),), "random", TUSER
    ),
    # ----------------------------------------------------------------------- flow control
    "a slot too few": Bug(
        ((TOP, "Turnaround = StRow + 2;", "Turnaround = StRow + 1;"),),
        "timing",
        "s_axis_tready fell with no stall outside",
    ),
    # ------------------------------------------------------------------------------ reset
    "index of pass 2 not reset": Bug(
        (
            (
                TOP,
                "p0_index_q;\n  logic [LANES-1:0][7:0] p1_gamma",
                "p0_index_q = '0;\n  logic [LANES-1:0][7:0] p1_gamma",
            ),
            (TOP, "      p0_index_q <= '0;\n    end else if", "    end else if"),
        ),
        "reset",
        VALUE,
    ),
    "stages of pass 1 not reset": Bug(
        (
            (TOP, "[StRow-1:0]      valid_q;", "[StRow-1:0]      valid_q = '0;"),
            (TOP, "if (!rst_ni) valid_q <= '0;", "if (!rst_ni) valid_q[0] <= 1'b0;"),
        ),
        "reset",
        "",
    ),
    "stages of the moments not reset": Bug(
        (
            (TOP, "  closing_q, storing_q;", "  closing_q = '0, storing_q = '0;"),
            (
                TOP,
                "      closing_q <= '0;\n      storing_q <= '0;\n",
                "      closing_q[0] <= 1'b0;\n",
            ),
        ),
        "reset",
        "",
    ),
    "stages of pass 2 not reset": Bug(
        (
            (TOP, "      p_valid_q;\n", "      p_valid_q = '0;\n"),
            (TOP, "      p_valid_q  <= '0;\n", ""),
        ),
        "reset",
        "",
    ),
    "late err_len not reset": Bug(
        ((TOP, "      late_err_len_q <= '0;\n", ""),),
        "smoke",  # what the first reset leaves of it comes out as a pulse
        ERR_LEN,
    ),
    "reset waits for a clock": Bug(
        (
            (
                TOP,
                "always_ff @(posedge clk_i or negedge rst_ni) begin\n"
                "    if (!rst_ni) m_axis_tvalid <= 1'b0;",
                "always_ff @(posedge clk_i) begin\n    if (!rst_ni) m_axis_tvalid <= 1'b0;",
            ),
        ),
        "reset",
        "in reset",
    ),
}

RULES: dict[str, Rule] = {
    "X on an idle output": Rule(
        ((TOP, "(p_valid[StOut] && out_active[i])", "out_active[i]"),),
        "X on a pin that must have a value",
        needs_x=True,
    ),
}
