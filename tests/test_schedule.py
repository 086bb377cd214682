"""Schedules as pure rules: which depth at which step, and when gradients count as settled."""

import pytest
from families import encoder

from frostline.errors import InputError
from frostline.freeze.policy import Head, Nothing, Top
from frostline.freeze.schedule import Auto, Gradual, Moment, Progressive, Seen, at_depth, percentile
from frostline.model.anatomy import Anatomy

LAYERS = 6


def depths(schedule, steps, epoch_steps, layers=LAYERS):
    return [schedule.depth(Moment(step, steps, epoch_steps), layers) for step in range(steps)]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Gradual(every=1), [0] * 4 + [1] * 4 + [2] * 4),
        (Gradual(every=0.5), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]),
        (Gradual(every=3, unit="steps"), [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]),
        (Gradual(every=1, unit="steps"), [0, 1, 2, 3, 4, 5, 6, 7, 7, 7, 7, 7]),
        (Gradual(every=100), [0] * 12),
    ],
)
def test_gradual_opens_one_part_more_at_each_interval(schedule, expected):
    assert depths(schedule, 12, 4) == expected


def test_gradual_without_an_interval_gives_every_part_its_turn():
    found = depths(Gradual(), 80, 20)
    assert found == sorted(found)
    assert [found.count(depth) for depth in range(LAYERS + 2)] == [10] * 8


def test_progressive_freezes_from_the_bottom_and_never_the_last_layer():
    found = depths(Progressive(start=0.4), 10, 5)
    assert found == [7, 7, 7, 7, 6, 5, 4, 3, 2, 1]
    assert min(depths(Progressive(start=0), 1000, 500)) == 1


def test_each_part_that_progressive_freezes_has_reached_a_rate_of_zero(tiny_network):
    anatomy = Anatomy.of(tiny_network("bert", layers=4))
    schedule, steps = Progressive(start=0.2), 100
    ends = schedule.ends(anatomy)
    assert list(ends) == ["embeddings", "layer.0", "layer.1", "layer.2"]
    for frozen, end in enumerate(ends.values(), start=1):
        at = round(end * steps)
        assert schedule.depth(Moment(at, steps, 50), 4) == 5 - frozen
        assert schedule.depth(Moment(at - 1, steps, 50), 4) == 5 - frozen + 1


def test_a_depth_is_the_policy_that_stays_there():
    assert [at_depth(depth, 2) for depth in range(4)] == [Head(), Top(n=1), Top(n=2), Nothing()]


def test_what_may_ever_train_is_everything(tiny_network):
    anatomy = Anatomy.of(tiny_network("bert"))
    for schedule in (Gradual(), Progressive(), Auto()):
        assert all(schedule.trains(anatomy).values())
        assert set(schedule.trains(anatomy)) == set(anatomy.parameters)


@pytest.mark.parametrize("schedule", [Gradual(), Progressive(), Auto()], ids=lambda schedule: schedule.name)
def test_layers_that_share_their_weights_are_refused_at_once(schedule):
    with pytest.raises(InputError, match=rf"freeze={schedule.name}: the 3 layers of tiny albert share the weights"):
        schedule.trains(Anatomy.of(encoder("albert")))


def test_an_epochs_last_step():
    assert Moment(3, 30, 10).epoch_end.step == 9
    assert Moment(20, 25, 10).epoch_end.step == 24
    assert [Moment(step, 30, 10).starts_epoch for step in (0, 9, 10)] == [True, False, True]


def test_auto_looks_at_the_gradients_so_often_an_epoch():
    schedule = Auto(checks=4)
    assert [step for step in range(25) if schedule.checks_at(Moment(step, 25, 10))] == [2, 5, 8, 10, 12, 15, 18, 20, 22]
    assert [step for step in range(8) if Auto(checks=9).checks_at(Moment(step, 8, 4))] == [1, 2, 3, 4, 5, 6, 7]


def look(schedule, seen, norms):
    """An interval of two steps with these norms."""
    return schedule.looked(seen.with_step(norms).with_step(norms))


def test_auto_freezes_front_layers_whose_gradients_changed_least():
    schedule = Auto(percentile=50)
    seen = look(schedule, Seen(depth=5), (1.0, 1.0, 1.0, 1.0))
    assert seen == Seen(depth=5, before=(1.0, 1.0, 1.0, 1.0)), "the first interval has none before it"
    settled = look(schedule, seen, (1.0, 1.1, 2.0, 3.0))
    assert settled.depth == 2, "layers 0 and 1 are below the median"
    again = look(schedule, settled, (0.0, 0.0, 2.2, 6.0))
    assert again.depth == 1
    assert look(schedule, again, (0.0, 0.0, 0.0, 6.0)).depth == 1, "the last layer always trains"


def test_auto_waits_where_the_frontmost_layer_still_changes():
    seen = Seen(depth=5, before=(1.0, 1.0, 1.0, 1.0))
    assert look(Auto(), seen, (2.0, 1.0, 1.0, 1.0)).depth == 5
    assert look(Auto(percentile=100), seen, (2.0, 1.0, 1.0, 1.0)).depth == 1


def test_looking_twice_at_one_step_changes_nothing():
    seen = look(Auto(), Seen(depth=5, before=(1.0,) * 4), (1.0, 1.1, 2.0, 3.0))
    assert Auto().looked(seen) == seen


def test_percentiles_lie_between_the_values():
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([1.0, 2.0], 50) == 1.5
    assert percentile([1.0, 2.0, 5.0], 100) == 5.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gradual(every=0), "freeze.every=0: use a number above 0"),
        (lambda: Gradual(every="often"), "freeze.every=often: use a number"),
        (lambda: Gradual(unit="days"), "freeze.unit=days: use one of epochs, steps"),
        (lambda: Progressive(start=1), "freeze.start=1: use a share of the training"),
        (lambda: Progressive(start=None), "freeze.start=null: use a share"),
        (lambda: Auto(percentile=0), "freeze.percentile=0: use a number above 0, up to 100"),
        (lambda: Auto(checks=1.5), "freeze.checks=1.5: use a whole number"),
    ],
)
def test_a_wrong_option_is_told(make, message):
    with pytest.raises(InputError, match=message):
        make()
