"""The table of freeze policies in the documentation is the one that their files make."""

import pytest
from conftest import ROOT

from frostline.errors import InputError
from frostline.freeze import catalogue

PAGE = ROOT / "README.md"


def test_the_page_has_the_table_of_today():
    page = PAGE.read_text()
    assert catalogue.updated(page, catalogue.table(ROOT / "conf" / "freeze")) == page, (
        "run python -m frostline.freeze.catalogue README.md"
    )


def test_every_policy_has_its_row_and_every_row_its_source():
    rows = [line.split(" | ") for line in catalogue.table(ROOT / "conf" / "freeze").splitlines()[2:]]
    shown = {name for row in rows for name in row[0].strip("| ").replace("`", "").split()}
    assert shown >= {file.stem for file in (ROOT / "conf" / "freeze").glob("*.yaml")}
    for row in rows:
        assert len(row) == 4
        assert all(cell.strip("| ") for cell in row)


def test_the_command_writes_between_the_markers_alone(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{catalogue.BEGIN}\nold\n{catalogue.END}\n\nafter\n")
    catalogue.main([str(page), "--folder", str(ROOT / "conf" / "freeze")])
    text = page.read_text()
    assert text.startswith(f"before\n\n{catalogue.BEGIN}\n| `freeze=` |")
    assert text.endswith(f"|\n{catalogue.END}\n\nafter\n")
    assert "old" not in text


def test_a_page_without_markers_is_refused():
    with pytest.raises(InputError, match="the page has no <!-- policies -->"):
        catalogue.updated("nothing here", "rows")
