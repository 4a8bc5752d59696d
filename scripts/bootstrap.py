# SPDX-License-Identifier: Apache-2.0
"""Run the importing script inside the project's virtual environment; make that first if needed.

Import this before anything outside the standard library. `.venv` is made again when
requirements.txt changes, with this checkout installed in it (editable); a lock lets several
commands start at once. SOFTNORM_PYTHON=current uses the running Python and its packages, which must
include softnorm. What stands in the way is one line, with exit code 2, before anything is written.
"""

from __future__ import annotations  # an older Python shall get as far as its error

import errno
import fcntl
import hashlib
import importlib.util
import marshal
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
MADE = VENV / "softnorm-made-this"
OLDEST = (3, 11)
_ROOM = 1 << 24  # bytes: with fewer no bytecode is written

# Variables of Python that change no result, or are set here; PYTHON is the Makefile's. pip keeps
# those that say where packages come from, and loses those that say where they go.
_KEPT = {"PYTHON", "PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE"}
_KEPT |= {"PYTHONUNBUFFERED", "PYTHONIOENCODING", "PYTHONUTF8"}
_LOST = {f"PIP_{name}" for name in ("TARGET", "PREFIX", "ROOT", "USER", "NO_DEPS", "DRY_RUN")}


def _refuse(why: str) -> NoReturn:
    print(f"error: {why}", file=sys.stderr)
    sys.exit(2)


def _keep_bytecode() -> None:
    """If the environment forbids bytecode beside the sources, keep it in build/.

    Without any, each of a thousand simulators compiles cocotb's bench anew, which takes longer than
    most runs.
    """
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
        os.environ.setdefault("PYTHONPYCACHEPREFIX", str(ROOT / "build/pycache"))
        sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"]
        sys.dont_write_bytecode = False


def _mend_bytecode() -> None:
    """Remove bytecode that a full disk cut short, and start again.

    Python does so without an error, and every later import fails (flow/bytecode.py).
    """
    own = Path(__cached__ or "none")  # that of this file was written just now
    if own.exists():
        try:
            marshal.loads(own.read_bytes()[16:])
        except (EOFError, ValueError, TypeError):
            own.unlink()
    sys.excepthook = _ended


def _guard_bytecode() -> None:
    """Write no bytecode where it may be cut short."""
    room = os.statvfs(ROOT)
    if room.f_bavail * room.f_frsize < _ROOM:
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # simulators have Python in them


def _ended(kind: type[BaseException], error: BaseException, trace: object) -> None:
    """An exception that no command has caught, as where its imports are interrupted."""
    if issubclass(kind, KeyboardInterrupt):
        print("\ninterrupted", file=sys.stderr, flush=True)
        os._exit(130)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        print("error: no space is left on the disk: make room, then try again", file=sys.stderr)
        sys.stderr.flush()
        os._exit(2)
    # Python passes over packages whose .pth file has such bytecode.
    if "marshal data" in str(error) or isinstance(error, ModuleNotFoundError):
        places = [ROOT, sys.prefix, *([sys.pycache_prefix] if sys.pycache_prefix else [])]
        sweep = [sys.executable, "-B", str(ROOT / "flow/bytecode.py"), *map(str, places)]
        if subprocess.run(sweep, check=False).returncode == 0:
            os.execv(sys.executable, [sys.executable, *sys.argv])
    sys.__excepthook__(kind, error, trace)


def unfit(path: Path) -> str:
    """Return why the tools cannot work in this folder; "" if they can.

    Make splits and expands the paths that Verilator writes for it, or writes in octal numbers.
    """
    wrong = re.search(r"[^\w/.+@~-]", str(path), re.ASCII)
    if not wrong:
        return ""
    what = "a space" if wrong[0] == " " else repr(wrong[0])
    return f"Verilator and make cannot work in a folder with {what} in its path: move {path}"


def missing() -> str:
    """Return what the system lacks for `.venv` and a run, and how to get it; "" if nothing."""
    packages = {name: name for name in ("g++", "make", "perl") if shutil.which(name) is None}
    if importlib.util.find_spec("ensurepip") is None:
        packages["Python's venv"] = "python3-venv"
    if not _has_libpython():
        if not sysconfig.get_config_var("Py_ENABLE_SHARED"):  # pyenv's default; Debian's has it
            return (
                f"{sys.executable} was built without its shared library, which cocotb embeds: take "
                "another Python, as by PYTHON=/usr/bin/python3"
            )
        packages[sysconfig.get_config_var("INSTSONAME") or "libpython"] = "libpython3-dev"
    if not packages:
        return ""
    return f"{', '.join(packages)} not found; run: apt-get install {' '.join(packages.values())}"


