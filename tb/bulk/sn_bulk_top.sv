// SPDX-License-Identifier: Apache-2.0
// Drives rows through a unit, whichever it is, from files into files: the harness for simulators
// that are no library. What harness.cpp does at a clock, this does at the same clock.
//
//   beats.bin, noise.bin, sink.bin, lines.bin --> unit --> out.bin; result.txt
//
// sn_ports.svh is generated for each build: the macros SN_UNIT, SN_PARAMETERS, SN_PORTS (connections
// to the slices of `settings` and `line`, 32 bits each), SN_DATA_W, SN_OUT_W, SN_KEEP_W, SN_SETTINGS,
// SN_COLUMNS, SN_CHANNELS (defined: the unit has a channel table).
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

  // Of a beat, the high end first: clocks to pause before it, loads it waits for, {first, last},
  // settings, tstrb, tkeep, tdata. Of a write: rows that must be out, {bank, ends}, channel, columns.
  localparam int BeatW  = 32 + 32 + 8 + SetW + 2 * KeepB + DataW;
  localparam int WriteW = 32 + 8 + 32 + LineW;

  logic                  clk, rst_n;
  logic [SetW-1:0]       settings;
  logic [LineW-1:0]      line;
  logic                  chan_we, chan_bank;
  logic [31:0]           chan_addr;
  logic [`SN_DATA_W-1:0] s_tdata;
  logic [`SN_KEEP_W-1:0] s_tkeep, s_tstrb, m_tkeep;
  logic                  s_tlast, s_tvalid, s_tready, m_tlast, m_tvalid, m_tready;
  logic [`SN_OUT_W-1:0]  m_tdata;
  logic [6:0]            m_tuser;
  logic                  err_len, err_keep;

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
    .m_axis_tdata (m_tdata),
    .m_axis_tkeep (m_tkeep),
    .m_axis_tlast (m_tlast),
    .m_axis_tuser (m_tuser),
    .m_axis_tvalid(m_tvalid),
    .m_axis_tready(m_tready),
    .err_len_o    (err_len),
    .err_keep_o   (err_keep)
  );

  integer beats, rows, writes, noises, pairs, limit, settle;  // of the job
  integer beats_file, noise_file, sink_file, lines_file, out_file, result_file, got, number;
  reg [BeatW-1:0]  beat, idle;
  reg [BeatW-1:0]  noise [0:255];
  reg [WriteW-1:0] write;
  reg [31:0]       word;
  reg [31:0]       sink [0:4095];

  integer beat_in, beat_out, row_out, load, write_at, noise_at, clocks, ended, len_pulses, keep_pulses;
  integer pause, sink_at, sink_on, sink_off;
  reg     waits, first, done, in, out, wrote, all_out, held;
  reg     fetched;  // `beat` is the next one
  reg [`SN_OUT_W+`SN_KEEP_W+7:0] payload, was;

  // What is on the pins with tvalid low, and on the settings behind a first beat, means nothing.
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

  task stop(input [8*64-1:0] why);
    begin
      $fwrite(result_file, "%0d %0d %0d %0d %0d %0s\n", (why == "done") ? ended : clocks, beat_in,
              beat_out, len_pulses, keep_pulses, why);
      $fclose(result_file);
      $fclose(out_file);
      done = 1'b1;
    end
  endtask

  initial begin
    got = $value$plusargs("beats=%d", beats);
    got = $value$plusargs("rows=%d", rows);
    got = $value$plusargs("writes=%d", writes);
    got = $value$plusargs("noises=%d", noises);
    got = $value$plusargs("pairs=%d", pairs);
    got = $value$plusargs("limit=%d", limit);
    got = $value$plusargs("settle=%d", settle);
    beats_file = $fopen("beats.bin", "rb");
    noise_file = $fopen("noise.bin", "rb");
    sink_file = $fopen("sink.bin", "rb");
    lines_file = $fopen("lines.bin", "rb");
    out_file = $fopen("out.bin", "wb");
    result_file = $fopen("result.txt", "w");
    for (got = 0; got < noises; got = got + 1)
      begin
        number = $fread(beat, noise_file);
        noise[got] = beat;
      end
    for (got = 0; got < 2 * pairs; got = got + 1)
      begin
        number = $fread(word, sink_file);
        sink[got] = word;
      end
    if (writes > 0) got = $fread(write, lines_file);

    {beat_in, beat_out, row_out, load, write_at, noise_at} = 0;
    {clocks, ended, len_pulses, keep_pulses, pause, sink_at, sink_on, sink_off} = 0;
    {waits, done, fetched, held} = 4'b0;
    first = 1'b1;
    {s_tvalid, m_tready, chan_we} = 3'b0;
    rst_n = 1'b1;
    clk = 1'b0;
    #1 rst_n = 1'b0;
    #1;
    repeat (4) begin
      clk = 1'b1;
      #1 clk = 1'b0;
      #1;
    end
    rst_n = 1'b1;

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
        if (!fetched && beat_in < beats) begin
          got = $fread(beat, beats_file);
          pause = beat[BeatW-1-:32];
          fetched = 1'b1;
        end
        if (fetched && !(first && load < beat[BeatW-33-:32]) && pause == 0) begin
          drive(beat);
          if (!first) next_noise;
          settings = first ? beat[DataW+2*KeepB+:SetW] : idle[DataW+2*KeepB+:SetW];
          s_tvalid = 1'b1;
          waits = 1'b1;
        end else begin
          if (fetched && !(first && load < beat[BeatW-33-:32])) pause = pause - 1;
          s_tvalid = 1'b0;
          next_noise;
          drive(idle);
          settings = idle[DataW+2*KeepB+:SetW];
        end
      end
      all_out = row_out == rows;
      m_tready = 1'b1;
      if (!all_out && pairs > 0) begin
        while (sink_on == 0 && sink_off == 0) begin
          sink_on = sink[2*sink_at];
          sink_off = sink[2*sink_at+1];
          sink_at = (sink_at + 1) % pairs;
        end
        m_tready = sink_on > 0;
        if (m_tready) sink_on = sink_on - 1;
        else sink_off = sink_off - 1;
      end
      #1;

      in = waits && s_tready;
      out = m_tvalid && m_tready;
      payload = {m_tuser, m_tlast, m_tkeep, m_tdata};
      if ((^{s_tready, m_tvalid, err_len, err_keep, payload}) === 1'bx)
        stop("X on an output");
      else if (held && !m_tvalid) stop("tvalid fell before tready came");
      else if (held && payload !== was) stop("payload changed while tvalid waited for tready");
      held = m_tvalid && !m_tready;
      was = payload;
      len_pulses = len_pulses + err_len;
      keep_pulses = keep_pulses + err_keep;
      if (out && all_out) stop("more came out than went in");
      if (out && !done) begin
        $fwrite(out_file, "%u", {{(24) {1'b0}}, m_tlast, m_tuser});
        $fwrite(out_file, "%u", {{(OutK - `SN_KEEP_W) {1'b0}}, m_tkeep});
        $fwrite(out_file, "%u", {{(OutW - `SN_OUT_W) {1'b0}}, m_tdata});
        beat_out = beat_out + 1;
        row_out = row_out + m_tlast;
      end
      clk = 1'b1;
      #1 clk = 1'b0;
      clocks = clocks + 1;

      if (in) begin
        waits = 1'b0;
        fetched = 1'b0;
        first = s_tlast;
        beat_in = beat_in + 1;
      end
      if (wrote) begin
        write_at = write_at + 1;
        load = load + write[LineW+32];
        if (write_at < writes) got = $fread(write, lines_file);
      end
      if (!done) begin
        if (in || out || wrote) ended = clocks;
        else if (beat_in == beats && all_out) begin
          if (clocks - ended >= settle) stop("done");
        end else if (clocks - ended >= limit) stop("stuck");
      end
    end
    $finish(0);
  end
endmodule
