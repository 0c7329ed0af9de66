"""Cascaded refinement networks (CRN), and cIMLE, which trains one of them."""
