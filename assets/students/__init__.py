"""Trains the models that come with the package, one command each; none of it is needed to use them."""
