"""When executions are steady, and what is said of those that are not: the agent's rule, on times made up here."""

from __future__ import annotations

import random

from harness.fleet import agent

US = 1000


def times(count: int, mean_us: float, noise: float = 0.02, seed: int = 0) -> list[int]:
    draw = random.Random(seed)
    return [round(mean_us * US * (1 + noise * draw.expovariate(1))) for _ in range(count)]


def test_warming_up_goes_on_while_the_last_quarter_differs_from_the_one_before() -> None:
    falling = [round((100 + 400 * 0.98**i) * US) for i in range(100)]
    share = agent.still_warming(falling)
    assert share is not None
    assert -0.5 < share < -agent.STEADY
    assert agent.still_warming(falling + times(400, 100)) is None
    assert agent.still_warming(times(75, 100) + times(25, 130)) is not None


def test_noise_alone_is_not_a_change() -> None:
    wrong = sum(agent.still_warming(times(12, 100, noise=0.1, seed=seed)) is not None for seed in range(300))
    assert wrong < 30  # one in ten of the smallest: it only warms up a little longer
    wrong = sum(
        agent.unsteadiness(times(200, 100, noise=0.2, seed=seed), alone=True) != "" for seed in range(300)
    )
    assert wrong < 15


def test_what_is_not_one_steady_state_is_told_with_its_numbers() -> None:
    tier_up = times(90, 120) + times(110, 60)
    assert agent.unsteadiness(tier_up, True) == "became 50 % faster at once, after about 80 of 200 executions"
    drift = [round(wall * (1 + 0.001 * i)) for i, wall in enumerate(times(200, 100))]
    assert (
        agent.unsteadiness(drift, False)
        == "became 12 % slower from the first third of 200 executions to the last"
    )
    draw = random.Random(1)
    kinds = [draw.choice((100, 100, 150)) * US + draw.randrange(3 * US) for _ in range(200)]
    told = agent.unsteadiness(kinds, True)
    assert told.endswith("% of executions take 0.101 ms, the others 0.152 ms")
    assert agent.unsteadiness(kinds, False) == ""  # beside others it is the co-runner that interrupts some
    assert agent.unsteadiness(tier_up[:20], True) == ""


def test_processors_are_given_to_members_as_the_job_asks() -> None:
    job = {"members": [{}, {}], "cpus": [3, 5, 7]}
    assert agent.places(job) == [[3, 5, 7], [3, 5, 7]]
    assert agent.places(job | {"pin": "one"}) == [[7], [7]]
    assert agent.places(job | {"pin": "each"}) == [[5], [7]]
    assert agent.places({"members": [{}], "cpus": None}) == [None]
