/** The targets that one source asks on one port: whether it polls many alike.
 *
 * In: the state that a detector keeps of each target. Out: the list of a source's targets, shared by all of them.
 * Invariant: at most `targetsMax` targets a source, of which those that ended make room; at most `sourcesMax` sources,
 * the half that was asked for longest ago is evicted. @module */

import { Halves } from "../../model/halves.ts";

const targetsMax = 64, sourcesMax = 8_192;

export class Pollers<Target extends { isOver?: boolean }> {
  readonly #sources = new Halves<string, Target[]>(sourcesMax);

  /** Adds a target of the source `key`; returns the list, which goes on growing. */
  add(key: string, target: Target): readonly Target[] {
    const targets = this.#sources.get(key, () => []);
    if (targets.length < targetsMax) targets.push(target);
    else {
      const gone = targets.findIndex(({ isOver }) => isOver);
      if (gone >= 0) targets[gone] = target;
    }
    return targets;
  }
}
