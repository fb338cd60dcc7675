"""What happens to a pod: settings from annotations, rules, outcome. Pure; imports `config` and `k8s.objects`."""
