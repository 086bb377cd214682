"""The frozen part of an encoder: run once for each text, kept, and read back at every epoch."""
