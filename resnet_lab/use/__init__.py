"""Use trained networks: predict, evaluate, export."""
