"""Creates the topics of the contract on a broker. May run any number of times, also by several at once."""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
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
        await _grow(admin, [topic for topic in topics if topic.name in existing])
        missing = [topic for topic in topics if topic.name not in existing]
        if not missing:
            return ()
        answer = await admin.create_topics([_new_topic(topic, replication_factor) for topic in missing])
        return tuple(name for name, code, *reason in answer.topic_errors if _created(name, code, reason))
    except (KafkaError, OSError) as error:
        raise TopicsNotCreated(f"The topics could not be created on {bootstrap}: {error}.") from error
    finally:
        await admin.close()


async def _grow(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> None:
    """Topics of an earlier version may have fewer partitions."""
    described = await admin.describe_topics([topic.name for topic in topics]) if topics else []
    found = {each["topic"]: len(each["partitions"]) for each in described}
    small = {topic.name: NewPartitions(topic.partitions) for topic in topics if found[topic.name] < topic.partitions}
    if small:
        await admin.create_partitions(small)


def _new_topic(topic: Topic, replication_factor: int) -> NewTopic:
    return NewTopic(topic.name, topic.partitions, replication_factor, topic_configs=topic.config())


def _created(name: str, code: int, reason: list[str | None]) -> bool:
    if code == TopicAlreadyExistsError.errno:
        return False
    if code:
        raise TopicsNotCreated(f"The broker refused to create {name}: {for_code(code).__name__} {reason}.")
    return True
