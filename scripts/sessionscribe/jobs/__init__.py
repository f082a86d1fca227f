"""What surrounds the work of jobs: log, provenance, failures, usage, memory; a machine's clock and GPU."""
