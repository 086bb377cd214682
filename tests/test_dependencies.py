"""What the project stands on: every package pinned, compatible with the others, and its licence listed."""

import re
import subprocess
import sys

import pytest
from conftest import ROOT

LINES = (ROOT / "requirements.txt").read_text().splitlines()
PINNED = dict(line.split("==") for line in LINES if "==" in line and not line.startswith("#"))


def test_every_package_is_pinned_exactly() -> None:
    assert [line for line in LINES if line and not re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)] == []


def test_every_pinned_package_is_listed_with_its_licence() -> None:
    """After a change of requirements.txt: python docs/licences.py."""
    page = (ROOT / "docs" / "licences.md").read_text()
    listed = {
        name: (version, licence) for name, version, licence in re.findall(r"^\| (\S+) \| (\S+) \| (.+) \|$", page, re.M)
    }

    assert {name: listed.get(name, ("not listed",))[0] for name in PINNED} == PINNED
    assert set(listed) - set(PINNED) == {"package", "---"}
    assert all(len(licence.strip()) > 2 for _, licence in listed.values())


def test_what_is_installed_goes_together() -> None:
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode:
        pytest.skip("this environment has no pip")
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stdout
