"""The figures that scripts draw are those in the documentation."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.scripts import script

ROOT = Path(__file__).parents[1]
SAME = 0.02  # of the range of pixels, on average: fonts are drawn a little differently by other versions


@pytest.mark.slow
@pytest.mark.parametrize("name", ["draw_units", "draw_fit", "draw_schedules"])
def test_figures_are_as_they_are_drawn_now(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    module = script(name)
    monkeypatch.setattr(module, "FIGURES", tmp_path)
    module.main()
    drawn = [*tmp_path.glob("*.png")]
    assert drawn
    for file in drawn:
        with Image.open(file) as now, Image.open(ROOT / "docs" / "figures" / file.name) as stored:
            assert np.allclose(now.size, stored.size, rtol=0.02)
            one, other = (np.asarray(image.convert("L").resize(stored.size), float) / 255 for image in (now, stored))
            assert np.abs(one - other).mean() < SAME
