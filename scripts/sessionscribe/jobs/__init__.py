"""What surrounds the work of a job: log, record, failure, what was used."""
