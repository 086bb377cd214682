"""The trunk cache: content addresses, checksums, one writer, listing and pruning."""

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
import torch

from frostline.data.batches import TokenizedTexts
from frostline.errors import InputError
from frostline.trunk import cache
from frostline.trunk.cache import Plan, Store, parse_size, readable

PLAN = Plan(rows=5, width=3, dtype="fp16", texts=2)


def fill(store, key="k", value=1.0, plan=PLAN):
    with store.create(key, plan) as filling:
        filling.write(np.arange(plan.rows), np.full((plan.rows, plan.width), value, dtype=np.float32))
        return filling.finish({"model": "m", "boundary": 1})


def test_what_is_written_is_read_back_rounded_to_its_dtype(tmp_path):
    store = Store(tmp_path)
    assert store.get("k") is None
    fill(store, value=0.1)
    values = store.get("k").values
    assert values.shape == (5, 3)
    assert values.dtype == np.float16
    assert (values == np.float16(0.1)).all()


def test_an_entry_that_was_not_finished_does_not_exist(tmp_path):
    store = Store(tmp_path)
    with store.create("k", PLAN) as filling:
        filling.write(np.arange(2), np.ones((2, 3)))
    assert store.get("k") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["flip", "cut", "card"])
def test_a_damaged_entry_is_told_and_gone(damage, tmp_path, capsys):
    store = Store(tmp_path)
    folder = fill(store).folder
    file = folder / (cache.CARD if damage == "card" else cache.VALUES)
    content = bytearray(file.read_bytes())
    content[7] ^= 4
    file.write_bytes(content[:-3] if damage == "cut" else b"{" if damage == "card" else content)
    assert store.get("k") is None
    assert f"{folder} is damaged: it is made anew" in capsys.readouterr().err
    assert not folder.exists()


def test_no_flipped_bit_anywhere_goes_unnoticed(tmp_path, capsys):
    store, told = Store(tmp_path), 0
    for name in (cache.VALUES, cache.CARD):
        for place in range((fill(store, value=0.1).folder / name).stat().st_size):
            file = fill(store, value=0.1).folder / name
            content = bytearray(file.read_bytes())
            content[place] ^= 1 << place % 7
            file.write_bytes(content)
            entry = store.get("k")
            told += entry is None
            assert entry is None or (entry.values == np.float16(0.1)).all(), f"byte {place} of {name}"
    assert told >= PLAN.bytes + 32  # every byte of the values, every digit of their checksum
    assert capsys.readouterr().err.count("is damaged: it is made anew") == told


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path):
    store = Store(tmp_path)
    if (child := os.fork()) == 0:
        store.lock("k").acquire()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert list(tmp_path.glob("*.lock"))
    with store.lock("k").acquire(timeout=1):
        assert fill(store).folder.exists()


def test_entries_from_the_future_are_used_and_pruned(tmp_path):
    """The clock was ahead and has been set back."""
    store, tomorrow = Store(tmp_path), time.time() + 86400
    for key in ("old", "future"):
        os.utime(fill(store, key).folder / cache.CARD, (tomorrow, tomorrow))
    assert store.get("old") is not None
    assert [entry.folder.name for entry, _ in store.entries()] == ["old", "future"]
    assert len(store.prune(0)) == 2


def test_a_symbolic_link_in_a_circle_is_left_alone(tmp_path, capsys):
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "up").symlink_to(tmp_path)
    fill(Store(tmp_path))
    cache.main(["--dir", str(tmp_path), "list"])
    assert "1 entries" in capsys.readouterr().out
    assert [entry.folder.name for entry in Store(tmp_path).prune(0)] == ["k"]
    assert (tmp_path / "up").is_symlink()


def test_keys_tell_everything_apart():
    texts = TokenizedTexts(np.arange(6, dtype=np.int32), np.array([0, 2, 6]), np.array([0, 1]), pad_id=0)
    base = cache.key(texts, weights="w", boundary=1)
    relabelled = TokenizedTexts(texts.ids, texts.offsets, np.array([1, 0]), pad_id=0)
    assert cache.key(relabelled, weights="w", boundary=1) == base, "labels do not change what the trunk gives"
    others = [
        cache.key(texts, weights="v", boundary=1),
        cache.key(texts, weights="w", boundary=2),
        cache.key(TokenizedTexts(texts.ids, np.array([0, 3, 6]), texts.labels, pad_id=0), weights="w", boundary=1),
        cache.key(TokenizedTexts(texts.ids[::-1], texts.offsets, texts.labels, pad_id=0), weights="w", boundary=1),
    ]
    assert len({base, *others}) == 5


def test_weights_are_told_apart_by_value_and_by_name():
    prints = [
        cache.fingerprint([("w", torch.ones(2, 2))]),
        cache.fingerprint([("w", torch.ones(2, 2).neg())]),
        cache.fingerprint([("v", torch.ones(2, 2))]),
        cache.fingerprint([("w", torch.ones(4))]),
    ]
    assert len(set(prints)) == 4
    assert cache.fingerprint([("w", torch.ones(2, 2))]) == prints[0]


def test_prune_removes_the_least_recently_used_first(tmp_path):
    store = Store(tmp_path)
    for key, used in (("old", 1000), ("new", 3000), ("middle", 2000)):
        os.utime(fill(store, key).folder / cache.CARD, (used, used))
    assert [entry.folder.name for entry, _ in store.entries()] == ["old", "middle", "new"]
    assert store.get("old") is not None  # used now
    assert [entry.folder.name for entry in store.prune(2 * PLAN.bytes)] == ["middle"]
    assert store.get("new") is not None
    assert [entry.folder.name for entry in store.prune(0)]
    assert store.entries() == []


def test_prune_sweeps_up_after_dead_writers_only(tmp_path):
    done = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(0,))
    done.start()
    done.join()
    (tmp_path / f"a.partial-{done.pid}").mkdir()
    (tmp_path / f"b.partial-{os.getpid()}").mkdir()
    Store(tmp_path).prune(10**9)
    assert [folder.name for folder in tmp_path.iterdir()] == [f"b.partial-{os.getpid()}"]


def test_the_command_line_lists_and_prunes(tmp_path, capsys):
    fill(Store(tmp_path))
    cache.main(["--dir", str(tmp_path), "list"])
    shown = capsys.readouterr().out
    assert "2 texts: m, 1" in shown
    assert "1 entries, 30 B" in shown
    cache.main(["--dir", str(tmp_path), "prune", "--keep", "10B"])
    assert "Removed 1 entries, 30 B" in capsys.readouterr().out
    with pytest.raises(SystemExit) as exit_:
        cache.main(["--dir", str(tmp_path), "prune", "--keep", "much"])
    assert exit_.value.code == 1
    assert "--keep=much is not a size" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "size"), [("10GB", 10**10), ("1.5 MB", 1_500_000), ("7", 7), ("3 kb", 3000)])
def test_sizes_are_read(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "nan", "10 gallons", "inf"])
def test_what_is_no_size_is_told(text):
    with pytest.raises(InputError, match="is not a size: write a number with"):
        parse_size(text)


def test_sizes_read_well():
    assert [readable(size) for size in (12, 1234, 177_000_000, 3.2e9)] == ["12 B", "1.2 KB", "177.0 MB", "3.2 GB"]
