// SPDX-License-Identifier: Apache-2.0
// Drives rows through a Verilated unit, whichever it is, from arrays into arrays.
//
//   data, keep, strb, last [beats] --> s_axis --> unit --> m_axis --> out_data, out_keep, ...
//
// Inputs change while the clock is low, outputs are looked at before it rises: what the next rising
// edge takes. Every output is a flip-flop, so that no more than two evaluations a clock are needed.

#include "harness.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <exception>

namespace {

constexpr unsigned Settings = 0
#define COUNT(port) +1
    SN_SETTINGS(COUNT);
constexpr unsigned Columns = 0 SN_CHANNELS(COUNT);
constexpr unsigned Errors = 0 SN_ERRORS(COUNT);
static_assert(Errors <= sizeof(Place::shown) / sizeof(uint64_t), "more error outputs than Place has room for");
#undef COUNT

enum Code { Done, More, Stuck, Stopped, Surplus, Fatal };

thread_local Instance* current = nullptr;

struct FatalError : std::exception {};

// The error outputs, a bit for each.
inline unsigned errors(const Vtop& top) {
    unsigned high = 0, bit = 0;
#define READ(port) high |= unsigned(top.port) << bit++;
    SN_ERRORS(READ)
#undef READ
    return high;
}

}  // namespace

// Mirrored by flow/bulk/verilator.py. Arrays are contiguous, the last axis the fastest.

// A further input stream: its own as those of Batch.
struct Operand {
    uint64_t beats;
    const uint8_t* data;
    const uint8_t* keep;
    const uint8_t* strb;
    const uint8_t* last;
    const uint64_t* source_from;
    const uint64_t* source_count;
    uint64_t* clocks;
};

struct Batch {
    uint64_t beats, rows, loads;
    uint64_t noises;     // what the pins carry that means nothing
    uint64_t phases;     // each has stall patterns of its own
    uint64_t out_beats;  // room
    uint64_t limit;      // clocks without a transfer that are taken for a hang
    uint64_t settle;     // clocks at the end in which nothing may come out
    uint64_t pulse_room;

    const uint8_t* data;       // [beats, SN_IN_BYTES]
    const uint8_t* keep;       // [beats, SN_KEEP_BYTES]
    const uint8_t* strb;       // [beats, SN_KEEP_BYTES]
    const uint8_t* last;       // [beats]
    const uint32_t* settings;  // [rows, Settings]

    const uint8_t* noise_data;  // [noises, ..], as those above
    const uint8_t* noise_keep;
    const uint8_t* noise_strb;
    const uint8_t* noise_last;
    const uint32_t* noise_settings;

    const uint32_t* pairs;          // [.., 2]: on, off. Of a source beats and clocks, of a sink clocks
    const uint64_t* phase_row;      // [phases] the first row of each; that of the first is 0
    const uint64_t* source_from;    // [phases] the source's first pair
    const uint64_t* source_count;   // [phases] its pairs, again and again; none: it never stalls
    const uint64_t* sink_from;      // [phases], as the source's
    const uint64_t* sink_count;
    const uint64_t* sink_after;     // [phases] 1: tready is low where tvalid is, and the pattern waits

    uint8_t* out_data;  // [out_beats, SN_OUT_BYTES]
    uint8_t* out_keep;  // [out_beats, SN_KEEP_BYTES]
    uint8_t* out_strb;  // the same, of a cell
    uint8_t* out_last;  // [out_beats]
    uint8_t* out_user;  // [out_beats, SN_USER_BYTES]

    // Clocks of beats, if they are wanted (else null): first with tvalid, and of the transfer.
    uint64_t* in_clocks;   // [beats, 2]
    uint64_t* out_clocks;  // [out_beats, 3], and Place::before
    uint64_t* pulse_clocks;  // [Errors, pulse_room] of error outputs; what has no room is lost

    // Of a unit with a channel table: loads of a bank, in order.
    const uint32_t* load_bank;   // [loads]
    const uint64_t* load_after;  // [loads] rows that must have come out before it starts
    const uint64_t* load_from;   // [loads] its first line
    const uint64_t* load_count;  // [loads]
    const uint32_t* lines;       // [.., Columns]
    const uint32_t* line_channel;  // [..] of each line
    const uint64_t* row_loads;   // [rows] loads that must be done before the row goes in

    const Operand* operands;  // [SN_OPERAND_COUNT]
};

