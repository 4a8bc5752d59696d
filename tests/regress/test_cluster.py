# SPDX-License-Identifier: Apache-2.0
"""Executors on clusters: real schedulers and workers, real Slurm; workers that are killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    ProcessPoolExecutor,
    wait,
)
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import pytest

from softnorm.flow import tools
from softnorm.flow.errors import UserError
from softnorm.flow.paths import ROOT
from softnorm.flow.regress import cluster
from softnorm.flow.regress import regression as regress
from softnorm.flow.regress.plan import Job
from softnorm.tb.run import die_with_parent
from softnorm.units import UNITS
from tests.regress import slurm_node

try:
    import dask
    import dask_jobqueue
    import distributed
except ImportError:
    dask = dask_jobqueue = distributed = None

needs_dask = pytest.mark.skipif(distributed is None, reason="the extra cluster is not installed")
SIM = "icarus" if tools.icarus() else "verilator"
JOBS = [
    Job("lut2d", UNITS["lut2d"].resolve({"LANES": 2, "MAX_LEN": 8}), SIM, "smoke", seed, 20)
    for seed in range(1, 9)
]


def until(there, seconds=60):
    """Wait for something that other processes do."""
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


class Machines:
    """`dask scheduler` and `dask worker` processes, each a session of its own, on loopback."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.file = folder / "scheduler.json"
        self.processes: list[subprocess.Popen] = []

    def start(self, program, *arguments, **env):
        with (self.folder / "log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{program}", *map(str, arguments)],
                cwd=self.folder,  # not the repository: nothing is importable by chance
                env={**os.environ, "PYTHONPATH": "", **env},
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=partial(die_with_parent, os.getpid()),
            )
        self.processes.append(process)
        return process

    def scheduler(self, **env):
        quiet = ("--no-dashboard", "--dashboard-address", "127.0.0.1:0")
        where = ("--host", "127.0.0.1", "--port", 0, "--scheduler-file", self.file)
        process = self.start("scheduler", *where, *quiet, **env)
        until(self.file.exists)
        return process

    def worker(self, *arguments):
        quiet = ("--no-dashboard", "--dashboard-address", "127.0.0.1:0", "--nthreads", 1)
        where = ("--scheduler-file", self.file, "--local-directory", self.folder)
        return self.start("worker", *where, *quiet, *arguments)

    def kill(self, process):
        """As if the machine had lost its power: nothing says goodbye."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self):
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def machines(tmp_path):
    made = Machines(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def setting():
    """setting(name, value): dask's configuration, for the time of a test."""
    with contextlib.ExitStack() as stack:
        yield lambda name, value: stack.enter_context(dask.config.set({name: value}))


def comparable(regression):
    """All results but what differs from run to run."""
    return {
        key: {name: value for name, value in result.items() if name not in ("seconds", "building")}
        for key, result in regression.results.items()
    }


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """What the jobs give when nothing but one process runs them."""
    regression = regress.Regression(tmp_path_factory.mktemp("plain"), JOBS, {"seed": 1})
    with ProcessPoolExecutor(1, get_context("spawn")) as executor:
        assert regression.run(executor, JOBS, budget=1)
    return comparable(regression)


def run_and_disturb(executor, folder, disturb):
    """Run the jobs, call `disturb` with the first results; return what was kept."""
    seen = []

    def on_result(result):
        seen.append(result["id"])
        if len(seen) == 2:
            disturb()

    regression = regress.Regression(folder, JOBS, {"seed": 1})
    assert regression.run(executor, JOBS, 1, on_result)
    assert sorted(seen) == sorted(job.id for job in JOBS)
    return comparable(regression)


# --- a regression on machines that are lost ---------------------------------------------------


