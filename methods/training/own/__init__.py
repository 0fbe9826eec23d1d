"""Training on a generator and images of one's own: e4e, then StyleRes and WarpRes over it."""
