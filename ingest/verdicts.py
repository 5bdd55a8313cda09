"""What the registry's verdicts mean to a client."""

from __future__ import annotations

from collections.abc import Mapping

from ingest import errors
from ingest.registry_link import Verdict

SETTLED = frozenset({"accepted", "renewed"})

REGISTRATION: Mapping[str, errors.Problem] = {
    "conflict": errors.IdentityConflict("another key is registered for this client id", "client_id"),
    "replayed": errors.RegistrationReplayed("this registration, or a newer one, was decided before", "timestamp"),
    "revoked": errors.ClientRevoked("an administrator has to reinstate the client", "client_id"),
    "enrolment_required": errors.EnrolmentRequired("this server enrols unknown clients by invitation only", "client_id"),
    "enrolment_refused": errors.EnrolmentTokenRefused("it is unknown, used up, revoked or expired", "X-Enrolment-Token"),
    "refused": errors.CertificateUnavailable("the certificate authority does not answer; register again later"),
}
"""By outcome, of registrations and of the enrolment tokens that come with them."""

CREDENTIALS: Mapping[str, errors.Problem] = {
    "conflict": errors.KeySuperseded("the request is not signed by the key in force, or brings that very key"),
    "replayed": errors.RequestReplayed("this request, or a newer one, was decided before", "timestamp"),
    "revoked": errors.ClientRevoked("an administrator has to reinstate the client", "client_id"),
    "unknown": errors.InvalidApiKey("the registry does not know the client; register again", "Authorization"),
    "refused": errors.CertificateUnavailable("the certificate authority does not answer; ask again later"),
}
"""By outcome, of key rotations and certificate requests."""


def refuse(verdict: Verdict, problems: Mapping[str, errors.Problem], client_id: str) -> None:
    """Raise the problem of a verdict that refuses; an outcome that nobody knows is RegistryUnavailable."""
    if verdict.outcome in SETTLED:
        return
    problem = problems.get(verdict.outcome)
    if problem is None:
        raise errors.RegistryUnavailable("the registry's verdict is not understood")
    raise type(problem)(problem.detail, problem.member, client_id)
