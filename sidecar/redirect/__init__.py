"""The redirect rules, as data: `*.nft` for nft, `*.rules` for iptables-restore and ip6tables-restore. No code here."""
