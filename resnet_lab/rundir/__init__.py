"""Run directories: the only interface between training and everything after it. Imports no torch."""
