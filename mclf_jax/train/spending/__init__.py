"""What training takes: where the time goes, and the energy, and how much of a chip is used."""
