"""Data sets: read files into `uint8` images with labels."""
