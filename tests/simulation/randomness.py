"""Chance, all of it from one seed, in streams that do not disturb one another."""

from __future__ import annotations

from random import Random

from cueline.application.ports.runtime import Chance


class Streams:
    """Independent sequences of random numbers, one for each name.

    What one part of the simulation draws does not move what another draws; so leaving a happening
    out of a plan leaves the rest of it as it was.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._streams: dict[str, Random] = {}

    def __getitem__(self, name: str) -> Random:
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = Random(f"{self._seed}/{name}")
        return stream


class SeededChance(Chance):
    """The jitter of retries."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def __call__(self) -> float:
        return self._random.random()
