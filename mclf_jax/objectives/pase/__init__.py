"""PASE and PASE+: many small tasks that share one encoder."""
