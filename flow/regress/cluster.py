# SPDX-License-Identifier: Apache-2.0
"""Executors on other processes and machines, through Dask: a regression's work, spread.

Dask is optional (the extra `cluster`) and is imported when an executor is asked for. Workers
have one thread, since a build changes the environment of its process, and see this repository and
this Python under the same paths: on other machines by a shared file system.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import logging
import os
import pickle
import secrets
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, InvalidStateError
from pathlib import Path
from urllib.parse import urlsplit

from .. import tools
from ..errors import UserError
from ..paths import BUILD, ROOT

CLUSTERS = {
    "local": "processes of this machine",
    "slurm": "jobs of Slurm (sbatch)",
    "lsf": "jobs of LSF (bsub)",
}
FOLDER = BUILD / "dask"  # the workers' scratch, logs of the queues' jobs
MEMORY = "2 GiB"  # of a job, unless dask's configuration says otherwise: g++ on a coverage build
_SUBMIT = {"slurm": "sbatch", "lsf": "bsub"}
_WAIT = {"slurm": 600, "lsf": 600}  # seconds for a first worker: a queue may be long
_CONNECT = 10  # seconds
_LOOK = 2.0  # seconds between two looks at the workers
_QUIET = ("distributed", "tornado", "asyncio", "bokeh", "dask_jobqueue")


def known() -> str:
    """What CLUSTER= may be, for a message."""
    return f"{', '.join(CLUSTERS)}, the address of a Dask scheduler (tcp://host:port) or its file"


@contextlib.contextmanager
def executor(cluster: str, jobs: int | None = None) -> Iterator[Executor]:
    """An executor on a cluster: local, slurm, lsf, or the scheduler at an address or in a file.

    Starts `jobs` workers (default: one a core), and ends them with the context; a scheduler given
    by address and its workers are left as they are, and `jobs` only limits what is in flight. Its
    futures are `concurrent.futures.Future`. What a lost worker had in hand runs again elsewhere;
    BrokenExecutor comes when that was lost as often as dask allows
    (distributed.scheduler.allowed-failures), with the scheduler, or with all workers.

    Raises UserError when Dask or the queue's command is not installed, when there is no such
    cluster or no scheduler, when the queue refuses a job, and when no worker comes in time
    (dask's configuration: softnorm.wait).
    """
    if cluster not in CLUSTERS and "://" not in cluster and not Path(cluster).is_file():
        raise UserError(f"there is no cluster {cluster!r}; there are: {known()}")
    dask, distributed = _dask()
    submit = _SUBMIT.get(cluster)
    if submit and shutil.which(submit) is None:
        raise UserError(f"CLUSTER={cluster} needs {submit}, which is not in PATH here")
    FOLDER.mkdir(parents=True, exist_ok=True)
    workers = jobs or os.cpu_count() or 1
    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet())
        stack.enter_context(dask.config.set(_SETTINGS))
        wait = _seconds(dask, _WAIT.get(cluster, 60))
        started = None
        if cluster == "local":
            started = _local(distributed, workers)
        elif submit:
            started = _queue(dask, distributed, cluster, workers)
        if started is not None:
            stack.callback(_close, started)
        if submit:
            _fill(started, workers, submit)
        client = _client(distributed, started or _address(distributed, cluster), cluster)
        stack.callback(_close, client)
        made = DaskExecutor(client, started, jobs if started is None else workers, wait)
        stack.callback(made.shutdown, wait=False, cancel_futures=True)
        made.wait_for_worker(cluster)
        yield made


def _dask():
    # The logs' levels are set when distributed is imported first.
    try:
        import dask

        dask.config.set(logging=dict.fromkeys(_QUIET, "critical"))
        import distributed

        handler = signal.getsignal(signal.SIGINT)
        import dask_jobqueue  # noqa: F401

        signal.signal(signal.SIGINT, handler)  # its own would make Ctrl-C an exit with success
    except ImportError as error:
        raise UserError(
            f"CLUSTER= needs packages that are not installed ({error.name}); "
            f"run: {tools.install('cluster')}"
        ) from None
    return dask, distributed


_SETTINGS = {
    # The HTTP servers cannot be left out: they answer nothing, on this machine alone.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.daemon": False,  # a job starts processes
}
_HTTP = "127.0.0.1:0"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Dask reports each worker that comes or goes; what matters is raised."""
    loggers = [logging.getLogger(name) for name in (*_QUIET, *logging.root.manager.loggerDict)]
    loggers = [one for one in loggers if one.name.partition(".")[0] in _QUIET]
    before = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for one, level in zip(loggers, before, strict=True):
            one.setLevel(level)


def _seconds(dask, default: float) -> float:
    given = dask.config.get("softnorm.wait", default)
    try:
        return dask.utils.parse_timedelta(given)
    except (ValueError, KeyError):
        raise UserError(f"softnorm.wait must be a time such as 10m, not {given!r}") from None


# --- clusters -------------------------------------------------------------------------------------


def _local(distributed, workers: int):
    return distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        memory_limit=0,  # the work is in other processes, which dask does not see
        host="127.0.0.1",
        security=distributed.Security.temporary(),
        protocol="tls://",
        dashboard_address=None,
        scheduler_kwargs={"dashboard_address": _HTTP},
        worker_dashboard_address=None,
        local_directory=str(FOLDER),
        silence_logs=logging.CRITICAL + 1,
        # Ctrl-C is the parent's business, as in flow.regress.worker.
        preload=["import os, signal; signal.signal(signal.SIGINT, signal.SIG_IGN); os.setpgrp()"],
    )


