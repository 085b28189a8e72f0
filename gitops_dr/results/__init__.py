"""What the verbs hand to the reports: frozen results made of the words of the rooms below. Pure."""
