"""Safe unpickling of plain data: grammar first, a small machine for the rest."""