def _queue(dask, distributed, name: str, workers: int):
    """A cluster of a queue, without workers yet."""
    import dask_jobqueue

    kind = {"slurm": dask_jobqueue.SLURMCluster, "lsf": dask_jobqueue.LSFCluster}[name]

    def configured(key: str, default: object) -> object:
        return dask.config.get(f"jobqueue.{name}.{key}") or default

    class Job(kind.job_cls):
        async def start(self) -> None:
            try:
                await super().start()
            except BaseException:
                self.status = distributed.Status.failed  # else the cluster cannot be closed
                raise

    shared = FOLDER / "shared"  # the keys of the workers
    shared.mkdir(mode=0o700, exist_ok=True)
    extra = [*configured("worker-extra-args", []), "--no-dashboard", "--dashboard-address", _HTTP]
    scheduler = {"dashboard": False, "dashboard_address": _HTTP}
    return kind(
        job_cls=Job,
        cores=1,
        processes=1,
        memory=configured("memory", MEMORY),
        job_name=f"softnorm-{secrets.token_hex(3)}",
        python=configured("python", sys.executable),
        local_directory=configured("local-directory", str(FOLDER)),
        log_directory=configured("log-directory", str(FOLDER / "logs")),
        worker_extra_args=extra,
        scheduler_options={**scheduler, **configured("scheduler-options", {})},
        security=distributed.Security.temporary(),
        shared_temp_directory=configured("shared-temp-directory", str(shared)),
        silence_logs=logging.CRITICAL + 1,
    )


def _fill(cluster, workers: int, submit: str) -> None:
    """Ask the queue for the workers that are missing. Raises UserError if it refuses."""

    async def submit_all() -> None:
        cluster.scale(workers)
        await cluster._correct_state()  # what scale() begins; only this tells how it went

    try:
        cluster.sync(submit_all)
    except (RuntimeError, ValueError) as error:
        _, _, said = str(error).partition("stderr:")
        lines = [line for line in (said or str(error)).splitlines() if line.strip()]
        raise UserError(f"{submit} refused a job: {' '.join(lines)}") from None


def _address(distributed, cluster: str) -> str:
    """The address of a scheduler that was given by address or by file. Raises UserError."""
    address = cluster
    if "://" not in cluster:
        address = _from_file(Path(cluster))
    # A client that fails for anything but the network is never closed, and can hang the process.
    parts = urlsplit(address)
    try:
        complete = parts.scheme in ("tcp", "tls") and parts.hostname and parts.port
    except ValueError:
        complete = False
    if not complete:
        raise UserError(f"{address} is no address of a scheduler: tcp://host:port, or tls://..")
    keys = distributed.Security().get_connection_args("client")["ssl_context"]
    if parts.scheme == "tls" and keys is None:
        raise UserError(f"{address} needs keys: distributed.comm.tls in dask's configuration")
    return address


def _from_file(path: Path) -> str:
    for _ in range(20):  # a scheduler that is starting has not written all of it
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return str(json.loads(path.read_text())["address"])
        time.sleep(0.1)
    raise UserError(f"{path} is no scheduler file: `dask scheduler --scheduler-file` writes one")


def _client(distributed, where, name: str):
    try:
        return distributed.Client(where, timeout=_CONNECT, set_as_default=False)
    except (OSError, ImportError, MemoryError) as error:  # another Dask; no Dask at all
        raise UserError(
            f"no Dask scheduler answers at {name} ({type(error).__name__}): start one with "
            "`dask scheduler`, and workers with `dask worker --nthreads 1`"
        ) from None


def _close(what) -> None:
    # Whatever is gone already, another process or the network took: nothing is left to be done.
    with contextlib.suppress(Exception):
        what.close()
    for name in ("ca_file", "cert", "key"):  # dask-jobqueue leaves them to the garbage collector
        with contextlib.suppress(AttributeError, OSError):
            getattr(what, f"_job_{name}").close()


# --- the executor ---------------------------------------------------------------------------------


