/** C2 session: a session that begins with a shell, a remote-control tool, a program's next stage, or the chat of bots.
 *
 * In: the first octets of TCP sessions that have no other name. Out: one finding for each pair of hosts.
 * Invariant: Telnet, SSH and whatever else was recognised has a name and is none; IRC on its usual port stays low.
 * Why the caller matters: a shell that connects out was made to do so;
 * a shell that is connected to waits behind an open port. @module */

import { detector } from "../detector.ts";
import { field, reason } from "../finding.ts";
import { by } from "../keys.ts";
import { stopHost } from "../signs/advice.ts";
import { openingWordsOf } from "../signs/opening_words.ts";

const ircPorts = new Set([6660, 6661, 6662, 6663, 6664, 6665, 6666, 6667, 6668, 6669, 6697, 7000]);
const titles = {
  shell: "Remote shell",
  tool: "Remote-control tool",
  stage: "Program sent into a session",
  chat: "Chat of bots (IRC)",
} as const;
const pointsOf = { shell: 70, tool: 70, stage: 60, chat: 40 } as const;

export const c2Session = detector({
  name: "c2_session",
  technique: "T1095",
  title: "Session of remote control",
  about: "A session begins as a shell or a remote-control tool does.",
  needs: ["first"],
  limits: {
    sessionsMin: { value: 1, unit: "sessions", why: "one shell is one too many" },
  },
  window: {
    quietS: { value: 3_600, unit: "s", why: "people pause between commands" },
    ageS: { value: 86_400, unit: "s", why: "whoever comes back the next day is told again" },
  },
  key({ segment: { protocol, facts } }) {
    if (protocol !== "tcp" || facts?.first === undefined) return null;
    return openingWordsOf(facts.first) === null ? null : by.pairPort;
  },
  open({ src, dst, segment: { facts, dst_port } }) {
    return { src, dst, port: dst_port, words: openingWordsOf(facts!.first)!, sent: 0, received: 0 };
  },
  step(session, { segment: { fwd_payload_bytes, bwd_payload_bytes } }) {
    session.sent += fwd_payload_bytes;
    session.received += bwd_payload_bytes;
  },
  isThreat: (_session, { sessionsMin }, { flows }) => flows >= sessionsMin,
  finding(session) {
    const { src, dst, port, words } = session;
    // A shell and a tool speak for the host they are on; a stage comes from the other one; whoever chats called.
    const isCaller = words.kind === "chat" || (words.by === "caller") !== (words.kind === "stage");
    const [controlled, controller] = isCaller ? [src, dst] : [dst, src];
    const evidence = {
      what: field("what the session begins with", words.what),
      by: field("said by", words.by === "caller" ? src.ip : dst.ip),
      controlled: field("host that is controlled", controlled.ip),
      controller: field("host that controls", controller.ip),
      sessions: field("sessions", session.flows),
      sent: field("octets of the caller", session.sent),
      received: field("octets of the called", session.received),
    };
    const isUsual = words.kind === "chat" && ircPorts.has(port);
    const reasons = [reason(
      words.kind,
      isUsual ? 25 : pointsOf[words.kind],
      `${evidence.by} began with ${evidence.what}${isUsual ? ", on its usual port" : ` on port ${port}`}`,
    )];
    if (words.kind === "shell" && controlled.isOwn && !controller.isPrivate) {
      reasons.push(
        reason("across_the_border", 15, `${controller.ip} is outside, and ${controlled.ip} is yours`),
      );
    }
    return {
      title: titles[words.kind],
      src_ips: [controller.ip],
      dst_ips: [controlled.ip],
      dst_port: port,
      count: session.flows,
      summary:
        `A session from ${src.ip} to ${dst.ip} (port ${port}) begins with ${evidence.what}, said by ${evidence.by}.`,
      reasons,
      evidence,
    };
  },
  meaning: ({ controlled, controller }, _finding, { words }) =>
    words.kind === "chat"
      ? `Old botnets get their commands by IRC. People use it too, mostly on port 6667 or 6697.`
      : `Whoever sits at ${controller} can do on ${controlled} what its user can.`,
  action: ({ controlled, controller }, _finding, { src, dst }) => {
    const victim = src.ip === controlled.value ? src : dst, other = victim === src ? dst : src;
    return victim.isPrivate
      ? `Now ${stopHost(victim)}, unless an administrator knows this session. Then ${
        stopHost(other)
      }, and look for how it came in.`
      : `${controlled} is not yours: find out what on ${controller} controls it.`;
  },
  falseAlarm:
    "Somebody who tests a network, or an administrator with netcat; terminal servers of devices greet in their own words.",
});
