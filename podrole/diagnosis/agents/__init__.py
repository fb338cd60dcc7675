"""kube2iam and Kiam: what their settings mean for podrole, and who depends on them."""
