"""A server over the detector: an interface for programs, and a page for people. Needs the extra ``[web]``."""
