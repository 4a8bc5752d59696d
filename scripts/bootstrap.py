"""Runs the importing script inside the project's virtual environment, making it first if need be.

Import this before anything that is not in the standard library. `.venv` is made once for each
content of requirements.txt; two commands started at once do not get in each other's way. Set
SOFTNORM_PYTHON=current to stay in the Python that is running, with its packages.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
OLDEST = (3, 11)


def _keep_bytecode() -> None:
    """Where the environment wants no bytecode beside the sources, keep it in build/.

    Without any, each of a thousand simulators compiles cocotb's bench anew, which takes longer than
    most runs.
    """
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
        os.environ.setdefault("PYTHONPYCACHEPREFIX", str(ROOT / "build/pycache"))
        sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"]
        sys.dont_write_bytecode = False


def _install(python: Path, stamp: Path) -> None:
    print("softnorm: making .venv and installing requirements.txt, once ...", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", str(ROOT / "requirements.txt")], check=True)
    stamp.touch()


def _enter() -> None:
    if sys.version_info < OLDEST:
        sys.exit(f"error: Python {OLDEST[0]}.{OLDEST[1]} or newer is needed, this is {sys.version}")
    python = VENV / "bin" / "python"
    wanted = hashlib.sha256((ROOT / "requirements.txt").read_bytes()).hexdigest()[:16]
    stamp = VENV / f"softnorm-{wanted}"
    if not stamp.exists():
        with (ROOT / ".venv.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not stamp.exists():
                try:
                    _install(python, stamp)
                except subprocess.CalledProcessError as error:
                    sys.exit(f"error: `{' '.join(error.cmd)}` failed: see the lines above")
    if Path(sys.prefix) != VENV:
        os.execv(python, [str(python), *sys.argv])


_keep_bytecode()
if os.environ.get("SOFTNORM_PYTHON") != "current":
    _enter()
sys.path.insert(0, str(ROOT))
