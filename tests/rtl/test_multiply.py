# SPDX-License-Identifier: Apache-2.0
"""The Booth multipliers that units share: all products of small widths, and ends of wide ones.

That of no clock adds a constant, each instance its own.
"""

from __future__ import annotations

import os
import subprocess

import pytest

from softnorm.flow import tools
from softnorm.flow.paths import RTL

CELL = RTL / "common/sn_multiply.sv"
CLOCKED = RTL / "common/sn_multiply_clocked.sv"
BENCH = """
module bench;
  int wrong = 0, seen = 0;
{instances}
  initial begin
    #9000000 $display("%0d products, %0d wrong", seen, wrong);
    $finish;
  end
endmodule
"""
INSTANCE = """
  logic signed [{a}-1:0] a{n};
  logic signed [{b}-1:0] b{n};
  logic signed [{a}+{b}-1:0] p{n}, want{n};
  logic clk{n} = 0;
`ifdef CLOCKED
  sn_multiply_clocked #(.A_W({a}), .B_W({b}), .CLOCKS(2)) u{n}
    (.clk_i(clk{n}), .en_i(1'b1), .a_i(a{n}), .b_i(b{n}), .p_o(p{n}));
  localparam int Add{n} = 0;
`else
  sn_multiply #(.A_W({a}), .B_W({b}), .ADD({n})) u{n} (.a_i(a{n}), .b_i(b{n}), .p_o(p{n}));
  localparam int Add{n} = {n};
`endif
  initial begin
    for (int i = 0; i < {count}; i++) begin
      {{a{n}, b{n}}} = {bits};
      #1 repeat (4) #1 clk{n} = !clk{n};
      #1 want{n} = a{n} * b{n} + Add{n};
      seen++;
      if (p{n} !== want{n}) begin
        wrong++;
        if (wrong == 9) begin
          $display("%0d products, %0d wrong", seen, wrong);
          $finish;
        end
      end
    end
  end
"""
SMALL = [(a, b) for a in (2, 3, 4, 5) for b in (2, 3, 5)]
WIDE = [(8, 11), (10, 15), (17, 29)]
DRAWN = 300


def ends(a, b):
    """Operands as an expression of i: all ones, zeros and the sign bits alone, then draws."""
    width = a + b
    signs = f"(i[1] << {b - 1}) ^ (i[2] << {width - 1})"
    return f"{{{width}{{i[0]}}}} ^ {signs} ^ (i > 7 ? {{$urandom, $urandom}} : 0)"


@pytest.fixture
def products(tmp_path):
    """products(text of the cell) -> what the bench says of it."""
    if tools.icarus() is None:
        pytest.skip("Icarus Verilog is not installed")
    made = [(a, b, 1 << (a + b), "i") for a, b in SMALL]
    made += [(a, b, DRAWN, ends(a, b)) for a, b in WIDE]
    instances = "".join(
        INSTANCE.format(n=n, a=a, b=b, count=count, bits=bits)
        for n, (a, b, count, bits) in enumerate(made)
    )

    def products(cell: str, *more: str) -> str:
        (tmp_path / "cell.sv").write_text(cell)
        (tmp_path / "bench.sv").write_text(BENCH.replace("{instances}", instances))
        command = ["iverilog", "-g2012", *more, "-o", "bench.vvp", "bench.sv", "cell.sv"]
        subprocess.run(command, cwd=tmp_path, check=True)
        ended = subprocess.run(
            ["vvp", "-n", "bench.vvp"], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        return ended.stdout

    return products


@pytest.mark.parametrize(("cell", "more"), [(CELL, ()), (CLOCKED, ("-DCLOCKED",))])
def test_every_product(products, cell, more):
    count = sum(1 << (a + b) for a, b in SMALL) + DRAWN * len(WIDE)
    assert f"{count} products, 0 wrong" in products(cell.read_text(), *more)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("W'(ones) + Offset", "Offset"),
        ("W'(ones) + Offset", "W'(ones)"),
        ("W'(ADD) - (", "W'(0) - ("),
        ("bits[2*n+1] ^ bits[2*n];", "bits[2*n+1];"),
        ("{(2 * Rows - A_W + 1) {a_i[A_W-1]}}", "{(2 * Rows - A_W + 1) {1'b0}}"),
    ],
)
def test_a_mutation_is_seen(products, old, new):
    text = CELL.read_text()
    assert text.count(old) == 1
    assert ", 0 wrong" not in products(text.replace(old, new))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("W'(ones) - (", "W'(0) - ("),
        ("bits[2*n+1] ^ bits[2*n];", "bits[2*n+1];"),
        ("(c[W-2:0] & (a[W-2:0] | b[W-2:0]))", "(c[W-2:0] & a[W-2:0])"),
        ("+ (W - Low)'(low_q[Low])", ""),
    ],
)
def test_a_mutation_in_two_clocks_is_seen(products, old, new):
    text = CLOCKED.read_text()
    assert text.count(old) == 1
    assert ", 0 wrong" not in products(text.replace(old, new), "-DCLOCKED")


# All products of the widths that units have, as far as 2^25 of them.
UNITS_HAVE = [(8, 11, 128), (10, 15, 0), (8, 17, 128), (9, 16, 1 << 13)]
MAIN = """
#include <cstdint>
#include <cstdio>
#include "Vtop.h"

int main() {
    Vtop top;
    uint64_t wrong = 0;
    const uint64_t whole = (uint64_t{1} << (A + B)) - 1;
    for (int64_t a = 0; a < int64_t{1} << A; a++)
        for (int64_t b = 0; b < int64_t{1} << B; b++) {
            top.a_i = a;
            top.b_i = b;
            top.eval();
            const int64_t x = a >> (A - 1) ? a - (int64_t{1} << A) : a;
            const int64_t y = b >> (B - 1) ? b - (int64_t{1} << B) : b;
            wrong += top.p_o != ((x * y + ADD) & whole);
        }
    std::printf("%lu products, %lu wrong\\n", whole + 1, wrong);
}
"""


def exhausted(cell, a, b, add, folder):
    """What a program says that compares all products of a cell."""
    (folder / "sn_multiply.sv").write_text(cell)
    (folder / "main.cpp").write_text(MAIN)
    command = [
        *("verilator", "--cc", "--exe", "--build", "-O3", "-Wno-fatal", "--prefix", "Vtop"),
        *("--Mdir", "made", "-CFLAGS", f"-O2 -DA={a} -DB={b} -DADD={add}"),
        *(f"-GA_W={a}", f"-GB_W={b}", f"-GADD={add}", "sn_multiply.sv", "main.cpp"),
    ]
    environment = {**os.environ, **tools.verilator_env()}
    subprocess.run(command, cwd=folder, check=True, env=environment, capture_output=True)
    ended = subprocess.run([folder / "made/Vtop"], check=True, capture_output=True, text=True)
    return ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("a", "b", "add"), UNITS_HAVE)
def test_all_products(a, b, add, tmp_path):
    assert exhausted(CELL.read_text(), a, b, add, tmp_path) == f"{1 << (a + b)} products, 0 wrong\n"


@pytest.mark.slow
def test_one_wrong_product_is_seen(tmp_path):
    wrong = "p_o = sum[Rows] ^ W'(a_i == 8'd77 && b_i == 11'd1027);"
    cell = CELL.read_text().replace("p_o = sum[Rows];", wrong)
    assert exhausted(cell, *UNITS_HAVE[0], tmp_path) == f"{1 << 19} products, 1 wrong\n"
