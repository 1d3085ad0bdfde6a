/** Navigation, time range, "as of", and the page between them; the sign-in where nobody is signed in. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { type App, refresh, signOut, useApp } from "./app.ts";
import { nowMs } from "./edges.ts";
import { useAction } from "./hooks.ts";
import { useLive } from "./live.ts";
import { Button, Loading, Notice } from "./parts.tsx";
import { linkTo, type Place, usePlace } from "./place.ts";
import { useEffect, useRef, useState, type VNode } from "./preact.ts";
import { RangeBar } from "./range_bar.tsx";
import { clockTime, fullTime, inert, zone } from "./text.ts";
import { chosenTheme, turnTheme } from "./theme.ts";
import { FleetPage } from "./pages/fleet.tsx";
import { FlowsPage } from "./pages/flows.tsx";
import { HostPage } from "./pages/host.tsx";
import { HostsPage } from "./pages/hosts.tsx";
import { MapPage } from "./pages/map.tsx";
import { Overview } from "./pages/overview.tsx";
import { SensorPage } from "./pages/sensor.tsx";
import { SettingsPage } from "./pages/settings.tsx";
import { ThreatsPage } from "./pages/threats.tsx";
import { SignIn } from "./sign_in.tsx";

interface Page {
  name: string;
  title: string;
  /** Whether what it shows depends on the time range. */
  isRanged: boolean;
  /** Worth a screen on the wall. */
  isWall?: boolean;
  show: (place: Place) => VNode;
}

const pages: readonly Page[] = [
  { name: "overview", title: "Overview", isRanged: true, isWall: true, show: () => <Overview /> },
  { name: "threats", title: "Threats", isRanged: true, show: () => <ThreatsPage /> },
  { name: "flows", title: "Flows", isRanged: true, show: () => <FlowsPage /> },
  {
    name: "hosts",
    title: "Hosts",
    isRanged: true,
    show: ({ item }) => item ? <HostPage key={item} ip={item} /> : <HostsPage />,
  },
  { name: "map", title: "Map", isRanged: false, isWall: true, show: () => <MapPage /> },
  {
    name: "fleet",
    title: "Fleet",
    isRanged: false,
    isWall: true,
    show: ({ item }) => item ? <SensorPage key={item} name={item} /> : <FleetPage />,
  },
  { name: "settings", title: "Settings", isRanged: false, show: () => <SettingsPage /> },
];

export function Shell(): VNode {
  const app = useApp();
  const place = usePlace();
  const page = pages.find(({ name }) => name === place.page);
  const title = place.item || page?.title || "Nothing here";
  const heading = useRef<HTMLHeadingElement>(null);
  const isIn = app.session !== null;
  const shown = `${place.page}/${place.item}`;
  const [before, setBefore] = useState(shown);
  useEffect(() => {
    document.title = `${title} · Picket`;
    // A new page is read from its heading; the first one is where the browser put the person.
    if (before !== shown) heading.current?.focus();
    setBefore(shown);
  }, [shown, title]);
  // A plain connection has six streams for all tabs; HTTP/2 has a hundred for each.
  useLive("threats", isIn && location.protocol === "https:", refresh);
  if (!app.isKnown) {
    return (
      <main>
        <Loading />
      </main>
    );
  }
  if (!isIn) return <SignIn notice={app.problem} />;
  return (
    <div class="shell">
      <Bar app={app} place={place} />
      <main id="main" tabIndex={-1}>
        <div class="page-head">
          {place.item && page && (
            <p class="crumbs">
              <a href={linkTo(page.name)}>{page.title}</a> <span aria-hidden="true">/</span>
            </p>
          )}
          <h1 ref={heading} tabIndex={-1} class={place.item ? "wire" : ""}>{inert(title)}</h1>
          {page?.isWall && !place.item && !place.query.tab && <FullScreen />}
          {page?.isRanged && <RangeBar />}
          <AsOf app={app} />
        </div>
        {app.problem !== null && <Notice problem={{ message: `Nothing new comes in: ${app.problem}` }} />}
        {page ? page.show(place) : (
          <p class="empty">
            There is no such page. <a href={linkTo("overview")}>To the overview</a>
          </p>
        )}
      </main>
    </div>
  );
}

/** The page alone and larger, for a screen on the wall; Esc leads back. */
function FullScreen(): VNode | null {
  if (!document.fullscreenEnabled) return null;
  return (
    <span class="full-screen">
      <Button onPress={() => document.documentElement.requestFullscreen()} title="Full screen, for a wall">
        <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
          <path d="M1 6V1h5M10 1h5v5M15 10v5h-5M6 15H1v-5" />
        </svg>
        <span class="unseen">Full screen</span>
      </Button>
    </span>
  );
}

function Bar({ app, place }: { app: App; place: Place }): VNode {
  const [theme, setTheme] = useState(chosenTheme);
  const { run } = useAction();
  return (
    <header class="bar">
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          document.getElementById("main")?.focus();
        }}
      >
        Skip to content
      </a>
      <a class="brand" href={linkTo("overview")}>
        <img src="assets/logo.svg" alt="" width="24" height="24" /> <span>Picket</span>
      </a>
      <nav aria-label="Pages">
        {pages.map(({ name, title }) => (
          <a key={name} href={linkTo(name)} aria-current={place.page === name ? "page" : undefined}>
            {title}
          </a>
        ))}
      </nav>
      <div class="who">
        <span class="soft" id="who">{app.session?.name} ({app.session?.role})</span>
        <a href="docs">API</a>
        <Button onPress={() => setTheme(turnTheme())} title={`Colours: ${theme}`}>
          <span aria-hidden="true">◐</span> <span class="unseen">Colours:</span>{" "}
          <span class="word">{theme}</span>
        </Button>
        <Button onPress={() => run(signOut)}>Log out</Button>
      </div>
    </header>
  );
}

/** When what is shown was asked for, how new the newest packet was then, and in which zone times are. */
function AsOf({ app: { asOfMs, totals } }: { app: App }): VNode | null {
  if (asOfMs === null) return null;
  const newest = totals?.last ?? null;
  const isToday = newest !== null && Math.abs(nowMs() / 1000 - newest) < 43_200;
  return (
    <p class="as-of soft small">
      as of <span class="number">{clockTime(asOfMs / 1000)}</span>
      {newest !== null && (
        <>
          , newest packet <span class="number">{isToday ? clockTime(newest) : fullTime(newest)}</span>
        </>
      )} <span>({zone(asOfMs)})</span>
    </p>
  );
}
