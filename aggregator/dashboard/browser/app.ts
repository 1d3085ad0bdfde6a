/** What every page needs to know: who is signed in, the newest packet, and when that was asked.
 *
 * In: the session, `/stats/totals` every {@link refreshMs}.
 * Out: `useApp()`, which draws again when any of it changes.
 * Invariant: an answer 401 to anything ends the session here and leaves the address alone, so that signing in leads
 * back to the same place. Nothing is asked again while an answer is awaited. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { Role } from "../../model/access.ts";
import type { Totals } from "../../model/traffic.ts";
import { call, get, Problem } from "./call.ts";
import { every, nowMs } from "./edges.ts";
import { useEffect, useState } from "./preact.ts";

const refreshMs = 10_000;
const answerMsMax = 60_000;

export interface App {
  session: { name: string; role: Role } | null;
  /** False until it is known whether somebody is signed in. */
  isKnown: boolean;
  totals: Totals | null;
  /** Browser's clock at the last answer; null = none yet. */
  asOfMs: number | null;
  /** Rises when everything shown is to be asked again. */
  tick: number;
  /** Why nothing new comes; null = it does. */
  problem: string | null;
}

let app: App = {
  session: null,
  isKnown: false,
  totals: null,
  asOfMs: null,
  tick: 0,
  problem: null,
};
let pending = 0;
const followers = new Set<(app: App) => void>();

function change(part: Partial<App>): void {
  app = { ...app, ...part };
  for (const follow of followers) follow(app);
}

export function useApp(): App {
  const [seen, setSeen] = useState(app);
  useEffect(() => {
    followers.add(setSeen);
    setSeen(app);
    return () => void followers.delete(setSeen);
  }, []);
  return seen;
}

/** Asks the API in the name of whoever is signed in. @throws {Problem} */
export async function ask<Answer>(
  method: string,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<Answer> {
  pending++;
  try {
    const limit = AbortSignal.timeout(answerMsMax);
    return await call<Answer>(method, path, body, signal ? AbortSignal.any([signal, limit]) : limit);
  } catch (error) {
    if (error instanceof DOMException && error.name === "TimeoutError") {
      throw new Problem(0, "The aggregator took too long to answer");
    }
    if (error instanceof Problem && error.status === 401) change({ session: null, isKnown: true });
    throw error;
  } finally {
    pending--;
  }
}

/** Asks for everything again, now. */
export async function refresh(): Promise<void> {
  if (app.session === null) return;
  try {
    const totals = await ask<Totals>("GET", "api/v1/stats/totals");
    change({ totals, asOfMs: nowMs(), problem: null, tick: app.tick + 1 });
  } catch (error) {
    change({ problem: (error as Error).message });
  }
}

/** Finds out who is signed in, and goes on asking. */
export async function start(): Promise<void> {
  every(refreshMs, () => pending === 0 && refresh());
  await enter().catch((error) => change({ isKnown: true, problem: noticeOf(error) }));
}

async function enter(): Promise<void> {
  const [session, totals] = await Promise.all([
    get<App["session"]>("/session"),
    get<Totals>("/stats/totals"),
  ]);
  change({ session, isKnown: true, totals, asOfMs: nowMs(), problem: null, tick: app.tick + 1 });
}

function noticeOf(error: unknown): string | null {
  return error instanceof Problem && error.status === 401 ? null : (error as Error).message;
}

/** @throws {Problem} */
export async function signIn(key: string): Promise<void> {
  await call("POST", "login", { key });
  await enter();
}

export async function signOut(): Promise<void> {
  await call("POST", "logout").catch(() => undefined);
  change({ session: null });
}

/** Roles are ordered: an administrator may do what an analyst may. */
export function mayDecide(app: App): boolean {
  return app.session?.role === "analyst" || app.session?.role === "admin";
}

export function isAdmin(app: App): boolean {
  return app.session?.role === "admin";
}

/** Seconds that ages are counted from: now, or the newest packet where a clock stands before it. */
export function nowS(app: App): number {
  return Math.max(nowMs() / 1000, app.totals?.last ?? 0);
}
