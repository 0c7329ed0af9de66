"""What the zoo's speed claims rest on: run `python -m benchmarks --help`; the other scripts here measure quality."""
