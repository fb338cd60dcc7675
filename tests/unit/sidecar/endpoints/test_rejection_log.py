"""The rate limit of the log of rejected requests."""

from sidecar.endpoints.rejection_log import RejectionLog

ROLES = "/latest/meta-data/iam/security-credentials"
TTL = "X-aws-ec2-metadata-token-ttl-seconds"


def test_first_rejection_of_each_reason_is_logged() -> None:
    rejections = RejectionLog()

    assert [rejections.count(reason, 0) for reason in ("host", "host", "browser")] == [1, None, 1]


def test_next_minutes_line_counts_unlogged_rejections() -> None:
    rejections = RejectionLog()
    for second in range(60):
        rejections.count("host", second)

    assert rejections.count("host", 60) == 60
    assert rejections.count("host", 61) is None
    assert rejections.count("host", 120) == 2


def test_clock_set_back_starts_a_new_minute() -> None:
    rejections = RejectionLog()
    rejections.count("host", 1_000_000)

    assert rejections.count("host", 5) == 1
