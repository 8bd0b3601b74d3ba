"""Parts of the medical-insurance scenario: its models, and how they are shown."""
