"""Everything that needs a GPU, in four pieces: is it right (`right`), how fast is it (`fast`), how do several runs
share it (`packing`), and does it keep what the lab promises (`promise`).

A part of a piece is a generator: it is given what an earlier start wrote, and yields its content after each step of
work. The last content has "checks", the verdicts.
"""

from collections.abc import Callable, Iterator
from typing import Any

Content = dict[str, Any]
Part = Callable[[Content], Iterator[Content]]
