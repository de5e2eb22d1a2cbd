"""Benchmarks of the bridge as a whole, from outside: a load caller, an echoing platform, and what the kernel counts."""
