"""Which problems each route can give: the stages of a request in their order, and what each of them refuses.

A test holds every stage against the code that raises, and another against what a running edge answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ingest import errors, verdicts
from ingest.authentication import ANY_SCOPE
from ingest.errors import Problem
from ingest.route import RouteRow
from ingest.routes import ROUTES

Stage = frozenset[type[Problem]]


def _settled(problems: Iterable[Problem]) -> Stage:
    return frozenset(type(problem) for problem in problems)


ANYWHERE: Stage = frozenset({errors.Problem})
FRONT: Stage = frozenset(
    {
        errors.MalformedHttp,
        errors.RequestTimeout,
        errors.HeaderTooLarge,
        errors.ExpectationFailed,
        errors.UnsupportedCoding,
        errors.UnsupportedVersion,
        errors.CertificateRefused,
        errors.Overloaded,
        errors.TooManyRequests,
    }
)
LIMITS: Stage = frozenset({errors.TooManyRequests})
HEADERS: Stage = frozenset({errors.UnfitMessage})
AUTHENTICATION: Stage = frozenset(
    {
        errors.MissingApiKey,
        errors.InvalidApiKey,
        errors.MissingHeader,
        errors.IdentityMismatch,
        errors.CertificateRequired,
    }
)
SCOPE: Stage = frozenset({errors.ScopeRefused})
BODY: Stage = frozenset({errors.UnsupportedMediaType, errors.BodyTooLarge, errors.MalformedJson})
SIGNATURE: Stage = frozenset({errors.MalformedSignatureProblem, errors.SignatureRefused})
MESSAGE: Stage = frozenset({errors.MalformedJson, errors.RepeatedKey, errors.UnfitMessage, errors.IdentityMismatch})
AGE: Stage = frozenset({errors.StaleTimestamp})
GET: Stage = frozenset({errors.MissingHeader, errors.UnfitMessage, errors.StaleTimestamp})
OWN_KEY: Stage = frozenset({errors.UnfitPublicKey})
PRIVACY: Stage = frozenset({errors.PlaintextRefused})
STORE: Stage = frozenset({errors.BrokerUnavailable})
REGISTRY: Stage = frozenset({errors.RegistryUnavailable})
LINES: Stage = frozenset({errors.UnfitMessage, errors.BrokerUnavailable})
REGISTRATION_VERDICT = _settled(verdicts.REGISTRATION.values())
CREDENTIALS_VERDICT = _settled(verdicts.CREDENTIALS.values())
ENROLMENT: Stage = frozenset(
    {errors.IdentityMismatch, errors.UnfitMessage, errors.UnfitCertificateRequest, errors.EnrolmentTokenRefused}
)
ROTATION: Stage = frozenset({errors.UnfitPublicKey, errors.MalformedSignatureProblem, errors.SignatureRefused})
CERTIFICATION: Stage = frozenset({errors.UnfitCertificateRequest})

_SIGNED: tuple[Stage, ...] = (BODY, MESSAGE, SIGNATURE, AGE)
_BY_NAME: dict[str, tuple[Stage, ...]] = {
    "heartbeat": (*_SIGNED, STORE),
    "events": (*_SIGNED, PRIVACY, STORE),
    "sessions": (*_SIGNED, PRIVACY, STORE),
    "batch": (BODY, LINES, STORE),
    "register": (*_SIGNED, OWN_KEY, ENROLMENT, PRIVACY, STORE, REGISTRY, REGISTRATION_VERDICT),
    "keys": (*_SIGNED, ROTATION, STORE, REGISTRY, CREDENTIALS_VERDICT),
    "certificates": (*_SIGNED, CERTIFICATION, STORE, REGISTRY, CREDENTIALS_VERDICT),
    "config": (GET, SIGNATURE),
    "policies": (GET, SIGNATURE),
}


def stages_of(row: RouteRow) -> Iterator[Stage]:
    """The stages that a request of this route goes through."""
    yield ANYWHERE
    yield FRONT
    yield HEADERS
    yield LIMITS
    if row.scope:
        yield AUTHENTICATION
    if row.scope and row.scope != ANY_SCOPE:
        yield SCOPE
    yield from _BY_NAME[row.name]


def problems_of(row: RouteRow) -> list[type[Problem]]:
    """The problems that a request of this route and method can be answered with, by status and then by type."""
    return in_order(frozenset().union(*stages_of(row)))


def in_order(stage: Stage) -> list[type[Problem]]:
    """The problems of a stage by status and then by type."""
    return sorted(stage, key=lambda kind: (kind.status, kind.slug))


PROBLEMS = {row.name: problems_of(row) for row in ROUTES}
"""Of every route, by its name."""
