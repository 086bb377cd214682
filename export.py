#!/usr/bin/env python
"""A trained run as an ONNX model: `python export.py outputs/2026-11-23/15-00-00 --format onnx`."""

from frostline.export import main

if __name__ == "__main__":
    main()
