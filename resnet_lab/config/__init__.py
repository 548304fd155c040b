"""All settings: typed, validated and composed from overrides, with one canonical form. Imports no torch."""
