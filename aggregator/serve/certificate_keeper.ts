/** Keeps the certificate that is served in step with its files, without a restart.
 *
 * In: a way to read the certificate, which makes the own one anew when it is time. Out: calls of `use` when it changed.
 * Invariant: a certificate that cannot be read or used never replaces one that works;
 * it is said and counted, and tried again.
 * When: every hour, and when the operator says so (SIGHUP). @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { Certificate } from "../tls/authority.ts";

const everyMs = 3_600_000;

export interface KeeperDeps {
  read: () => Promise<Certificate>;
  /** @throws when it is none. */
  use: (certificate: Certificate) => void;
  clock: Clock;
  reporter: Reporter;
}

export class CertificateKeeper {
  #deps: KeeperDeps;
  #now: Certificate;
  #ended = new AbortController();
  #loop: Promise<void> | null = null;
  #looking: Promise<void> | null = null;

  /** `now`: what is served already. */
  constructor(now: Certificate, deps: KeeperDeps) {
    this.#now = now;
    this.#deps = deps;
  }

  start(): void {
    this.#loop = this.#run();
  }

  /** Looks now; callers that come meanwhile share the look. */
  look(): Promise<void> {
    return this.#looking ??= this.#look().finally(() => this.#looking = null);
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#loop;
    await this.#looking;
  }

  async #run(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      await this.#deps.clock.sleep(everyMs, this.#ended.signal);
      if (!this.#ended.signal.aborted) await this.look();
    }
  }

  async #look(): Promise<void> {
    const { read, use, reporter } = this.#deps;
    try {
      const found = await read();
      if (found.cert === this.#now.cert && found.key === this.#now.key) return;
      use(found);
      this.#now = found;
      reporter.count("certificates_loaded_total");
      reporter.info("serving a new certificate");
    } catch (error) {
      reporter.count("certificates_refused_total");
      reporter.error("cannot use the new certificate, the old one stays", { error });
    }
  }
}
