"""Data sets: one common LightningDataModule and a small one for each data set."""
