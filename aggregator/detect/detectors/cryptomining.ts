/** Cryptomining: an own host works for a mining pool.
 *
 * In: the first octets of sessions that have no other name, ports, names of pools in DNS questions and TLS.
 * Out: one finding for each host.
 * Invariant: a name alone, or a port alone, stays low: people read about pools, and ports are free to use. The language
 * of pools decides: lines of JSON with an id or a method, right at the beginning of a TCP session to the Internet.
 * Source: the Stratum protocol (en.bitcoin.it/wiki/Stratum_mining_protocol);
 * ports as XMRig's and pools' own instructions name them. @module */

import { detector } from "../detector.ts";
import { field, hostile, reason } from "../finding.ts";
import { findOut } from "../signs/advice.ts";
import { Distinct } from "../signs/distinct.ts";

const poolsMax = 64;
const poolPorts = new Set([3333, 3334, 3335, 4444, 5555, 7777, 9999, 14433, 14444, 45560, 45700]);
/** Electrum wallets speak the same language with their servers. */
const walletPorts = new Set([50001, 50002]);
const poolNames =
  /(?:^|\.)(?:minexmr|supportxmr|moneroocean|nanopool|2miners|ethermine|f2pool|hashvault|nicehash|minergate|unmineable|miningpoolhub|antpool|viabtc|slushpool|c3pool|herominers|kryptex|xmrpool|monerohash|dwarfpool|crypto-pool|minerpool|miningocean|xmrig|coinhive|coinimp)\./i;
/** `{"`, perhaps with spaces, in hexadecimal; then id, method, jsonrpc, params. */
const asksJson = /^7b(?:20)?22(?:6964|6d6574686f64|6a736f6e727063|706172616d73)/;
const answersJson = /^7b(?:20)?22(?:6964|6d6574686f64|6a736f6e727063|726573756c74|6572726f72|706172616d73)/;

export const cryptomining = detector({
  name: "cryptomining",
  technique: "T1496.001",
  title: "Cryptomining",
  about: "An own host works for a mining pool.",
  limits: {
    lookUpsMin: {
      value: 5,
      unit: "questions",
      why: "for names of pools, without a session: a page read once asks once or twice",
    },
    sessionS: { value: 300, unit: "s", why: "miners keep their session for hours; a test lasts seconds" },
  },
  window: {
    quietS: { value: 3_600, unit: "s", why: "a miner says something at least every few minutes" },
    ageS: { value: 86_400, unit: "s", why: "a name that is read about once a day does not add up" },
  },
  key({ src, dst, segment: { protocol, dst_port, facts }, dns, serverName }) {
    if (!src.isOwn) return null;
    if (dns !== null) return poolOf(facts?.dns) === "" ? null : src.ip;
    if (protocol !== "tcp" || dst.isPrivate) return null;
    const isPool = isStratum(facts?.first) || poolNames.test(`${serverName}.`) || poolPorts.has(dst_port);
    return isPool ? src.ip : null;
  },
  // A port alone is no reason to follow a host.
  opens: ({ segment: { facts }, serverName }) =>
    isStratum(facts?.first) || poolOf(facts?.dns) !== "" || poolNames.test(`${serverName}.`),
  open: ({ src }) => ({
    host: src,
    stratum: new Distinct<string>(poolsMax),
    names: new Distinct<string>(poolsMax),
    ports: new Distinct<number>(poolsMax),
    pools: new Distinct<string>(poolsMax),
    resolvers: new Distinct<string>(poolsMax),
    isWallet: false,
    lookUps: 0,
    sessions: 0,
    longestS: 0,
  }),
  step(miner, { segment, serverName, dns, first }) {
    const { facts, dst_ip, dst_port, end, flow_start } = segment;
    if (dns !== null) {
      miner.names.add(poolOf(facts?.dns));
      miner.lookUps++;
      miner.resolvers.add(dns.resolver);
      return;
    }
    if (first) miner.sessions++;
    miner.pools.add(dst_ip);
    miner.longestS = Math.max(miner.longestS, end - flow_start);
    if (poolNames.test(`${serverName}.`)) miner.names.add(serverName);
    if (poolPorts.has(dst_port)) miner.ports.add(dst_port);
    if (isStratum(facts?.first)) miner.stratum.add(`${dst_ip}:${dst_port}`);
    if (walletPorts.has(dst_port)) miner.isWallet = true;
  },
  isThreat({ stratum, names, isWallet, sessions, lookUps }, { lookUpsMin }) {
    if (stratum.size > 0) return !isWallet;
    return names.size > 0 && (sessions > 0 || lookUps >= lookUpsMin);
  },
  finding(miner, { sessionS }) {
    const evidence = {
      pools: field(
        "servers that are spoken to in the language of pools",
        [...miner.stratum].slice(0, 5).join(", ") || "none",
      ),
      names: hostile("names of pools", [...miner.names].slice(0, 5).join(", ") || "none"),
      ports: field("usual ports of pools", [...miner.ports].slice(0, 5).join(", ") || "none"),
      longest: field("longest session in seconds", Math.round(miner.longestS)),
      sessions: field("sessions", miner.sessions),
    };
    const reasons = [];
    if (miner.stratum.size > 0) {
      const text = `${evidence.pools}: the session begins with JSON as mining programs send it`;
      reasons.push(reason("stratum", 45, text));
    }
    if (miner.names.size > 0) {
      reasons.push(reason("pool_name", 25, `${evidence.names}: the name of a mining pool or its program`));
    }
    if (miner.ports.size > 0) {
      reasons.push(reason("pool_port", 10, `port ${evidence.ports} is usual for pools`));
    }
    const isLikely = miner.stratum.size > 0 || miner.names.size > 0 && miner.ports.size > 0;
    if (isLikely && miner.longestS >= sessionS) {
      reasons.push(reason("long_session", 10, `a session lasted ${evidence.longest} s`));
    }
    return {
      src_ips: [miner.host.ip],
      dst_ips: miner.pools.size > 0 ? miner.pools : miner.resolvers,
      dst_port: miner.ports.size === 1 ? [...miner.ports][0] : null,
      count: Math.max(1, miner.sessions),
      summary: miner.stratum.size > 0
        ? `${miner.host.ip} speaks the language of mining pools with ${evidence.pools}.`
        : `${miner.host.ip} asked for, or called, names of mining pools: ${evidence.names}.`,
      reasons,
      evidence,
    };
  },
  meaning:
    "Somebody earns money with your machine and your electricity. Where a miner was put without leave, the way it came in is open to worse.",
  action: (_evidence, _finding, { host }) =>
    `${
      findOut(host, "mines")
    } Then look for how it came in: an open service, a stolen password, a script in a web page.`,
  falseAlarm:
    "Somebody mines on purpose, or reads about pools. Some programs of other kinds send JSON over plain TCP too; then the server is theirs.",
});

function isStratum(first: { fwd?: string; bwd?: string } | undefined): boolean {
  if (first?.fwd === undefined || !asksJson.test(first.fwd)) return false;
  return first.bwd === undefined || answersJson.test(first.bwd);
}

function poolOf(dns: readonly { name: string }[] | undefined): string {
  return dns?.find(({ name }) => poolNames.test(`${name}.`))?.name ?? "";
}
