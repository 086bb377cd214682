"""Parts of work on all cores, one a core."""

import threading

import pytest
import torch

from frostline.cores import part_a_core


@pytest.fixture(autouse=True)
def two_cores():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_results_come_in_the_order_of_the_parts_and_two_are_at_work_at_once():
    meeting = threading.Barrier(2, timeout=20)

    def work(part):
        meeting.wait()  # which nobody passes alone
        return part * part, torch.get_num_threads()

    assert list(part_a_core(work, range(6), 2)) == [(part * part, 1) for part in range(6)]
    assert torch.get_num_threads() == 2


def test_with_one_core_it_is_a_plain_loop():
    assert list(part_a_core(lambda part: threading.current_thread(), range(2), 1)) == [threading.main_thread()] * 2


@pytest.mark.parametrize("cores", [1, 2])
def test_an_error_is_raised_in_its_place_and_later_parts_are_dropped(cores):
    begun = []

    def work(part):
        begun.append(part)
        if part == 3:
            raise ValueError("part 3")
        return part

    got = []
    with pytest.raises(ValueError, match="part 3"):
        got.extend(part_a_core(work, range(10_000), cores))
    assert len(begun) < 10_000
    assert torch.get_num_threads() == 2


def test_closed_early_it_drops_the_parts_that_have_not_begun():
    begun, go_on = [], threading.Event()

    def work(part):
        begun.append(part)
        if part > 0:
            go_on.wait(20)
        return part

    results = part_a_core(work, range(100), 2)
    assert next(results) == 0
    threading.Timer(0.2, go_on.set).start()
    results.close()
    assert len(begun) < 100
    assert torch.get_num_threads() == 2
