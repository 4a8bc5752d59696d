// SPDX-License-Identifier: Apache-2.0

#include "gates.h"

#include <algorithm>
#include <random>

#include "harness.h"

extern const uint32_t sn_tables[] __attribute__((visibility("hidden")));

namespace {

Numbers next(const uint32_t*& at) {
    const Numbers found = {at + 1, *at};
    at += 1 + found.size;
    return found;
}

}  // namespace

// The sections are those of Tables.words in flow/ppa/gates.py.
Gates::Gates(uint32_t seed) {
    const uint32_t* at = sn_tables;
    const Numbers sizes = next(at);
    const uint32_t nets = sizes[0], memories = sizes[1];
    clock_ = sizes[2];
    const Numbers table = next(at);
    table_.assign(table.begin(), table.end());
    const Numbers entries = next(at), outputs = next(at);
    for (std::size_t gate = 0; gate < entries.size; ++gate) {
        gates_.push_back({entries[gate], outputs[gate]});
    }
    fan_from_ = next(at);
    fan_ = next(at);
    const Numbers registers = next(at);
    for (std::size_t one = 0; one < registers.size; one += 4) {
        const FlipFlop made = {registers[one], registers[one + 1], registers[one + 2],
                               registers[one + 3]};
        flip_flops_.push_back(made);
        if (made.clear || made.preset) {
            held_.push_back(made);
            holds_.push_back(made.clear);
            holds_.push_back(made.preset);
        }
    }
    std::sort(holds_.begin(), holds_.end());
    holds_.erase(std::unique(holds_.begin(), holds_.end()), holds_.end());
    for (uint32_t one = 0; one < memories; ++one) {
        const Numbers shape = next(at);
        Memory made = {shape[0], shape[1], shape[2], {}, {}, {}, {}, {}, {}};
        for (Numbers* bus : {&made.read_address, &made.write_address, &made.write, &made.data,
                             &made.out}) {
            *bus = next(at);
        }
        made.bits.resize(std::size_t(made.words) * made.width);
        memories_.push_back(std::move(made));
    }
    ports_ = at;

    value_.assign(nets, 0);
    dirty_.assign((gates_.size() + 63) / 64, 0);
    for (std::size_t gate = 0; gate < gates_.size(); ++gate) {
        dirty_[gate / 64] |= uint64_t(1) << gate % 64;
    }
    set(1, 1);  // net 0 is 0, net 1 is 1
    std::mt19937 random(seed);
    for (const FlipFlop& one : flip_flops_) set(one.q, random() >> 31);
    for (Memory& one : memories_) {
        for (uint8_t& bit : one.bits) bit = random() >> 31;
        for (const uint32_t net : one.out) set(net, random() >> 31);
    }
    settle();
}

void Gates::input(const void* port) {
    inputs_.push_back({static_cast<const uint8_t*>(port), nullptr, next(ports_)});
}

void Gates::output(void* port) {
    outputs_.push_back({nullptr, static_cast<uint8_t*>(port), next(ports_)});
}

inline void Gates::set(uint32_t net, uint8_t value) {
    if (value_[net] == value) return;
    value_[net] = value;
    if (counts_) changed_.push_back(net);
    for (uint32_t at = fan_from_[net]; at < fan_from_[net + 1]; ++at) {
        // Tables lie at multiples of their sizes, so that an input is a bit of the entry's place.
        const uint32_t gate = fan_[at] >> 4;
        gates_[gate].entry ^= 1u << (fan_[at] & 15);
        dirty_[gate / 64] |= uint64_t(1) << gate % 64;
    }
}

// What a gate drives comes behind it: one sweep settles all of them.
void Gates::settle() {
    do {
        for (std::size_t word = 0; word < dirty_.size(); ++word) {
            while (dirty_[word]) {
                const std::size_t gate = 64 * word + __builtin_ctzll(dirty_[word]);
                dirty_[word] &= dirty_[word] - 1;
                set(gates_[gate].output, table_[gates_[gate].entry]);
            }
        }
    } while (hold());
}

