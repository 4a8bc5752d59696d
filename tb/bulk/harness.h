// SPDX-License-Identifier: Apache-2.0
// What the harness and the yardstick share: the model of an instance.
//
// sn_ports.h is generated for each build. It has
//   SN_SETTINGS(X)   X(port) for each cfg_*_i, in the order of the columns of Batch::settings
//   SN_CHANNELS(X)   X(port) for each column of the channel table; SN_HAS_CHANNELS 0 or 1
//   SN_OPERANDS(X)   X(number, prefix) for each further input stream, which has the widths of s_axis;
//                    SN_OPERAND_COUNT of them
//   SN_CELL 0 or 1, whether the unit is a stream cell, which puts out tstrb
//   SN_IN_BYTES, SN_OUT_BYTES, SN_KEEP_BYTES, SN_USER_BYTES   of s_axis_tdata, m_axis_tdata, either
//                    tkeep, m_axis_tuser
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include "Vtop.h"
#include "sn_ports.h"
#include "verilated.h"
#if VM_COVERAGE
#include "verilated_cov.h"
#endif

#define SN_API extern "C" __attribute__((visibility("default")))

// A port's low bytes, of whichever of Verilator's types it is: all are little-endian images.
template <std::size_t Bytes, class Port>
inline void put(Port& port, const uint8_t* from) {
    static_assert(sizeof(Port) >= Bytes, "the port is narrower than the build says");
    std::memcpy(reinterpret_cast<uint8_t*>(&port), from, Bytes);
}

template <std::size_t Bytes, class Port>
inline void get(const Port& port, uint8_t* to) {
    static_assert(sizeof(Port) >= Bytes, "the port is narrower than the build says");
    std::memcpy(to, reinterpret_cast<const uint8_t*>(&port), Bytes);
}

// A side's stall pattern: its pairs, and how far it is in them.
struct Stall {
    uint64_t from, count, at;
    uint32_t on, off;
    bool after;  // of a sink: it waits for tvalid
};

// A further input stream: the next one in, as those of Place.
struct Beside {
    uint64_t beat, row, phase;
    bool waits, first;
    Stall source;
};

// Rows that are being driven; the harness keeps its place in them between calls.
struct Place {
    uint64_t beat, row, out_beat, out_row;  // next ones in, next ones out
    uint64_t clocks, ended;                 // clocks so far; of the last transfer
    uint64_t load, write;                   // of the channel table: loads done, writes of the next
    uint64_t noise;
    uint64_t phase;      // the next one
    uint64_t pulses[2];  // clocks of err_len_o, err_keep_o since the last reset
    uint64_t shown[8];   // of each error output since the batch began, where clocks are kept
    bool waits, out_waits;  // a beat has been shown and not taken
    bool first, out_first;  // no row is under way
    bool quiet;             // the settings carry noise
    uint8_t before;         // tready in clocks without tvalid since the last beat: 1 low, 2 high
    Stall source, sink;
    Beside beside[SN_OPERAND_COUNT + 1];  // no array has no elements
};

struct Instance {
    VerilatedContext context;
    std::unique_ptr<Vtop> top;
    std::string said;      // by assertions, or by the harness about its end
    int chosen = 0;        // of the mutants of the build, if it holds several; 0: none of them
    bool stopped = false;  // an assertion failed
    Place place = {};

    void clock_low() {
        top->clk_i = 0;
        top->eval();
    }
    void clock_high() {
        top->clk_i = 1;
        top->eval();
    }
};

// Until the end of the scope this thread works on the instance.
struct Working {
    explicit Working(Instance& instance);
    ~Working();
};
