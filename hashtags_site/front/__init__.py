"""Between the network and Django: it reads whole requests, within limits, before a thread is taken."""
