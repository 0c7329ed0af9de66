"""What lies on disk: manifest, records, outputs, results."""
