"""The composer, the instruments and the mixer behind the embedded data set `synthetic`."""
