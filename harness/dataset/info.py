"""dataset.json: what a dataset is, and the settings of each collection into it."""

from __future__ import annotations

import msgspec


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """Before each job wait until the device is as cool and idle as this, but not for longer than the limit."""

    temperature_c: float | None = None
    busy: float | None = None  # share of all processors, 0 to 1
    limit_s: float = 300.0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a user chooses about a collection; kept in ``dataset.json``.

    ``rounds[n]`` is how often the co-runner sets of degree n are drawn: each round runs every workload n times
    per platform. ``limit_s`` bounds the first execution, and then all samples of a job together. Alone and together
    workloads are measured for ``co_run_s`` at least: longer, up to the limit, where one is alone and not yet through
    ``repeats`` executions, or together with others and not yet through its fifth. ``placebos`` is how often what is
    known beforehand is measured on each platform, ``cold`` how often each workload is started anew. With
    ``precision`` a job ends earlier: once the standard error of each member's mean is no more than this share of it.
    """

    seed: int = 0
    repeats: int = 50
    limit_s: float = 30.0
    co_run_s: float = 1.0
    rounds: dict[int, int] = msgspec.field(default_factory=lambda: {2: 1, 3: 1, 4: 1})
    anchors: int = 3
    placebos: int = 2
    cold: int = 0
    precision: float | None = None
    memory_bytes: int = 1 << 30
    gate: Gate = Gate()


class Origin(msgspec.Struct, frozen=True):
    """What a collection is of, as its user names it, and how it was begun.

    ``command`` is the whole command line, ``commit`` that of the git repository it was begun in (with ``-dirty`` where
    files differed from it), empty outside of one.
    """

    label: str = ""
    tags: dict[str, str] = {}
    command: tuple[str, ...] = ()
    commit: str = ""


class Collection(msgspec.Struct, frozen=True):
    started_at: str
    harness_version: str
    settings: Settings
    label: str = ""
    tags: dict[str, str] = {}
    command: tuple[str, ...] = ()
    commit: str = ""


class Info(msgspec.Struct, frozen=True):
    """dataset.json"""

    schema: int
    id: str
    created_at: str
    source: str
    collections: list[Collection] = []
    with_parts: bool = False  # made with its directory observations/: where that is gone it is damaged

    @property
    def label(self) -> str:
        """Of the newest collection that has one."""
        return next((one.label for one in reversed(self.collections) if one.label), "")

    @property
    def tags(self) -> dict[str, str]:
        """Of all collections, the newest of each name."""
        return {name: text for one in self.collections for name, text in one.tags.items()}

    def named(self) -> str:
        """Label and tags for a person, such as ``after (commit=1a2b3c)``; empty where there are none."""
        tags = ", ".join(f"{name}={text}" for name, text in self.tags.items())
        return f"{self.label} ({tags})" if self.label and tags else self.label or tags

    def begun(self, started_at: str, version: str, settings: Settings, origin: Origin) -> list[Collection]:
        """All collections with one that begins now: the last one where that goes on, else one more."""
        now = Collection(
            started_at, version, settings, origin.label, origin.tags, origin.command, origin.commit
        )
        last = self.collections[-1] if self.collections else None
        if last and last.settings == settings and origin.label in ("", last.label):
            goes_on = all(last.tags.get(name) == text for name, text in origin.tags.items())
            if goes_on:
                return self.collections
        return [*self.collections, now]
