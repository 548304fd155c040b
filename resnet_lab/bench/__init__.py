"""Training speed of a configuration on this machine, and the limits of the hardware."""
