"""Results become text. Pure: nothing here prints, reads or writes."""
