# The tests' app image: AWS CLI and boto3.
ARG BASE_IMAGE=docker.io/library/debian:trixie-slim
FROM ${BASE_IMAGE}
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/*
COPY packages /opt/packages
RUN python3 -m compileall -q /opt/packages
ENV PYTHONPATH=/opt/packages \
    PYTHONUNBUFFERED=1 \
    AWS_PAGER=
RUN printf '#!/bin/sh\nexec python3 -m awscli "$@"\n' > /usr/local/bin/aws && chmod 0755 /usr/local/bin/aws
USER 65532:65532
