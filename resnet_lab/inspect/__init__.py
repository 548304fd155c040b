"""Looking inside a network: pure functions (network and tensors in, arrays out), their figures, and a command."""
