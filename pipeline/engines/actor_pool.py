"""A pool of Ray actors: starts workers, hands out shots, replaces workers that die.

Ray's own restarts are off: shots of a dead worker must be counted (see work_queue).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...configs.errors import one_line
from .ray_cluster import ClusterError, EngineError, Pool
from .ray_worker import RayWorker, Ready, WorkerReport, WorkerSpec

if TYPE_CHECKING:
    from ...stages.shot import Shot

IN_HAND = 2
"""Shares in progress per worker: one in the models, one being read or written."""
MAX_DEATHS = 12
"""Workers that may die in a row, none with a picture finished, before the run fails."""
Tell = Callable[[str], None]


@dataclass
class Actor:
    """A worker and its shares in progress; `loading` until its models are loaded."""

    actor: Any
    loading: Any
    who: Ready | None = None
    alone: bool = False
    hand: dict[Any, list[Shot]] = field(default_factory=dict)


@dataclass(frozen=True)
class Finished:
    """A share that came back."""

    report: WorkerReport


@dataclass(frozen=True)
class Lost:
    """A worker that died: its unfinished shots, and the likely cause."""

    shots: list[Shot]
    why: str


class ActorPool:
    """Up to `pool.workers` actors that work on one run."""

    def __init__(
        self,
        plan: WorkerSpec,
        pool: Pool,
        *,
        say: Tell,
        warn: Tell,
        max_deaths: int = MAX_DEATHS,
    ) -> None:
        import ray

        self._ray, self._pool, self._say, self._warn = ray, pool, say, warn
        self._size = pool.workers or 1
        self._plan = ray.put(plan)
        actors: Any = ray.remote(RayWorker)
        self._start_actor = actors.options(
            num_cpus=pool.cpus,
            num_gpus=pool.gpus,
            max_concurrency=IN_HAND,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy="SPREAD",
        )
        self._members: list[Actor] = []
        self._failed_starts = self._fruitless = 0
        self._max_deaths = max_deaths
        self._warned_of_versions = False
        self.deaths = 0

    @property
    def busy(self) -> bool:
        return any(member.hand for member in self._members)

    @property
    def engaged(self) -> int:
        """Number of workers with shots."""
        return sum(bool(member.hand) for member in self._members)

    def fill(self, wanted: int) -> None:
        """Start workers until there are `wanted`, or the most that are allowed."""
        for _ in range(min(wanted, self._size) - len(self._members)):
            actor = self._start_actor.remote(self._plan)
            self._members.append(Actor(actor, actor.load.remote()))

    def hand_out(self, take: Callable[[bool], list[Shot]], suspect: Callable[..., bool]) -> None:
        """Give each worker with room the shots that `take(idle)` returns, in turns."""
        for depth in range(1, IN_HAND + 1):
            for member in self._members:
                if member.who is None or len(member.hand) >= (1 if member.alone else depth):
                    continue
                shots = take(not member.hand)
                if shots:
                    member.alone = suspect(shots)
                    member.hand[member.actor.work.remote(shots)] = shots

    def wait(self, seconds: float = 0.5) -> list[Finished | Lost]:
        """Return the next events, after at most `seconds`."""
        of = {ref: member for member in self._members for ref in member.hand}
        of |= {m.loading: m for m in self._members if m.loading is not None}
        if not of:
            return []
        done, _ = self._ray.wait(list(of), num_returns=1, timeout=seconds)
        happened: list[Finished | Lost] = []
        for ref in done:
            member = of[ref]
            if member not in self._members:
                continue  # died of another share
            if ref == member.loading:
                happened += self._loaded(member)
            else:
                happened += self._back(member, ref)
        return happened

    def stop_all(self) -> None:
        """Stop all workers at once."""
        for member in self._members:
            self._ray.kill(member.actor)
        self._members.clear()

    def _get(self, ref: Any, seconds: float = 60) -> Any:
        """Return the value of a finished call, or _Died; raises what the call raised."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(ref, timeout=seconds)
        except errors.RayTaskError as error:
            cause = getattr(error, "cause", None)
            raise (cause if isinstance(cause, Exception) else error) from None
        except errors.RayError as error:
            return _Died(_why(str(error)))

    def _loaded(self, member: Actor) -> list[Finished | Lost]:
        ref, member.loading = member.loading, None
        try:
            got = self._get(ref)
        except Exception as error:
            self._leave(member)
            self._without(error)
            return []
        if isinstance(got, _Died):
            self._leave(member)
            self.deaths += 1
            self._failed_starts += 1
            if self._failed_starts >= 3:
                self._failed_starts = 0
                self._without(
                    ClusterError(
                        f"3 workers in a row died while loading the models ({got.why}): expected "
                        "enough memory for them; set fewer --workers"
                    )
                )
            return []
        self._failed_starts = 0
        member.who = got
        ready = sum(m.who is not None for m in self._members)
        self._say(f"{ready} of {self._size} workers are ready")
        self._compare(got)
        return []

    def _compare(self, who: Ready) -> None:
        """Refuse another version of visuals; warn once of other libraries' versions."""
        from ..runs import run_yaml

        here = run_yaml.versions()
        other = [f"{k} {v} (here {here[k]})" for k, v in who.versions.items() if here.get(k) != v]
        if who.versions["visuals"] != here["visuals"]:
            raise EngineError(f"the worker on {who.host} has {other[0]}: install the same there")
        if other and not self._warned_of_versions:
            self._warned_of_versions = True
            self._warn(f"{who.host} has {', '.join(other)}: its pictures may differ a little")

    def _without(self, error: Exception) -> None:
        """Continue with one worker less; raises `error` if that was the last one."""
        self._size -= 1
        if self._size < 1:
            raise error
        self._warn(f"continuing with {self._size} workers: one did not start: {one_line(error)}")

    def _back(self, member: Actor, ref: Any) -> list[Finished | Lost]:
        got = self._get(ref)
        if not isinstance(got, _Died):
            del member.hand[ref]
            member.alone = False
            if got.records:
                self._fruitless = 0
            return [Finished(got)]
        happened: list[Finished | Lost] = []
        shots: list[Shot] = []
        for other, share in member.hand.items():
            # Shares that it finished before it died still arrive.
            result = got if other == ref else self._get(other)
            if isinstance(result, _Died):
                shots += share
            else:
                happened.append(Finished(result))
        host = member.who.host if member.who else "?"
        self._leave(member)
        self.deaths += 1
        self._fruitless = 0 if happened else self._fruitless + 1
        if self._fruitless >= self._max_deaths:
            raise ClusterError(
                f"{self._fruitless} workers died one after another, none with a picture finished; "
                f"the last on {host}: {got.why}"
            )
        return [*happened, Lost(shots, f"on {host}: {got.why}")]

    def _leave(self, member: Actor) -> None:
        self._members.remove(member)
        self._ray.kill(member.actor)  # it may only be out of reach: it must stop


@dataclass(frozen=True)
class _Died:
    why: str


def _why(message: str) -> str:
    """Return the cause of a death in a few words, from Ray's long message."""
    low = message.lower()
    if "running low on memory" in low or "memory monitor" in low:
        return "the machine was out of memory"
    if "node" in low and ("died" in low or "terminated" in low) and "worker exit" not in low:
        return "its machine was lost"
    return "its process was killed or crashed"
