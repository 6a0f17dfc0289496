"""Questions across domains: what is there, where, and what it means."""
