"""Draw the units as the papers do, from the code's own tables, into docs/figures/: `python scripts/draw_units.py`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionStyle

from resnet_lab.config.model_enums import Activation, Bridges
from resnet_lab.config.registry import UNITS
from resnet_lab.model.layers import PLACEMENTS, Order

matplotlib.use("Agg")

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
COLOURS = {"conv": "#cfe2f3", "norm": "#fce5cd", "relu": "#d9ead3", "other": "#ead1dc"}
NAMES = {"norm": "BN", "relu": "ReLU"}
TOP, BRANCH, SKIP = 0.55, 0.9, -1.0  # y where the paths part; x of the layers and of the shortcut

Box = tuple[str, str]  # kind, label


@dataclass
class Diagram:
    """A unit: the boxes of its layers, the one on its shortcut, if any, and those after the sum."""

    title: str
    layers: list[Box]
    shortcut: list[Box] | None = field(default_factory=list)  # None: no shortcut
    after: list[Box] = field(default_factory=list)
    note: str = ""


def boxes(order: Order) -> list[Box]:
    """BatchNorm and ReLU as boxes."""
    return [(name, NAMES[name]) for name in order]


def layers(activation: Activation, unit: str) -> list[Box]:
    """All layers of a unit inside a stack, from the code's tables."""
    placement, convs = PLACEMENTS[activation], UNITS.load(unit).convs
    result: list[Box] = []
    for index, conv in enumerate(convs):
        post = placement.before_addition if index == len(convs) - 1 else placement.post
        result += [*boxes(placement.before(index)), ("conv", f"{conv.kernel}×{conv.kernel} conv"), *boxes(post)]
    return result


def draw(ax: Axes, diagram: Diagram) -> float:
    """The diagram from top (x) to bottom (output); where it ends."""
    ax.set_title(diagram.title, fontsize=9, pad=4)
    ax.text(0, TOP + 0.6, "x", ha="center", va="bottom", fontsize=11, style="italic")
    if diagram.shortcut is None:
        arrow(ax, (0, TOP + 0.55), (0, TOP))
        end = chain(ax, 0, TOP + 0.4, diagram.layers)
    else:
        arrow(ax, (0, TOP + 0.55), (0, TOP))
        last = chain(ax, BRANCH, TOP, diagram.layers)
        join = min(last, TOP - 2 * len(diagram.shortcut)) - 0.5  # room for what stands on the shortcut
        ax.plot([SKIP, BRANCH], [TOP, TOP], color="black", lw=1)
        ax.plot([BRANCH, BRANCH, 0], [last, join, join], color="black", lw=1, zorder=1)
        ax.plot([SKIP, SKIP, 0], [TOP, join, join], color="black", lw=1, zorder=1)
        for number, (kind, label) in enumerate(diagram.shortcut):
            box(ax, (SKIP, (TOP + join) / 2 - 0.8 * (number - (len(diagram.shortcut) - 1) / 2)), kind, label)
        ax.scatter([0], [join], s=210, facecolor="white", edgecolor="black", zorder=3)
        ax.text(0, join - 0.02, "+", ha="center", va="center", fontsize=11, zorder=4)
        end = chain(ax, 0, join - 0.2, diagram.after)
    arrow(ax, (0, end), (0, end - 0.5))
    ax.text(0, end - 0.7, diagram.note, ha="center", va="top", fontsize=8)
    return end - 0.7 - 0.3 * len(diagram.note.splitlines())


def chain(ax: Axes, x: float, y: float, parts: Sequence[Box]) -> float:
    """Boxes below each other, an arrow before each; where the last one ends."""
    for kind, label in parts:
        more = 0.34 * label.count("\n")
        arrow(ax, (x, y), (x, y - 0.4))
        box(ax, (x, y - 0.65 - more / 2), kind, label)
        y -= 0.92 + more
    return y


def box(ax: Axes, centre: tuple[float, float], kind: str, label: str) -> None:
    """A labelled box."""
    style = {"boxstyle": "round,pad=0.3", "facecolor": COLOURS[kind], "edgecolor": "#444444", "lw": 0.8}
    ax.text(*centre, label, ha="center", va="center", fontsize=8, bbox=style, zorder=2)


def arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """An arrow."""
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "lw": 1, "color": "black", "shrinkA": 0, "shrinkB": 0})


def save(name: str, diagrams: Sequence[Diagram], columns: int) -> None:
    """One figure with all diagrams at one scale."""
    rows = -(-len(diagrams) // columns)
    figure = Figure(dpi=150)
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    lowest = min(draw(ax, diagram) for ax, diagram in zip(axes, diagrams, strict=True))
    figure.set_size_inches(1.75 * columns, 0.48 * (1.6 - lowest) * rows)
    for ax in axes:
        ax.set(xlim=(-2, 2), ylim=(lowest, 1.6))
        ax.axis("off")
    figure.tight_layout(w_pad=0.2)
    FIGURES.mkdir(exist_ok=True)
    figure.savefig(FIGURES / f"{name}.png", bbox_inches="tight")


def save_reaches(name: str) -> None:
    """One figure with the shortcuts that each option of `bridges` has in two stacks of two units."""
    figure = Figure(figsize=(12, 3.4), dpi=150)
    axes = figure.subplots(1, len(Bridges))
    for ax, bridges in zip(axes, Bridges, strict=True):
        draw_reach(ax, bridges)
    figure.tight_layout(w_pad=0.2)
    figure.savefig(FIGURES / f"{name}.png", bbox_inches="tight")


def draw_reach(ax: Axes, bridges: Bridges) -> None:
    """Stem, two stacks of two units each, and head, from top to bottom, with arcs for shortcuts."""
    ax.set_title(bridges.name, fontsize=9, pad=4)
    names = ["stem", "F₁", "F₂", "F₃", "F₄", "head"]
    between = {Bridges.stack_sum: "sum", Bridges.stack_concat: "transition"}.get(bridges)
    if between:
        names.insert(3, between)
    last = len(names) - 1
    for number, label in enumerate(names):
        if number:
            arrow(ax, (0, 0.7 - number), (0, 0.3 - number))
        box(ax, (0, -number), "conv" if label.startswith("F") else "other", label)
    if bridges in (Bridges.none, Bridges.unit, Bridges.stack):
        arcs = [] if bridges is Bridges.none else [(unit - 0.5, unit + 0.5) for unit in range(1, last)]
        arcs += [(0.4, 2.6), (2.4, 4.6)] if bridges is Bridges.stack else []
    else:
        reaches = [(0, 3), (3, last)] if between else [(0, last)]
        arcs = [(a, b) for first, end in reaches for a in range(first, end) for b in range(a + 2, end + 1)]
    start = 0.7 if "transition" in names else 0.45
    for begin, end in arcs:
        shape = ConnectionStyle.Arc3(rad=-0.64 - 0.5 / (end - begin))
        style = {"arrowstyle": "-|>", "color": "#3d6fa8", "lw": 0.9, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", (start, -end), (start, -begin), arrowprops=style | {"connectionstyle": shape})
    ax.set(xlim=(-0.9, 2.6), ylim=(-6.5, 0.6))
    ax.axis("off")


def main() -> None:
    """All figures."""
    v2 = Activation.full_preactivation
    units = [Diagram(f"unit={u}", layers(v2, u), [] if UNITS.info(u).bridged else None) for u in UNITS]
    save("units", units, len(units))
    save(
        "activations",
        [Diagram(a.name, layers(a, "basic"), after=boxes(PLACEMENTS[a].after_addition)) for a in Activation],
        6,
    )
    residual: list[Box] = [("conv", "F(x)")]
    gate: Box = ("other", "× (1 − g)")
    save(
        "shortcuts",
        [
            Diagram("projection", residual, [("conv", "1×1 conv")], note="only where the\nshape changes"),
            Diagram("zero_pad", residual, [("other", "subsample,\nadd zeros")], note="only where the\nshape changes"),
            Diagram("conv", residual, [("conv", "1×1 conv")], note="on every unit"),
            Diagram("constant_scaling", [*residual, ("other", "× b")], [("other", "× a")]),
            Diagram("exclusive_gating", [*residual, ("other", "× g")], [gate], note="g = σ(Wx + b)"),
            Diagram("shortcut_gating", residual, [gate], note="g = σ(Wx + b)"),
            Diagram("dropout", residual, [("other", "dropout")]),
            Diagram("none", residual, None),
        ],
        4,
    )
    se: Box = ("other", "SE")
    basic, bottleneck = layers(v2, "basic"), layers(v2, "bottleneck")
    save(
        "attention",
        [
            Diagram("place=standard", [*residual, se]),
            Diagram("place=pre", [*basic[:2], se, *basic[2:]]),
            Diagram("place=post", residual, after=[se]),
            Diagram("place=identity", residual, [se]),
        ],
        4,
    )
    save(
        "branch",
        [
            Diagram("unit_dropout", [*basic[:-1], ("other", "dropout"), basic[-1]]),
            Diagram("cardinality", [*bottleneck[:5], ("conv", "3×3, groups"), *bottleneck[6:]]),
            Diagram("learned_scale", [*residual, ("other", "× a")]),
            Diagram("stochastic_depth", [*residual, ("other", "dropped\nat random")]),
        ],
        4,
    )
    save_reaches("bridges")
    group = [*boxes(("norm", "relu"))]
    pooling: Box = ("other", "3×3 max-pooling, /2")
    save(
        "stems",
        [
            Diagram("stem=conv", [("conv", "3×3 conv")], None),
            Diagram("stem=cifar, resnext", [("conv", "3×3 conv"), *group], None),
            Diagram("stem=double", [("conv", "3×3 conv"), *group, ("conv", "3×3 conv, /2"), *group], None),
            Diagram("stem=imagenet", [("conv", "7×7 conv, /2"), *group, pooling], None),
            Diagram(
                "stem=deep",
                [("conv", "3×3 conv, /2"), *group, ("conv", "3×3 conv"), *group, ("conv", "3×3 conv"), *group, pooling],
                None,
            ),
        ],
        5,
    )
    strided: Box = ("conv", "3×3 conv, /2")
    convolved, blurred, half = ("conv", "3×3 conv"), ("other", "blur, /2"), ("conv", "1×1 conv, /2")
    blurring = [*group, convolved, *group, blurred, convolved]
    save(
        "downsample",
        [
            Diagram("stride", [*group, strided, *group, convolved], [half]),
            Diagram(
                "shortcut_pool=on", [*group, strided, *group, convolved], [("other", "2×2 mean"), ("conv", "1×1 conv")]
            ),
            Diagram("max_pool: x halved", [*group, convolved, *group, convolved], [("conv", "1×1 conv")]),
            Diagram("blur", blurring, [blurred, ("conv", "1×1 conv")]),
            Diagram("blur_branch", blurring, [half]),
        ],
        5,
    )
    last = boxes(PLACEMENTS[v2].head)
    pooled: list[Box] = [*last, ("other", "global average")]
    classifier: Box = ("conv", "classifier")
    save(
        "heads",
        [
            Diagram("head=linear", [*pooled, classifier], None),
            Diagram("head=mlp", [*pooled, ("conv", "dense"), ("relu", "ReLU"), classifier], None),
            Diagram("head=latent", [*pooled, ("conv", "latent_dim"), classifier], None),
            Diagram("head=latent_flat", [*last, ("other", "flatten"), ("conv", "latent_dim"), classifier], None),
            Diagram("head=latent_map", [*last, ("conv", "1×1 conv"), ("other", "global average"), classifier], None),
        ],
        5,
    )
    twice: Box = ("other", "× 2")
    save(
        "decoder",
        [
            Diagram(
                "first unit, encoder",
                [*group, ("conv", "3×3 conv, /2"), *group, ("conv", "3×3 conv")],
                [("conv", "1×1 conv, /2")],
            ),
            Diagram(
                "first unit, decoder",
                [*group, twice, ("conv", "3×3 conv"), *group, ("conv", "3×3 conv")],
                [("conv", "1×1 conv,\n× 2")],
            ),
            Diagram("decoder=plain", [twice, ("conv", "3×3 conv"), *group], None),
        ],
        3,
    )


if __name__ == "__main__":
    main()
