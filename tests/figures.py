"""What tests count and measure, for the summary of a run: where workers run the tests, what they print is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

FIGURE = "figure"
Tell = Callable[[str], None]


def figures(reports: Iterable[object]) -> list[str]:
    """One line for each thing that was told, after the name of the test that told it."""
    of_tests = (report for report in reports if isinstance(report, pytest.TestReport) and report.when == "call")
    return [f"{report.nodeid}: {value}" for report in of_tests for name, value in report.user_properties if name == FIGURE]
