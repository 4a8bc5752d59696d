// SPDX-License-Identifier: Apache-2.0
// A mapped netlist behind the unit's ports: the harness drives it as it drives a Verilated unit.
//
// sn_ports.h is generated for each build. It has, beside what the harness asks of it,
//   SN_INPUTS(X), SN_OUTPUTS(X)   X(port, bits) for each port of the netlist
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "gates.h"
#include "sn_ports.h"
#include "verilated.h"

// As Verilator has it: an unsigned number, or little-endian words.
template <unsigned Bits>
using Port = std::conditional_t<
    (Bits <= 8), uint8_t,
    std::conditional_t<(Bits <= 16), uint16_t,
                       std::conditional_t<(Bits <= 32), uint32_t,
                                          std::array<uint32_t, (Bits + 31) / 32>>>>;

class Vtop {
public:
#define PORT(name, bits) Port<bits> name = {};
    SN_INPUTS(PORT)
    SN_OUTPUTS(PORT)
#undef PORT
    Gates gates;

    Vtop(VerilatedContext* context, const char*) : gates(context->seed) {
#define PORT(name, bits) gates.input(&name);
        SN_INPUTS(PORT)
#undef PORT
#define PORT(name, bits) gates.output(&name);
        SN_OUTPUTS(PORT)
#undef PORT
    }
    void eval() { gates.eval(); }
    void final() {}
};
