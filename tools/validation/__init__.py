"""Every level against every other: observing, comparing, and finding the first difference."""
