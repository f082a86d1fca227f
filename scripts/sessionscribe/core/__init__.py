"""What everything else stands on: errors, files, text, times, tables; no stage, no model."""
