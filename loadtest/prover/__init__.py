"""The prover: traffic, a command in the middle of it, and a verdict; for any server that echoes a request's key."""
