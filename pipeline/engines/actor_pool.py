"""The workers of a run as Ray actors: hired, asked for work, replaced when they die.

Ray restarts nothing by itself here: what a dead worker had in hand must be counted (see shares).
Knows Ray; no terminal.
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
"""Shares that a worker has at a time: one in the models, one being read or written."""
BARREN = 12
"""So many workers in a row may die without a picture finished before the run gives up."""
Tell = Callable[[str], None]


@dataclass
class Actor:
    """A worker and what it has in hand; `loading` until its models are there."""

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
    """A worker that died: what it had in hand, and what is known of why."""

    shots: list[Shot]
    why: str


class ActorPool:
    """At most `pool.workers` actors over one plan. `dismiss` ends them all, whatever they do."""

    def __init__(
        self, plan: WorkerSpec, pool: Pool, *, say: Tell, warn: Tell, barren: int = BARREN
    ) -> None:
        import ray

        self._ray, self._pool, self._say, self._warn = ray, pool, say, warn
        self._size = pool.workers or 1
        self._plan = ray.put(plan)
        actors: Any = ray.remote(RayWorker)
        self._hire = actors.options(
            num_cpus=pool.cpus,
            num_gpus=pool.gpus,
            max_concurrency=IN_HAND,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy="SPREAD",
        )
        self._members: list[Actor] = []
        self._stillborn = self._barren = 0
        self._most_barren = barren
        self._told_versions = False
        self.deaths = 0

    @property
    def busy(self) -> bool:
        return any(member.hand for member in self._members)

    @property
    def engaged(self) -> int:
        """Workers with something in hand."""
        return sum(bool(member.hand) for member in self._members)

    def fill(self, wanted: int) -> None:
        """Hire until there are `wanted` workers, or as many as there may be."""
        for _ in range(min(wanted, self._size) - len(self._members)):
            actor = self._hire.remote(self._plan)
            self._members.append(Actor(actor, actor.load.remote()))

    def hand_out(self, take: Callable[[bool], list[Shot]], suspect: Callable[..., bool]) -> None:
        """Give every worker that has room what `take` (whether it is idle) gives, in turns."""
        for depth in range(1, IN_HAND + 1):
            for member in self._members:
                if member.who is None or len(member.hand) >= (1 if member.alone else depth):
                    continue
                shots = take(not member.hand)
                if shots:
                    member.alone = suspect(shots)
                    member.hand[member.actor.work.remote(shots)] = shots

    def wait(self, seconds: float = 0.5) -> list[Finished | Lost]:
        """What happened within `seconds`, as soon as something did."""
        of = {ref: member for member in self._members for ref in member.hand}
        of |= {m.loading: m for m in self._members if m.loading is not None}
        if not of:
            return []
        done, _ = self._ray.wait(list(of), num_returns=1, timeout=seconds)
        happened: list[Finished | Lost] = []
        for ref in done:
            member = of[ref]
            if member not in self._members:
                continue  # died of another share just now
            if ref == member.loading:
                happened += self._loaded(member)
            else:
                happened += self._back(member, ref)
        return happened

    def dismiss(self) -> None:
        """End all workers at once."""
        for member in self._members:
            self._ray.kill(member.actor)
        self._members.clear()

    def _get(self, ref: Any, seconds: float = 60) -> Any:
        """The value of a finished call; _Died where its worker died. Raises what the call did."""
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
            self._stillborn += 1
            if self._stillborn >= 3:
                self._stillborn = 0
                said = f"3 workers in a row died while they loaded the models ({got.why})"
                self._without(ClusterError(f"{said}: expected memory for them; fewer --workers"))
            return []
        self._stillborn = 0
        member.who = got
        ready = sum(m.who is not None for m in self._members)
        self._say(f"{ready} of {self._size} workers are ready")
        self._compare(got)
        return []

    def _compare(self, who: Ready) -> None:
        """Versions make pictures: ours must be the same, others are told once."""
        from ..runs import run_yaml

        here = run_yaml.versions()
        other = [f"{k} {v} (here {here[k]})" for k, v in who.versions.items() if here.get(k) != v]
        if who.versions["visuals"] != here["visuals"]:
            raise EngineError(f"the worker on {who.host} has {other[0]}: install the same there")
        if other and not self._told_versions:
            self._told_versions = True
            self._warn(f"{who.host} has {', '.join(other)}: its pictures may differ a little")

    def _without(self, error: Exception) -> None:
        """Go on with a worker less; raises `error` where that was the last one."""
        self._size -= 1
        if self._size < 1:
            raise error
        said = one_line(error)
        self._warn(f"going on with {self._size} workers: one did not start: {said}")

    def _back(self, member: Actor, ref: Any) -> list[Finished | Lost]:
        got = self._get(ref)
        if not isinstance(got, _Died):
            del member.hand[ref]
            member.alone = False
            if got.records:
                self._barren = 0
            return [Finished(got)]
        happened: list[Finished | Lost] = []
        shots: list[Shot] = []
        for other, share in member.hand.items():
            # What it had finished before it died came back all the same.
            result = got if other == ref else self._get(other)
            if isinstance(result, _Died):
                shots += share
            else:
                happened.append(Finished(result))
        host = member.who.host if member.who else "?"
        self._leave(member)
        self.deaths += 1
        self._barren = 0 if happened else self._barren + 1
        if self._barren >= self._most_barren:
            raise ClusterError(
                f"{self._barren} workers died one after another, none with a picture finished; "
                f"the last on {host}: {got.why}"
            )
        return [*happened, Lost(shots, f"on {host}: {got.why}")]

    def _leave(self, member: Actor) -> None:
        self._members.remove(member)
        self._ray.kill(member.actor)  # where it is out of reach only, it must not go on


@dataclass(frozen=True)
class _Died:
    why: str


def _why(said: str) -> str:
    """Ray's paragraphs on a death, in a few words."""
    low = said.lower()
    if "running low on memory" in low or "memory monitor" in low:
        known = "the machine was out of memory"
    elif "node" in low and ("died" in low or "terminated" in low) and "worker exit" not in low:
        known = "its machine was lost"
    else:  # Ray names the kernel's killer for want of memory as one cause of many
        known = "its process was killed or crashed"
    return known
