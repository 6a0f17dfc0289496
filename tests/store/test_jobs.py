"""No job is forgotten, none runs twice at once, and no clock decides who is dead."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from citymap.errors import BadInputError
from citymap.store import Store, audit, jobs
from citymap.store.tables import JOBS, now


def test_a_job_goes_from_the_queue_to_its_result(store: Store) -> None:
    job = jobs.submit(store, "tiles", {"workers": 2}, by="hana")
    assert (job.state, job.created_by, job.params) == ("queued", "hana", {"workers": 2})
    taken = jobs.claim(store, "w1")
    assert taken is not None
    assert (taken.id, taken.state, taken.attempt) == (job.id, "running", 1)
    assert jobs.claim(store, "w2") is None
    assert jobs.beat(store, taken, done=3, total=10, note="読込み") is True
    seen = jobs.get(store, job.id)
    assert (seen.share, seen.note) == (0.3, "読込み")
    jobs.log(store, taken, "a line")
    assert jobs.finish(store, taken, {"n": 1})
    ended = jobs.get(store, job.id)
    assert (ended.state, ended.result, ended.ended) == ("done", {"n": 1}, True)
    assert [line.text for line in jobs.log_of(store, job.id)] == ["a line"]
    assert [e.action for e in audit.entries(store)] == ["job.submit", "job.done"]


def test_jobs_are_taken_oldest_first_and_one_of_a_lane_at_a_time(store: Store) -> None:
    first = jobs.submit(store, "tiles", {"n": 1}, by="a", lane="tiles")
    jobs.submit(store, "tiles", {"n": 2}, by="a", lane="tiles")
    other = jobs.submit(store, "flood", by="a")
    one, two = jobs.claim(store, "w1"), jobs.claim(store, "w2")
    assert one is not None
    assert two is not None
    assert (one.id, two.id) == (first.id, other.id)
    assert jobs.claim(store, "w3") is None
    jobs.finish(store, one)
    third = jobs.claim(store, "w3")
    assert third is not None
    assert third.params == {"n": 2}


def test_the_same_job_still_waiting_in_its_lane_is_not_queued_twice(store: Store) -> None:
    first = jobs.submit(store, "tiles", {"n": 1}, by="a", lane="tiles")
    assert jobs.submit(store, "tiles", {"n": 1}, by="b", lane="tiles").id == first.id
    assert jobs.submit(store, "tiles", {"n": 2}, by="b", lane="tiles").id != first.id
    assert jobs.submit(store, "flood", by="a").id != jobs.submit(store, "flood", by="a").id


def test_many_workers_never_take_the_same_job(store: Store) -> None:
    for i in range(20):
        jobs.submit(store, "x", {"i": i}, by="a")
    taken: list[str] = []

    def take(name: str) -> None:
        while (job := jobs.claim(store, name)) is not None:
            taken.append(job.id)

    threads = [threading.Thread(target=take, args=(f"w{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 20


@pytest.mark.parametrize(("attempts", "state"), [(2, "queued"), (1, "interrupted")])
def test_a_job_whose_heart_stands_still_is_reclaimed_and_its_worker_fenced_off(
    store: Store, attempts: int, state: str
) -> None:
    at = [100.0]
    watch = jobs.Watch(clock=lambda: at[0])
    jobs.submit(store, "x", by="a", attempts=attempts, lease_s=30)
    job = jobs.claim(store, "elsewhere 1 2")
    assert job is not None
    assert watch.look(store) == []
    at[0] += 29
    assert watch.look(store) == []
    jobs.beat(store, job)
    at[0] += 29
    assert watch.look(store) == []
    at[0] += 31
    assert [j.id for j in watch.look(store)] == [job.id]
    assert jobs.get(store, job.id).state == state
    assert jobs.beat(store, job) is None
    assert jobs.finish(store, job, {"late": True}) is False
    assert jobs.get(store, job.id).state == state
    assert "gone" in jobs.log_of(store, job.id)[-1].text
    if state == "queued":
        again = jobs.claim(store, "w2")
        assert again is not None
        assert again.attempt == 2


def test_a_worker_known_to_be_gone_is_not_waited_for(store: Store) -> None:
    jobs.submit(store, "x", by="a", attempts=2)
    jobs.claim(store, "dead")
    assert len(jobs.Watch(is_gone=lambda worker: worker == "dead").look(store)) == 1


def test_a_clock_two_days_wrong_reclaims_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import timedelta

    jobs.submit(store, "x", by="a", attempts=2)
    job = jobs.claim(store, "w1")
    assert job is not None
    watch = jobs.Watch()
    watch.look(store)
    true = jobs.now
    for days in (2, -2):
        monkeypatch.setattr(jobs, "now", lambda d=days: true() + timedelta(days=d))
        assert watch.look(store) == []
        assert jobs.beat(store, job) is True
        assert jobs.Watch().look(store) == []
    assert jobs.get(store, job.id).state == "running"


def test_cancel_ends_a_waiting_job_and_asks_a_running_one(store: Store) -> None:
    waiting = jobs.submit(store, "x", by="a")
    assert jobs.cancel(store, waiting.id, by="b").state == "cancelled"
    jobs.submit(store, "x", by="a", attempts=3)
    job = jobs.claim(store, "w1")
    assert job is not None
    assert jobs.cancel(store, job.id, by="b").state == "running"
    assert jobs.beat(store, job) is False
    jobs.stopped(store, job)
    assert jobs.get(store, job.id).state == "cancelled"
    with pytest.raises(BadInputError):
        jobs.cancel(store, "no such job", by="b")


def test_a_cancelled_job_whose_worker_dies_is_not_started_again(store: Store) -> None:
    jobs.submit(store, "x", by="a", attempts=3)
    job = jobs.claim(store, "w1")
    assert job is not None
    jobs.cancel(store, job.id, by="b")
    jobs.Watch(is_gone=lambda _: True).look(store)
    assert jobs.get(store, job.id).state == "cancelled"


def test_a_worker_that_ends_gives_its_job_back(store: Store) -> None:
    jobs.submit(store, "x", by="a", attempts=2)
    job = jobs.claim(store, "w1")
    assert job is not None
    jobs.give_back(store, job, why="the worker was stopped")
    assert jobs.get(store, job.id).state == "queued"


def test_time_left_is_said_only_when_it_is_more_than_a_guess(store: Store) -> None:
    from datetime import timedelta

    jobs.submit(store, "x", by="a")
    job = jobs.claim(store, "w1")
    assert job is not None

    def left(**values: Any) -> float | None:
        with store.write() as connection:
            connection.execute(update(JOBS).values(**values))
        return jobs.get(store, job.id).left_s

    earlier = jobs.now() - timedelta(seconds=100)
    assert left(done=0, total=0, started_at=earlier) is None
    assert left(done=0.01, total=1) is None
    known = left(done=0.25, total=1)
    assert known is not None
    assert 290 < known < 310


def test_jobs_that_ended_long_ago_are_forgotten_and_no_others(store: Store) -> None:
    old, fresh, waiting = (jobs.submit(store, "tiles", {"n": n}, by="a") for n in range(3))
    for _ in (old, fresh):
        taken = jobs.claim(store, "w")
        assert taken is not None
        jobs.log(store, taken, "a line")
        jobs.finish(store, taken)
    with store.write() as connection:
        long_ago = now() - timedelta(days=100)
        for job in (old, waiting):
            connection.execute(
                update(JOBS).where(JOBS.c.id == job.id).values(
                    created_at=long_ago, finished_at=long_ago if job is old else None
                )
            )  # fmt: skip
    assert jobs.forget(store, before=now() - timedelta(days=90)) == 1
    assert {job.id for job in jobs.listed(store)} == {fresh.id, waiting.id}
    assert jobs.log_of(store, old.id) == []
    assert len(jobs.log_of(store, fresh.id)) == 1
