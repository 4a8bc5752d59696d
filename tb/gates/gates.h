// SPDX-License-Identifier: Apache-2.0
// A netlist of cells as tables: two values, no delays.
//
//   gate        a truth table of up to 16 nets, one output; flow/ppa/gates.py puts them in an order
//               from inputs to outputs
//   flip-flop   of the rising edge of the one clock; clear and preset at once, clear the stronger
//   memory      one write port with an enable for each bit, one registered read port
//
// Registers and memories start with random bits. Toggles are counted between what eval() leaves:
// what a net does on its way to a value is no toggle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

// Numbers in the read-only data of the library.
struct Numbers {
    const uint32_t* data;
    std::size_t size;
    const uint32_t* begin() const { return data; }
    const uint32_t* end() const { return data + size; }
    uint32_t operator[](std::size_t at) const { return data[at]; }
};

class Gates {
public:
    explicit Gates(uint32_t seed);

    // Where the next port is, in the order of the netlist's.
    void input(const void* port);
    void output(void* port);

    // Take the inputs, settle, give the outputs.
    void eval();

    // Count from here on.
    void count();
    // What was counted, and for how many eval(): changes of each net, and of those at 1.
    uint64_t counted(uint64_t* toggles, uint64_t* high) const;

private:
    struct Gate {
        uint32_t entry;  // of its table, as its inputs are
        uint32_t output;
    };
    struct FlipFlop {
        uint32_t d, q, clear, preset;
    };
    struct Memory {
        uint32_t words, width, read;
        Numbers read_address, write_address, write, data, out;
        std::vector<uint8_t> bits;
    };
    struct Pins {
        const uint8_t* from;
        uint8_t* to;
        Numbers nets;
    };

    void set(uint32_t net, uint8_t value);
    void settle();
    bool hold();
    void capture();
    void edge(uint8_t clock);
    uint32_t address(Numbers nets) const;

    std::vector<uint8_t> table_;
    std::vector<Gate> gates_;
    std::vector<uint64_t> dirty_;     // a bit for each gate whose inputs changed
    Numbers fan_from_, fan_;          // of a net: gates, each shifted by 4, and which of its inputs
    std::vector<uint8_t> value_;      // of each net
    std::vector<FlipFlop> flip_flops_;
    std::vector<FlipFlop> held_;      // those that can be cleared or preset
    std::vector<uint32_t> holds_;     // the nets that do it
    std::vector<Memory> memories_;
    std::vector<uint32_t> flips_;     // states that the clock's edge is to turn
    uint32_t clock_;
    const uint32_t* ports_;           // of those that are still to come
    std::vector<Pins> inputs_, outputs_;

    bool counts_ = false;
    uint64_t now_ = 0;                // eval() since count()
    std::vector<uint32_t> changed_;   // nets, some of them several times
    std::vector<uint8_t> was_;
    std::vector<uint64_t> toggles_, high_, since_;
};
