/** What every test service looks like from outside. @module */

export interface Service {
  /** Where it answers: a URL for MariaDB and the browser, `host:port` for Kafka. */
  address: string;
  stop(): Promise<void>;
}

export interface Start {
  name: string;
  /** Why it cannot run here, in words that say what to install; undefined when it can. */
  missing(): Promise<string | undefined>;
  start(): Promise<Service>;
}
