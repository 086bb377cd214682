#!/usr/bin/env python
"""Label texts with a trained run: `python predict.py RUN "This is a horrible movie"`."""

from frostline.predict import main

if __name__ == "__main__":
    main()
