"""Sweeps: which cells are done, how they are named, and what they show together; reads only files that runs left."""
