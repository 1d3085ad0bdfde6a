/** A release in the folder of the fixture, for tests that upgrade sensors. @module */

import { assert } from "@std/assert";
import { type Release, releaseKey } from "../../sensor/control/upgrade_fixture.ts";
import type { Fixture } from "./fixture.ts";

/** Puts a signed program into the folder of the fixture. */
export async function addRelease(fixture: Fixture, release: Release): Promise<void> {
  const { releases } = fixture.services, { offer: { manifest, signature }, program } = release;
  await releases.trust(releaseKey);
  const path = `${fixture.packets}/program`;
  await Deno.writeFile(path, program);
  await Deno.writeTextFile(`${path}.release`, JSON.stringify({ manifest, signature }));
  const added = await releases.add(path, fixture.clock.ms);
  assert(added.ok, JSON.stringify(added));
}
