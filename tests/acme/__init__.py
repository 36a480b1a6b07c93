"""A provider that exists nowhere: the three files and the samples that adding one takes."""
