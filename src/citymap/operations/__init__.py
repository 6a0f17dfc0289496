"""The operator's tools: backup, restore, the doctor."""
