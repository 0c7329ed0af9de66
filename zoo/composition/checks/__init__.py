"""What can be said against a request before any work is done."""
