"""Public video benchmarks through lmms-eval."""
