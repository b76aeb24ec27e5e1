"""Crashes of local processes: kill -9 of a service's process and of all that it started."""

import signal
import threading
from contextlib import contextmanager, suppress

import psutil

from apps.common.waiting import pause, wait_until

BACK_S = 180
NEXT_SERVER = "prediction-server-next"


class EmbeddedFaults:
    """What a test may do to the processes of a stack."""

    def __init__(self, stack):
        """``stack`` is a running session."""
        self.stack = stack

    def instance(self, service):
        """The process of a running service, or None; unlike its number no later one is equal to it."""
        found = [one for one in self.stack.runtime.status() if one.service == service]
        if not found or not found[0].instances:
            return None
        try:
            return psutil.Process(int(found[0].instances[0]))
        except psutil.NoSuchProcess:
            return None

    def next_server(self):
        """The process of the server that starts beside the one that serves, or None."""
        return self.instance(NEXT_SERVER)

    def kill(self, service):
        """End a service as a crash would; return which instance that was."""
        return self.send(wait_until(lambda: self.instance(service), BACK_S, f"{service} does not run"), "SIGKILL")

    def send(self, instance, name):
        """Send every process of an instance a signal, as ``SIGSTOP``; those that have ended miss it. Return it."""
        with suppress(psutil.NoSuchProcess):
            for one in [*instance.children(recursive=True), instance]:
                with suppress(psutil.NoSuchProcess):
                    one.send_signal(signal.Signals[name])
        return instance

    @contextmanager
    def kept_down(self, service):
        """A service is down while the block runs: it is killed as often as it is started; afterwards it is ready."""
        over = threading.Event()

        def keep_down():
            while not over.is_set():
                if process := self.instance(service):
                    self.send(process, "SIGKILL")
                pause(0.1)

        killer = threading.Thread(target=keep_down)
        killer.start()
        try:
            wait_until(lambda: self.state(service) != "ready", BACK_S, f"{service} is not down")
            yield
        finally:
            over.set()
            killer.join()
            wait_until(lambda: self.state(service) == "ready", BACK_S, f"{service} is not back")

    def state(self, service):
        return next(one.state for one in self.stack.runtime.status() if one.service == service)

    def freeze_jvm(self, service):
        """Stop the JVM of a service as a hanging disk would; return which instance that was."""
        process = self.instance(service)
        for child in process.children(recursive=True):
            if child.name() == "java":
                child.suspend()
        return process

    def kill_keeper(self):
        """End the supervisor, and start it again as a person would."""
        self.instance("supervisor").kill()
        wait_until(lambda: self.instance("supervisor") is None, BACK_S, "the supervisor does not end")
        told = {name: value for name, value in self.stack.settings.items() if name != "BATON_DATASET"}
        self.stack.up("used_cars", None, **told)

    def wait_until_back(self, service, old):
        """Wait until a service is ready again as another process."""

        def restarted():
            return self.instance(service) not in (None, old) and self.state(service) == "ready"

        wait_until(restarted, BACK_S, lambda: f"{service} is not back: {self.stack.runtime.status()}")
