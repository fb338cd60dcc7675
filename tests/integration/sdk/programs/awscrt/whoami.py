"""Asks STS, with the default credentials chain and the signer of the AWS Common Runtime, who it is.

It writes its SDK's version, and then one line of JSON for each line that it reads.
"""

import json
import os
import re
import sys
import urllib.request
from io import BytesIO
from urllib.error import URLError
from urllib.parse import urlsplit

import awscrt
from awscrt.auth import (
    AwsCredentialsProvider,
    AwsSignatureType,
    AwsSigningAlgorithm,
    AwsSigningConfig,
    aws_sign_request,
)
from awscrt.exceptions import AwsCrtError
from awscrt.http import HttpHeaders, HttpRequest

BODY = b"Action=GetCallerIdentity&Version=2011-06-15"
endpoint = os.environ["AWS_ENDPOINT_URL"]
signing = AwsSigningConfig(
    AwsSigningAlgorithm.V4,
    AwsSignatureType.HTTP_REQUEST_HEADERS,
    AwsCredentialsProvider.new_default_chain(),
    region=os.environ["AWS_REGION"],
    service="sts",
)

sys.stdout.write(json.dumps({"version": awscrt.__version__}) + "\n")
sys.stdout.flush()
for _ in sys.stdin:
    headers = HttpHeaders([("Host", urlsplit(endpoint).netloc), ("Content-Type", "application/x-www-form-urlencoded")])
    try:
        request = aws_sign_request(HttpRequest("POST", "/", headers, BytesIO(BODY)), signing).result()
        signed = urllib.request.Request(endpoint, BODY, dict(request.headers))
        with urllib.request.urlopen(signed) as response:
            answer = response.read().decode()
        found = [re.search(f"<{name}>(.+)</{name}>", answer) for name in ("Arn", "UserId")]
        said = {name: match[1] for name, match in zip(("arn", "user_id"), found, strict=True) if match}
    except (AwsCrtError, URLError) as error:
        said = {"error": f"{type(error).__name__}: {error}"}
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
