"""The redirect rules (`*.nft` for nft, `*.rules` for iptables), their iptables loader, and the sidecar's self-check."""
