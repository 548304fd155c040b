"""What tests share: a tiny laboratory, sweeps as real processes, networks to look into."""
