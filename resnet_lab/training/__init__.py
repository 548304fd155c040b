"""Training: one run from start to end, and the directory that records it."""
