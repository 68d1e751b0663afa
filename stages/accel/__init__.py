"""Optional accelerations: patches of library internals, offload, memory, parallelism."""
