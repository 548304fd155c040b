import numpy as np
import pytest
from sklearn.decomposition import PCA

from resnet_lab.tasks import baselines as module
from resnet_lab.tasks.baselines import baselines


def images(count: int, seed: int, *shape: int) -> np.ndarray:
    """Random images whose pixels are correlated."""
    generator = np.random.default_rng(seed)
    mixing = np.random.default_rng(9).normal(size=(6, int(np.prod(shape))))
    flat = 128 + 18 * generator.normal(size=(count, 6)) @ mixing + 8 * generator.normal(size=(count, mixing.shape[1]))
    return flat.clip(0, 255).astype(np.uint8).reshape(count, *shape)


def by_svd(train: np.ndarray, test: np.ndarray, components: int) -> float:
    flat, other = train.reshape(len(train), -1) / 255, test.reshape(len(test), -1) / 255
    axes = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)[2][:components]
    kept = flat.mean(axis=0) + (other - flat.mean(axis=0)) @ axes.T @ axes
    return float(np.mean((kept - other) ** 2))


@pytest.mark.parametrize("components", [1, 5, 20, 60])
def test_baselines_are_those_of_a_direct_svd(components: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "CHUNK", 32)
    train, test = images(150, 0, 2, 5, 6), images(70, 1, 2, 5, 6)
    found = baselines(train, test, components)
    assert list(found) == ["mean image", "PCA"]
    mean = np.mean((train.mean(axis=0) / 255 - test / 255) ** 2)
    assert found["mean image"] == pytest.approx(mean)
    assert found["PCA"] == pytest.approx(by_svd(train, test, components), abs=1e-8)


def test_all_components_of_as_many_pixels_lose_nothing():
    found = baselines(images(150, 0, 2, 5, 6), images(70, 1, 2, 5, 6), 1000)
    assert found["PCA"] == pytest.approx(0, abs=1e-8)


def test_few_images_have_fewer_components_than_asked():
    train, test = images(20, 0, 2, 5, 6), images(70, 1, 2, 5, 6)
    assert baselines(train, test, 50)["PCA"] == pytest.approx(by_svd(train, test, 19))
    one = baselines(train[:1], test, 50)
    assert one["PCA"] == pytest.approx(one["mean image"])


def test_large_images_are_fitted_by_a_named_subset(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "SUBSET", 100)
    train, test = images(150, 0, 2, 5, 6), images(70, 1, 2, 5, 6)
    found = baselines(train, test, 6, most_exact=59)
    assert list(found) == ["mean image", "PCA of 100 images"]
    assert found == baselines(train, test, 6, most_exact=59)
    assert found["mean image"] == baselines(train, test, 6)["mean image"]
    assert found["PCA of 100 images"] == pytest.approx(baselines(train, test, 6)["PCA"], rel=0.1)
    # With all images in the subset, it is scikit-learn's own reconstruction.
    monkeypatch.setattr(module, "SUBSET", 1000)
    flat, other = train.reshape(150, -1) / 255, test.reshape(70, -1) / 255
    own = PCA(6).fit(flat)
    expected = np.mean((own.inverse_transform(own.transform(other)) - other) ** 2)
    assert baselines(train, test, 6, most_exact=59)["PCA of 150 images"] == pytest.approx(expected, rel=1e-4)
