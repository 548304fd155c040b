"""Every setting of the lab: typed, checked, composed from overrides, and in one canonical form. Imports no torch."""
