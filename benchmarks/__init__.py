"""The speed of the lab, measured side by side with other implementations of the same training."""
