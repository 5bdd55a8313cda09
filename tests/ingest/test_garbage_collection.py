"""What the edge asks of the cycle collector ends with it."""

from __future__ import annotations

import gc

from ingest.garbage_collection import lasting_objects_spared


def test_the_thresholds_are_as_before_afterwards() -> None:
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    try:
        with lasting_objects_spared():
            assert gc.get_freeze_count() > 0
            assert gc.get_threshold()[0] > 700
        assert gc.get_threshold() == (700, 10, 10)
    finally:
        gc.set_threshold(*before)
