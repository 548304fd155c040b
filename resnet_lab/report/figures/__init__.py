"""Figures of reports, as PNG, SVG and PDF."""
