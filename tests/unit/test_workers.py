"""Processes that die or hang: their work is done again, and what kills twice is named."""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from grasplearn.errors import InvalidValueError, UnknownNameError, WorkerError
from grasplearn.workers import Crew, Lost

Job = tuple[str, tuple[int, ...]]  # what it does, and to which numbers


def act(job: Job) -> tuple[int, list[int]]:
    """Squares numbers in its own process; some jobs do not live to tell."""
    kind, numbers = job
    if kind == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind.startswith("dies once"):
        marker = Path(kind.removeprefix("dies once "))
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    if kind == "dies at 3" and 3 in numbers:
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "hangs":
        time.sleep(1000)
    return os.getpid(), [n * n for n in numbers]


def one_by_one(job: Job) -> Iterator[Job]:
    for number in job[1]:
        yield job[0], (number,)


def test_work_is_shared_and_done_once() -> None:
    jobs = [("fine", (n,)) for n in range(30)]
    found = list(Crew(2).do(act, jobs))
    assert sorted(job for job, _ in found) == jobs
    for (_, numbers), result in found:
        assert not isinstance(result, Lost)
        assert result[0] != os.getpid() and result[1] == [n * n for n in numbers]


def test_a_single_worker_is_this_process() -> None:
    ((_, result),) = Crew(1).do(act, [("fine", (4,))])
    assert result == (os.getpid(), [16])


def test_jobs_are_asked_for_when_they_are_needed() -> None:
    asked = []

    def jobs() -> Iterator[Job]:
        for n in range(400):
            asked.append(n)
            yield "fine", (n,)

    results = Crew(2).do(act, jobs())
    next(results)
    assert len(asked) < 200, "the first result is there before most jobs were asked for"
    assert len(list(results)) == 399 and len(asked) == 400


def test_a_worker_that_dies_once_costs_nothing(tmp_path: Path) -> None:
    once = f"dies once {tmp_path / 'died'}"
    jobs = [("fine", (1,)), (once, (2,)), *(("fine", (n,)) for n in range(3, 12))]
    found = dict(Crew(2).do(act, jobs))
    assert found.keys() == set(jobs)
    assert not any(isinstance(result, Lost) for result in found.values())
    assert (tmp_path / "died").exists()


# 20 s: a new worker needs some of them to begin.
@pytest.mark.parametrize("kind, how, wait", [("dies", "died", 600.0), ("hangs", "hung", 20.0)])
def test_what_kills_or_stops_its_worker_twice_is_named_and_the_rest_is_done(
    kind: str, how: str, wait: float
) -> None:
    jobs = [("fine", (1,)), (kind, (2,)), *(("fine", (n,)) for n in range(3, 9))]
    found = list(Crew(2, hangs_after=wait).do(act, jobs))
    assert sorted(job for job, _ in found) == sorted(jobs), "each once"
    lost = {job: result for job, result in found if isinstance(result, Lost)}
    assert list(lost) == [(kind, (2,))]
    assert how in lost[kind, (2,)].message and "second time" in lost[kind, (2,)].message


def test_of_a_job_that_can_be_split_only_the_culprit_is_lost() -> None:
    jobs = [("dies at 3", (1, 2, 3, 4)), ("fine", (5,))]
    found = list(Crew(2).do(act, jobs, one_by_one))
    squares = {n for job, result in found if not isinstance(result, Lost) for n in job[1]}
    assert squares == {1, 2, 4, 5}
    assert [job for job, result in found if isinstance(result, Lost)] == [("dies at 3", (3,))]


def test_what_a_job_raises_ends_everything() -> None:
    with pytest.raises(ZeroDivisionError):
        list(Crew(2).do(_divide, [1, 0, 2]))


def _divide(number: int) -> float:
    return 1 / number


def test_whoever_stops_asking_is_told_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = Crew(2).do(act, [("fine", (n,)) for n in range(20)])
        next(results)
        results.close()  # type: ignore[attr-defined]


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="workers must be at least 1"):
        Crew(0)
    with pytest.raises(InvalidValueError, match="hangs_after must be above 0"):
        Crew(1, hangs_after=0)
    with pytest.raises(UnknownNameError, match="joblib, ray"):
        Crew(1, "slurm")
    with pytest.raises(InvalidValueError, match="--backend ray"):
        Crew(1, address="10.0.0.1:6379")


def test_a_missing_ray_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(WorkerError, match=r"pip install 'grasplearn\[ray\]'"),
        Crew(2, "ray").ready(),
    ):
        pass