class DaskExecutor(Executor):
    """`concurrent.futures` on a Dask client; made by `executor`, which also ends it."""

    def __init__(self, client, cluster, jobs: int | None, wait: float):
        self._client = client
        self._cluster = cluster  # None: somebody else's
        self._jobs = jobs
        self._wait = wait
        self._session = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._running: dict[Future, object] = {}
        self._broken: str | None = None
        self._closed = threading.Event()
        self._dropped = False  # what has not ended: nobody waits for it
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def _max_workers(self) -> int:
        """How many jobs run at once: the workers that were asked for, or those that are there."""
        return self._jobs or max(1, self._workers())

    def _workers(self) -> int:
        return len(self._client.nthreads())

    def wait_for_worker(self, name: str) -> None:
        """Return when there is a worker. Raises UserError if none comes in time."""
        end = time.monotonic() + self._wait
        while not self._workers():
            if time.monotonic() > end:
                logs = f"; see {FOLDER / 'logs'} and its queue" if name in _SUBMIT else ""
                raise UserError(
                    f"no worker came to CLUSTER={name} in {self._wait:g} s{logs} "
                    "(DASK_SOFTNORM__WAIT=20m waits longer)"
                )
            time.sleep(0.1)

    def submit(self, fn: Callable, /, *args, **kwargs) -> Future:
        """Run fn(*args, **kwargs) on a worker. Raises BrokenExecutor when the workers are lost."""
        payload = pickle.dumps((fn, args, kwargs))
        outcome: Future = Future()
        with self._lock:
            if self._closed.is_set():
                raise RuntimeError("cannot schedule new futures after shutdown")
            if self._broken:
                raise BrokenExecutor(self._broken)
            task = self._client.submit(_on_worker(), str(ROOT), self._session, payload, pure=False)
            self._running[outcome] = task
        task.add_done_callback(functools.partial(self._settle, outcome))
        outcome.add_done_callback(self._cancelled)
        return outcome

    def _settle(self, outcome: Future, task) -> None:
        from distributed import KilledWorker

        if self._dropped:
            # Ctrl-C while concurrent.futures.wait takes or returns their locks leaves them taken:
            # this thread would wait for ever, and the end of the process for this thread.
            return
        # Somebody may have cancelled it meanwhile.
        with contextlib.suppress(InvalidStateError):
            try:
                value = task.result()
            except KilledWorker as error:
                outcome.set_exception(BrokenExecutor(str(error)))
            except BaseException as error:
                if task.status in ("cancelled", "lost"):
                    error = BrokenExecutor(f"the scheduler is lost: {error}")
                outcome.set_exception(error)
            else:
                outcome.set_result(value)
        with self._lock:
            self._running.pop(outcome, None)

    def _cancelled(self, outcome: Future) -> None:
        if outcome.cancelled():
            outcome.set_running_or_notify_cancel()  # who waits for it need not wait on
            with self._lock:
                task = self._running.pop(outcome, None)
            if task is not None and not self._closed.is_set():
                self._client.cancel([task], force=True)

    def _watch(self) -> None:
        """Replace workers whose job has ended; give up when there has been none for long."""
        seen = time.monotonic()
        while not self._closed.wait(_LOOK):
            try:
                workers = self._workers()
            except Exception:
                workers = 0
            if workers:
                seen = time.monotonic()
            elif time.monotonic() - seen > self._wait:
                self._break(f"there has been no worker for {self._wait:g} s")
                return
            # A queue ends its jobs at their time limit; scale() submits those that are missing.
            if self._cluster is not None and workers < self._jobs:
                with contextlib.suppress(Exception):
                    self._cluster.scale(self._jobs)

    def _break(self, why: str) -> None:
        with self._lock:
            self._broken = why
            lost = list(self._running)
        for outcome in lost:
            with contextlib.suppress(InvalidStateError):
                outcome.set_exception(BrokenExecutor(why))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End it: with `cancel_futures` drop what has not ended, with `wait` wait for the rest."""
        with self._lock:
            self._closed.set()
            self._dropped = self._dropped or cancel_futures
            left = dict(self._running)
        if cancel_futures:
            for outcome in left:
                outcome.cancel()
            with contextlib.suppress(Exception):
                self._client.cancel(list(left.values()), force=True)
        if wait:
            for outcome in left:
                with contextlib.suppress(BaseException):
                    outcome.result()


def _on_worker() -> Callable:
    """What a worker runs. A local function goes there by value: nothing need be importable yet."""

    def call(root: str, session: str, payload: bytes) -> object:
        import pickle
        import sys
        import threading

        from distributed import get_worker

        # A worker of somebody's cluster may have more threads, but a process has one environment.
        mine = get_worker().__dict__.setdefault("_softnorm", {"lock": threading.Lock()})
        with mine["lock"]:
            if mine.get("session") != session:
                # It may have imported what the sources were an hour ago, or another checkout's.
                for name in [*sys.modules]:
                    if name.partition(".")[0] == "softnorm":
                        del sys.modules[name]
                here = str(importlib.import_module("softnorm.flow.paths").ROOT)
                if here != root:
                    raise FileNotFoundError(f"the worker has softnorm from {here}, not from {root}")
                mine["session"] = session
            fn, args, kwargs = pickle.loads(payload)
            return fn(*args, **kwargs)

    return call
