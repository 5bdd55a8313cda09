"""The stages of ``ingest/refusals.py`` say what the code raises: each raise in the edge's source belongs to a stage."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import ingest
from ingest import errors, refusals
from ingest.errors import Problem
from ingest.refusals import Stage

PROBLEMS: Mapping[str, type[Problem]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Problem)
}

# Where each stage raises: module.function, or a whole module.
STAGES: Mapping[str, tuple[Stage, tuple[str, ...]]] = {
    "front": (
        refusals.FRONT,
        ("protocol", "timed_protocol", "request_head", "forwarded", "peer", "in_flight", "limits"),
    ),
    "limits": (refusals.LIMITS, ("limits",)),
    "headers": (refusals.HEADERS, ("extract._refuse_repeated",)),
    "authentication": (refusals.AUTHENTICATION | refusals.SCOPE, ("authentication", "extract.verify_message")),
    "body": (refusals.BODY, ("extract.check_content", "extract._stream", "extract.bounded")),
    "message": (
        refusals.MESSAGE | refusals.SIGNATURE,
        ("extract._parse", "extract._check_identities", "extract._check_signature"),
    ),
    "age": (refusals.AGE, ("extract.check_age",)),
    "get": (refusals.GET, ("extract.verify_get", "extract._check_get_time")),
    "own key": (refusals.OWN_KEY, ("extract._own_identity",)),
    "privacy": (refusals.PRIVACY, ("privacy",)),
    "store": (refusals.STORE, ("producer",)),
    "registry": (refusals.REGISTRY, ("registry_link", "verdicts.refuse")),
    "lines": (refusals.LINES, ("batch.replay",)),
    "enrolment": (refusals.ENROLMENT, ("enrolment",)),
    "rotation": (refusals.ROTATION, ("credentials._new_key",)),
    "certification": (refusals.CERTIFICATION, ("credentials.certify",)),
    "verdicts": (refusals.REGISTRATION_VERDICT | refusals.CREDENTIALS_VERDICT, ("verdicts.",)),
    "anywhere": (refusals.ANYWHERE, ("route.Endpoint._refused",)),
}
# These are answers to requests that no operation of the document describes, or verdicts on single lines of a batch.
ELSEWHERE = ("route.Endpoint._admit", "app", "batch._judged", "batch._read")


def raised() -> Iterator[tuple[str, type[Problem]]]:
    """Each place in the edge's source that makes a problem, as module.function (module. outside of functions)."""
    for path in sorted(Path(ingest.__path__[0]).glob("*.py")):
        if path.stem not in ("errors", "refusals"):
            yield from made_in(ast.parse(path.read_text()), f"{path.stem}.")


def made_in(node: ast.AST, place: str) -> Iterator[tuple[str, type[Problem]]]:
    for child in ast.iter_child_nodes(node):
        inner = place
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            inner = f"{place}{child.name}" if place.endswith(".") else f"{place}.{child.name}"
        made = child.func if isinstance(child, ast.Call) else child.exc if isinstance(child, ast.Raise) else None
        name = getattr(made, "attr", None) or getattr(made, "id", "")
        if name in PROBLEMS:
            yield inner, PROBLEMS[name]
        yield from made_in(child, inner)


RAISED = list(raised())


def lies_in(place: str, source: str) -> bool:
    return place == source or (place.startswith(source + ".") and "." not in source)


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_says_what_its_code_raises(name: str) -> None:
    stage, sources = STAGES[name]
    assert {kind for place, kind in RAISED if any(lies_in(place, source) for source in sources)} == stage


def test_every_problem_is_of_a_stage() -> None:
    sources = [source for _, sources in STAGES.values() for source in sources] + [*ELSEWHERE]
    assert sorted({place for place, _ in RAISED if not any(lies_in(place, source) for source in sources)}) == []


def test_every_problem_is_of_a_route_or_of_none() -> None:
    documented = {kind for kinds in refusals.PROBLEMS.values() for kind in kinds}
    assert set(PROBLEMS.values()) - documented == {errors.NotFound, errors.MethodNotAllowed, errors.Throttled}
