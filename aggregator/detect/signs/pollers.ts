/** The targets that one source asks on one port: whether it polls many alike.
 *
 * In: the state that a detector keeps of each target. Out: the list of a source's targets, shared by all of them.
 * Invariant: at most `targetsMax` targets a source, of which those that ended make room; at most `sourcesMax` sources, the half that was
 * asked for longest ago is evicted. @module */

const targetsMax = 64, sourcesMax = 8_192;

export class Pollers<Target extends { isOver?: boolean }> {
  #young = new Map<string, Target[]>();
  #old = new Map<string, Target[]>();

  /** Adds a target of the source `key`; returns the list, which goes on growing. */
  add(key: string, target: Target): readonly Target[] {
    let targets = this.#young.get(key);
    if (targets === undefined) {
      targets = this.#old.get(key) ?? [];
      if (this.#young.size >= sourcesMax >> 1) {
        this.#old = this.#young;
        this.#young = new Map();
      }
      this.#young.set(key, targets);
    }
    if (targets.length < targetsMax) targets.push(target);
    else {
      const gone = targets.findIndex(({ isOver }) => isOver);
      if (gone >= 0) targets[gone] = target;
    }
    return targets;
  }
}
