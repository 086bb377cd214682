#!/usr/bin/env python
"""One run, or with -m a sweep: `python train.py freeze=top2 data=ag_news`; `python train.py --help` tells more."""

import hydra
from omegaconf import DictConfig

from frostline.cell import run


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(cfg: DictConfig) -> float | None:
    return run(cfg)


if __name__ == "__main__":
    main()