Working::Working(Instance& instance) {
    current = &instance;
    Verilated::threadContextp(&instance.context);
}
Working::~Working() { current = nullptr; }

// ------------------------------------------------------------------ what Verilator's runtime calls

extern "C" int sn_print(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char text[4096];
    const int length = std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (current) {
        if (current->said.size() < 65536) current->said += text;
    } else {
        std::fputs(text, stderr);
    }
    return length;
}

void vl_stop(const char*, int, const char*) {
    if (current) current->stopped = true;
}

void vl_finish(const char*, int, const char*) {
    if (current) current->stopped = true;
}

void vl_fatal(const char* file, int line, const char*, const char* text) {
    sn_print("%s:%d: %s\n", file ? file : "", line, text ? text : "");
    throw FatalError();  // the model cannot go on
}

// --------------------------------------------------------------------------------------- instances

// What a build of several mutants asks for, once an instance, before its first evaluation.
SN_API int sn_chosen() { return current ? current->chosen : 0; }

SN_API Instance* sn_open(uint32_t seed, uint32_t chosen) try {
    auto instance = std::make_unique<Instance>();
    instance->chosen = static_cast<int>(chosen);
    Working working(*instance);
    instance->context.randReset(2);  // registers and memories start with random bits
    instance->context.randSeed(static_cast<int>(seed));
    instance->top = std::make_unique<Vtop>(&instance->context, "");
#ifdef SN_VARIANTS
    Vtop& top = *instance->top;  // a netlist has it in a register
    top.sn_select = chosen;
    for (int level = 0; level < 2; ++level) {
        top.sn_load = level;
        top.eval();
    }
#endif
    return instance.release();
} catch (const std::exception&) {
    return nullptr;
}

SN_API void sn_close(Instance* instance) {
    Working working(*instance);
    instance->top->final();
    instance->top.reset();
    delete instance;
}

#if VM_COVERAGE
// Write Verilator's counts; 0 if that cannot be done.
SN_API int sn_coverage(Instance* instance, const char* path) try {
    Working working(*instance);
    instance->context.coveragep()->write(path);
    return 1;
} catch (const std::exception&) {
    return 0;
}
#endif

SN_API const char* sn_said(Instance* instance) { return instance->said.c_str(); }

SN_API const Place* sn_place(Instance* instance) { return &instance->place; }

// Assert the reset, with the clock high or low; returns the outputs that are not at rest, as bits.
SN_API unsigned sn_assert(Instance* instance, int low) {
    Working working(*instance);
    Vtop& top = *instance->top;
    if (low) instance->clock_low();
    top.rst_ni = 0;
    top.eval();
    unsigned high = unsigned(top.m_axis_tvalid) | top.s_axis_tready << 1 | errors(top) << 2;
#define READ(number, axis) high |= unsigned(top.axis##_tready) << (2 + Errors + number);
    SN_OPERANDS(READ)
#undef READ
    return high;
}

// No beat on any input.
static void rest(Vtop& top) {
    top.s_axis_tvalid = 0;
#define REST(number, axis) top.axis##_tvalid = 0;
    SN_OPERANDS(REST)
#undef REST
}

// Hold the reset for some clocks, and let the unit get ready.
SN_API void sn_release(Instance* instance, uint32_t clocks) {
    Working working(*instance);
    Vtop& top = *instance->top;
    rest(top);
#if SN_HAS_CHANNELS
    top.chan_we_i = 0;
#endif
    instance->clock_low();
    for (uint32_t clock = 0; clock < clocks; ++clock) {
        instance->clock_high();
        instance->clock_low();
    }
    top.rst_ni = 1;
    instance->clock_low();
}

// The reset before the first row.
SN_API int sn_reset(Instance* instance, uint32_t clocks) try {
    Working working(*instance);
    Vtop& top = *instance->top;
    instance->said.clear();
    instance->stopped = false;
    rest(top);
    top.m_axis_tready = 0;
#if SN_HAS_CHANNELS
    top.chan_we_i = 0;
#endif
    top.rst_ni = 1;
    instance->clock_low();
    sn_assert(instance, 1);  // a falling edge, at the first reset too
    sn_release(instance, clocks);
    return instance->stopped ? Stopped : Done;
} catch (const FatalError&) {
    return Fatal;
}

// ---------------------------------------------------------------------------------------- the loop

