"""One mathematical object per file: arrays in, arrays out; no messages, no tables."""
