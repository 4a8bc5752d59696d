// SPDX-License-Identifier: Apache-2.0
// Drives rows through a unit, whichever it is, from files into files: the harness for simulators
// that are no library. What harness.cpp does at a clock, this does at the same clock.
//
//   beats.bin, noise.bin, pairs.bin, phases.bin, lines.bin, resets.bin --> unit
//       --> in.bin, out.bin, pulses.bin; result.txt, a line for each reset and one for the end
//
// sn_ports.svh is generated for each build: the macros SN_UNIT, SN_PATIENCE (clocks that a whole row
// may take to show tvalid), SN_PARAMETERS, SN_PORTS (connections
// to the slices of `settings` and `line`, 32 bits each; of m_tstrb, which is 0 where there is none),
// SN_DATA_W, SN_OUT_W, SN_KEEP_W, SN_USER_W, SN_SETTINGS, SN_COLUMNS, SN_CELL (1: it is a stream cell),
// SN_BARE (1: its output has no register).
//
// SN_R_AXIS is defined where there is a second input stream: operand.bin has its beats, operand_phases.bin
// its patterns; operand_in.bin is written.
//
// A record is read with $fread, which puts a file's first byte highest; it is whole bytes.

`include "sn_ports.svh"

module sn_bulk_top;
  localparam int DataW = 8 * ((`SN_DATA_W + 7) / 8);
  localparam int KeepB = 8 * ((`SN_KEEP_W + 7) / 8);
  localparam int SetW  = 32 * `SN_SETTINGS;
  localparam int LineW = 32 * ((`SN_COLUMNS > 0) ? `SN_COLUMNS : 1);
  localparam int OutW  = 32 * ((`SN_OUT_W + 31) / 32);  // %u writes words of 32 bits
  localparam int OutK  = 32 * ((`SN_KEEP_W + 31) / 32);
  localparam int OutU  = 32 * ((`SN_USER_W + 31) / 32);

  // Of a beat, the high end first: loads it waits for, last, settings, tstrb, tkeep, tdata. Of a
  // write: rows that must be out, {bank, ends}, channel, columns.
  localparam int BeatW  = 32 + 8 + SetW + 2 * KeepB + DataW;
  localparam int WriteW = 32 + 8 + 32 + LineW;

  logic                  clk, rst_n;
  logic [SetW-1:0]       settings;
  logic [LineW-1:0]      line;
  logic                  chan_we, chan_bank;
  logic [31:0]           chan_addr;
  logic [`SN_DATA_W-1:0] s_tdata;
  logic [`SN_KEEP_W-1:0] s_tkeep, s_tstrb, m_tkeep, m_tstrb;
  logic                  s_tlast, s_tvalid, s_tready, m_tlast, m_tvalid, m_tready;
  logic [`SN_OUT_W-1:0]  m_tdata;
  logic [`SN_USER_W-1:0] m_tuser;
  logic [`SN_ERRORS-1:0] err;  // outputs: err_len_o, err_keep_o, and what else the unit has

  if (!`SN_CELL) assign m_tstrb = '0;

  // The second input stream.
  logic [`SN_DATA_W-1:0] r_tdata;
  logic [`SN_KEEP_W-1:0] r_tkeep, r_tstrb;
  logic                  r_tlast, r_tvalid, r_tready;
`ifndef SN_R_AXIS
  assign r_tready = 1'b0;
`endif

  `SN_UNIT #(`SN_PARAMETERS) u_unit (
    .clk_i        (clk),
    .rst_ni       (rst_n),
    `SN_PORTS
    .s_axis_tdata (s_tdata),
    .s_axis_tkeep (s_tkeep),
    .s_axis_tstrb (s_tstrb),
    .s_axis_tlast (s_tlast),
    .s_axis_tvalid(s_tvalid),
    .s_axis_tready(s_tready),
`ifdef SN_R_AXIS
    .r_axis_tdata (r_tdata),
    .r_axis_tkeep (r_tkeep),
    .r_axis_tstrb (r_tstrb),
    .r_axis_tlast (r_tlast),
    .r_axis_tvalid(r_tvalid),
    .r_axis_tready(r_tready),
`endif
    .m_axis_tdata (m_tdata),
    .m_axis_tkeep (m_tkeep),
    .m_axis_tlast (m_tlast),
    .m_axis_tuser (m_tuser),
    .m_axis_tvalid(m_tvalid),
    .m_axis_tready(m_tready)
  );

  integer beats, rows, writes, noises, pairs, phases, resets, limit, settle;  // of the job
  integer beats_file, noise_file, pairs_file, phases_file, lines_file, resets_file;
  integer in_file, out_file, pulse_file, result_file, got, number;
  reg [BeatW-1:0]  beat, idle;
  reg [BeatW-1:0]  noise [0:255];
  reg [WriteW-1:0] write;
  reg [31:0]       word;
  reg [31:0]       pair [0:65535];
  reg [191:0]      phase;  // first row; the source's first pair, its pairs; the sink's; sink_after
  reg [159:0]      cut;    // clocks to wait, whether it comes with the clock low, clocks to hold, aim

  integer beat_in, beat_out, row_out, load, write_at, noise_at, clocks, ended, len_pulses, keep_pulses;
  integer source_from, source_pairs, source_at, source_on, source_off;
  integer sink_from, sink_pairs, sink_at, sink_on, sink_off, sink_after, ahead;
  integer row_in, phase_at, cut_at, since, in_shown, out_shown, silent, closed, there;
  integer lost;  // beats that resets took, or their rows' that did not go in
  reg     waits, first, out_first, done, in, out, wrote, all_out, held;
  reg     released;  // no clock since the reset
  reg     fetched;  // `beat` is the next one
  reg     goes, refused;
  // Of the second input stream.
  reg [BeatW-1:0] r_beat;
  reg [95:0]      r_phase;  // first row; first pair, pairs
  integer r_beats, r_in, r_row, r_phase_at, r_from, r_pairs, r_at, r_on, r_off, r_shown, r_next;
  integer operand_file, operand_phases_file, operand_in_file;
  reg     r_waits, r_first, r_goes, r_taken;
  reg [`SN_OUT_W+2*`SN_KEEP_W+`SN_USER_W:0] payload, was;

  // What is on the pins with tvalid low, and on the settings unless a first beat is taken, means nothing.
  task next_noise;
    begin
      noise_at = (noise_at + 1) % noises;
      idle = noise[noise_at];
      if (!chan_we) begin
        chan_bank = $urandom;
        chan_addr = $urandom;
        line = {(LineW / 32) {$urandom}};
      end
    end
  endtask

  task drive(input [BeatW-1:0] from);
    begin
      s_tdata = from[`SN_DATA_W-1:0];
      s_tkeep = from[DataW+:`SN_KEEP_W];
      s_tstrb = from[DataW+KeepB+:`SN_KEEP_W];
      s_tlast = from[DataW+2*KeepB+SetW];
    end
  endtask

  // What a stream is in the middle of: nothing, a row, a beat that waits.
  function [1:0] state(input waiting, input idle);
    state = waiting ? 2'd2 : {1'b0, !idle};
  endfunction

  task fetch;
    begin
      got = $fread(beat, beats_file);
      fetched = 1'b1;
    end
  endtask

  // Whether the source shows a beat that it has, as its stall pattern says.
  task source_goes;
    begin
      goes = 1'b1;
      if (source_pairs > 0) begin
        while (source_on == 0 && source_off == 0) begin
          source_on = pair[2*(source_from+source_at)];
          source_off = pair[2*(source_from+source_at)+1];
          source_at = (source_at + 1) % source_pairs;
        end
        goes = source_on > 0;
        if (goes) source_on = source_on - 1;
        else source_off = source_off - 1;
      end
    end
  endtask

  // The second input stream at a clock: what the first does, with no settings.
  task drive_operand;
    if (!r_waits) begin
      while (r_first && r_phase_at < phases && r_row >= r_phase[95-:32]) begin
        {r_from, r_pairs} = r_phase[63:0];
        {r_at, r_on, r_off} = 0;
        r_phase_at = r_phase_at + 1;
        if (r_phase_at < phases) got = $fread(r_phase, operand_phases_file);
      end
      r_goes = r_in < r_beats;
      if (r_goes && r_pairs > 0) begin
        while (r_on == 0 && r_off == 0) begin
          r_on = pair[2*(r_from+r_at)];
          r_off = pair[2*(r_from+r_at)+1];
          r_at = (r_at + 1) % r_pairs;
        end
        r_goes = r_on > 0;
        if (r_goes) r_on = r_on - 1;
        else r_off = r_off - 1;
      end
      if (r_goes) r_shown = clocks;
      else noise_at = (noise_at + 1) % noises;
      show_operand(r_goes ? r_beat : noise[noise_at]);
      r_tvalid = r_goes;
      r_waits = r_goes;
    end
  endtask

  task show_operand(input [BeatW-1:0] from);
    begin
      r_tdata = from[`SN_DATA_W-1:0];
      r_tkeep = from[DataW+:`SN_KEEP_W];
      r_tstrb = from[DataW+KeepB+:`SN_KEEP_W];
      r_tlast = from[DataW+2*KeepB+SetW];
    end
  endtask

  // Its beat is over: taken, or passed over behind a reset.
  task next_operand;
    begin
      r_first = r_beat[DataW+2*KeepB+SetW];
      r_row = r_row + r_first;
      r_in = r_in + 1;
      if (r_in < r_beats) got = $fread(r_beat, operand_file);
    end
  endtask

  // Hold the reset for some clocks, with the clock low, and release it.
  task hold(input integer held_for);
    begin
      repeat (held_for) begin
        clk = 1'b1;
        #1 clk = 1'b0;
        #1;
        if ({m_tvalid, s_tready, r_tready, err} !== 0) stop("an output is not at rest in reset");
        if (!`SN_BARE && {m_tuser, m_tlast, m_tstrb, m_tkeep, m_tdata} !== 0) stop("the payload is not 0 in reset");
      end
      rst_n = 1'b1;
      #1;
      if ({s_tready, r_tready} !== 0) stop("tready before the first clock after reset");
      released = 1'b1;
    end
  endtask

  // A reset: rows that are inside are gone, and so is one that had begun to go in.
  task reset_now;
    begin
      $fwrite(result_file, "%0d %0d %0d %0d %0d %0d %0d %0d %0d %0d %0d\n", row_in, beat_in, !first, row_out,
              beat_out, clocks, state(waits, first), state(held, out_first), r_row, r_in, !r_first);
      if (cut[127-:32] == 1) begin
        clk = 1'b0;
        #1;
      end
      rst_n = 1'b0;
      #1;
      if ({m_tvalid, s_tready, r_tready, err} !== 0) stop("an output is not at rest in reset");
      {s_tvalid, r_tvalid, chan_we} = 3'b0;
      clk = 1'b0;
      #1;
      hold(cut[95-:32]);
      r_next = row_in + !first;
      if (r_row + !r_first > r_next) r_next = r_row + !r_first;
      while (row_in < r_next) begin
        if (!fetched) fetch;
        row_in = row_in + beat[DataW+2*KeepB+SetW];
        beat_in = beat_in + 1;
        fetched = 1'b0;
      end
      while (r_beats > 0 && r_row < r_next) next_operand;
      {first, out_first, r_first} = 3'b111;
      {waits, held, r_waits} = 3'b000;
      row_out = row_in;
      {len_pulses, keep_pulses, since, ahead, silent, closed} = 0;
      lost = beat_in - beat_out;
      ended = clocks;
      cut_at = cut_at + 1;
      if (cut_at < resets) got = $fread(cut, resets_file);
    end
  endtask

  task stop(input [8*64-1:0] why);
    if (!done) begin
      $fwrite(result_file, "%0d %0d %0d %0d %0d %0s\n", (why == "done") ? ended : clocks, beat_in,
              beat_out, len_pulses, keep_pulses, why);
      $fclose(result_file);
      $fclose(in_file);
      $fclose(operand_in_file);
      $fclose(out_file);
      $fclose(pulse_file);
      done = 1'b1;
    end
  endtask

  initial begin
    got = $value$plusargs("beats=%d", beats);
    got = $value$plusargs("rows=%d", rows);
    got = $value$plusargs("writes=%d", writes);
    got = $value$plusargs("noises=%d", noises);
    got = $value$plusargs("pairs=%d", pairs);
    got = $value$plusargs("phases=%d", phases);
    got = $value$plusargs("resets=%d", resets);
    got = $value$plusargs("operand_beats=%d", r_beats);
    got = $value$plusargs("limit=%d", limit);
    got = $value$plusargs("settle=%d", settle);
    beats_file = $fopen("beats.bin", "rb");
    noise_file = $fopen("noise.bin", "rb");
    pairs_file = $fopen("pairs.bin", "rb");
    phases_file = $fopen("phases.bin", "rb");
    lines_file = $fopen("lines.bin", "rb");
    resets_file = $fopen("resets.bin", "rb");
    operand_file = $fopen("operand.bin", "rb");
    operand_phases_file = $fopen("operand_phases.bin", "rb");
    operand_in_file = $fopen("operand_in.bin", "wb");
    in_file = $fopen("in.bin", "wb");
    out_file = $fopen("out.bin", "wb");
    pulse_file = $fopen("pulses.bin", "wb");
    result_file = $fopen("result.txt", "w");
    for (got = 0; got < noises; got = got + 1)
      begin
        number = $fread(beat, noise_file);
        noise[got] = beat;
      end
    for (got = 0; got < 2 * pairs; got = got + 1)
      begin
        number = $fread(word, pairs_file);
        pair[got] = word;
      end
    if (phases > 0) got = $fread(phase, phases_file);
    if (resets > 0) got = $fread(cut, resets_file);
    if (writes > 0) got = $fread(write, lines_file);
    if (r_beats > 0) begin
      got = $fread(r_beat, operand_file);
      got = $fread(r_phase, operand_phases_file);
    end

    {r_in, r_row, r_phase_at, r_from, r_pairs, r_at, r_on, r_off, r_shown} = 0;
    {r_waits, r_tvalid} = 2'b0;
    r_first = 1'b1;
    {beat_in, beat_out, row_out, load, write_at, noise_at} = 0;
    {clocks, ended, len_pulses, keep_pulses, row_in, phase_at, cut_at, since, in_shown} = 0;
    {silent, closed, there, lost} = 0;
    {source_from, source_pairs, source_at, source_on, source_off, out_shown} = 0;
    {sink_from, sink_pairs, sink_at, sink_on, sink_off, sink_after, ahead} = 0;
    {waits, done, fetched, held} = 4'b0;
    {first, out_first} = 2'b11;
    {s_tvalid, m_tready, chan_we} = 3'b0;
    rst_n = 1'b1;
    clk = 1'b0;
    #1 rst_n = 1'b0;
    #1;
    hold(4);

    while (!done) begin
      // The clock is low: what the next rising edge is to take.
      wrote = 1'b0;
      chan_we = 1'b0;
      if (write_at < writes && row_out >= write[WriteW-1-:32]) begin
        wrote = 1'b1;
        chan_we = 1'b1;
        chan_bank = write[LineW+32+1];
        chan_addr = write[LineW+:32];
        line = write[LineW-1:0];
      end
      if (!waits) begin
        while (first && phase_at < phases && row_in >= phase[191-:32]) begin
          {source_from, source_pairs, sink_from, sink_pairs, sink_after} = phase[159:0];
          {source_at, source_on, source_off, sink_at, sink_on, sink_off} = 0;
          phase_at = phase_at + 1;
          if (phase_at < phases) got = $fread(phase, phases_file);
        end
        if (!fetched && beat_in < beats) fetch;
        goes = 1'b0;
        if (fetched && !(first && load < beat[BeatW-1-:32])) source_goes;
        if (goes) begin
          drive(beat);
          next_noise;
          settings = idle[DataW+2*KeepB+:SetW];
          s_tvalid = 1'b1;
          waits = 1'b1;
          in_shown = clocks;
        end else begin
          s_tvalid = 1'b0;
          next_noise;
          drive(idle);
          settings = idle[DataW+2*KeepB+:SetW];
        end
      end
      if (waits && first) begin
        // tready is a flip-flop: the rising edge finds what is there now.
        if (!s_tready) next_noise;
        settings = s_tready ? beat[DataW+2*KeepB+:SetW] : idle[DataW+2*KeepB+:SetW];
      end
      if (r_beats > 0) drive_operand;
      all_out = row_out == rows;
      m_tready = 1'b1;
      if (!all_out && sink_after && !m_tvalid) m_tready = 1'b0;
      else if (!all_out && sink_pairs > 0) begin
        while (sink_on == 0 && sink_off == 0) begin
          sink_on = pair[2*(sink_from+sink_at)];
          sink_off = pair[2*(sink_from+sink_at)+1];
          sink_at = (sink_at + 1) % sink_pairs;
        end
        m_tready = sink_on > 0;
        if (m_tready) sink_on = sink_on - 1;
        else sink_off = sink_off - 1;
      end
      #1;

      in = waits && s_tready;
      out = m_tvalid && m_tready;
      payload = {m_tuser, m_tlast, m_tstrb, m_tkeep, m_tdata};
      r_taken = r_waits && r_tready;
      if ((^{s_tready, r_tready, m_tvalid, err, payload & {(`SN_OUT_W+2*`SN_KEEP_W+`SN_USER_W+1){m_tvalid || !`SN_BARE}}}) === 1'bx)
        stop("X on an output");
      else if (held && !m_tvalid) stop("tvalid fell before tready came");
      else if (held && payload !== was) stop("payload changed while tvalid waited for tready");
      if (!m_tvalid) ahead = ahead | (m_tready ? 2 : 1);
      if (m_tvalid && !held) out_shown = clocks;
      held = m_tvalid && !m_tready;
      was = payload;
      // The rules of sn_progress_checker.
      there = `SN_CELL ? beat_in - beat_out - lost : row_in - row_out;
      if (there == 0 || m_tvalid) begin
        silent = 0;
        refused = 1'b1;
      end else begin
        silent = silent + 1;
        refused = refused && !m_tready;
      end
      closed = (there != 0 || s_tready) ? 0 : closed + 1;
      if (r_beats > 0) closed = 0;  // of two streams inside is no difference of two counts
      if (r_beats > 0) silent = 0;
      if (silent > `SN_PATIENCE && refused)
        stop("no tvalid came while tready was low, with a whole row inside");
      else if (silent > `SN_PATIENCE) stop("no tvalid came, with a whole row inside");
      else if (closed > `SN_PATIENCE) stop("no tready came, with no whole row inside");
      len_pulses = len_pulses + err[0];
      keep_pulses = keep_pulses + err[1];
      for (got = 0; got < `SN_ERRORS; got = got + 1)
        if (err[got]) $fwrite(pulse_file, "%u%u", got, clocks);
      if (out && all_out) stop("more came out than went in");
      if (out && !done) begin
        $fwrite(out_file, "%u", {31'b0, m_tlast});
        $fwrite(out_file, "%u", {{(OutU - `SN_USER_W) {1'b0}}, m_tuser});
        $fwrite(out_file, "%u", {{(OutK - `SN_KEEP_W) {1'b0}}, m_tkeep});
        $fwrite(out_file, "%u", {{(OutK - `SN_KEEP_W) {1'b0}}, m_tstrb});
        $fwrite(out_file, "%u", {{(OutW - `SN_OUT_W) {1'b0}}, m_tdata});
        $fwrite(out_file, "%u%u%u", out_shown, clocks, ahead);
        ahead = 0;
        beat_out = beat_out + 1;
        row_out = row_out + m_tlast;
        out_first = m_tlast;
      end
      if (in) begin
        $fwrite(in_file, "%u%u%u", beat_in, in_shown, clocks);
        waits = 1'b0;
        fetched = 1'b0;
        first = s_tlast;
        row_in = row_in + s_tlast;
        beat_in = beat_in + 1;
      end
      if (r_taken) begin
        $fwrite(operand_in_file, "%u%u%u", r_in, r_shown, clocks);
        r_waits = 1'b0;
        next_operand;
      end
      clk = 1'b1;
      #1;
      clocks = clocks + 1;
      if (released && {s_tready, r_tready} !== {1'b1, r_beats > 0}) stop("tready did not rise with the first clock after reset");
      released = 1'b0;

      if (wrote) begin
        write_at = write_at + 1;
        load = load + write[LineW+32];
        if (write_at < writes) got = $fread(write, lines_file);
      end
      if (!done) begin
        if (in || r_taken || out || wrote) ended = clocks;
        else if (beat_in == beats && r_in == r_beats && all_out) begin
          if (clocks - ended >= settle) stop("done");
        end else if (clocks - ended >= limit) stop("stuck");
      end
      since = since + 1;
      // At the time that was drawn, or when the streams are in the states that it aims at.
      if (!done && cut_at < resets && since >= cut[159-:32] &&
          (cut[63-:32] == 0 || since == cut[159-:32] + cut[63-:32] ||
           cut[31:0] == 3 * state(waits, first) + state(held, out_first)))
        reset_now;
      clk = 1'b0;
    end
    $finish(0);
  end
endmodule
