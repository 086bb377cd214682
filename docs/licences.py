#!/usr/bin/env python
"""The licence of every pinned package, as it says itself: `python docs/licences.py` writes docs/licences.md."""

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "licences.md"
HEAD = """# Licences

Frostline is under the MIT licence. It ships no other project's code, weights or data; `make setup` installs the
packages below, pinned in `requirements.txt`, each under the licence that its own metadata names.
`python docs/licences.py` makes this page from an environment that has them.

| package | version | licence |
| --- | --- | --- |
"""
LONGEST = 60  # characters; a longer licence field is the licence itself
SPDX = {
    "MIT": ("MIT License",),
    "Apache-2.0": (
        "Apache", "Apache 2.0", "Apache License 2.0", "Apache 2.0 License", "Apache License, Version 2.0",
        "Apache Software License",
    ),
    "BSD-3-Clause": ("BSD 3-Clause License", "3-Clause BSD License"),
    "ISC": ("ISC License",),
}  # fmt: skip
NAMES = {spelling: name for name, spellings in SPDX.items() for spelling in spellings}
VAGUE = ("", "UNKNOWN", "Dual License")


def pinned() -> list[tuple[str, str]]:
    """Name and version of each line of requirements.txt."""
    return re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)


def licence(package: Distribution) -> str:
    """The SPDX expression where there is one, else the short licence field, else what the classifiers say."""
    about = package.metadata
    if expression := about.get("License-Expression"):
        return expression
    field = (about.get("License") or "").strip()
    if field not in VAGUE and len(field) <= LONGEST and "\n" not in field:
        return NAMES.get(field, field)
    kinds = [each.split(" :: ")[-1] for each in about.get_all("Classifier", []) if each.startswith("License")]
    stated = [NAMES.get(kind, kind) for kind in kinds if kind != "OSI Approved"]
    if not stated:
        raise SystemExit(f"{about['Name']} does not say its licence")
    return " OR ".join(stated)


def page() -> str:
    """The page; SystemExit where a pinned package is not installed at its version."""
    rows = []
    for name, version in sorted(pinned(), key=lambda pair: pair[0].casefold()):
        try:
            package = distribution(name)
        except PackageNotFoundError:
            raise SystemExit(f"{name} is not installed: run this where `make setup` has installed everything") from None
        if package.version.partition("+")[0] != version:  # +cpu names a build, not a version
            raise SystemExit(f"{name} is {package.version} here, {version} in requirements.txt: run make setup")
        rows.append(f"| {name} | {version} | {licence(package).replace('|', '/')} |")
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE}: {len(pinned())} packages")