namespace {

// Whether a side moves in this clock; without pairs always.
inline bool moves(const uint32_t* pairs, Stall& stall) {
    if (stall.count == 0) return true;
    for (;;) {
        if (stall.on) {
            --stall.on;
            return true;
        }
        if (stall.off) {
            --stall.off;
            return false;
        }
        const uint32_t* pair = pairs + 2 * (stall.from + stall.at);
        stall.on = pair[0];
        stall.off = pair[1];
        if (++stall.at == stall.count) stall.at = 0;
    }
}

inline void drive_settings(Vtop& top, const uint32_t* values) {
#define DRIVE(port) top.port = *values++;
    SN_SETTINGS(DRIVE)
#undef DRIVE
    (void)top;
    (void)values;
}

inline void drive_beat(Vtop& top, const uint8_t* data, const uint8_t* keep, const uint8_t* strb,
                       const uint8_t* last, uint64_t beat) {
    put<SN_IN_BYTES>(top.s_axis_tdata, data + beat * SN_IN_BYTES);
    put<SN_KEEP_BYTES>(top.s_axis_tkeep, keep + beat * SN_KEEP_BYTES);
    put<SN_KEEP_BYTES>(top.s_axis_tstrb, strb + beat * SN_KEEP_BYTES);
    top.s_axis_tlast = last[beat];
}

inline void drive_line(Vtop& top, const uint32_t* values) {
#define DRIVE(port) top.port = *values++;
    SN_CHANNELS(DRIVE)
#undef DRIVE
    (void)top;
    (void)values;
}

// A write of the channel table, where one is due; returns whether there was one.
inline bool drive_channels(Vtop& top, const Batch& batch, Place& place) {
#if SN_HAS_CHANNELS
    const uint64_t load = place.load;
    if (load == batch.loads || place.out_row < batch.load_after[load]) {
        top.chan_we_i = 0;
        return false;
    }
    top.chan_we_i = 1;
    top.chan_bank_i = batch.load_bank[load];
    const uint64_t line = batch.load_from[load] + place.write;
    top.chan_addr_i = batch.line_channel[line];
    drive_line(top, batch.lines + line * Columns);
    return true;
#else
    (void)top, (void)batch, (void)place;
    return false;
#endif
}

// Other noise than before on the pins that mean nothing now: settings, and what is not written.
inline void drive_noise(Vtop& top, const Batch& batch, Place& place, bool writes) {
    if (++place.noise == batch.noises) place.noise = 0;
    drive_settings(top, batch.noise_settings + place.noise * Settings);
    place.quiet = true;
#if SN_HAS_CHANNELS
    if (batch.loads && !writes) {
        const uint64_t line = place.noise % batch.load_count[0];
        top.chan_bank_i = place.noise & 1;
        top.chan_addr_i = line;
        drive_line(top, batch.lines + (batch.load_count[0] - 1 - line) * Columns);
    }
#else
    (void)writes;
#endif
}

// Whether no further input stream has a beat left.
inline bool all_in(const Batch& batch, const Place& place) {
    bool all = true;
    for (unsigned one = 0; one < SN_OPERAND_COUNT; ++one) {
        all &= place.beside[one].beat == batch.operands[one].beats;
    }
    return all;
}

// A further input stream at a clock: what s_axis does, with no settings.
template <bool Stalls, bool Clocks, class Data, class Keep, class Bit>
inline void drive_operand(const Batch& batch, const Operand& operand, Beside& beside, Place& place,
                          Data& data, Keep& keep, Keep& strb, Bit& last, Bit& valid) {
    if (beside.waits) return;
    while (Stalls && beside.first && beside.phase < batch.phases &&
           beside.row >= batch.phase_row[beside.phase]) {
        const uint64_t phase = beside.phase++;
        beside.source = {operand.source_from[phase], operand.source_count[phase], 0, 0, 0, false};
    }
    const bool shows = beside.beat < operand.beats && (!Stalls || moves(batch.pairs, beside.source));
    uint64_t beat = beside.beat;
    if (shows) {
        if (Clocks) operand.clocks[2 * beat] = place.clocks;
    } else {
        if (++place.noise == batch.noises) place.noise = 0;
        beat = place.noise;
    }
    put<SN_IN_BYTES>(data, (shows ? operand.data : batch.noise_data) + beat * SN_IN_BYTES);
    put<SN_KEEP_BYTES>(keep, (shows ? operand.keep : batch.noise_keep) + beat * SN_KEEP_BYTES);
    put<SN_KEEP_BYTES>(strb, (shows ? operand.strb : batch.noise_strb) + beat * SN_KEEP_BYTES);
    last = (shows ? operand.last : batch.noise_last)[beat];
    valid = beside.waits = shows;
}

// Its beat has been taken.
template <bool Clocks>
inline void take_operand(const Operand& operand, Beside& beside, const Place& place) {
    if (Clocks) operand.clocks[2 * beside.beat + 1] = place.clocks;
    beside.waits = false;
    beside.first = operand.last[beside.beat];
    beside.row += beside.first;
    ++beside.beat;
}

// Keep the clock of error outputs that are high.
inline void note_pulses(unsigned high, const Batch& batch, Place& place) {
    for (unsigned one = 0; one < Errors; ++one) {
        if ((high >> one & 1) && place.shown[one] < batch.pulse_room) {
            batch.pulse_clocks[one * batch.pulse_room + place.shown[one]++] = place.clocks;
        }
    }
}

// Drive for at most that many clocks; returns a Code. Stalls: some phase has a pattern.
template <bool Stalls, bool Clocks>
int drive(Instance& instance, const Batch& batch, uint64_t clocks) {
    Vtop& top = *instance.top;
    Place place = instance.place;
    const auto leave = [&](int code) {
        instance.place = place;
        return code;
    };
    for (uint64_t clock = 0; clock < clocks; ++clock) {
        const bool writes = drive_channels(top, batch, place);
        if (!place.waits) {
            while (Stalls && place.first && place.phase < batch.phases &&
                   place.row >= batch.phase_row[place.phase]) {
                const uint64_t phase = place.phase++;
                place.source = {batch.source_from[phase], batch.source_count[phase], 0, 0, 0, false};
                place.sink = {batch.sink_from[phase], batch.sink_count[phase], 0, 0, 0,
                              batch.sink_after[phase] != 0};
            }
            if (place.beat < batch.beats &&
                !(SN_HAS_CHANNELS && place.first && place.load < batch.row_loads[place.row]) &&
                (!Stalls || moves(batch.pairs, place.source))) {
                drive_beat(top, batch.data, batch.keep, batch.strb, batch.last, place.beat);
                if (!place.first && !place.quiet) drive_noise(top, batch, place, writes);
                top.s_axis_tvalid = 1;
                place.waits = true;
                if (Clocks) batch.in_clocks[2 * place.beat] = place.clocks;
            } else {
                top.s_axis_tvalid = 0;
                drive_noise(top, batch, place, writes);
                drive_beat(top, batch.noise_data, batch.noise_keep, batch.noise_strb,
                           batch.noise_last, place.noise);
            }
        }
        if (place.waits && place.first) {
            // tready is a flip-flop: the rising edge finds what is there now.
            if (top.s_axis_tready) {
                drive_settings(top, batch.settings + place.row * Settings);
                place.quiet = false;
            } else {
                drive_noise(top, batch, place, writes);
            }
        }
#define SHOW(number, axis)                                                                      \
    drive_operand<Stalls, Clocks>(batch, batch.operands[number], place.beside[number], place,       \
                                  top.axis##_tdata, top.axis##_tkeep, top.axis##_tstrb,             \
                                  top.axis##_tlast, top.axis##_tvalid);
        SN_OPERANDS(SHOW)
#undef SHOW
        const bool all_out = place.out_row == batch.rows;
        top.m_axis_tready = !Stalls || all_out ||
                            ((!place.sink.after || top.m_axis_tvalid) && moves(batch.pairs, place.sink));
        instance.clock_low();

        const bool in = place.waits && top.s_axis_tready;
        const bool valid = top.m_axis_tvalid;
        const bool out = valid && top.m_axis_tready;
        place.pulses[0] += top.err_len_o;
        place.pulses[1] += top.err_keep_o;
        if (Clocks) {
            if (const unsigned high = errors(top)) note_pulses(high, batch, place);
        }
        if (Clocks && !valid) place.before |= top.m_axis_tready ? 2 : 1;
        if (Clocks && valid && !place.out_waits && place.out_beat < batch.out_beats) {
            batch.out_clocks[3 * place.out_beat] = place.clocks;
        }
        place.out_waits = valid && !out;
        if (out) {
            const uint64_t beat = place.out_beat;
            if (beat == batch.out_beats || all_out) return leave(Surplus);
            get<SN_OUT_BYTES>(top.m_axis_tdata, batch.out_data + beat * SN_OUT_BYTES);
            get<SN_KEEP_BYTES>(top.m_axis_tkeep, batch.out_keep + beat * SN_KEEP_BYTES);
#if SN_CELL
            get<SN_KEEP_BYTES>(top.m_axis_tstrb, batch.out_strb + beat * SN_KEEP_BYTES);
#endif
            const bool last = top.m_axis_tlast;
            batch.out_last[beat] = last;
            get<SN_USER_BYTES>(top.m_axis_tuser, batch.out_user + beat * SN_USER_BYTES);
            if (Clocks) {
                batch.out_clocks[3 * beat + 1] = place.clocks;
                batch.out_clocks[3 * beat + 2] = place.before;
                place.before = 0;
            }
            place.out_beat = beat + 1;
            place.out_row += last;
            place.out_first = last;
        }
        if (in) {
            if (Clocks) batch.in_clocks[2 * place.beat + 1] = place.clocks;
            place.waits = false;
            place.first = batch.last[place.beat];
            place.row += place.first;
            ++place.beat;
        }
        bool taken = in;
#define TAKE(number, axis)                                                        \
    if (place.beside[number].waits && top.axis##_tready) {                            \
        take_operand<Clocks>(batch.operands[number], place.beside[number], place);    \
        taken = true;                                                                 \
    }
        SN_OPERANDS(TAKE)
#undef TAKE
        instance.context.timeInc(2000);  // ps
        instance.clock_high();
        ++place.clocks;
        if (instance.stopped) return leave(Stopped);

        if (writes && ++place.write == batch.load_count[place.load]) {
            ++place.load;
            place.write = 0;
        }
        if (taken || out || writes) {
            place.ended = place.clocks;
        } else if (place.beat == batch.beats && all_out && all_in(batch, place)) {
            if (place.clocks - place.ended >= batch.settle) return leave(Done);
        } else if (place.clocks - place.ended >= batch.limit) {
            return leave(Stuck);
        }
    }
    return leave(More);
}

}  // namespace

SN_API void sn_begin(Instance* instance) {
    instance->place = {};
    instance->place.first = instance->place.out_first = true;
    for (Beside& beside : instance->place.beside) beside.first = true;
    instance->said.clear();
    instance->stopped = false;
}

// Go on with a batch for at most that many clocks; returns a Code.
SN_API int sn_run(Instance* instance, const Batch* batch, uint64_t clocks) try {
    Working working(*instance);
    bool stalls = false;
    for (uint64_t phase = 0; phase < batch->phases; ++phase) {
        stalls |= batch->source_count[phase] || batch->sink_count[phase] || batch->sink_after[phase];
        for (unsigned one = 0; one < SN_OPERAND_COUNT; ++one) {
            stalls |= batch->operands[one].source_count[phase] != 0;
        }
    }
    // What most batches do without costs them nothing: at few lanes the loop takes longer than the
    // unit's logic.
    if (batch->in_clocks) return drive<true, true>(*instance, *batch, clocks);
    if (stalls) return drive<true, false>(*instance, *batch, clocks);
    return drive<false, false>(*instance, *batch, clocks);
} catch (const FatalError&) {
    return Fatal;
}

SN_API const Beside* sn_beside(Instance* instance) { return instance->place.beside; }

// After a reset: rows that were inside are gone, and so is one that had begun to go in, on any input.
SN_API void sn_cut(Instance* instance, const Batch* batch) {
    Place& place = instance->place;
    uint64_t next = place.row + !place.first;
    for (unsigned one = 0; one < SN_OPERAND_COUNT; ++one) {
        next = std::max<uint64_t>(next, place.beside[one].row + !place.beside[one].first);
    }
    while (place.row < next) place.row += batch->last[place.beat++];
    for (unsigned one = 0; one < SN_OPERAND_COUNT; ++one) {
        Beside& beside = place.beside[one];
        while (beside.row < next) beside.row += batch->operands[one].last[beside.beat++];
        beside.first = true;
        beside.waits = false;
    }
    place.first = place.out_first = true;
    place.waits = place.out_waits = false;
    place.out_row = place.row;
    place.pulses[0] = place.pulses[1] = place.before = 0;
    place.ended = place.clocks;
}
