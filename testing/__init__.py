"""What demo, tests and bench share: pod runner, stand-ins, harnesses. Not installed. May import the product."""
