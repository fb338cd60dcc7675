"""`read_served_key.py URL`: prints the access key that the sidecar serves, or nothing while it has none."""

import json
import sys
import urllib.error
import urllib.request

try:
    with urllib.request.urlopen(sys.argv[1], timeout=5) as response:
        sys.stdout.write(json.load(response)["AccessKeyId"])
except urllib.error.HTTPError as error:
    error.close()
