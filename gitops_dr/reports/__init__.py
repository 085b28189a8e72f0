"""Results become text. Pure: nothing here prints or writes, or reads but its own templates."""
