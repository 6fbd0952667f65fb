"""What the site has found out, to read: runs, models, campaigns, votes."""