// Clear and preset; returns whether that changed something.
bool Gates::hold() {
    bool changes = false;
    if (std::none_of(holds_.begin(), holds_.end(), [&](uint32_t net) { return value_[net]; })) {
        return false;
    }
    for (const FlipFlop& one : held_) {
        if (!value_[one.clear] && !value_[one.preset]) continue;
        const uint8_t value = !value_[one.clear];
        changes |= value_[one.q] != value;
        set(one.q, value);
    }
    return changes;
}

uint32_t Gates::address(Numbers nets) const {
    uint32_t found = 0;
    for (std::size_t bit = 0; bit < nets.size; ++bit) found |= uint32_t(value_[nets[bit]]) << bit;
    return found;
}

// The states that a rising edge turns: all of them see what was before it. One that is held in
// reset is put right by settle().
void Gates::capture() {
    for (const FlipFlop& one : flip_flops_) {
        if (value_[one.d] != value_[one.q]) flips_.push_back(one.q);
    }
    for (Memory& one : memories_) {
        const uint32_t from = address(one.read_address);
        if (value_[one.read] && from < one.words) {
            const uint8_t* word = one.bits.data() + std::size_t(from) * one.width;
            for (uint32_t bit = 0; bit < one.width; ++bit) {
                if (word[bit] != value_[one.out[bit]]) flips_.push_back(one.out[bit]);
            }
        }
        const uint32_t to = address(one.write_address);
        if (to >= one.words) continue;
        uint8_t* word = one.bits.data() + std::size_t(to) * one.width;
        for (uint32_t bit = 0; bit < one.width; ++bit) {
            if (value_[one.write[bit]]) word[bit] = value_[one.data[bit]];
        }
    }
}

void Gates::edge(uint8_t clock) {
    if (clock) capture();
    set(clock_, clock);
    for (const uint32_t net : flips_) set(net, !value_[net]);
    flips_.clear();
    settle();
}

void Gates::eval() {
    uint8_t clock = value_[clock_];
    for (const Pins& port : inputs_) {
        for (std::size_t bit = 0; bit < port.nets.size; ++bit) {
            const uint8_t value = port.from[bit / 8] >> bit % 8 & 1;
            if (port.nets[bit] == clock_) {
                clock = value;
            } else {
                set(port.nets[bit], value);
            }
        }
    }
    settle();
    if (clock != value_[clock_]) edge(clock);
    for (const Pins& port : outputs_) {
        std::fill(port.to, port.to + (port.nets.size + 7) / 8, 0);
        for (std::size_t bit = 0; bit < port.nets.size; ++bit) {
            port.to[bit / 8] |= value_[port.nets[bit]] << bit % 8;
        }
    }
    if (!counts_) return;
    for (const uint32_t net : changed_) {
        if (value_[net] == was_[net]) continue;
        was_[net] = value_[net];
        ++toggles_[net];
        if (was_[net]) {
            since_[net] = now_;
        } else {
            high_[net] += now_ - since_[net];
        }
    }
    changed_.clear();
    ++now_;
}

void Gates::count() {
    counts_ = true;
    now_ = 0;
    changed_.clear();
    was_ = value_;
    for (auto* one : {&toggles_, &high_, &since_}) one->assign(value_.size(), 0);
}

uint64_t Gates::counted(uint64_t* toggles, uint64_t* high) const {
    std::copy(toggles_.begin(), toggles_.end(), toggles);
    for (std::size_t net = 0; net < high_.size(); ++net) {
        high[net] = high_[net] + (was_[net] ? now_ - since_[net] : 0);
    }
    return now_;
}

// Count the toggles of all nets from now on.
SN_API void sn_count(Instance* instance) { instance->top->gates.count(); }

// Half clocks since then, and of all nets in the order of the tables: toggles, half clocks at 1.
SN_API uint64_t sn_counted(Instance* instance, uint64_t* toggles, uint64_t* high) {
    return instance->top->gates.counted(toggles, high);
}
