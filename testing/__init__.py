"""Pods, AWS stand-ins and harnesses that demo, tests and bench share. Not installed."""
