// SPDX-License-Identifier: Apache-2.0
// The yardstick of the harness's speed: a loop that toggles the clock under a beat that stays.

#include "harness.h"

// Drive that many clocks with one full beat, in rows of so many; returns beats that came out.
SN_API uint64_t sn_yardstick(Instance* instance, uint64_t clocks, uint32_t row_beats,
                             const uint8_t* data, const uint8_t* full) {
    Working working(*instance);
    Vtop& top = *instance->top;
    put<SN_IN_BYTES>(top.s_axis_tdata, data);
    put<SN_KEEP_BYTES>(top.s_axis_tkeep, full);
    put<SN_KEEP_BYTES>(top.s_axis_tstrb, full);
    top.s_axis_tvalid = 1;
    top.m_axis_tready = 1;
    uint64_t beats = 0;
    uint32_t beat = 0;
    for (uint64_t clock = 0; clock < clocks; ++clock) {
        top.s_axis_tlast = beat + 1 == row_beats;
        top.clk_i = 0;
        top.eval();
        if (top.s_axis_tready && ++beat == row_beats) beat = 0;
        beats += top.m_axis_tvalid;
        top.clk_i = 1;
        top.eval();
    }
    return beats;
}
