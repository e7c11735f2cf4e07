"""Pictures, videos, tables and pages of what happened; reads results, never a simulator."""
