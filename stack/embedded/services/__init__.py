"""How each service of the platform runs as a process of this machine: one module each."""
