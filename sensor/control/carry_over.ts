/** Batches that an earlier identity sealed, carried over to the one that took its place:
 * sealed anew, so that the fleet takes them.
 *
 * In: the spool's folder, the identity, and which one was before. Out: how many were carried, how many could not be.
 * They get an epoch of their own, with seq from 1 in each bucket,
 * as the aggregator expects of a sensor it does not know.
 * Invariant: each batch is there once, before and after, wherever this is interrupted: the new file is durable before
 * the old one goes, and a batch that has both is recognised by its content.
 * Done again until `carry` is off the identity. @module */

import { Buffer } from "node:buffer";
import { type BatchHeader, publicKeyFromRaw, signedText, signText, verifyText } from "../../shared/batch.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { type Disk, type FileInfo, replaceFile } from "../disk.ts";
import { type PackedBatch, packFile, unpackBatch } from "../ship/packed_batch.ts";
import { fileBytesMax, nameForm } from "../ship/spool.ts";
import type { Identity } from "./identity.ts";

/** Where in an epoch a bucket is: its last batch. */
interface Last {
  seq: number;
  sha256: string;
}

interface Found {
  name: string;
  epoch: number;
  bucket: number;
  seq: number;
}

/** Rejects when the disk fails; what was carried until then stays carried. */
export async function carryOver(
  spoolFolder: string,
  identity: Identity,
  deps: { disk: Disk; reporter: Reporter },
): Promise<{ carried: number; left: number }> {
  const { carry, enrolment } = identity;
  if (carry === null || enrolment === null) return { carried: 0, left: 0 };
  const { disk, reporter } = deps;
  const all = batchesIn(await disk.list(spoolFolder).catch(() => []));
  const lasts = await lastOf(all.filter(({ epoch }) => epoch === carry.epoch), spoolFolder, disk);
  const oldKey = publicKeyFromRaw(new Uint8Array(Buffer.from(carry.public_key, "base64")));
  let carried = 0, left = 0;
  for (const { name, epoch } of all) {
    if (epoch >= carry.epoch) continue;
    const batch = await readBatch(`${spoolFolder}/${name}`, disk);
    const isOurs = batch !== null && batch.header.sensor === carry.sensor &&
      verifyText(signedText(batch.header), batch.header.signature, oldKey);
    if (!isOurs) {
      left++; // The spool sets it aside when its turn comes.
      continue;
    }
    const { bucket, sha256 } = batch.header;
    const last = lasts.get(bucket) ?? { seq: 0, sha256: "" };
    if (last.sha256 !== sha256) {
      const header = sealAnew(batch.header, identity, { epoch: carry.epoch, seq: last.seq + 1 });
      const file = packFile(header, batch.body);
      await replaceFile(disk, spoolFolder, `${carry.epoch}-${bucket}-${header.seq}.batch`, file.bytes);
      lasts.set(bucket, { seq: header.seq, sha256 });
    }
    await disk.remove(`${spoolFolder}/${name}`); // Last: a crash before this finds it by its content.
    carried++;
  }
  reporter.count("batches_carried_over_total", undefined, carried);
  if (carried > 0) reporter.info("sealed batches of the earlier identity again", { batches: carried });
  return { carried, left };
}

/** Batches in a spool by their names, oldest first. */
export function batchesIn(files: readonly FileInfo[]): Found[] {
  const found = files.flatMap(({ name, isFile, bytes }) => {
    const parts = nameForm.exec(name);
    if (!parts || !isFile || bytes > fileBytesMax) return [];
    const [epoch, bucket, seq] = parts.slice(1).map(Number);
    return [{ name, epoch, bucket, seq }];
  });
  return found.sort((a, b) => a.epoch - b.epoch || a.seq - b.seq || a.bucket - b.bucket);
}

async function lastOf(files: readonly Found[], folder: string, disk: Disk): Promise<Map<number, Last>> {
  const lasts = new Map<number, Last>();
  for (const { name, bucket, seq } of files) {
    const batch = await readBatch(`${folder}/${name}`, disk);
    lasts.set(bucket, { seq, sha256: batch?.header.sha256 ?? "" });
  }
  return lasts;
}

/** Null when it cannot be used. */
async function readBatch(path: string, disk: Disk): Promise<PackedBatch | null> {
  const batch = unpackBatch(await disk.read(path, fileBytesMax));
  return typeof batch === "string" ? null : batch;
}

function sealAnew(
  before: BatchHeader,
  { enrolment, key, privateKey }: Identity,
  position: { epoch: number; seq: number },
): BatchHeader {
  const unsigned = { ...before, sensor: enrolment!.sensor_id, key, ...position };
  return { ...unsigned, signature: signText(signedText(unsigned), privateKey) };
}
