"""The `mclf` command."""
