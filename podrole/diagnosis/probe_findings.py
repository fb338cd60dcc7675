"""The findings about probe pods: level, sentence, remedy."""

from podrole.findings import FindingTemplate, Level

CLOSE_METADATA = (
    "Set HttpTokens=required and HttpPutResponseHopLimit=1 on the nodes, or deny traffic to the metadata addresses by "
    "a NetworkPolicy. PODROLE_REQUIRE_CLOSED_METADATA=true lets no env-mode pod start before."
)
SHOW_OPTIONS = (
    "aws ec2 describe-instances --output text --query 'Reservations[].Instances[].[InstanceId, "
    "MetadataOptions.HttpTokens, MetadataOptions.HttpPutResponseHopLimit]'"
)
NO_NETFILTER = (
    "This runtime does not apply the rules of the pod's network namespace (docs/redirect.md). Run its pods in env mode "
    "(PODROLE_MODE=env, or the namespace's label pod-security.kubernetes.io/enforce: baseline), and close the node's "
    "metadata service in another way."
)
NO_RULES = "Load the kernel's modules, set PODROLE_REDIRECT_BACKEND=iptables, or run such pods in env mode."


class Probe(FindingTemplate):
    """What a pod with podrole's rules, or with none, reaches at the metadata addresses."""

    BLOCK_PROVEN = (Level.OK, "Block mode works with {runtime}: every connection to a metadata address is refused.")
    REDIRECT_PROVEN = (Level.OK, "Redirect mode works with {runtime}: every metadata address leads to the sidecar.")
    RULES_BYPASSED = (
        Level.PROBLEM,
        "The rules of {mode} mode are loaded but not in effect with {runtime}: {problems}",
        NO_NETFILTER,
    )
    RULES_NOT_LOADED = (
        Level.PROBLEM,
        "The rules of {mode} mode cannot be loaded with {runtime}: {message}",
        "{remedy}",
    )
    NODE_METADATA_NOT_REACHABLE = (
        Level.OK,
        (
            "Without rules, as in env mode, the metadata service of node {node} does not answer with {runtime}: "
            "{addresses}."
        ),
    )
    NODE_METADATA_REACHABLE = (
        Level.WARNING,
        (
            "Without rules, as in env mode and in namespaces without the label, pods with {runtime} can get the role "
            "of node {node}: {addresses}."
        ),
        CLOSE_METADATA,
    )
    AGENT_ANSWERS = (
        Level.UNKNOWN,
        (
            "On node {node} {agent} answers at 169.254.169.254, with {runtime}. What the metadata service itself "
            "answers to pods can be measured only where {agent} and its rule are gone."
        ),
        "Until then, ask AWS for the tokens and the hop limit of each node:\n" + SHOW_OPTIONS,
    )
    PROBE_NOT_RUN = (Level.UNKNOWN, "The probe of {mode} mode with {runtime} did not run: {problem}")
    RUNTIME_CLASSES_OMITTED = (Level.NOTE, "No probe was made with these RuntimeClasses: {names}.")
    PROBES_NOT_DELETED = (Level.WARNING, "Objects of the probes could not be deleted: {leftover}")
