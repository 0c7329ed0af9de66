"""The work: inputs, edits, styles, batch by batch."""
