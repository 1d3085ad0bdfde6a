/** What an SSH server says of log-ins, told from the lengths of its encrypted answers.
 *
 * In: the payload length of each segment that the server sends after its banner. Out: entries of `facts.logins`:
 * "refused" for each guess, "accepted" in place of all of them, "challenged" for a single answer that is neither.
 * Invariant: the first refusal of several is none: it answers the question which methods there are, that most clients
 * begin with (RFC 4252, 5.2). Where more lengths come than servers say to guesses, nothing more is refused.
 * Bound: `sessionsMax`.
 * Why lengths tell: SERVICE_ACCEPT carries 17 octets and SUCCESS one (RFC 4253, 10; RFC 4252, 5.1), 16 less with any
 * cipher and checksum in use; each FAILURE lists the same methods, and so has one length. Zeek's SSH analyzer concludes
 * in the same way. @module */

import type { Facts, LoginFact } from "../../../shared/facts.ts";
import { countEntry } from "../facts/bounds.ts";

const sessionsMax = 4_096;
/** Lengths of a SERVICE_ACCEPT: 24 octets and a checksum of 16 with ChaCha20; 32 with any other cipher, and checksums
 * of 8 (UMAC) to 64 (SHA-512), over the clear text or, with four more octets of length, over the cipher. */
const acceptLengths: ReadonlySet<number> = new Set([40, 44, 48, 52, 56, 64, 68, 96, 100]);
const successIsShorter = 16;
/** A notice, the failure, the question for a password, the farewell; a session under way has more. */
const lengthsMax = 4;

interface Session {
  accept: number;
  /** Lengths since then. */
  lengths: number[];
  /** The first of them that came again; 0 = none has. */
  failure: number;
  isOver: boolean;
}

export class SshAnswers {
  readonly #sessions = new Map<number, Session>();

  read(flowId: number, length: number, isCut: boolean, facts: Facts): void {
    const session = this.#sessionOf(flowId);
    if (isCut) session.isOver = true;
    if (session.isOver) return;
    if (session.accept === 0) {
      if (acceptLengths.has(length)) session.accept = length;
      return;
    }
    if (length === session.accept - successIsShorter) {
      session.isOver = true;
      forget(facts, () => true);
      countEntry(facts, facts.logins ??= [], { service: "ssh", outcome: "accepted" });
    } else if (session.lengths.length > lengthsMax) {
      return;
    } else if (!session.lengths.includes(length)) {
      session.lengths.push(length);
      forget(facts, ({ outcome }) => outcome === "challenged");
      if (session.lengths.length === 1) {
        countEntry(facts, facts.logins ??= [], { service: "ssh", outcome: "challenged" });
      }
    } else if (session.failure === 0 || session.failure === length) {
      session.failure = length;
      forget(facts, ({ outcome }) => outcome === "challenged");
      countEntry(facts, facts.logins ??= [], { service: "ssh", outcome: "refused" });
    }
  }

  #sessionOf(flowId: number): Session {
    const known = this.#sessions.get(flowId);
    if (known !== undefined) return known;
    if (this.#sessions.size >= sessionsMax) {
      for (const oldest of this.#sessions.keys()) {
        this.#sessions.delete(oldest);
        break;
      }
    }
    const session = { accept: 0, lengths: [], failure: 0, isOver: false };
    this.#sessions.set(flowId, session);
    return session;
  }
}

/** Takes back what was said of log-ins by SSH. */
function forget(facts: Facts, isMeant: (login: LoginFact) => boolean): void {
  if (facts.logins === undefined) return;
  const kept = facts.logins.filter((login) => login.service !== "ssh" || !isMeant(login));
  if (kept.length > 0) facts.logins = kept;
  else delete facts.logins;
}
