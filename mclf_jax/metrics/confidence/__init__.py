"""How far scores can be believed: made to be what comes true, and songs left to people."""
