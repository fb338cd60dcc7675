"""Asks STS, through boto 2 on Python 2.7 and without a line of configuration, who it is.

It writes its SDK's version, and then one line of JSON for each line that it reads.
"""

import json
import os
import re
import sys

import boto
from boto.exception import BotoClientError, BotoServerError, NoAuthHandlerFound
from boto.regioninfo import RegionInfo
from boto.sts import STSConnection

# this SDK is older than the variable, and than the call
_, host, port = re.split("://|:(?=[0-9])", os.environ["AWS_ENDPOINT_URL"])
region = RegionInfo(name=os.environ["AWS_REGION"], endpoint=host)
connection = None

sys.stdout.write(json.dumps({"version": boto.__version__}) + "\n")
sys.stdout.flush()
for _ in iter(sys.stdin.readline, ""):
    try:
        connection = connection or STSConnection(region=region, port=int(port), is_secure=False)
        response = connection.make_request("GetCallerIdentity", verb="POST")
        answer = response.read()
        names = {"arn": "Arn", "user_id": "UserId"} if response.status == 200 else {"error": "Code"}
        said = {key: re.findall("<" + name + ">([^<]+)", answer)[0] for key, name in names.items()}
    except (BotoClientError, BotoServerError, NoAuthHandlerFound) as error:
        said = {"error": type(error).__name__ + ": " + str(error)}
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
