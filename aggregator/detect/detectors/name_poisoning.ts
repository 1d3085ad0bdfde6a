/** Name poisoning: one host answers for names that are not its own, so that others log in to it.
 *
 * In: LLMNR answers. Out: one finding for each answering host.
 * Invariant: a host answers for its own name, and may have an old one; nobody answers for many. mDNS is none, as hosts
 * announce names of services there.
 * Source: ATT&CK T1557.001; RFC 4795: a responder answers for names it owns. @module */

import { detector } from "../detector.ts";
import { field, growingPoints, hostile, reason } from "../finding.ts";
import { findOut } from "../signs/advice.ts";
import { Distinct } from "../signs/distinct.ts";
import type { Address } from "../signs/address.ts";
import type { PreparedUpdate } from "../prepared.ts";

const namesMax = 256, clientsMax = 256, llmnrPort = 5355;

interface Answered {
  responder: Address;
  client: string;
  names: string[];
}

export const namePoisoning = detector({
  name: "name_poisoning",
  technique: "T1557.001",
  title: "Name poisoning",
  about: "One host answers for names that are not its own.",
  needs: ["dns"],
  limits: {
    namesMin: { value: 3, unit: "names", why: "a host owns one name; two while it is renamed" },
  },
  window: {
    quietS: { value: 86_400, unit: "s", why: "mistyped names are rare" },
    ageS: { value: 7 * 86_400, unit: "s", why: "an address goes to another host within a week" },
  },
  items(update): Answered[] {
    const answered = answeredIn(update);
    return answered === null ? [] : [answered];
  },
  key: (_update, _limits, { responder }) => responder.ip,
  open: (_update, { responder }) => ({
    responder,
    names: new Distinct<string>(namesMax),
    clients: new Distinct<string>(clientsMax),
    answers: 0,
  }),
  step(host, _update, _limits, { client, names }) {
    host.answers += names.length;
    host.clients.add(client);
    for (const name of names) host.names.add(name.toLowerCase());
  },
  isThreat: ({ names }, { namesMin }) => names.size >= namesMin || names.has("wpad"),
  finding({ responder, names, clients, answers }, { namesMin }) {
    const evidence = {
      names: field("names it answered for", names.count),
      some: hostile("some of them", [...names].slice(0, 10).join(", ")),
      clients: field("hosts it answered", clients.count),
      answers: field("answers", answers),
    };
    const reasons = [];
    if (names.size >= namesMin) {
      const points = growingPoints(names.size, namesMin, { base: 45, perTenfold: 15, max: 60 });
      reasons.push(
        reason("many_names", points, `${evidence.names} names by one host; ${namesMin} are the threshold`),
      );
    }
    if (names.has("wpad")) {
      reasons.push(
        reason(
          "wpad",
          40,
          "it answers for wpad, by which browsers look for a proxy and which no host is called",
        ),
      );
    }
    return {
      src_ips: [responder.ip],
      dst_ips: clients,
      dst_port: llmnrPort,
      count: answers,
      summary:
        `${responder.ip} answered ${evidence.clients} host(s) for ${evidence.names} name(s): ${evidence.some}.`,
      reasons,
      evidence,
    };
  },
  meaning:
    "Whoever answers for a mistyped name is then sent the password hash of the user who asked. The tool Responder does so.",
  action: (_evidence, _finding, { responder }) =>
    `${
      findOut(responder, "answers")
    } Change the passwords of those who were answered, and switch LLMNR off by group policy.`,
  falseAlarm: "A host with several names on purpose, such as a cluster, answers for each of them.",
});

function answeredIn({ segment, src, dst }: PreparedUpdate): Answered | null {
  const { protocol, src_port, dst_port, facts } = segment;
  if (protocol !== "udp" || facts?.dns === undefined) return null;
  // The question goes to the group, the answer to who asked: in a flow whose question was not seen.
  const isFromResponder = src_port === llmnrPort && dst_port !== llmnrPort;
  const [responder, client] = isFromResponder ? [src, dst] : [dst, src];
  if ((!isFromResponder && dst_port !== llmnrPort) || responder.isGroup) return null;
  const names = facts.dns.filter(({ rcode, answers }) => rcode === "NOERROR" && answers !== undefined);
  return names.length === 0 ? null : { responder, client: client.ip, names: names.map(({ name }) => name) };
}
