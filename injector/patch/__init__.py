"""What an injected pod looks like: template, plan, JSON patch and its removal. Pure; may import `decision`."""
