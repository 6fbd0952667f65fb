"""What Prometheus reads at /metrics: docs/operating.md.

What happens in a process is counted there and summed over all processes of the machine, by the files of
prometheus-client. What the database knows is read from it at every scrape.
"""
