"""The canary: the candidate in a process of its own, asked real images before any user."""
