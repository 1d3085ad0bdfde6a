/** Tests of releases: what is signed and read, how versions compare, which machine a program is for. @module */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { keysFromSeed, signText } from "../../shared/batch.ts";
import {
  compareVersions,
  doesFit,
  isReleaseKey,
  isUpgradeOffer,
  isVersion,
  type Manifest,
  readRelease,
  releaseKeyId,
  releaseKeyText,
  signRelease,
  targetOfProgram,
  usualFits,
} from "../../shared/release.ts";

const keys = keysFromSeed(new Uint8Array(32).fill(3));
const key = releaseKeyText(keys.publicKey);
const manifest: Manifest = {
  program: "picket-sensor",
  version: "1.1.0",
  target: "x86_64-unknown-linux-gnu",
  sha256: "ab".repeat(32),
  bytes: 1_000,
  fits: { min: "1.0", max: "1.2" },
};
/** Signed as it stands, whatever it says. */
const signed = (words: string) => ({
  manifest: words,
  signature: signText(`picket.release.v1\n${words}`, keys.privateKey),
});

Deno.test("a release is read with its key, and with no other", () => {
  const release = signRelease(manifest, keys.privateKey);
  assertEquals(readRelease(release, key), { ok: true, manifest });
  const other = releaseKeyText(keysFromSeed(new Uint8Array(32).fill(4)).publicKey);
  assertEquals(readRelease(release, other), { ok: false, problem: "signature" });
  const sealed = { manifest: release.manifest, signature: signText(release.manifest, keys.privateKey) };
  assertEquals(readRelease(sealed, key), { ok: false, problem: "signature" }, "of other words");
  assertEquals(readRelease(release, "nonsense"), { ok: false, problem: "malformed" });
});

Deno.test("a release with any octet changed is refused", () => {
  const release = signRelease(manifest, keys.privateKey);
  for (let at = 0; at < release.manifest.length; at++) {
    const code = release.manifest.charCodeAt(at) ^ 1;
    const changed = release.manifest.slice(0, at) + String.fromCharCode(code) +
      release.manifest.slice(at + 1);
    assertEquals(readRelease({ ...release, manifest: changed }, key), { ok: false, problem: "signature" });
  }
});

Deno.test("a good signature does not make a manifest of what is none", () => {
  const odd = [
    { ...manifest, program: "picket-aggregator" },
    { ...manifest, version: "1.1" },
    { ...manifest, version: "1.1.0-rc1" },
    { ...manifest, target: "riscv64" },
    { ...manifest, target: "toString" },
    { ...manifest, sha256: "AB".repeat(32) },
    { ...manifest, bytes: 0 },
    { ...manifest, bytes: 512 * 1024 * 1024 + 1 },
    { ...manifest, fits: { min: "1.2", max: "1.1" } },
    { ...manifest, fits: null },
    [],
  ];
  for (const one of odd) {
    assertEquals(readRelease(signed(JSON.stringify(one)), key), { ok: false, problem: "malformed" });
  }
  assertEquals(readRelease(signed("{"), key), { ok: false, problem: "malformed" });
  assertEquals(readRelease(signed(" ".repeat(2_001)), key), { ok: false, problem: "malformed" });
  for (const given of [null, 7, {}, { manifest: "{}" }]) {
    assertEquals(readRelease(given, key), { ok: false, problem: "malformed" });
  }
});

Deno.test("versions compare by number, part by part, a revision last", () => {
  const rising = ["0.9.9", "0.10.0", "1.0.0", "1.0.0+1", "1.0.0+10", "1.0.2", "1.0.10", "2.0.0"];
  for (let at = 1; at < rising.length; at++) {
    assert(compareVersions(rising[at - 1], rising[at]) < 0, rising[at]);
    assert(compareVersions(rising[at], rising[at - 1]) > 0, rising[at]);
  }
  assertEquals(compareVersions("1.2.3", "1.2.3+0"), 0);
  assertThrows(() => compareVersions("1.2", "1.2.3"), TypeError, "like 1.2.3");
  assertEquals(["1.2.3", "1.2.3+4", "1.2", "v1.2.3", "1.2.3-rc1", ""].map(isVersion), [
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
});

Deno.test("a release fits one minor version down and up, unless it says otherwise", () => {
  assertEquals(usualFits("1.4.7+2"), { min: "1.3", max: "1.5" });
  assertEquals(usualFits("1.0.0"), { min: "1.0", max: "1.1" });
  const fits = { min: "1.9", max: "1.11" };
  assertEquals(["1.8.9", "1.9.0", "1.10.3", "1.11.9+1", "1.12.0", "2.10.0"].map((v) => doesFit(fits, v)), [
    false,
    true,
    true,
    true,
    false,
    false,
  ]);
});

Deno.test("a program says by its header which machine it is for", () => {
  const head = (...change: [at: number, value: number][]) => {
    const bytes = new Uint8Array(20);
    bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
    bytes[18] = 62;
    for (const [at, value] of change) bytes[at] = value;
    return bytes;
  };
  assertEquals(targetOfProgram(head()), "x86_64-unknown-linux-gnu");
  assertEquals(targetOfProgram(head([18, 183])), "aarch64-unknown-linux-gnu");
  assertEquals(targetOfProgram(head([18, 40])), null, "32-bit ARM");
  assertEquals(targetOfProgram(head([19, 1])), null);
  assertEquals(targetOfProgram(head([4, 1])), null, "32 bits");
  assertEquals(targetOfProgram(head([0, 0x23])), null, "a script");
  assertEquals(targetOfProgram(head().subarray(0, 19)), null);
});

Deno.test("keys and offers have one form each", () => {
  assert(
    isReleaseKey(key) && !isReleaseKey(key.slice(1)) && !isReleaseKey(null) && !isReleaseKey(`${key}\n`),
  );
  assertEquals(releaseKeyId(key).length, 16);
  assertThrows(() => releaseKeyId("x"), TypeError, "32 octets");
  const offer = { ...signRelease(manifest, keys.privateKey), offer: "7.1", allow_older: false };
  assert(isUpgradeOffer(offer));
  for (const change of [{ offer: "7" }, { offer: 7 }, { allow_older: "no" }, { manifest: null }]) {
    assert(!isUpgradeOffer({ ...offer, ...change }));
  }
});
