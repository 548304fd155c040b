"""Small data sets of series."""

from pathlib import Path

import numpy as np


def write_waves(folder: Path) -> Path:
    """Write Waves: two classes of noisy waves of two channels, one faster than the other, some shorter than 24."""
    rng = np.random.default_rng(0)
    for part, count in (("TRAIN", 40), ("TEST", 20)):
        lines = []
        for number in range(count):
            time = np.arange(24 - number % 3)
            noise = 0.1 * rng.standard_normal((2, len(time)))
            waves = np.sin(time * (0.5 + number % 2) + rng.uniform(0, 6, (2, 1))) + noise
            lines.append(":".join(",".join(f"{value:.5f}" for value in wave) for wave in waves) + f":{number % 2}")
        (folder / f"Waves_{part}.ts").write_text("\n".join(["@classLabel true 0 1", "@data", *lines, ""]))
    return folder
