"""
The plan of a proof: what is sent where, what is done meanwhile, and what is forbidden.

It is the first file of the proof's folder, so that the sending and the reading process read it and nothing else, and
so that what was recorded can be judged again without Kafka.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from apps.common.kafka_access import KafkaAccess

PLAN, SENDS, ANSWERS, REQUESTS, EVENTS = "plan.json", "sends.jsonl", "answers.jsonl", "requests.jsonl", "events.jsonl"
UNANSWERED, HELD_BACK = "unanswered.jsonl", "held-back.jsonl"  # over HTTP: why; when nothing more could be sent
PAYLOADS, POISON, EXPECTED = "payloads.txt", "poison.txt", "expected.jsonl"  # copies of what was given
VERDICT, PAGE = "verdict.json", "report.html"
POISON_EACH = 100  # one request of so many is a poison, where there are some


@dataclass(frozen=True)
class Plan:
    """
    Times end in ``_s`` and are seconds; a bound of 0 is none. ``allow`` holds kinds of findings.

    With ``http`` requests are posted to that URL, and there is no Kafka and no topic.
    """

    run: str  # each request id begins with it
    bootstrap: str = ""
    requests: str = ""
    answers: str = ""
    http: str = ""
    headers: str = ""  # the file with more of them
    in_flight: int = 1  # requests at most, over HTTP
    rate: float = 50
    seconds: float = 20
    command: str = ""  # instead of ``seconds``: sent to before, while and after it runs
    before_s: float = 5
    after_s: float = 10
    command_limit_s: float = 600
    quiet_s: float = 60
    allow: tuple[str, ...] = ()
    min_requests: int = 100
    min_versions: int = 0  # of answers with our headers; 1 and more asks for such headers
    max_unknown: float = 0.001  # share of the requests
    max_silence_s: float = 0
    max_latency_s: float = 0
    model: str = ""  # that must answer; empty for any
    protocol: str = "PLAINTEXT"
    ca: str = ""
    mechanism: str = "SCRAM-SHA-512"
    user: str = ""
    password_file: str = ""
    poison: tuple[tuple[str, str], ...] = field(default=())  # reason, payload

    @property
    def access(self) -> KafkaAccess:
        """How Kafka is reached; the password stays in its file."""
        ca, password = (Path(name) if name else None for name in (self.ca, self.password_file))
        return KafkaAccess(self.bootstrap, self.protocol, ca, self.mechanism, self.user, password)

    def request_id(self, number: int) -> str:
        """The key of the request with this number, from 0 on."""
        return f"{self.run}-{number}"

    def poison_of(self, number: int) -> tuple[str, str] | None:
        """The reason and the payload of the request with this number where it is a poison."""
        turn, left = divmod(number, POISON_EACH)
        return self.poison[turn % len(self.poison)] if self.poison and left == POISON_EACH // 2 else None

    def reason_of(self, request_id: str) -> str | None:
        """The reason with which the request must be rejected; None when it is no poison."""
        number = request_id.removeprefix(f"{self.run}-")
        poison = self.poison_of(int(number)) if number.isdecimal() else None
        return poison[0] if poison else None

    def write(self, folder: Path) -> None:
        """Make it the folder's."""
        (folder / PLAN).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Plan":
        """That of a folder; raises OSError, ValueError, TypeError where it is none of a proof."""
        raw = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        pairs = tuple((reason, payload) for reason, payload in raw.pop("poison"))
        return cls(**{**raw, "allow": tuple(raw["allow"]), "poison": pairs})
