"""Asks STS, through the AWS CLI and without a line of configuration, who it is.

It writes the CLI's version, and then one line of JSON for each line that it reads, each from a new process of the CLI.
"""

import json
import subprocess
import sys

ask = ["aws", "sts", "get-caller-identity", "--output", "json"]
version = subprocess.run(["aws", "--version"], check=True, capture_output=True, text=True).stdout

sys.stdout.write(json.dumps({"version": version.split()[0].partition("/")[2]}) + "\n")
sys.stdout.flush()
for _ in sys.stdin:
    done = subprocess.run(ask, check=False, capture_output=True, text=True)
    if done.returncode:
        said = {"error": done.stderr.strip()}
    else:
        identity = json.loads(done.stdout)
        said = {"arn": identity["Arn"], "user_id": identity["UserId"]}
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
