// SPDX-License-Identifier: Apache-2.0
// What the harness asks of Verilator's runtime, for a model that is not Verilator's.
#pragma once

#include <cstdint>

struct VerilatedContext {
    uint32_t seed = 1;
    void randReset(int) {}
    void randSeed(int given) { seed = static_cast<uint32_t>(given); }
    void timeInc(uint64_t) {}
};

struct Verilated {
    static void threadContextp(VerilatedContext*) {}
};
