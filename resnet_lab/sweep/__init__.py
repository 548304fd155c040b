"""Many runs on one machine: which there are, which is next, and what became of each."""
