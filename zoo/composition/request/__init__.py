"""What a run is asked for: written forms, and the request as a whole."""
