"""A rotation that is killed at any point, or whose answer is lost, ends with a key that the server takes."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from schemas import signing
from tests.keys.crashing import Cell, Fuse, Place
from tests.keys.registry import Killed, Line, Registry, unreachable, works
from viworks import AnswerNotTrusted, Refused, Unreachable
from viworks.keys import ApiKey, KeyStore
from viworks.keys.rotation import rotate_key, settle_rotation

NEVER = 1_000
STEPS = 10
"""Before and after each of: the pending key, its number, the request, the new key, its number."""


class Ring:
    """Protects nothing: the crashes are what is under test."""

    kind = "test"

    def make(self) -> dict[str, str | int]:
        return {}

    def key(self, parameters: object) -> bytes:
        return b"k" * 32


class World:
    """A server, a disk, and processes that come and go on it."""

    def __init__(self) -> None:
        self._keys, self._witness = Cell(), Cell()
        self._ticks = itertools.count(1_000)
        store = self.start(NEVER)
        self.registry = Registry(signing.public_key_of(store.identity.secret_key))
        store.remember_api_key(ApiKey(text=self.registry.grant(self.registry.in_force), expires_at_ms=9))

    def clock(self) -> int:
        return next(self._ticks)

    def start(self, burns_at: int) -> KeyStore:
        self.fuse = Fuse(burns_at)
        return KeyStore.open_at(Place(self._keys, self._witness, self.fuse), "c-1", Ring())

    def line(self, store: KeyStore) -> Line:
        return Line(self.registry, store, before=self.fuse.step, after=self.fuse.step)

    async def restarted(self) -> KeyStore:
        store = self.start(NEVER)
        line = self.line(store)
        await settle_rotation(store, line, self.clock)
        return store


async def test_a_rotation_puts_the_new_key_in_force() -> None:
    world = World()
    store = world.start(NEVER)
    before = store.identity
    await rotate_key(store, world.line(store), world.clock)
    assert store.identity != before
    assert works(world.registry, store)
    again = world.start(NEVER)
    assert (again.identity, again.pending_identity, again.key_since_ms > 0) == (store.identity, None, True)
    assert works(world.registry, again)


@pytest.mark.parametrize("killed_at", range(1, STEPS + 1))
@pytest.mark.parametrize("idempotent", [True, False], ids=["server asks again", "older server"])
async def test_a_process_killed_at_any_step_has_a_working_key_after_its_restart(killed_at: int, idempotent: bool) -> None:
    world = World()
    world.registry.idempotent = idempotent
    store = world.start(killed_at)
    with pytest.raises(Killed):
        await rotate_key(store, world.line(store), world.clock)
    recovered = await world.restarted()
    assert works(world.registry, recovered)
    assert recovered.pending_identity is None
    assert not (idempotent and world.registry.alarms)


async def test_there_is_no_step_beyond_those_that_were_tried() -> None:
    world = World()
    store = world.start(STEPS + 1)
    await rotate_key(store, world.line(store), world.clock)
    assert not world.fuse.burnt


@pytest.mark.parametrize("killed_at", range(1, STEPS + 1))
async def test_a_second_crash_while_it_recovers_does_no_harm(killed_at: int) -> None:
    for second in range(1, STEPS + 1):
        world = World()
        store = world.start(killed_at)
        with pytest.raises(Killed):
            await rotate_key(store, world.line(store), world.clock)
        store = world.start(second)
        try:
            await settle_rotation(store, world.line(store), world.clock)
        except Killed:
            store = await world.restarted()
        assert works(world.registry, store)
        assert not world.registry.alarms


@pytest.mark.parametrize("lost", ["request", "answer"])
async def test_a_lost_request_or_answer_leaves_a_working_key_and_the_next_try_ends_it(lost: str) -> None:
    world = World()
    store = world.start(NEVER)
    hooks: dict[str, Callable[[], None]] = {"before": lambda: None, "after": lambda: None}
    hooks["before" if lost == "request" else "after"] = unreachable
    with pytest.raises(Unreachable):
        await rotate_key(store, Line(world.registry, store, **hooks), world.clock)
    assert works(world.registry, store)  # by the overlap, where the new key is in force
    pending = store.pending_identity
    await rotate_key(store, world.line(store), world.clock)
    assert (store.identity, store.pending_identity) == (pending, None)
    assert works(world.registry, store)
    assert not world.registry.alarms


@pytest.mark.parametrize("in_force", ["old", "new"])
async def test_once_the_overlap_is_over_registering_tells_which_key_is_in_force(in_force: str) -> None:
    world = World()
    store = world.start(NEVER)
    hooks: dict[str, Callable[[], None]] = {"before": lambda: None, "after": lambda: None}
    hooks["before" if in_force == "old" else "after"] = unreachable
    with pytest.raises(Unreachable):
        await rotate_key(store, Line(world.registry, store, **hooks), world.clock)
    world.registry.api_keys.clear()
    recovered = await world.restarted()
    assert works(world.registry, recovered)
    assert world.registry.alarms == (["identity-conflict"] if in_force == "old" else [])


async def test_an_api_key_that_ended_before_the_rotation_began_is_no_alarm() -> None:
    world = World()
    world.registry.api_keys.clear()
    store = world.start(NEVER)
    await rotate_key(store, world.line(store), world.clock)
    assert works(world.registry, store)
    assert not world.registry.alarms


async def test_a_key_that_somebody_else_replaced_stays_refused() -> None:
    world = World()
    store = world.start(NEVER)
    world.registry.in_force = signing.public_key_of(b"m" * 32)
    with pytest.raises(Refused) as refused:
        await rotate_key(store, world.line(store), world.clock)
    assert refused.value.type.endswith("key-superseded")


async def test_an_answer_for_another_key_changes_nothing() -> None:
    world = World()
    store = world.start(NEVER)
    line = world.line(store)

    class Confused(Line):
        async def post(self, resource: str, message: object) -> object:  # type: ignore[override]
            answer = await line.post(resource, message)  # type: ignore[arg-type]
            return type(answer)(200, {}, answer.body.replace(b'"key_id":"', b'"key_id":"0'))

    before = store.identity
    with pytest.raises(AnswerNotTrusted):
        await rotate_key(store, Confused(world.registry, store, before=int, after=int), world.clock)  # type: ignore[arg-type]
    assert store.identity == before
    assert store.pending_identity is not None
