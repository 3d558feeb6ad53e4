"""Text that people and programs write: tables and JSON, read strictly."""
