"""What a page knows, without a stack."""

import threading
from collections import deque

from stack.cli.page import state
from stack.cli.page.flow import Flow
from stack.cli.page.live_error import LiveError
from stack.cli.page.traffic import PageTraffic

NASTY = '<img src=x onerror="alert(1)">'


class KnownByHand:
    """What the page knows, without a stack."""

    def __init__(self):
        """A flow of ten seconds and a batch with a nasty name."""
        self.lock, self.flow, self.live = threading.Lock(), Flow(0.0), LiveError()
        self.state = {**state.NOTHING, "refused": [{"batch": NASTY, "reason": NASTY}], "refused_n": 1}
        self.state_change, self.events, self.traffic = 1, deque(), PageTraffic()
        self.problem = ""
        for second in range(10):
            self.flow.answer(0, second, second * 1000, second * 1000 + 5, 1, "1")
