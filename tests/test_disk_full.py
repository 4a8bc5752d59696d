# SPDX-License-Identifier: Apache-2.0
"""A full disk: one sentence, exit code 2, and nothing left that the next command fails on."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from softnorm.flow import bytecode, errors, tools
from softnorm.flow.build import pins
from softnorm.flow.cli import main
from softnorm.flow.errors import DiskFull, UserError
from softnorm.flow.paths import ROOT, write_whole
from softnorm.flow.sim import simulate
from tests.copies import Checkout

SENTENCE = "make room, then give the same command again"
NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/there/file")


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    write_whole(path, "before")
    write = Path.write_bytes

    def cut(self, content):
        write(self, content[:2])
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", cut)
    with pytest.raises(OSError, match="No space") as caught:
        write_whole(path, "after")
    assert caught.value.filename == str(path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_command_says_it_in_one_sentence(capsys, monkeypatch):
    def command(_):
        raise NO_SPACE

    monkeypatch.setattr(sys, "argv", ["command"])
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said == f"error: no space is left on the disk of /there/file: {SENTENCE}\n"


def test_other_errors_of_files_stay_what_they_are(monkeypatch):
    def command(_):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(sys, "argv", ["command"])
    with pytest.raises(OSError, match="broken"):
        main(command)


def test_a_program_that_says_so_gives_no_result(tmp_path):
    with pytest.raises(DiskFull, match=SENTENCE):
        tools.run(["sh", "-c", "echo x.o: No space left on device >&2; exit 1"], tmp_path)
    assert tools.run(["sh", "-c", "echo No space left on device"], tmp_path).ok


@pytest.mark.parametrize("report", ["", "g++: No space left on device", "syntax error"])
def test_a_build_on_a_full_disk_is_none(report, tmp_path, monkeypatch):
    """Whether its tools noticed or not."""
    monkeypatch.setattr(pins, "BUILD", tmp_path)
    monkeypatch.setattr(pins, "no_room", lambda folder: report != "g++: No space left on device")

    def make(folder):
        if report:
            raise pins.BuildError(report)

    with pytest.raises(DiskFull):
        pins.kept("one", [], [], make)
    monkeypatch.setattr(pins, "no_room", lambda folder: False)
    folder, reused = pins.kept("one", [], [], lambda folder: None)
    assert not reused
    assert (folder / "done").exists()


def test_a_run_on_a_full_disk_is_no_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(simulate, "no_room", lambda folder: False)
    simulate._check_room(tmp_path, "lut2d: row 3 does not match the model")
    with pytest.raises(DiskFull):
        simulate._check_room(tmp_path, "OSError: [Errno 28] No space left on device")
    monkeypatch.setattr(simulate, "no_room", lambda folder: True)
    with pytest.raises(DiskFull):
        simulate._check_room(tmp_path, "the simulation ended without a verdict")


def test_room_is_seen():
    assert not errors.no_room(ROOT)


# --- bytecode that was cut short ------------------------------------------------------------------


def test_the_next_command_mends_bytecode_that_was_cut_short(tmp_path):
    """With no room for files of more than 2 kB Python cuts its bytecode without a word."""
    environment = {
        **os.environ,
        "SOFTNORM_PYTHON": "current",
        "PYTHONPYCACHEPREFIX": str(tmp_path),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def listed(before):
        script = f"{before}; exec {sys.executable} {ROOT}/scripts/sim.py LIST=1"
        done = subprocess.run(
            ["bash", "-c", script], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    first = listed("true")
    for name in ("scripts", "flow", "units"):  # Python's own stay, without which nothing starts
        shutil.rmtree(tmp_path / str(ROOT)[1:] / name)
    assert listed("trap '' XFSZ; ulimit -f 2") == first
    cut = [path for path in tmp_path.rglob("*.pyc") if bytecode.cut(path)]
    assert any(path.name.startswith("unit.") for path in cut)
    assert not any(path.name.startswith("bootstrap.") for path in cut)  # nobody else could help
    assert listed("true") == first
    assert not any(map(bytecode.cut, cut))


def test_a_simulator_that_met_such_bytecode_is_to_be_started_again(tmp_path, monkeypatch):
    monkeypatch.setattr(simulate, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "pycache_prefix", None)
    bad = tmp_path / "below" / "tests.cpython-311.pyc"
    bad.parent.mkdir()
    bad.write_bytes(bytes(16) + b"\xe3\x00\x00")
    with pytest.raises(UserError, match="had been cut short"):
        simulate._check_room(tmp_path, f"EOFError: {bytecode.SAID[0]}")
    assert not bad.exists()
    simulate._check_room(tmp_path, f"EOFError: {bytecode.SAID[0]}")  # somebody else's


# --- a small disk ---------------------------------------------------------------------------------

SMALL_DISK = """
mount -t tmpfs -o size={size} tmpfs build && mkdir -p build/regress || exit 77
export PYTHONPYCACHEPREFIX=$PWD/build/pycache
python scripts/{command}
code=$?
mount -o remount,size=500M build
echo "--- $code"
python scripts/{command}
"""


@pytest.mark.slow
@pytest.mark.parametrize("command", ["sim.py {}", "regress.py SET=ci {}"])
@pytest.mark.parametrize("size", ["60k", "500k", "3m"])
def test_with_room_made_the_same_command_passes(size, command, tmp_path):
    if shutil.which("unshare") is None or tools.icarus() is None:
        pytest.skip("unshare or Icarus Verilog is not installed")
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no mounts of one's own here")
    checkout = Checkout(tmp_path)
    (checkout.root / "build").mkdir()
    script = tmp_path / "small.sh"
    words = command.format("SIM=icarus UNIT=lut2d TEST=smoke")
    script.write_text(SMALL_DISK.format(size=size, command=words))
    code, said = checkout.run(f"unshare -rm bash {script}")
    if code == 77:
        pytest.skip("no tmpfs here")
    assert code == 0, said
    first, _, second = said.partition("--- 2\n")
    assert "Traceback" not in said
    assert first.splitlines()[-1].endswith(SENTENCE), said
    assert "PASS" in second
