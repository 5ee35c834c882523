"""``python -m benchmarks.report``: see `benchmarks.report.report`."""

from benchmarks.report.report import main

if __name__ == "__main__":
    main()
