"""Inspection of networks: pure functions (network and tensors in, arrays out), their figures, and a command."""
