"""What a Job or a CronJob is doing."""

from collections.abc import Iterator, Mapping, Sequence

from injector.k8s.objects import Object, read_mapping
from podrole.diagnosis.state.workload import find_job_end
from podrole.diagnosis.workloads.findings import WorkloadFinding
from podrole.findings import Finding


def report_job(job: Object, names: Mapping[str, str]) -> Finding:
    """Report whether a Job ended, and how; otherwise whether it has pods."""
    status = read_mapping(job, "status")
    numbers = {key: status.get(key) or 0 for key in ("active", "succeeded", "failed")}
    if (end := find_job_end(job)) is not None:
        return _report_end(job, end, names)
    if read_mapping(job, "spec").get("suspend"):
        return WorkloadFinding.JOB_SUSPENDED.format()
    if not numbers["active"]:
        return WorkloadFinding.JOB_WITHOUT_PODS.format(**names)
    return WorkloadFinding.JOB_RUNNING.format(**numbers)


def report_cron_job(cron_job: Object, jobs: Sequence[Object], names: Mapping[str, str]) -> Iterator[Finding]:
    """Report whether a CronJob starts Jobs, and what its last one does."""
    spec, status = read_mapping(cron_job, "spec"), read_mapping(cron_job, "status")
    at, succeeded = status.get("lastScheduleTime"), status.get("lastSuccessfulTime")
    last = f" Its last run was at {at}, its last success at {succeeded or 'no known time'}." if at else ""
    if spec.get("suspend"):
        yield WorkloadFinding.CRON_JOB_SUSPENDED.format(last=last)
    else:
        yield WorkloadFinding.CRON_JOB_SCHEDULED.format(schedule=spec.get("schedule"), last=last)
    for job in jobs[-1:]:
        name = read_mapping(job, "metadata").get("name")
        yield WorkloadFinding.CRON_JOB_RUN.format(name=name)
        yield report_job(job, {**names, "target": f"job/{name}"})


def _report_end(job: Object, end: Object, names: Mapping[str, str]) -> Finding:
    if end.get("type") in {"Complete", "SuccessCriteriaMet"}:
        return WorkloadFinding.JOB_COMPLETED.format()
    return WorkloadFinding.JOB_FAILED.format(
        namespace=names["namespace"],
        name=read_mapping(job, "metadata").get("name"),
        reason=end.get("reason"),
        message=end.get("message"),
    )
