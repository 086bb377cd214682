#!/usr/bin/env python
"""A page to try sentences on: `python serve.py outputs/2026-11-23/15-00-00`, or a sweep's folder for every depth."""

from frostline.serve.command import main

if __name__ == "__main__":
    main()