@needs_dask
def test_a_worker_that_is_killed_loses_and_doubles_nothing(machines, tmp_path, plain):
    """Both kinds: a whole machine, and a process that its nanny starts again."""
    machines.scheduler()
    workers = [machines.worker() for _ in range(3)]

    def disturb():
        machines.kill(workers[0])
        os.kill(int(executor.submit(os.getpid).result()), signal.SIGKILL)

    with cluster.executor(str(machines.file)) as executor:
        until(lambda: executor._max_workers == 3)
        found = run_and_disturb(executor, tmp_path / "here", disturb)
    assert found == plain
    assert workers[1].poll() is None  # somebody else's workers are left running
    assert workers[2].poll() is None


@needs_dask
def test_what_kills_every_worker_breaks_the_executor(machines):
    machines.scheduler(DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0")
    machines.worker()
    with cluster.executor(str(machines.file)) as executor:
        executor.submit(time.sleep, 1).result(60)  # a nanny ends with a process that dies sooner
        with pytest.raises(BrokenExecutor, match="died while running it"):
            executor.submit(os._exit, 1).result(60)
        assert executor.submit(int, "7").result(60) == 7  # on the nanny's next process


@needs_dask
def test_a_lost_scheduler_breaks_the_executor(machines, monkeypatch):
    monkeypatch.setattr(cluster, "_CONNECT", 2)  # as long a client tries to find it again
    process = machines.scheduler()
    machines.worker()
    with cluster.executor(str(machines.file)) as executor:
        futures = [executor.submit(time.sleep, 30) for _ in range(3)]
        machines.kill(process)
        assert not wait(futures, 60).not_done
        assert all(isinstance(future.exception(), BrokenExecutor) for future in futures)
        with pytest.raises(BrokenExecutor):
            executor.submit(int, "7").result(60)


@needs_dask
def test_without_any_worker_the_executor_breaks_after_a_while(machines):
    machines.scheduler()
    worker = machines.worker()
    with cluster.executor(str(machines.file)) as executor:
        executor._wait = 1
        future = executor.submit(time.sleep, 30)
        machines.kill(worker)
        with pytest.raises(BrokenExecutor, match="there has been no worker for 1 s"):
            future.result(60)


@needs_dask
def test_a_worker_that_stays_has_the_sources_of_each_session(machines):
    """It outlives a regression, and the sources change between two."""
    machines.scheduler()
    machines.worker()
    mark = "import softnorm.flow.errors; softnorm.flow.errors.marked = True"
    look = "hasattr(__import__('softnorm.flow.errors').flow.errors, 'marked')"
    with cluster.executor(str(machines.file)) as executor:
        executor.submit(exec, mark).result(60)
        assert executor.submit(eval, look).result(60)
    with cluster.executor(str(machines.file)) as executor:
        assert not executor.submit(eval, look).result(60)


@needs_dask
def test_one_job_at_a_time_in_a_process_whatever_its_threads(machines):
    machines.scheduler()
    machines.worker("--nthreads", 4)
    clock = "(__import__('time').time(), __import__('time').sleep(0.2), __import__('time').time())"
    with cluster.executor(str(machines.file)) as executor:
        futures = [executor.submit(eval, clock) for _ in range(4)]
        spans = sorted(future.result(60) for future in futures)
    assert all(one[2] <= two[0] for one, two in pairwise(spans))


# --- processes of this machine ----------------------------------------------------------------


@needs_dask
def test_local_workers_run_a_regression_and_end_with_it(tmp_path, plain):
    with cluster.executor("local", 2) as executor:
        assert executor._max_workers == 2
        pids = {executor.submit(os.getpid).result() for _ in range(20)}
        found = run_and_disturb(executor, tmp_path, lambda: os.kill(min(pids), signal.SIGKILL))
    assert found == plain
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


@needs_dask
def test_futures_are_those_of_the_standard_library():
    with cluster.executor("local", 1) as executor:
        bad, good = executor.submit(int, "seven"), executor.submit(int, "7")
        assert good.result() == 7
        with pytest.raises(ValueError, match="seven"):
            bad.result()
        slow = executor.submit(time.sleep, 60)
        later = executor.submit(time.sleep, 60)
        assert later.cancel()
        assert wait([slow, later], return_when=FIRST_COMPLETED).done == {later}
        executor.shutdown(wait=False, cancel_futures=True)
        with pytest.raises(CancelledError):
            slow.result(1)
        with pytest.raises(RuntimeError, match="after shutdown"):
            executor.submit(int, "7")


def group(leader):
    """Processes of a process group that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[2]) == leader and fields[0] != "Z":
                found.append(int(stat.parent.name))
    return found


@needs_dask
def test_an_interrupt_that_leaves_a_lock_taken_ends():
    """As Ctrl-C does within the few instructions that take or return a future's lock."""
    with cluster.executor("local", 1) as executor:
        future = executor.submit(time.sleep, 60)
        task = executor._running[future]
        with future._condition:  # this thread may take it again, as cancel() does
            executor.shutdown(wait=False, cancel_futures=True)
            callback = threading.Thread(target=executor._settle, args=(future, task), daemon=True)
            callback.start()
            callback.join(20)
            assert not callback.is_alive()


@needs_dask
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=lambda how: how.name)
def test_no_process_outlives_a_client_that_is_ended(how, tmp_path):
    script = tmp_path / "client.py"
    script.write_text(
        "import sys, time\n"
        "from concurrent.futures import wait\n"
        "from softnorm.flow.regress import cluster\n"
        "if __name__ == '__main__':\n"
        "    with cluster.executor('local', 2) as executor:\n"
        "        executor.submit(int).result()\n"
        "        futures = [executor.submit(time.sleep, 60) for _ in range(8)]\n"
        "        print('up', flush=True)\n"
        "        wait(futures)\n"
    )
    client = subprocess.Popen(
        [sys.executable, "-u", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert client.stdout.readline() == "up\n"
    if how == signal.SIGINT:
        os.killpg(client.pid, how)  # a terminal sends it to all of them
    else:
        client.kill()
    _, err = client.communicate(timeout=60)
    until(lambda: not group(client.pid), 30)
    if how == signal.SIGINT:
        assert err.strip().endswith("KeyboardInterrupt")
        assert err.count("Traceback") == 1  # the client's own: workers are quiet


# --- queues -----------------------------------------------------------------------------------

FAKE_BSUB = """#!/bin/bash
cat > {folder}/job.sh
echo "$*" >> {folder}/calls
setsid bash {folder}/job.sh > {folder}/out 2>&1 < /dev/null &
echo "Job <$!> is submitted to default queue <normal>."
"""
FAKE_BKILL = '#!/bin/bash\necho "$1" >> {folder}/killed\nkill -- -"$1"\n'


def program(folder, name, text):
    """A command that comes first in PATH."""
    (folder / name).write_text(text.format(folder=folder))
    (folder / name).chmod(0o755)


@needs_dask
def test_lsf_jobs_are_asked_for_and_ended(tmp_path, monkeypatch):
    """LSF cannot be had: commands of its name run the job's script here."""
    program(tmp_path, "bsub", FAKE_BSUB)
    program(tmp_path, "bkill", FAKE_BKILL)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with cluster.executor("lsf", 1) as executor:
        pid = executor.submit(os.getpid).result(60)
        script = (tmp_path / "job.sh").read_text()
    assert "#BSUB -n 1" in script
    assert "tls://" in script
    assert "--nthreads 1" in script
    until((tmp_path / "killed").exists)
    until(lambda: not Path(f"/proc/{pid}").exists())


@needs_dask
def test_a_queue_that_refuses_is_quoted(tmp_path, monkeypatch):
    program(tmp_path, "sbatch", "#!/bin/sh\necho 'sbatch: error: no such account' >&2; exit 1\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    said = "^sbatch refused a job: sbatch: error: no such account$"
    with pytest.raises(UserError, match=said), cluster.executor("slurm", 2):
        pass


@pytest.fixture(scope="module")
def slurm():
    """A Slurm of one node; its environment."""
    reason = slurm_node.why_not()
    if reason:
        pytest.skip(f"no Slurm here: {reason}")
    with slurm_node.running() as env:
        yield env


def queued(env):
    """Ids of the queue's jobs."""
    command = ["squeue", "--noheader", "--states=PD,R", "--format=%i"]
    done = subprocess.run(
        command, env={**os.environ, **env}, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@needs_dask
def test_slurm_runs_a_regression_and_a_job_that_is_cancelled(slurm, tmp_path, monkeypatch, plain):
    for name, value in slurm.items():
        monkeypatch.setenv(name, value)

    def disturb():
        until(lambda: len(queued(slurm)) == 2)
        subprocess.run(["scancel", queued(slurm)[0]], check=True)

    with cluster.executor("slurm", 2) as executor:
        assert executor.submit(os.getenv, "SLURM_JOB_ID").result()
        found = run_and_disturb(executor, tmp_path, disturb)
    assert found == plain
    until(lambda: not queued(slurm))


@needs_dask
def test_what_slurm_refuses_is_said(slurm, monkeypatch, setting):
    for name, value in slurm.items():
        monkeypatch.setenv(name, value)
    setting("jobqueue.slurm.queue", "weekend")
    said = "^sbatch refused a job: sbatch: error: invalid partition specified: weekend"
    with pytest.raises(UserError, match=said), cluster.executor("slurm", 1):
        pass
    setting("jobqueue.slurm.queue", None)
    setting("jobqueue.slurm.memory", "1 GiB")
    setting("jobqueue.slurm.job-extra-directives", ["--hold"])
    setting("softnorm.wait", "1s")
    with (
        pytest.raises(UserError, match=r"^no worker came to CLUSTER=slurm in 1 s; see .*logs"),
        cluster.executor("slurm", 1),
    ):
        pass
    until(lambda: not queued(slurm))


# --- bad input --------------------------------------------------------------------------------


def test_an_unknown_cluster_is_refused_and_those_there_are_named():
    said = "^there is no cluster 'sge'; there are: local, slurm, lsf, the address of a Dask"
    with pytest.raises(UserError, match=said), cluster.executor("sge"):
        pass


def test_without_dask_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    said = r"CLUSTER= needs packages .* -m pip install -e '\.\[cluster\]'$"
    with pytest.raises(UserError, match=said), cluster.executor("local"):
        pass


@needs_dask
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("tcp://127.0.0.1:1", "^no Dask scheduler answers at tcp://127.0.0.1:1 "),
        ("tls://127.0.0.1:1", "^tls://127.0.0.1:1 needs keys: distributed.comm.tls in dask's"),
        ("ssh://127.0.0.1:1", "^ssh://127.0.0.1:1 is no address of a scheduler: tcp://"),
        ("tcp://localhost", "^tcp://localhost is no address of a scheduler: "),
        ("tcp://localhost:x", "^tcp://localhost:x is no address of a scheduler: "),
        ("README.md", "^README.md is no scheduler file: "),
    ],
)
def test_a_dead_address_is_one_line(address, said, monkeypatch):
    monkeypatch.setattr(cluster, "_CONNECT", 1)
    monkeypatch.chdir(ROOT)
    with pytest.raises(UserError, match=said) as caught, cluster.executor(address):
        pass
    assert "\n" not in str(caught.value)


@needs_dask
@pytest.mark.parametrize(("name", "command"), [("slurm", "sbatch"), ("lsf", "bsub")])
def test_a_queue_without_its_command_is_one_line(name, command, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    said = f"^CLUSTER={name} needs {command}, which is not in PATH here$"
    with pytest.raises(UserError, match=said), cluster.executor(name):
        pass


@needs_dask
def test_a_scheduler_without_workers_is_one_line(machines, setting):
    machines.scheduler()
    setting("softnorm.wait", "0.5s")
    with (
        pytest.raises(UserError, match=r"^no worker came to CLUSTER=.* in 0\.5 s \(DASK_"),
        cluster.executor(str(machines.file)),
    ):
        pass
    setting("softnorm.wait", "a while")
    with (
        pytest.raises(UserError, match=r"softnorm\.wait must be a time such as 10m, not 'a while'"),
        cluster.executor(str(machines.file)),
    ):
        pass
