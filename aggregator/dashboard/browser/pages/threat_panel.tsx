/** One threat beside the table: a sentence, what to do, and all that it rests on.
 *
 * In: its id. Out: to the API: what is decided about it, and the wish for its packets.
 * Why in this order: most people read two lines and act; who doubts reads on. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { placeText } from "../../../model/place.ts";
import { isOfSensor } from "../../../model/threat.ts";
import type { Incident, Rows, Threat } from "../api.ts";
import { mayDecide, useApp } from "../app.ts";
import { useApi } from "../hooks.ts";
import { Badge, Fact, Facts, HostLink, Loading, Notice, Some, When, Wire } from "../parts.tsx";
import { linkHere, linkTo } from "../place.ts";
import type { ComponentChildren, VNode } from "../preact.ts";
import { SidePanel } from "../side_panel.tsx";
import { count, plural } from "../text.ts";
import { Packets } from "./packets.tsx";
import { Question } from "./question.tsx";
import { Decisions, Feedback, IncidentActs, Suppress } from "./threat_acts.tsx";
import { FlowsOfThreat } from "./threat_flows.tsx";

const addressesMax = 12;
const othersMax = 8;

export function ThreatPanel({ id, onChange }: { id: string; onChange: () => void }): VNode {
  const { data: threat, problem, isMissing, again } = useApi<OneThreat>(`/threats/${encodeURIComponent(id)}`);
  return (
    <SidePanel id={id} title={threat?.title ?? "Threat"}>
      {isMissing
        ? (
          <p class="empty">
            There is no such threat any more. <a href={linkHere({ id: null })}>Back to the list</a>
          </p>
        )
        : <Notice problem={problem} />}
      {threat === null && problem === null && <Loading />}
      {threat !== null && (
        <Story
          threat={threat}
          onChange={() => {
            again();
            onChange();
          }}
        />
      )}
    </SidePanel>
  );
}

/** Alone it says which sensors saw nothing meanwhile. */
type OneThreat = Threat & { not_evaluable: string[] };

function Story({ threat, onChange }: { threat: OneThreat; onChange: () => void }): VNode {
  const { words, explanation, suggested_action, severity, status, technique, detector, network } = threat;
  return (
    <>
      <p class="side-line">
        <Badge tone={severity}>{severity}</Badge> <span class={`state-${status}`}>{status}</span>
        <span class="soft">score {threat.score} of 100 · {technique} · {detector} · {network}</span>
      </p>
      <p class="lead">{words?.summary ?? explanation}</p>
      <div class="to-do">
        <h3>What to do now</h3>
        <p>{suggested_action}</p>
        {words?.false_alarm && (
          <p class="soft">
            <strong>A false alarm?</strong> {words.false_alarm}
          </p>
        )}
      </div>
      <Decisions threat={threat} onChange={onChange} />
      <Ends threat={threat} />
      <Evidence threat={threat} />
      <Unseen spots={threat.not_evaluable} />
      {!isOfSensor(threat) && (
        <>
          <FlowsOfThreat threat={threat} />
          <Packets of="threats" id={threat.id} />
        </>
      )}
      <Reasons threat={threat} />
      <Meaning threat={threat} />
      <Timeline threat={threat} onChange={onChange} />
      <OfTheHost threat={threat} />
      <Others threat={threat} query={{ detector }} words="Similar threats" />
      <Feedback threat={threat} onChange={onChange} />
      <Suppress threat={threat} onChange={onChange} />
      <Engine threat={threat} />
    </>
  );
}

function Ends({ threat }: { threat: Threat }): VNode {
  const { src_ips, dst_ips, dst_port, sensors, outside = [] } = threat;
  if (isOfSensor(threat)) {
    return (
      <p>
        <a class="button" href={linkTo("fleet", sensors[0])}>Open the sensor</a>
      </p>
    );
  }
  return (
    <section>
      <h3>Who and whom</h3>
      <Facts
        of={{
          "From": <Addresses list={src_ips} />,
          "To": <Addresses list={dst_ips} />,
          "Outside": outside.length > 0 && (
            <ul class="plain">
              {outside.map((one) => (
                <li key={one.ip}>
                  <Wire>{one.ip}</Wire> <span class="soft">{placeText(one)}</span>
                </li>
              ))}
            </ul>
          ),
          "Port": dst_port,
          "Seen by": plural(sensors.length, "sensor"),
        }}
      />
    </section>
  );
}

function Addresses({ list }: { list: readonly string[] }): VNode {
  if (list.length === 0) return <span>many</span>;
  return (
    <span class="addresses">
      {list.slice(0, addressesMax).map((ip) => <HostLink key={ip} ip={ip} />)}
      {list.length > addressesMax && <span class="soft">and {count(list.length - addressesMax)} more</span>}
    </span>
  );
}

function Evidence({ threat: { evidence } }: { threat: Threat }): VNode {
  return (
    <section>
      <h3>Evidence</h3>
      <Facts>
        {evidence.map(({ id, name, value, hostile }) => (
          <Fact key={id} name={name}>
            <Wire>{typeof value === "number" ? value.toLocaleString("en") : value}</Wire>
            <span class="soft small">{hostile ? " chosen by the sender" : ""}</span>
          </Fact>
        ))}
      </Facts>
    </section>
  );
}

