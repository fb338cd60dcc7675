"""Asks STS, through the botocore of 2019 and without a line of configuration, who it is.

It writes its SDK's version, and then one line of JSON for each line that it reads.
"""

import json
import os
import sys

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError

session = botocore.session.get_session()
endpoint = os.environ["AWS_ENDPOINT_URL"]  # this SDK is older than the variable

sys.stdout.write(json.dumps({"version": botocore.__version__}) + "\n")
sys.stdout.flush()
for _ in sys.stdin:
    try:
        identity = session.create_client("sts", endpoint_url=endpoint).get_caller_identity()
        said = {"arn": identity["Arn"], "user_id": identity["UserId"]}
    except (BotoCoreError, ClientError) as error:
        said = {"error": f"{type(error).__name__}: {error}"}
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
