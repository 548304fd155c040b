"""How fast a configuration trains on this machine, and how fast it could."""
