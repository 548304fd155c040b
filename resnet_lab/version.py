"""The version, of the distribution too: pyproject.toml reads it here."""

__version__ = "0.2.0"
