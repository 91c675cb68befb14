"""What the report warns of."""

from __future__ import annotations

from harness.report.noise import DRIFT, warnings


def platform(drift: float | None, error: float = 0.01) -> dict:
    told = dict.fromkeys(
        (
            "spread",
            "spread_95",
            "tail",
            "quota",
            "steal",
            "heat",
            "heat_most",
            "throttled",
            "load",
            "pace",
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


def test_a_quota_and_a_hypervisor_are_told_with_the_number() -> None:
    found = platform(None) | {"quota": 31.0, "steal": 2.5, "tail": 3.2}
    assert warnings([found]) == [
        "Half of the workloads alone have a 95th percentile far above their median: e:pi 3.20×.",
        "Stopped by a quota of processors during jobs, so that times are of two kinds: e:pi 31 times.",
        "A hypervisor gave time to others during jobs: e:pi 2.5 s.",
    ]
    assert warnings([platform(None) | {"quota": 0.0, "steal": 0.0, "tail": 1.01}]) == []


def test_processors_that_did_fixed_work_more_slowly_are_told_by_their_device() -> None:
    [told] = warnings([platform(None) | {"pace": 1.43}])
    assert told.startswith("Fixed work took longer than at best after half of the jobs")
    assert told.endswith(" pi 1.43×.")
    assert warnings([platform(None) | {"pace": 1.02}]) == []
