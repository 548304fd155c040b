"""The parts of the page, in order; each takes the context and yields figures with captions."""

from collections.abc import Callable, Iterator

from resnet_lab.inspect.context import InspectContext
from resnet_lab.inspect.show_answers import show_mistakes, show_saliency
from resnet_lab.inspect.show_images import show_inversion, show_patterns
from resnet_lab.inspect.show_network import show_filters, show_flow, show_maps
from resnet_lab.inspect.shown import Shown

# Named as in `config.tasks.FIGURES`.
PARTS: dict[str, Callable[[InspectContext], Iterator[Shown]]] = {
    "flow": show_flow,
    "filters": show_filters,
    "maps": show_maps,
    "patterns": show_patterns,
    "inversion": show_inversion,
    "saliency": show_saliency,
    "mistakes": show_mistakes,
}
