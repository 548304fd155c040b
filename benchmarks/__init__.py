"""The speed of the lab, compared with other implementations of the same training."""
