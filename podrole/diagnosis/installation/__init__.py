"""Findings about podrole itself: its webhooks, guard and settings."""
