/** A bucket of an S3-compatible store, as far as an archive needs it.
 *
 * In: `s3://BUCKET/PREFIX`, and the environment variables that AWS's own tools read.
 * Out: objects written, read, listed.
 * Invariant: the store compares every piece it is sent with the SHA-256 in its signature; an upload of several pieces
 * appears complete or not at all, and is taken back when it fails. Neither key nor signature is in any error.
 * Bounds: {@link pieceOctets} in memory, {@link requestMs} and {@link retries} per request, {@link listedMax} names.
 * Addresses have the bucket in their path, as every compatible store takes it.
 * Sources: Amazon S3 API Reference 2006-03-01; AWS Signature Version 4, by aws4fetch. @module */

import { createHash } from "node:crypto";
import { AwsClient } from "aws4fetch";

export interface BucketSettings {
  endpoint: string;
  region: string;
  bucket: string;
  /** "" or ends with "/". */
  prefix: string;
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string;
}

/** A part of an upload has at least 5 MiB, and there are at most 10,000: files up to 156 GiB. */
const pieceOctets = 16 * 1024 * 1024;
const requestMs = 120_000;
const retries = 4;
const listedMax = 200_000;
const answerOctetsMax = 4 * 1024 * 1024;

/** @throws {RangeError} which part of the address or of the environment is not right */
export function readBucket(where: string, env: (name: string) => string | undefined): BucketSettings {
  const parts = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([A-Za-z0-9._/-]{0,512}))?$/.exec(where);
  if (parts === null || /(?:^|\/)\.\.?(?:\/|$)|^\/|\/\//.test(parts[2] ?? "")) {
    throw new RangeError(
      `Cannot use "archive" as a bucket must be like s3://BUCKET/PREFIX: current value is "${
        where.slice(0, 200)
      }"`,
    );
  }
  const [, bucket, path = ""] = parts;
  const region = env("AWS_REGION") || env("AWS_DEFAULT_REGION") || "us-east-1";
  const endpoint = env("AWS_ENDPOINT_URL_S3") || env("AWS_ENDPOINT_URL") ||
    `https://s3.${region}.amazonaws.com`;
  return {
    endpoint: checkEndpoint(endpoint),
    region,
    bucket,
    prefix: path === "" || path.endsWith("/") ? path : `${path}/`,
    accessKeyId: given(env, "AWS_ACCESS_KEY_ID", where),
    secretAccessKey: given(env, "AWS_SECRET_ACCESS_KEY", where),
    sessionToken: env("AWS_SESSION_TOKEN") ?? "",
  };
}

function checkEndpoint(text: string): string {
  const url = URL.parse(text);
  const isHere = url !== null && ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname);
  const isSafe = url?.protocol === "https:" || (url?.protocol === "http:" && isHere);
  if (url === null || !isSafe || url.username !== "" || url.search !== "" || url.hash !== "") {
    throw new RangeError(
      `Cannot use "AWS_ENDPOINT_URL" as it must begin with https://, or be on this machine: current value is "${
        text.replace(/\/\/[^@/]*@/, "//").slice(0, 200)
      }"`,
    );
  }
  return url.href.replace(/\/$/, "");
}

function given(env: (name: string) => string | undefined, name: string, where: string): string {
  const value = env(name);
  if (value) return value;
  throw new RangeError(`Cannot use "${where}" as the environment variable ${name} must be set: it is not`);
}

export class Bucket {
  readonly #settings: BucketSettings;
  readonly #client: AwsClient;

