#!/usr/bin/env python
"""The answer of a sweep, half-way or at its end: `python report.py multirun/2026-11-23/15-00-00`."""

from frostline.report.assemble import main

if __name__ == "__main__":
    main()
