"""The page on one's own images, command by command, on crops of real photos in several sizes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_sample_image

DOCS = Path(__file__).parents[1] / "docs"
SMALLER = {  # of what the page trains, so that the test takes seconds
    "data.image_size=64 stacks=four": "data.image_size=8 stacks=two filters=w8 trainer.max_epochs=5 diagnostics=off",
    "units=n2,n3,n5 'seed=range(5)'": "units=n1,n3 'seed=range(2)'",
}


def pictures(name: str, count: int) -> list[Image.Image]:
    """Crops of a photo, or written digits, of different sizes."""
    rng = np.random.default_rng(0)
    sizes = [tuple(rng.integers(16, 60, 2)) for _ in range(count)]
    if name == "digit":
        digits = np.uint8(load_digits().images[:count] * 255 / 16)
        return [Image.fromarray(image).resize(size) for image, size in zip(digits, sizes, strict=True)]
    photo = load_sample_image(name)
    corners = [rng.integers(0, np.subtract(photo.shape[:2], size)) for size in sizes]
    crops = (photo[y : y + h, x : x + w] for (y, x), (h, w) in zip(corners, sizes, strict=True))
    return [Image.fromarray(crop) for crop in crops]


def put(folder: Path, images: list[Image.Image]) -> None:
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        image.save(folder / f"{number}.png")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of three classes in the folders that the page names, and the program of another page."""
    home = tmp_path_factory.mktemp("home")
    kinds = {"china": "china.jpg", "digit": "digit", "flower": "flower.jpg"}
    for label, name in kinds.items():
        images = pictures(name, 60)
        put(home / "my_images" / "train" / label, images[:40])
        put(home / "my_images" / "test" / label, images[40:48])
        put(home / "other_images" / label, images[48:56])
        (home / "new_photos").mkdir(exist_ok=True)
        for number, image in enumerate(images[56:]):
            image.save(home / "new_photos" / f"{label}{number}.png")
    [program] = re.findall(r"```python\n(.*?import onnxruntime.*?)```", (DOCS / "using.md").read_text(), re.DOTALL)
    (home / "classify.py").write_text(f"{program}\nassert not {{'torch', 'resnet_lab'}} & sys.modules.keys()\n")
    return home


@pytest.mark.slow
def test_the_page_from_its_first_command_to_its_last(home: Path):
    page = (DOCS / "getting-started.md").read_text()
    script = "\n".join(re.findall(r"```bash\n(.*?)```", page, re.DOTALL))
    for written, smaller in SMALLER.items():
        assert written in script
        script = script.replace(written, smaller)
    [example] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (home / "example.py").write_text(example)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        ["bash", "-euc", f"{script}\npython example.py"],
        cwd=home,
        env=os.environ | {"PATH": path, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    said = ended.stdout
    groups = [f"units={units}" for units in (1, 3)]
    assert all(f"\u2502 {group} " in said for group in groups)
    assert "by the validation error at the last epoch" in said
    predicted = re.findall(r"^new_photos/(\S+\.png) +(\w+) +([\d.]+) %", said, re.MULTILINE)
    by_program = re.findall(r"^new_photos/(\S+\.png): (\w+) \(([\d.]+)%\)", said, re.MULTILINE)
    assert len(predicted) == 12
    assert predicted == by_program
    right = sum(file.startswith(label) for file, label, _ in predicted)
    assert right >= 8  # chance gives 4
    assert re.search(r"other_images.*: 24 images", ended.stderr)
    assert (home / "pets.onnx").is_file()
    assert len(re.findall(r"^new_photos/\S+\.png (?:china|digit|flower) [01]\.\d+$", said, re.MULTILINE)) == 12
