/**
 * Asks STS, through the AWS SDK for JavaScript v3 and without a line of configuration, who it is.
 *
 * It writes its SDK's version, and then one line of JSON for each line that it reads.
 */

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";

const { version } = createRequire(import.meta.url)("@aws-sdk/client-sts/package.json");
const client = new STSClient({});

console.log(JSON.stringify({ version }));
for await (const line of createInterface({ input: process.stdin })) {
  try {
    const identity = await client.send(new GetCallerIdentityCommand({}));
    console.log(JSON.stringify({ arn: identity.Arn, user_id: identity.UserId }));
  } catch (error) {
    console.log(JSON.stringify({ error: `${error.name}: ${error.message}` }));
  }
}
