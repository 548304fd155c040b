"""The run directory: the only thing that passes from training to whatever comes after. Imports no torch."""
