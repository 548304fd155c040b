"""Own kernels for the training step on a CPU: plain C, compiled once on the user's machine, and called by ctypes."""
