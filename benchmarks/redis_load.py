"""What Redis has done, by its own accounting."""

from dataclasses import dataclass
from typing import Self

from testkit.servers import RedisServer


@dataclass(frozen=True)
class RedisLoad:
    """Commands and CPU time so far, or between two looks.

    Attributes:
        cpu_seconds: of the whole process.
        calls: by command in small letters; what a script calls counts beside the script.
    """

    cpu_seconds: float
    calls: dict[str, int]

    @classmethod
    def measure(cls, server: RedisServer) -> Self:
        """Read what a server has done since it was started."""
        facts, commands = server.client.info("cpu"), server.client.info("commandstats")
        calls = {
            name.removeprefix("cmdstat_").lower(): stats["calls"]
            for name, stats in commands.items()
        }
        return cls(facts["used_cpu_user"] + facts["used_cpu_sys"], calls)

    @property
    def commands(self) -> int:
        """All of them."""
        return sum(self.calls.values())

    def __sub__(self, before: "RedisLoad") -> "RedisLoad":
        """What came since `before`."""
        calls = {name: count - before.calls.get(name, 0) for name, count in self.calls.items()}
        return RedisLoad(
            self.cpu_seconds - before.cpu_seconds,
            {name: count for name, count in calls.items() if count},
        )
