"""Own images as a data set: its parts, damaged files, and what the user should know of both."""

from collections.abc import Iterator

import numpy as np

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.data import DataConfig
from resnet_lab.config.enums import Layout
from resnet_lab.data import series
from resnet_lab.data.cache import decoded, list_damaged
from resnet_lab.data.celeba import celeba_listing
from resnet_lab.data.fingerprint import copies, facts_of
from resnet_lab.data.index import Index
from resnet_lab.data.kept import Keeper, keeper_of
from resnet_lab.data.listing import Indices, Listing, listing_of
from resnet_lab.data.sources import Images, Source
from resnet_lab.data.split import are_classes, parts_of
from resnet_lab.data.table import table_listing
from resnet_lab.rundir.images import DataFacts
from resnet_lab.text import plural, printable

NARROW = 1 / 8  # of `data.range`: images that use less of it lose most of their grey levels

# What the layout means for the protocol, where the names of the folders do not say it.
TEST_PART = {
    Layout.train_val: "val/ is the test part, used once after training; validation images are held out of train/",
    Layout.tiny_imagenet: "val/ is the test part, used once after training; validation images are held out of train/",
    Layout.train_val_test: "val/ is the validation part; data.validation is not used",
}


def image_folder(config: DataConfig) -> Source:
    """Return the images in the class folders of `data.root`, decoded to `config.image_shape`."""
    note = TEST_PART.get(config.layout)
    return _decoded(config, listing_of(config), *([note] if note else []))


def table(config: DataConfig) -> Source:
    """Return the images in `data.root` that a table lists, decoded to `config.image_shape`, or the series in it."""
    if config.dims == 1:
        return series.source(config)
    return _decoded(config, table_listing(config))


def celeba(config: DataConfig) -> Source:
    """Return the user's copy of CelebA, decoded to `config.image_shape`, with its published parts."""
    return _decoded(config, celeba_listing(config))


def folder_facts(config: DataConfig) -> DataFacts:
    """Return the facts of the images in the class folders of `data.root`, without decoding them."""
    return facts_of(listing_of(config))


def table_facts(config: DataConfig) -> DataFacts:
    """Return the facts of the images in `data.root` that a table lists, without decoding them, or of its series."""
    if config.dims == 1:
        return series.facts(config)
    return facts_of(table_listing(config))


def celeba_facts(config: DataConfig) -> DataFacts:
    """Return the facts of the user's copy of CelebA, without decoding it."""
    return facts_of(celeba_listing(config))


def _decoded(config: DataConfig, listing: Listing, *notes: str) -> Source:
    keeper = keeper_of(config, len(listing.labels))
    rows = parts_of(listing.parts, listing.labels, config)
    pixels, index = decoded(listing.files, keeper, rows["train"])
    images = Images(pixels, listing.labels, index.sums)
    if index.damaged:
        rows = _without_damaged(rows, listing, index, keeper, config)
    if len(index.wide) and index.range is None:
        raise ConfigError(
            f"{listing.files.names[index.wide[0]]} has more than 8 bits, but no training image has: set data.range to "
            "the values that become black and white, as in data.range=[0,65535]"
        )
    return Source(
        images,
        images,
        listing.classes,
        rows=rows,
        facts=facts_of(listing),
        damaged=len(index.damaged),
        prepared=True,
        range=index.range,
        files=listing.files.names,
        notes=(*listing.left_out, *notes, *_notes(config, listing, rows, index)),
    )


def _without_damaged(
    rows: dict[str, Indices], listing: Listing, index: Index, keeper: Keeper, config: DataConfig
) -> dict[str, Indices]:
    """Return the rows without those of damaged images. Raises ConfigError unless `data.skip_damaged` is set."""
    if not config.skip_damaged:
        found = list_damaged(listing.files, keeper, index)
        if len(index.damaged) == len(listing.labels):
            raise ConfigError(found)
        raise ConfigError(f"{found}. Replace or remove them, or leave them out with data.skip_damaged=true")
    good = {part: np.setdiff1d(own, list(index.damaged)) for part, own in rows.items()}
    by_class = are_classes(listing.labels)
    labels = listing.labels if by_class else np.zeros(len(listing.labels), np.int64)  # all alike
    for part, own in good.items():
        before, after = (np.bincount(labels[some], minlength=len(listing.classes)) for some in (rows[part], own))
        for label in np.flatnonzero(2 * after < before):
            count = f"{before[label] - after[label]} of {before[label]} images"
            of_class = f" of class {listing.classes[label]}" if by_class else ""
            raise ConfigError(
                f"data.root={config.folder}: {count}{of_class} in the {part} part are damaged, which is too many to "
                "leave out"
            )
    return good


def _notes(config: DataConfig, listing: Listing, rows: dict[str, Indices], index: Index) -> Iterator[str]:
    test = rows["test"]
    if config.is_flat:
        yield f"{len(test):,} of {len(listing.labels):,} images are the test part (data.test={config.test:g})"
    if len(same := copies(listing.files, test, rows["train"])):
        known = f"{len(same):,} of {plural(len(test), 'test image')} {'is a copy' if len(same) == 1 else 'are copies'}"
        example = printable(listing.files.names[same[0]])
        yield f"warning: {known} of training images, such as {example}: remove them, since the test error is too low"
    if index.damaged:
        yield f"{plural(len(index.damaged), 'damaged image')} left out (data.skip_damaged)"
    if count := int(index.composited.sum()):
        yield f"{plural(count, 'image')} with transparent pixels put on data.background={config.background}"
    if count := int(index.reduced.sum()):
        yield f"{plural(count, 'image')} with 16 bits for each colour: only the upper 8 are read, without data.range"
    if index.range:
        low, high = index.range
        how = "data.range" if config.range else "the least and greatest value in training images"
        others = "; images with 8 bits stay as they are" if len(index.wide) < len(index.names) else ""
        yield f"images with more than 8 bits: {low:g} becomes black and {high:g} white ({how}){others}"
        if (used := index.range_over(rows["train"])) and used[1] - used[0] < NARROW * (high - low):
            yield f"warning: training images use only {used[0]:g} to {used[1]:g} of that: set data.range to these"
