"""Names of cells: any override gives a folder's name that is safe, short, its own, and inside of the sweep's folder."""

import re
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from frostline.sweep.names import LONGEST_BYTES, cell_name

ESCAPES = (
    "../../x", "/etc/passwd", "a/../../../b", "~", "..", ".", "-rf", "a\\b", "C:", "\0", "\n", "é" * 99, "=" * 300,
)  # fmt: skip
VALUES = st.text(max_size=150) | st.sampled_from(ESCAPES)
OVERRIDES = st.lists(st.tuples(st.sampled_from(["data.path", "+x", "~y", "seed", ""]), VALUES), max_size=4).map(
    lambda pairs: ",".join(f"{key}={value}" for key, value in pairs)
)


@given(overrides=OVERRIDES | VALUES)
@example(overrides="..")
@example(overrides="-rf")
@example(overrides=".stopped")
def test_any_override_gives_a_safe_name(overrides: str) -> None:
    name = cell_name(overrides)

    assert re.fullmatch(r"[A-Za-z0-9=+_][A-Za-z0-9=,._+-]*", name)
    assert len(name.encode()) <= LONGEST_BYTES
    assert (Path("sweep") / name).resolve().parent == Path("sweep").resolve()
    assert cell_name(overrides) == name


@given(one=OVERRIDES, other=OVERRIDES)
def test_other_overrides_give_another_name(one: str, other: str) -> None:
    assume(one != other)

    assert cell_name(one) != cell_name(other)


@given(stem=st.text("abc=,.", min_size=100, max_size=200), one=VALUES, other=VALUES)
def test_long_overrides_that_differ_at_their_end_do_so_in_their_names(stem: str, one: str, other: str) -> None:
    assume(one != other)

    assert cell_name(stem + one) != cell_name(stem + other)


@pytest.mark.parametrize("overrides", ["freeze=top2", "data=ag_news,freeze=none", "optimizer.lr=2e-05,seed=1", "+a=b"])
def test_a_plain_name_stays_as_it_is(overrides: str) -> None:
    assert cell_name(overrides) == overrides
