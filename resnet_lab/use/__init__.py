"""Use trained networks: predict, evaluate, export; and `Run`, which does it from Python."""
