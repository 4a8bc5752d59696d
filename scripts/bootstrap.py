# SPDX-License-Identifier: Apache-2.0
"""Run the importing script inside the project's virtual environment; make that first if needed.

Import this before anything outside the standard library. `.venv` is made again when
requirements.txt changes, with this checkout installed in it (editable); a lock lets several
commands start at once. SOFTNORM_PYTHON=current uses the running Python and its packages, which must
include softnorm.
"""

import errno
import fcntl
import hashlib
import marshal
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
OLDEST = (3, 11)
_ROOM = 1 << 24  # bytes: with fewer no bytecode is written


def _keep_bytecode() -> None:
    """If the environment forbids bytecode beside the sources, keep it in build/.

    Without any, each of a thousand simulators compiles cocotb's bench anew, which takes longer than
    most runs.
    """
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
        os.environ.setdefault("PYTHONPYCACHEPREFIX", str(ROOT / "build/pycache"))
        sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"]
        sys.dont_write_bytecode = False


def _guard_bytecode() -> None:
    """Write no bytecode where it may be cut short; remove what was, and start again.

    A full disk cuts it short without an error, and every later import fails (flow/bytecode.py).
    """
    own = Path(__cached__ or "none")  # that of this file was written just now
    if own.exists():
        try:
            marshal.loads(own.read_bytes()[16:])
        except (EOFError, ValueError, TypeError):
            own.unlink()
    room = os.statvfs(ROOT)
    if room.f_bavail * room.f_frsize < _ROOM:
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # simulators have Python in them
    sys.excepthook = _ended


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


def _stamp(name: str, *of: object) -> Path:
    content = b"\0".join(x.read_bytes() if isinstance(x, Path) else str(x).encode() for x in of)
    return VENV / f"softnorm-{name}-{hashlib.sha256(content).hexdigest()[:16]}"


def _install(python: Path, packages: Path, project: Path) -> None:
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    if not packages.exists():
        print("softnorm: making .venv and installing requirements.txt, once ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
        subprocess.run([*pip, "-r", str(ROOT / "requirements.txt")], check=True)
        packages.touch()
    # This checkout, editable: `import softnorm` imports it.
    here = ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
    subprocess.run([*pip, *here], check=True)
    project.touch()


def _enter() -> None:
    if sys.version_info < OLDEST:
        sys.exit(f"error: Python {OLDEST[0]}.{OLDEST[1]} or newer is needed, this is {sys.version}")
    python = VENV / "bin" / "python"
    packages = _stamp("packages", ROOT / "requirements.txt")
    project = _stamp("project", ROOT / "pyproject.toml", str(ROOT))
    if not (packages.exists() and project.exists()):
        with (ROOT / ".venv.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (packages.exists() and project.exists()):
                try:
                    _install(python, packages, project)
                except subprocess.CalledProcessError as error:
                    sys.exit(f"error: `{' '.join(error.cmd)}` failed: see the lines above")
    if Path(sys.prefix) != VENV:
        os.execv(python, [str(python), *sys.argv])


_keep_bytecode()
_guard_bytecode()
if os.environ.get("SOFTNORM_PYTHON") != "current":
    _enter()
