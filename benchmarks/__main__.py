"""Run the benchmarks: ``python -m benchmarks`` for all, ``python -m benchmarks pooling`` for one suite."""

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import torch

from .harness import Suite, Table, format_table, measured_now, write_results

# Each is a module of this package, which is imported when it is run: some bring large libraries to compare with.
SUITES = (
    "convolution",
    "pooling",
    "dense",
    "smollm2",
    "networks",
    "sequences",
    "compression",
    "explanations",
    "tables",
    "parallelism",
)
RESULTS = Path(__file__).with_name("results.json")


def suite(name: str) -> Callable[[int], list[Table]]:
    """What measures a suite in so many rounds."""
    return import_module(f".{name}", __package__).tables


def main() -> None:
    """Measure the suites named on the command line, print their tables, keep them in the results file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Ratios of our time to a reference's.")
    parser.add_argument("suites", nargs="*", metavar="suite", help=f"any of {', '.join(SUITES)}; all if none is named")
    parser.add_argument("--rounds", type=int, default=15, help="timings of each side (default 15)")
    parser.add_argument(
        "--threads", type=int, default=1, help="threads of torch (default 1, which a busy machine disturbs least)"
    )
    parser.add_argument(
        "--output", type=Path, default=RESULTS, help="results file to update (default benchmarks/results.json)"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.suites) - set(SUITES):
        parser.error(f"suites must be among {', '.join(SUITES)}, got {', '.join(sorted(unknown))}")
    torch.set_num_threads(arguments.threads)
    results = {}
    for name in arguments.suites or SUITES:
        measured = measured_now()
        print(
            f"\n{name}: {measured['processor']}, threads {measured['threads']}, torch {measured['torch']}", flush=True
        )
        results[name] = Suite(measured, tuple(suite(name)(arguments.rounds)))
        for table in results[name].tables:
            print(f"\n{format_table(table)}", flush=True)
    write_results(arguments.output, results)
    print(f"\nwritten to {arguments.output}")


if __name__ == "__main__":
    main()
