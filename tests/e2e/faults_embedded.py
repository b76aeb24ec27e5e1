"""Crashes of local processes: kill -9 of a service's process and of all that it started."""

import os
import signal
from contextlib import contextmanager

import psutil

from apps.common.waiting import wait_until

BACK_S = 90


class EmbeddedFaults:
    """What a test may do to the processes of a stack."""

    def __init__(self, stack):
        """``stack`` is a running session."""
        self.stack = stack

    def instance(self, service):
        """The process id of a running service, or None."""
        found = [one for one in self.stack.runtime.status() if one.service == service]
        return int(found[0].instances[0]) if found and found[0].instances else None

    def kill(self, service):
        """End a service as a crash would; return which instance that was."""
        process = psutil.Process(self.instance(service))
        for victim in [*process.children(recursive=True), process]:
            victim.send_signal(signal.SIGKILL)
        return process.pid

    def freeze_jvm(self, service):
        """Stop the JVM of a service as a hanging disk would; return which instance that was."""
        process = psutil.Process(self.instance(service))
        for child in process.children(recursive=True):
            if child.name() == "java":
                child.suspend()
        return process.pid

    @contextmanager
    def away(self, service):
        """A service that takes connections and says nothing while the block runs."""
        process = psutil.Process(self.instance(service))
        members = [*process.children(recursive=True), process]
        for member in members:
            member.suspend()
        try:
            yield
        finally:
            for member in members:
                member.resume()

    def kill_keeper(self):
        """End the supervisor, and start it again as a person would."""
        os.kill(self.instance("supervisor"), signal.SIGKILL)
        wait_until(lambda: self.instance("supervisor") is None, BACK_S, "the supervisor does not end")
        told = {name: value for name, value in self.stack.settings.items() if name != "BATON_DATASET"}
        self.stack.up("used_cars", None, **told)

    def wait_until_back(self, service, old):
        """Wait until a service is ready again as another process."""

        def restarted():
            return self.instance(service) not in (None, old) and any(
                one.service == service and one.state == "ready" for one in self.stack.runtime.status()
            )

        wait_until(restarted, BACK_S, lambda: f"{service} is not back: {self.stack.runtime.status()}")
