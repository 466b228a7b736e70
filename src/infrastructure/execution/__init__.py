"""Running handlers: their signatures, the checking of inputs, and the event loop and threads."""
