"""Imports without garbage collection: it is back afterwards, and cells of a sweep are not kept for ever."""

import gc
import sys

import pytest

from frostline.startup import quick_imports


@pytest.fixture
def nothing_frozen():
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_what_imports_made_is_left_out_of_later_collections(nothing_frozen, tmp_path, monkeypatch):
    (tmp_path / "made_for_this.py").write_text("answers = [[] for _ in range(1000)]\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "made_for_this", raising=False)
    with quick_imports():
        assert not gc.isenabled()
        import made_for_this  # noqa: F401
    assert gc.isenabled()
    assert gc.get_freeze_count() > 1000


def test_a_block_that_imports_nothing_new_keeps_nothing(nothing_frozen):
    with quick_imports():
        import json  # noqa: F401
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_collection_is_back_after_an_import_that_fails(nothing_frozen):
    with pytest.raises(ImportError), quick_imports():
        import no_module_of_this_name  # noqa: F401
    assert gc.isenabled()