  constructor(settings: BucketSettings) {
    const { region, accessKeyId, secretAccessKey, sessionToken } = settings;
    this.#settings = settings;
    this.#client = new AwsClient({
      accessKeyId,
      secretAccessKey,
      ...sessionToken !== "" && { sessionToken },
      region,
      service: "s3",
      retries,
      initRetryMs: 200,
    });
  }

  /** Writes a file, with its SHA-256 beside it. */
  async putFile(name: string, path: string, sha256: string): Promise<void> {
    using file = await Deno.open(path, { read: true });
    const { size } = await file.stat();
    const headers = { "x-amz-meta-sha256": sha256 };
    if (size <= pieceOctets) return await this.put(name, await readPiece(file), headers);
    const begun = await this.#ask("POST", name, { query: "uploads=", headers });
    const upload = `uploadId=${encodeURIComponent(elements(begun.text, "UploadId")[0] ?? "")}`;
    try {
      const tags: string[] = [];
      for (let sent = 0; sent < size;) {
        const piece = await readPiece(file);
        if (piece.length === 0) throw new Error(`the file has fewer octets than the ${size} it had`);
        const query = `partNumber=${tags.length + 1}&${upload}`;
        tags.push((await this.#ask("PUT", name, { query, body: piece })).headers.get("etag") ?? "");
        sent += piece.length;
      }
      const pieces = tags.map((tag, index) =>
        `<Part><PartNumber>${index + 1}</PartNumber><ETag>${escapeTag(tag)}</ETag></Part>`
      );
      const body = new TextEncoder().encode(
        `<CompleteMultipartUpload>${pieces.join("")}</CompleteMultipartUpload>`,
      );
      const { text } = await this.#ask("POST", name, { query: upload, body });
      // This one answers 200 before it knows.
      if (text.includes("<Error>")) throw new Error(problemOf(text));
    } catch (error) {
      await this.#ask("DELETE", name, { query: upload }).catch(() => undefined); // The first error is the reason.
      throw error;
    }
  }

  async put(
    name: string,
    body: Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = {},
  ): Promise<void> {
    await this.#ask("PUT", name, { body, headers });
  }

  async remove(name: string): Promise<void> {
    await this.#ask("DELETE", name);
  }

  /** Octets and SHA-256 of a file; null = there is none. */
  async look(name: string): Promise<{ octets: number; sha256: string } | null> {
    const { status, headers } = await this.#ask("HEAD", name, { mayMiss: true });
    if (status === 404) return null;
    return {
      octets: Number(headers.get("content-length")),
      sha256: headers.get("x-amz-meta-sha256") ?? "",
    };
  }

  /** A small object as text. */
  async read(name: string): Promise<string> {
    return (await this.#ask("GET", name)).text;
  }

  /** Copies a file of `octets` here, piece by piece; one that is longer is cut there. */
  async fetch(name: string, octets: number, path: string): Promise<void> {
    using file = await Deno.open(path, { write: true, create: true, truncate: true, mode: 0o600 });
    for (let at = 0; at < octets;) {
      const range = `bytes=${at}-${Math.min(at + pieceOctets, octets) - 1}`;
      const { body } = await this.#ask("GET", name, { headers: { range }, octetsMax: pieceOctets });
      if (body.length === 0) throw new Error(`"${name}" has ${at} octets and must have ${octets}`);
      for (let done = 0; done < body.length;) done += await file.write(body.subarray(done));
      at += body.length;
    }
  }

  /** Names that begin with `start`. */
  async list(start: string): Promise<string[]> {
    const { prefix } = this.#settings;
    const names: string[] = [];
    for (let token: string | undefined = "";;) {
      const query: string = `list-type=2&prefix=${encodeURIComponent(prefix + start)}` +
        (token === "" ? "" : `&continuation-token=${encodeURIComponent(token)}`);
      const { text }: { text: string } = await this.#ask("GET", null, { query });
      for (const key of elements(text, "Key")) {
        if (key.startsWith(prefix)) names.push(key.slice(prefix.length));
      }
      [token] = elements(text, "NextContinuationToken");
      if (!token) return names;
      if (names.length >= listedMax) {
        throw new Error(
          `Cannot list s3://${this.#settings.bucket}/${prefix} as it has more than ${listedMax} files`,
        );
      }
    }
  }

  /** @throws what the store said */
  async #ask(
    method: string,
    name: string | null,
    { query, headers, body, mayMiss = false, octetsMax = answerOctetsMax }: {
      query?: string;
      headers?: Record<string, string>;
      body?: Uint8Array<ArrayBuffer>;
      mayMiss?: boolean;
      octetsMax?: number;
    } = {},
  ): Promise<{ status: number; headers: Headers; body: Uint8Array; text: string }> {
    const { endpoint, bucket, prefix } = this.#settings;
    const path = name === null ? bucket : `${bucket}/${prefix}${name}`;
    const what = `${method} s3://${path}`;
    const sha256 = createHash("sha256").update(body ?? new Uint8Array()).digest("hex");
    let response: Response;
    try {
      response = await this.#client.fetch(`${endpoint}/${path}${query ? `?${query}` : ""}`, {
        method,
        headers: { ...headers, "x-amz-content-sha256": sha256 },
        ...body && { body },
        redirect: "error",
        signal: AbortSignal.timeout(requestMs),
      });
    } catch (cause) {
      throw new Error(`Cannot reach ${endpoint} for ${what}: ${(cause as Error).message}`, { cause });
    }
    const octets = await readWithin(response, octetsMax);
    const text = octetsMax === answerOctetsMax || !response.ok ? new TextDecoder().decode(octets) : "";
    if (!response.ok && !(mayMiss && response.status === 404)) {
      throw new Error(`Cannot ${what}: the store answered ${response.status} ${problemOf(text)}`.trimEnd());
    }
    return { status: response.status, headers: response.headers, body: octets, text };
  }
}

async function readPiece(file: Deno.FsFile): Promise<Uint8Array<ArrayBuffer>> {
  const piece = new Uint8Array(pieceOctets);
  let filled = 0;
  while (filled < piece.length) {
    const count = await file.read(piece.subarray(filled));
    if (count === null) break;
    filled += count;
  }
  return piece.subarray(0, filled);
}

async function readWithin(response: Response, octetsMax: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let octets = 0;
  for await (const piece of response.body ?? []) {
    octets += piece.length;
    if (octets > octetsMax) {
      throw new Error(`the store's answer must have <= ${octetsMax} octets: it has more`);
    }
    pieces.push(piece);
  }
  const all = new Uint8Array(octets);
  for (let at = 0, index = 0; index < pieces.length; at += pieces[index++].length) all.set(pieces[index], at);
  return all;
}

/** Texts of all elements of a name: enough for answers whose form is fixed. */
function elements(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, "g"))].map(([, text]) =>
    text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&#34;", '"')
      .replaceAll("&amp;", "&")
  );
}

function escapeTag(tag: string): string {
  return tag.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

function problemOf(xml: string): string {
  const said = [...elements(xml, "Code").slice(0, 1), ...elements(xml, "Message").slice(0, 1)].join(": ");
  // deno-lint-ignore no-control-regex
  return said.replace(/[\x00-\x1f\x7f-\x9f]/g, " ").slice(0, 300);
}
