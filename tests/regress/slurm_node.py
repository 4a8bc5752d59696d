# SPDX-License-Identifier: Apache-2.0
"""A Slurm cluster of one node, this machine, with daemons and state of its own in a folder.

For tests: munged, slurmctld and slurmd are started by hand, without systemd, accounting or cgroups,
on free ports, and know nothing of a Slurm that may be installed for real.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from softnorm.tb.run import die_with_parent

DAEMONS = ("munged", "slurmctld", "slurmd")
PROGRAMS = (*DAEMONS, "sbatch", "scancel", "sinfo", "squeue")
_SYSTEM = "/usr/sbin:/sbin"  # Debian's daemons are there, which is not in every user's PATH

_CONF = """
ClusterName=softnorm
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SwitchType=switch/none
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
KillWait=2
MessageTimeout=30
MailProg=/bin/true
StateSaveLocation={folder}/controller
SlurmdSpoolDir={folder}/node
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def why_not() -> str | None:
    """What keeps it from running here, in a few words; None if nothing is known to."""
    if os.geteuid() != 0:
        return "Slurm's daemons want root"
    missing = [name for name in PROGRAMS if not _find(name)]
    if missing:
        return f"{', '.join(missing)} not installed (apt-get install slurm-wlm munge)"
    return None


def _find(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM}")


@contextlib.contextmanager
def running(cpus: int = 2, memory: int = 8192) -> Iterator[dict[str, str]]:
    """Start the daemons; yield what the environment needs for `sbatch` to reach them.

    Raises RuntimeError, with the daemons' logs, if the node does not come up in half a minute.
    """
    host = socket.gethostname().partition(".")[0]
    # Not pytest's folder: munged wants its socket where everybody may look.
    folder = Path(tempfile.mkdtemp(prefix="softnorm-slurm-"))
    folder.chmod(0o755)
    conf = folder / "slurm.conf"
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        controller, node = _free_ports(2)
        for name in ("controller", "node"):
            (folder / name).mkdir()
        conf.write_text(
            _CONF.format(
                host=host,
                controller=controller,
                node=node,
                user="root",
                folder=folder,
                cpus=cpus,
                memory=memory,
            )
        )
        key = folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(128))
        env = {"SLURM_CONF": str(conf)}
        munge = [
            f"--key-file={key}",
            f"--socket={folder}/munge.socket",
            f"--pid-file={folder}/munged.pid",
            f"--seed-file={folder}/munged.seed",
            f"--log-file={folder}/munged.log",
        ]
        _start(stack, folder, env, "munged", "--foreground", "--force", *munge)
        _wait(folder, "munged", lambda: (folder / "munge.socket").exists())
        _start(stack, folder, env, "slurmctld", "-D", "-f", str(conf))
        _start(stack, folder, env, "slurmd", "-D", "-f", str(conf), "-N", host)

        def idle() -> bool:
            done = subprocess.run(
                [_find("sinfo"), "--noheader", "--format=%t"],
                env={**os.environ, **env},
                capture_output=True,
                text=True,
                check=False,
            )
            return done.stdout.strip() == "idle"

        _wait(folder, "the node", idle)
        yield env


def _start(stack, folder: Path, env: dict[str, str], name: str, *arguments: str) -> None:
    with (folder / f"{name}.out").open("w") as out:
        daemon = subprocess.Popen(
            [_find(name), *arguments],
            env={**os.environ, **env},
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=partial(die_with_parent, os.getpid()),
        )
    stack.callback(_stop, daemon)


def _stop(daemon: subprocess.Popen) -> None:
    daemon.terminate()
    try:
        daemon.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(daemon.pid, signal.SIGKILL)
        daemon.wait()


def _wait(folder: Path, what: str, there) -> None:
    end = time.monotonic() + 30
    while not there():
        if time.monotonic() > end:
            logs = [*sorted(folder.glob("*.log")), *sorted(folder.glob("*.out"))]
            tails = "\n".join(f"{log.name}:\n{log.read_text()[-3000:]}" for log in logs)
            raise RuntimeError(f"{what} did not come up\n{tails}")
        time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
