"""The stack on a kind cluster: one node in Docker, images built here, Helm charts, and the runtime port over them."""
