"""What holds for the client now: the server's configuration, the policies in force, and how messages are protected."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from schemas.messages import ClientConfig, PolicySet, RegistrationAnswer
from schemas.sealing import SealingKey
from viworks import answers, local_mode, policy
from viworks.drafts import Draft
from viworks.errors import AnswerNotTrusted, DocumentOlder, SignatureWrong
from viworks.findings import Finding, FindingKind
from viworks.local_mode import Memory, Terms
from viworks.protection import Protection
from viworks.spool import Kind, Record
from viworks.transport import Response


class Standing:
    """Takes in only what the server has signed, and nothing older than it has given before.

    Attributes:
        terms: of the last registration; None before the first.
        policy: the policies in force, also while the server is away.
        unsaved: what ``Spool.remember`` has to be given; ask for it by ``taken``.
    """

    def __init__(
        self, memory: Memory, own_key: SealingKey | None, note: Callable[[Finding], None], clock: Callable[[], int]
    ) -> None:
        self.terms = memory.terms
        self.policy = memory.policy
        self.unsaved: dict[str, bytes] = {}
        self.protection = Protection(own_key)
        self._own_key = own_key
        self._note = note
        self._clock = clock
        if self.terms is not None:
            self.protection = Protection.of(self.terms.config, own_key)

    def registered(self, answer: RegistrationAnswer) -> None:
        """A registration's answer. Raises AnswerNotTrusted."""
        self.protection = Protection.of(answer.config, self._own_key)
        if self.terms is not None and self.terms.config.policy_key != answer.config.policy_key:
            self._note(Finding(FindingKind.POLICY_KEY_CHANGED, "a registration named another key for signing policies"))
        self._keep(answer.config, answer.expires_at)

    def take_policies(self, response: Response, named: int) -> PolicySet:
        """Policies of a response, or those in force where it says that they are the same. Raises AnswerNotTrusted."""
        known = self.policy.document
        if response.status == 304 and known is not None:
            self.policy = policy.confirmed(self.policy, named)
            return known
        document = self._trusted(response.body, PolicySet)
        etag = response.headers.get("etag", "")[:256]
        self._newest(lambda: policy.with_policies(self.policy, document, etag))
        self.unsaved |= local_mode.policies_value(response.body, etag)
        self._save()
        return document

    def take_config(self, response: Response) -> ClientConfig:
        """A configuration of a response. Raises AnswerNotTrusted."""
        config = self._trusted(response.body, ClientConfig)
        self._newest(lambda: policy.with_config(self.policy, config))
        self.protection = Protection.of(config, self._own_key)
        self._keep(config, self.terms.expires_at if self.terms else 0)
        return config

    def protected(self, kind: Kind, draft: Draft) -> Record:
        """A record for the spool: sealed already where the SOC's key is known."""
        return Record(kind=kind, message=self.protection.sealed(kind, draft), sealed_for=self.protection.key_id)

    def taken(self) -> Mapping[str, bytes]:
        """What is unsaved; it then counts as saved."""
        unsaved, self.unsaved = self.unsaved, {}
        return unsaved

    def _keep(self, config: ClientConfig, expires_at: int) -> None:
        self.terms = Terms(config, expires_at)
        if self.policy.version <= config.policy_version:
            self.policy = policy.with_interval(self.policy, config.heartbeat_interval)
        self._save()

    def _save(self) -> None:
        if self.terms is not None:
            terms = Terms(self.terms.config, self.terms.expires_at, self.policy.version, self.policy.config_interval_s)
            self.unsaved |= local_mode.terms_value(terms)

    def _trusted(self, body: bytes, kind: type[answers.T]) -> answers.T:
        if self.terms is None:
            raise AnswerNotTrusted("the server's policy key is not known before a registration")
        try:
            return answers.trusted(body, self.terms.config.policy_key, kind)
        except SignatureWrong:
            self._note(Finding(FindingKind.POLICY_SIGNATURE, f"a {kind.__name__} came that the server has not signed"))
            raise

    def _newest(self, taken: Callable[[], policy.PolicyState]) -> None:
        try:
            self.policy = taken()
        except DocumentOlder:
            self.policy, lasting = policy.with_older(self.policy, self._clock())
            if lasting:
                self._note(Finding(FindingKind.POLICY_ROLLBACK, "the server gives older policies than before, for a while"))
            raise
