/** A real S3-compatible server (moto) that checks signatures and rights, with boto3 as a reader that is not ours.
 *
 * Out: settings of a user who may only use the bucket `archive`, as the environment gives them.
 * Why a user is made: moto verifies signatures for its own users alone, once set up. @module */

import { freePort, GuardedChild } from "./guarded_child.ts";
import { missingPython, runPython } from "./python.ts";

const readyTimeoutMs = 60_000;
/** Requests that set it up, which it takes from anybody: bucket, user, policy, key. */
const setUpRequests = 4;

const setUp = `
import boto3, json, sys
common = dict(endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
boto3.client("s3", **common).create_bucket(Bucket="archive")
iam = boto3.client("iam", **common)
iam.create_user(UserName="picket")
statement = [{"Effect": "Allow", "Action": "s3:*", "Resource": ["arn:aws:s3:::archive", "arn:aws:s3:::archive/*"]}]
policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
iam.put_user_policy(UserName="picket", PolicyName="archive", PolicyDocument=policy)
key = iam.create_access_key(UserName="picket")["AccessKey"]
print(json.dumps([key["AccessKeyId"], key["SecretAccessKey"]]))
`;

export async function s3Missing(): Promise<string | undefined> {
  return await missingPython(["moto", "flask", "boto3"], ["moto[server]"]);
}

export interface S3 {
  env: Record<string, string>;
  /** Runs Python lines that have \`s3\`, a client of boto3; returns what they print. */
  ask(lines: string): Promise<string>;
  stop(): Promise<void>;
}

export async function startS3(): Promise<S3> {
  const folder = await Deno.makeTempDir({ prefix: "picket-s3-" });
  const port = freePort(), endpoint = `http://127.0.0.1:${port}`;
  const python = new URL("../../.cache/readers/bin/python", import.meta.url).pathname;
  const child = new GuardedChild({
    command: python,
    args: ["-m", "moto.server", "-H", "127.0.0.1", "-p", String(port)],
    folder,
    env: { INITIAL_NO_AUTH_ACTION_COUNT: String(setUpRequests) },
  });
  await child.waitUntilReady("moto", async () => {
    const response = await fetch(`${endpoint}/moto-api/`).catch(() => null);
    await response?.body?.cancel();
    return response?.ok ?? false;
  }, readyTimeoutMs);
  const [id, secret] = JSON.parse(await runPython(["-c", setUp, endpoint]));
  const env = {
    AWS_ENDPOINT_URL: endpoint,
    AWS_ACCESS_KEY_ID: id,
    AWS_SECRET_ACCESS_KEY: secret,
    AWS_REGION: "us-east-1",
  };
  const client = `import boto3, json
s3 = boto3.client("s3", endpoint_url="${endpoint}", region_name="us-east-1", aws_access_key_id="${id}", aws_secret_access_key="${secret}")
`;
  return {
    env,
    ask: async (lines) => (await runPython(["-c", client + lines])).trim(),
    stop: () => child.stop(),
  };
}
