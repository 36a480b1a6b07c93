"""Each driver under aioresponses, as users write it: over their session, and without one."""
