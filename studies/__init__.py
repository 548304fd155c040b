"""The studies of docs/results/studies.md: each module measures their runs, and writes a page and its figures."""
