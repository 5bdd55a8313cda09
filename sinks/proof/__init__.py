"""Whether rows are what clients signed: signatures by the history of keys, columns by the signed bytes."""
