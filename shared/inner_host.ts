/** Loopback address on which the aggregator's HTTP server listens behind its front door.
 *
 * Why one that both programs know: every request passes there once more, and a sensor on the same machine must not
 * capture its own traffic a second time. @module */

export const innerHost = "127.86.0.1";
