"""How the supervisor runs what is optional."""

import pytest

from apps.gateway.settings import GatewaySettings
from stack import services
from stack.embedded.services.catalogue import specs
from stack.embedded.services.spec import StackContext


@pytest.mark.parametrize(("told", "grace"), [({}, 12), ({"BATON_DRAIN_S": "60"}, 62)])
def test_a_gateway_is_given_the_time_that_it_may_take_to_end(tmp_path, told, grace):
    """
    It is killed only after what a person gives it for what is in flight; its ports are stack.yaml's.
    """
    stack = services.load()
    service = stack.service("gateway")
    spec = specs([service], StackContext(tmp_path, stack, {}), told)["gateway"]

    assert grace == spec.grace_s
    assert str(service.ports["http"]) == spec.environment["BATON_GATEWAY_PORT"]
    assert str(service.ports["metrics"]) == spec.environment["BATON_METRICS_PORT"]
    assert "127.0.0.1" == GatewaySettings.model_fields["gateway_host"].default
    assert "BATON_GATEWAY_HOST" not in spec.environment
