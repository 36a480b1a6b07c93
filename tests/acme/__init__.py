"""A provider that does not exist: the three files and the samples that a new provider needs."""
