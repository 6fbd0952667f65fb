"""Memory is shared: never more than there is, in the order of asking."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from trainer.engine.budget import Budget, DecodersBusy, patience, read_size


def is_free(budget: Budget, need: int) -> bool:
    """Whether somebody who comes now gets so much at once."""
    try:
        with patience(0), budget.share(need):
            return True
    except DecodersBusy:
        return False


@contextmanager
def held(budget: Budget, need: int) -> Iterator[threading.Event]:
    """Another thread asks for a share, and keeps it until the block ends. Gives the event of getting it."""
    has_it, end = threading.Event(), threading.Event()

    def hold() -> None:
        with budget.share(need):
            has_it.set()
            end.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        yield has_it
    finally:
        end.set()
        thread.join(60)


def test_many_threads_never_hold_more_than_there_is() -> None:
    budget, lock, sums = Budget(100), threading.Lock(), [0]

    def decode(need: int) -> bool:
        with budget.share(need):
            with lock:
                sums.append(sums[-1] + need)
            too_much_is_free = is_free(budget, 101 - need)
            with lock:
                sums.append(sums[-1] - need)
        return too_much_is_free

    with ThreadPoolExecutor(8) as threads:
        assert not any(threads.map(decode, [100, 1, 60, 41, 7, 99, 30] * 40))
    assert len(sums) == 561
    assert max(sums) == 100
    assert is_free(budget, 100)


def test_small_photos_do_not_overtake_a_large_one() -> None:
    budget = Budget(10)
    with ExitStack() as stack:
        with budget.share(6):
            assert is_free(budget, 4)
            large = stack.enter_context(held(budget, 10))
            # 4 are free, but as soon as the large one waits they are not given away.
            assert any(not is_free(budget, 4) for _ in range(10**6))
            assert not large.is_set()
        assert large.wait(60)


def test_who_is_not_patient_is_told_and_leaves_the_queue() -> None:
    budget = Budget(10)
    with budget.share(8):
        assert not is_free(budget, 3)
        assert is_free(budget, 2)
    assert is_free(budget, 10)


def test_patience_ends_with_its_block() -> None:
    budget, has_it = Budget(10), threading.Event()

    def hold_until_somebody_waits() -> bool:
        with budget.share(10):
            has_it.set()
            return any(not is_free(budget, 0) for _ in range(10**6))

    with ThreadPoolExecutor(1) as other:
        holder = other.submit(hold_until_somebody_waits)
        assert has_it.wait(60)
        with patience(0):
            assert not is_free(budget, 1)
        with budget.share(10):
            assert holder.result(60)


def test_a_failed_photo_gives_its_share_back() -> None:
    budget = Budget(10)
    with pytest.raises(ValueError, match="broken"), budget.share(10):
        raise ValueError("broken")
    assert is_free(budget, 10)


@pytest.mark.parametrize("text", ["1 GB", "0", "-5", "1.5", "٣"])
def test_the_setting_is_a_whole_number_of_megabytes(text: str) -> None:
    with pytest.raises(ValueError, match="DECODE_MEMORY_MB must be a whole number of megabytes"):
        read_size(text)
    assert read_size("512") == 2**29
