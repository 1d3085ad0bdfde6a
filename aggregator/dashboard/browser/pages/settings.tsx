/** Settings: suppressions, sinks, detectors, intelligence lists; for administrators keys and the audit too. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { isAdmin, useApp } from "../app.ts";
import { Empty, Section, Tabs } from "../parts.tsx";
import { linkTo, usePlace } from "../place.ts";
import type { VNode } from "../preact.ts";
import { Audit } from "./audit.tsx";
import { Detectors } from "./detectors.tsx";
import { Intelligence } from "./intelligence.tsx";
import { Keys } from "./keys.tsx";
import { Sinks } from "./sinks.tsx";
import { Suppressions } from "./suppressions.tsx";

interface Tab {
  name: string;
  title: string;
  isAdmins?: boolean;
  show: () => VNode;
}

const tabs: readonly Tab[] = [
  { name: "suppressions", title: "Suppressions", show: () => <Suppressions /> },
  { name: "sinks", title: "Sinks", show: () => <Sinks /> },
  { name: "detectors", title: "Detectors", show: () => <Detectors /> },
  { name: "intelligence", title: "Intelligence lists", show: () => <Intelligence /> },
  { name: "keys", title: "API keys", isAdmins: true, show: () => <Keys /> },
  { name: "audit", title: "Audit", isAdmins: true, show: () => <Audit /> },
];

export function SettingsPage(): VNode {
  const app = useApp();
  const { query } = usePlace();
  const open = tabs.find(({ name }) => name === query.tab) ?? tabs[0];
  const mayLook = (tab: Tab) => !tab.isAdmins || isAdmin(app);
  return (
    <>
      <Tabs
        label="Parts of the settings"
        tabs={tabs.filter(mayLook).map((tab) => ({
          title: tab.title,
          href: linkTo("settings", "", { tab: tab.name }),
          isOpen: tab === open,
        }))}
      />
      {mayLook(open) ? open.show() : (
        <Section title={open.title} class="wide">
          <Empty>Only administrators see this. You are signed in as {app.session?.role}.</Empty>
        </Section>
      )}
    </>
  );
}
