"""Creates the topics of the contract on a broker. May run any number of times, also by several at once."""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from infra.errors import TopicsNotCreated
from schemas.topics import TOPICS, Topic

_REQUEST_TIMEOUT_MS = 30_000


async def create_topics(bootstrap: str, replication_factor: int, topics: Sequence[Topic] = TOPICS) -> tuple[str, ...]:
    """Create those of ``topics`` that are missing and return their names.

    Raises:
        TopicsNotCreated: the broker refused one, or could not be asked.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=_REQUEST_TIMEOUT_MS)
    try:
        await admin.start()
        existing = set(await admin.list_topics())
        missing = [topic for topic in topics if topic.name not in existing]
        if not missing:
            return ()
        answer = await admin.create_topics([_new_topic(topic, replication_factor) for topic in missing])
        return tuple(name for name, code, *reason in answer.topic_errors if _created(name, code, reason))
    except (KafkaError, OSError) as error:
        raise TopicsNotCreated(f"The topics could not be created on {bootstrap}: {error}.") from error
    finally:
        await admin.close()


def _new_topic(topic: Topic, replication_factor: int) -> NewTopic:
    return NewTopic(topic.name, topic.partitions, replication_factor, topic_configs=topic.config())


def _created(name: str, code: int, reason: list[str | None]) -> bool:
    if code == TopicAlreadyExistsError.errno:
        return False
    if code:
        raise TopicsNotCreated(f"The broker refused to create {name}: {for_code(code).__name__} {reason}.")
    return True