def _has_libpython() -> bool:
    """Whether there is the shared library of this Python, which cocotb embeds in a simulator."""
    given = sysconfig.get_config_vars()
    number = f"{sys.version_info.major}.{sys.version_info.minor}"
    names = (given.get("INSTSONAME"), given.get("LDLIBRARY"), f"libpython{number}.so")
    names = [name for name in names if name and ".so" in name]
    folders = (given.get("LIBDIR"), given.get("LIBPL"), f"{sys.base_prefix}/lib")
    if any(os.path.exists(f"{folder}/{name}") for folder in folders for name in names):
        return True
    import ctypes  # Debian's python3-minimal has none

    for name in names:
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return True
    return False


def _stamp(name: str, *of: object) -> Path:
    content = b"\0".join(x.read_bytes() if isinstance(x, Path) else str(x).encode() for x in of)
    return VENV / f"softnorm-{name}-{hashlib.sha256(content).hexdigest()[:16]}"


def _clear() -> None:
    """Leave an empty .venv. Only one that was made here is emptied."""
    if VENV.is_symlink():
        _refuse(
            f"{VENV} is a symbolic link, to packages that are not those of requirements.txt: "
            "remove the link, or set SOFTNORM_PYTHON=current to use the Python that runs"
        )
    elsewhere = VENV.exists() and (not VENV.is_dir() or any(VENV.iterdir()))
    if elsewhere and not any(VENV.glob("softnorm-*")):
        _refuse(
            f"{VENV} was not made by these scripts: move it away, or set SOFTNORM_PYTHON=current "
            "to use the Python that runs"
        )
    VENV.mkdir(exist_ok=True)
    MADE.touch()
    for entry in VENV.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry != MADE:
            entry.unlink()


def _outside() -> str:
    """The Python that made the one that runs, which may be that of the .venv just emptied."""
    return getattr(sys, "_base_executable", sys.executable)


def _install(python: Path, packages: Path, project: Path) -> None:
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    environment = {name: value for name, value in os.environ.items() if name not in _LOST}
    if not packages.exists():
        lacks = missing()
        if lacks:
            _refuse(lacks)
        _clear()
        print("softnorm: making .venv and installing requirements.txt, once ...", file=sys.stderr)
        subprocess.run([_outside(), "-m", "venv", str(VENV)], check=True)
        install = [*pip, "-r", str(ROOT / "requirements.txt")]
        subprocess.run(install, check=True, env=environment)
        packages.touch()
    # This checkout, editable: `import softnorm` imports it.
    here = ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
    subprocess.run([*pip, *here], check=True, env=environment)
    project.touch()


def _enter() -> None:
    if sys.version_info < OLDEST:
        this = ".".join(map(str, sys.version_info[:3]))
        _refuse(f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed, this is {this}")
    names = [name for name in os.environ if name.startswith("PYTHON") and name not in _KEPT]
    for name in names:
        del os.environ[name]
    python = VENV / "bin" / "python"
    packages = _stamp("packages", ROOT / "requirements.txt")
    project = _stamp("project", ROOT / "pyproject.toml", str(ROOT))
    if not (packages.exists() and project.exists()):
        if not os.access(ROOT, os.W_OK):
            _refuse(f"{ROOT} cannot be written by this user, and has no .venv: take a copy of it")
        with (ROOT / ".venv.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (packages.exists() and project.exists()):
                try:
                    _install(python, packages, project)
                except subprocess.CalledProcessError as error:
                    _refuse(f"`{' '.join(error.cmd)}` failed: see the lines above")
    if Path(sys.prefix) != VENV or names:
        os.execv(python, [str(python), *sys.argv])


_keep_bytecode()
_mend_bytecode()
_cannot = unfit(ROOT)
if _cannot:
    _refuse(_cannot)
_python = os.environ.get("SOFTNORM_PYTHON")
if not _python:
    _enter()
elif _python != "current":
    _refuse(f"SOFTNORM_PYTHON must be current, or not set, not {_python}")
elif importlib.util.find_spec("softnorm") is None:
    _refuse(f"{sys.executable} has no softnorm; run: {sys.executable} -m pip install -e '.[sim]'")
_guard_bytecode()
