"""The settings: models that check them, and the pages and schema that are made from these."""
