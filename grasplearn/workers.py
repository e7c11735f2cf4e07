"""Work shared by processes, on this machine or a Ray cluster, in which a worker may die or hang."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing import TimeoutError as HangError
from typing import Any, TypeVar

import joblib
from joblib.externals.loky.process_executor import BrokenProcessPool

from grasplearn.errors import InvalidValueError, UnknownNameError, WorkerError

BACKENDS = ("joblib", "ray")
# No scene with all its methods takes a tenth of this, s.
HANGS_AFTER = 600.0
# Jobs a worker in a round on Ray: what is lost if this process dies, and waited for at its end.
ROUND = 6

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Lost:
    """Stands for the result of a job whose worker died or hung twice.

    Attributes:
        message: what happened, for the job's row.
    """

    message: str


@dataclass(frozen=True)
class Crew:
    """How many processes work, and where.

    Attributes:
        workers: 1 works in this very process, as long as nothing went wrong.
        backend: ``joblib`` for processes of this machine, ``ray`` for those of a Ray cluster.
        address: of the Ray cluster; None for the one that Ray finds, or a new one here.
        hangs_after: s without any result after which the workers count as hung.

    Raises:
        InvalidValueError: a value is out of its range. UnknownNameError: there is no such backend.
    """

    workers: int = 1
    backend: str = "joblib"
    address: str | None = None
    hangs_after: float = HANGS_AFTER

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise InvalidValueError(f"workers must be at least 1, got {self.workers}")
        if self.backend not in BACKENDS:
            raise UnknownNameError("backend", self.backend, BACKENDS)
        if not self.hangs_after > 0:
            raise InvalidValueError(f"hangs_after must be above 0 s, got {self.hangs_after}")
        if self.address is not None and self.backend != "ray":
            raise InvalidValueError("an address is for --backend ray; leave it out or add that")

    @property
    def alone_here(self) -> bool:
        """Whether this very process does the work."""
        return self.workers == 1 and self.backend == "joblib"

    def do(
        self,
        function: Callable[[Job], Result],
        jobs: Iterable[Job],
        split: Callable[[Job], Iterable[Job]] = lambda job: (job,),
    ) -> Iterator[tuple[Job, Result | Lost]]:
        """Yields every job with its result, in the order in which they are ready.

        A worker's death takes the whole pool with it, and nobody knows which job it was. So all
        that were under way are done again, one by one, each split as finely as can be; where a
        worker dies once more the culprit is known.

        Args:
            function: what a worker does; what it raises ends everything.
            jobs: are asked for one at a time, so that they never lie in memory together.
            split: cuts a job into those that are to be lost one by one.
        """
        under_way: dict[int, Job] = {}
        numbered, lock = enumerate(jobs), threading.Lock()

        def waiting() -> Iterator[Any]:
            while True:
                with lock:  # joblib asks from threads of its own
                    number, job = next(numbered, (-1, None))
                    if number < 0:
                        return
                    under_way[number] = job  # type: ignore[assignment]
                yield joblib.delayed(_numbered)(function, number, job)

        while True:
            results = self._results(waiting(), self.workers)
            try:
                for number, result in results:
                    with lock:
                        job = under_way.pop(number)
                    yield job, result
                return
            except self._deaths():
                with lock:
                    suspects = list(under_way.values())
                    under_way.clear()
            finally:
                with warnings.catch_warnings():  # joblib warns of results that nobody asked for
                    warnings.simplefilter("ignore")
                    results.close()
            for job in suspects:
                for part in split(job):
                    yield part, self.alone(function, part)

    def alone(self, function: Callable[[Job], Result], job: Job) -> Result | Lost:
        """A job's result from a process of its own."""
        try:
            # Of two workers one is idle: with a single one joblib would work in this process.
            calls = iter([joblib.delayed(function)(job)])
            (result,) = self._results(calls, 1 if self.backend == "ray" else 2)
            return result  # type: ignore[no-any-return]
        except self._deaths() as death:
            how = "hung" if isinstance(death, TimeoutError | HangError) else "died"
            return Lost(f"its worker process {how}, for the second time")

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Connects to the cluster, if there is one to be connected to.

        Raises:
            WorkerError: Ray is not installed, or no cluster answers at the address.
        """
        if self.backend != "ray":
            yield
            return
        try:
            import ray
            from ray.util.joblib import register_ray
        except ImportError as error:
            raise WorkerError(
                "Ray is not installed; pip install 'grasplearn[ray]', or leave --backend out"
            ) from error
        began = not ray.is_initialized()
        if began:
            try:
                ray.init(address=self.address, log_to_driver=False, logging_level="ERROR")
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise WorkerError(
                    f"no Ray cluster answers at {self.address or 'this machine'}; start one with "
                    "'ray start --head', or give its --address"
                ) from error
        register_ray()
        try:
            yield
        finally:
            if began:
                ray.shutdown()

    def _results(self, calls: Iterator[Any], workers: int) -> Generator[Any]:
        """What the calls return, as it comes; a process works alone with one worker."""
        if self.backend == "ray":
            yield from self._results_of_ray(calls, workers)
            return
        how: dict[str, Any] = {"return_as": "generator"}
        if workers > 1:
            how = {"return_as": "generator_unordered", "timeout": self.hangs_after}
        with joblib.parallel_config("loky", n_jobs=workers, inner_max_num_threads=1):
            pool = joblib.Parallel(batch_size=1, **how)
        yield from pool(calls)

    def _results_of_ray(self, calls: Iterator[Any], workers: int) -> Iterator[Any]:
        """In rounds: joblib hands results of this backend out only when all are there."""
        import ray

        # Ray refuses more workers than processors, and a lost node has taken some away.
        count = min(workers, int(ray.cluster_resources().get("CPU", 1)))
        if count < 2:  # joblib would then work in this process and not ask Ray at all
            yield from self._one_by_one_on_ray(calls)
            return
        with (
            joblib.parallel_config("ray", n_jobs=count),
            joblib.Parallel(batch_size=1, timeout=self.hangs_after) as pool,
        ):
            while some := list(islice(calls, ROUND * count)):
                yield from pool(some)

    def _one_by_one_on_ray(self, calls: Iterator[Any]) -> Iterator[Any]:
        import ray
        from ray.exceptions import RayTaskError

        for function, arguments, named in calls:
            task = ray.remote(max_retries=0)(function)
            try:
                yield ray.get(task.remote(*arguments, **named), timeout=self.hangs_after)
            except RayTaskError as error:  # the job's own
                raise error.cause from error

    def _deaths(self) -> tuple[type[BaseException], ...]:
        """What is raised when a worker has died or hung."""
        if self.backend != "ray":
            return BrokenProcessPool, HangError
        from ray.exceptions import RayError

        return RayError, HangError


def _numbered(function: Callable[[Any], Any], number: int, job: Any) -> tuple[int, Any]:
    return number, function(job)
