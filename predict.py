#!/usr/bin/env python
"""Label texts with a trained run: `python predict.py DIR "This is a horrible movie"`; `--help` tells more."""

from frostline.predict.command import main

if __name__ == "__main__":
    main()