function Unseen({ spots }: { spots: readonly string[] }): VNode | null {
  if (spots.length === 0) return null;
  return (
    <section>
      <h3>What nobody saw</h3>
      <ul class="reasons">{spots.map((spot) => <li key={spot}>{spot}</li>)}</ul>
    </section>
  );
}

function Reasons({ threat: { reasons, score } }: { threat: Threat }): VNode {
  return (
    <section>
      <h3>
        Reasons <span class="soft">that make the score {score}</span>
      </h3>
      <ul class="reasons">
        {reasons.map(({ name, text, points }) => (
          <li key={name}>
            <span>{text}</span> <span class="number soft">+{points}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** What rules wrote repeats what stands above, but for the meaning; a model's words stand whole. */
function Meaning({ threat: { words, explanation, engine } }: { threat: Threat }): VNode | null {
  const text = engine === "rules" && words?.meaning ? words.meaning : explanation;
  return (
    <section>
      <h3>Why anyone would do that</h3>
      <p>{text}</p>
    </section>
  );
}

/** The threat among the steps of its incident. */
function Timeline({ threat, onChange }: { threat: Threat; onChange: () => void }): VNode {
  const { first_seen, last_seen, episodes, id } = threat;
  const { data, problem } = useApi<{ rows: Incident[] }>("/incidents", {
    from: first_seen - 86_400,
    to: last_seen + 86_400,
    limit: 100,
  });
  const incident = data?.rows.find(({ timeline }) => timeline.some((step) => step.threat_id === id));
  const steps = (incident?.timeline ?? []).slice(0, 20);
  return (
    <section>
      <h3>Timeline</h3>
      <Facts
        of={{
          "First packet": <When at={first_seen} />,
          "Last packet": <When at={last_seen} />,
          "Came back": episodes > 1 ? plural(episodes - 1, "time") : null,
        }}
      />
      <Notice problem={problem} />
      {steps.length > 1 && (
        <ol class="steps">
          {steps.map((step) => (
            <li key={step.threat_id} class={step.threat_id === id ? "this" : ""}>
              {step.threat_id === id
                ? <strong>{step.stage}: {step.title}</strong>
                : <a href={linkHere({ id: step.threat_id })}>{step.stage}: {step.title}</a>}
              <span class="soft small">
                <When at={step.first_seen} />
              </span>
            </li>
          ))}
        </ol>
      )}
      {incident && incident.threats > steps.length && (
        <p class="soft small">{count(incident.threats)} threats in this incident</p>
      )}
      {incident && incident.threats > 1 && <IncidentActs incident={incident} onChange={onChange} />}
    </section>
  );
}

function OfTheHost({ threat }: { threat: Threat }): VNode | null {
  const ip = threat.src_ips[0] ?? threat.dst_ips[0];
  if (ip === undefined) return null;
  return (
    <Others
      threat={threat}
      query={{ ip }}
      words={
        <>
          Other threats of <Wire>{ip}</Wire>
        </>
      }
    />
  );
}

/** The newest threats of `query` but this one. */
function Others(
  { threat, query, words }: { threat: Threat; query: Record<string, string>; words: ComponentChildren },
): VNode {
  const { data, problem } = useApi<Rows<Threat>>("/threats", { ...query, limit: othersMax + 1 });
  if (data === null) return <Notice problem={problem} />;
  const others = data.rows.filter(({ id }) => id !== threat.id);
  return (
    <section>
      <h3>{words}</h3>
      {others.length === 0 && <p class="soft">None is stored.</p>}
      <ul class="plain">
        {others.slice(0, othersMax).map(({ id, title, severity, src_ips, last_seen, status }) => (
          <li key={id}>
            <Badge tone={severity}>{severity}</Badge> <a href={linkHere({ id })}>{title}</a>
            {query.ip === undefined && (
              <span class="soft">
                <Some list={src_ips} />
              </span>
            )}{" "}
            <span class="soft small end">
              {status === "open" ? "" : `${status} · `}
              <When at={last_seen} isAge />
            </span>
          </li>
        ))}
      </ul>
      {data.next_cursor && (
        <p>
          <a href={linkTo("threats", "", { ...query, range: "all" })}>All of them</a>
        </p>
      )}
    </section>
  );
}

function Engine({ threat: { id, engine, confidence, fallback, rules } }: { threat: Threat }): VNode {
  const app = useApp();
  return (
    <section>
      <h3>Who explained it</h3>
      <Facts
        of={{
          "Explained by": engine === "rules" ? "rules, from what was measured" : engine,
          "Confidence": engine === "rules" ? null : `${Math.round(confidence * 100)} %`,
          "Model not used": fallback,
          "The rules say": rules?.explanation,
          "They advise": rules?.suggested_action,
        }}
      />
      {mayDecide(app) && <Question id={id} />}
    </section>
  );
}
