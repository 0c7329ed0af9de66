"""The tables of papers (`zoo reproduce`): every row trained at one budget, measured by one protocol, beside the paper's figures and claims."""
