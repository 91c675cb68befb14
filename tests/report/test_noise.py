"""What the report warns of."""

from __future__ import annotations

from harness.report.noise import DRIFT, warnings


def platform(drift: float | None, error: float = 0.01) -> dict:
    told = dict.fromkeys(
        (
            "spread",
            "spread_95",
            "heat",
            "heat_most",
            "throttled",
            "load",
            "clock_low",
            "clock_high",
            "waited",
            "gave_up",
        )
    )
    return told | {
        "platform": "e:pi",
        "device": "pi",
        "processors": 4,
        "together": 1,
        "drift": drift,
        "drift_error": error,
        "governor": None,
    }


def test_a_device_that_became_faster_is_reported_as_one_that_became_slower_is() -> None:
    """Both spoil a ratio of times from the start and the end of a collection."""
    [slower] = warnings([platform(0.12)])
    [faster] = warnings([platform(-0.12)])
    assert slower == "The anchors changed between start and end: e:pi 12\u00a0% slower."
    assert faster == "The anchors changed between start and end: e:pi 12\u00a0% faster."
    assert warnings([platform(-DRIFT / 2), platform(DRIFT / 2), platform(None)]) == []


def test_a_drift_within_its_own_error_is_no_warning_and_wide_samples_are() -> None:
    assert warnings([platform(0.12, error=0.07)]) == []
    one = platform(None) | {"spread": 0.03, "spread_95": 3.0}
    assert warnings([one]) == [
        "One in twenty of the workloads alone has samples that spread by more than e:pi 300\u00a0%."
    ]
    assert warnings([one | {"spread_95": 0.2}]) == []
