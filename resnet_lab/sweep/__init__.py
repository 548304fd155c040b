"""Sweeps of many runs on one machine: planning, scheduling and outcomes."""
