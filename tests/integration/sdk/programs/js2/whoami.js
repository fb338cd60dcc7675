/**
 * Asks STS, through the AWS SDK for JavaScript v2 and without a line of configuration, who it is.
 *
 * It writes its SDK's version, and then one line of JSON for each line that it reads.
 */

process.env.AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE = "1";

const AWS = require("aws-sdk");
const { createInterface } = require("node:readline");

// this SDK is older than the variable
const client = new AWS.STS({ endpoint: process.env.AWS_ENDPOINT_URL });

async function main() {
  console.log(JSON.stringify({ version: AWS.VERSION }));
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      const identity = await client.getCallerIdentity().promise();
      console.log(JSON.stringify({ arn: identity.Arn, user_id: identity.UserId }));
    } catch (error) {
      console.log(JSON.stringify({ error: `${error.name}: ${error.message}` }));
    }
  }
}

main();
