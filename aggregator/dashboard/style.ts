/** The dashboard's look: calm, readable, the same on a phone; light and dark by the reader's own setting.
 *
 * Invariant: no colour stands alone (every status is also a word), text on its ground has a contrast of at least 4.5 to 1. @module */

export const styleSheet = String.raw`
:root {
  color-scheme: light dark;
  --ground: #f4f6f3; --panel: #ffffff; --line: #dfe4de; --ink: #1c2723; --soft: #56635d; --accent: #0f6b5c; --on-accent: #ffffff;
  --tint: #e6f0ec; --critical: #9b1135; --high: #b03a0a; --medium: #855a00; --low: #2f5f86; --info: #55616a; --good: #17693f;
  --shade: 0 1px 2px rgb(20 40 30 / 6%), 0 4px 14px rgb(20 40 30 / 4%);
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #111715; --panel: #19211e; --line: #2c3833; --ink: #e6ece8; --soft: #a2b0a9; --accent: #5cc2ab; --on-accent: #0b1613;
    --tint: #1d2f29; --critical: #ff8fa6; --high: #ff9d6b; --medium: #e6bd55; --low: #8cbfe8; --info: #a9b6bf; --good: #7bd3a2;
    --shade: 0 1px 2px rgb(0 0 0 / 30%);
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 4.5rem; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; background: var(--ground); color: var(--ink); line-height: 1.5; overflow-wrap: anywhere;
  font-family: system-ui, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif; font-size: 0.975rem; }
[hidden] { display: none !important; }
h1, h2, h3, h4, p, dl, dd, ul, ol, figure { margin: 0; padding: 0; }
h2 { font-size: 1.25rem; letter-spacing: -0.01em; }
h3 { font-size: 1rem; }
h4 { font-size: 0.78rem; font-weight: 600; color: var(--soft); text-transform: uppercase; letter-spacing: 0.06em; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
code, .mono { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 0.92em; }
.wire { unicode-bidi: isolate; }
.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
.soft { color: var(--soft); }
.small { font-size: 0.86rem; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.skip { position: absolute; left: -100vw; }
.skip:focus { left: 1rem; top: 0.6rem; z-index: 3; background: var(--panel); padding: 0.4rem 0.8rem; }

.bar { position: sticky; top: 0; z-index: 2; display: flex; align-items: center; gap: 1.6rem; padding: 0.55rem max(1rem, calc(50vw - 38rem));
  background: var(--panel); border-bottom: 1px solid var(--line); }
.brand { display: flex; align-items: center; gap: 0.55rem; font-weight: 650; font-size: 1.1rem; color: inherit; text-decoration: none; }
.jump { display: flex; gap: 1.2rem; flex: 1; }
.jump a { color: var(--soft); text-decoration: none; font-size: 0.93rem; padding: 0.25rem 0; }
.jump a:hover { color: var(--ink); }
.who { display: flex; align-items: center; gap: 0.8rem; font-size: 0.88rem; color: var(--soft); margin-left: auto; }
main { max-width: 76rem; margin: 0 auto; padding: 1.4rem 1rem 5rem; }
section { margin-top: 2.4rem; }
.head { display: flex; flex-wrap: wrap; align-items: baseline; justify-content: space-between; gap: 0.4rem 1.2rem; margin-bottom: 0.8rem; }
footer { margin-top: 2rem; text-align: center; }
.panel { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.1rem; box-shadow: var(--shade); }
.notice { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 0.7rem 1rem; margin: 0 0 1rem; }
.problem { color: var(--critical); }
.empty { color: var(--soft); text-align: center; padding: 1.6rem 1rem; }

button, input, select { font: inherit; color: inherit; border-radius: 7px; border: 1px solid var(--line); background: var(--panel);
  padding: 0.38rem 0.7rem; min-height: 2.35rem; }
input, select { border-color: color-mix(in srgb, var(--soft) 55%, transparent); }
button { cursor: pointer; }
button:disabled { opacity: 0.55; cursor: default; }
button.main { background: var(--accent); border-color: var(--accent); color: var(--on-accent); font-weight: 600; padding-inline: 1.1rem; }
button.quiet { color: var(--accent); }
button.quiet:hover { background: var(--tint); }
.more { display: block; margin: 1rem auto 0; }
.filter { display: flex; flex-wrap: wrap; gap: 0.6rem 0.9rem; align-items: end; }
.filter label { display: flex; align-items: center; gap: 0.45rem; font-size: 0.86rem; color: var(--soft); }
.filter label > * { color: var(--ink); font-size: 0.93rem; }
.search { margin-bottom: 0.9rem; }
.search label { flex-direction: column; align-items: stretch; gap: 0.2rem; }
.search .short { width: 6rem; }

.login { max-width: 25rem; margin: 12vh auto 0; background: var(--panel); border: 1px solid var(--line); border-radius: 14px; padding: 1.8rem;
  box-shadow: var(--shade); }
.login h1 { font-size: 1.4rem; margin-bottom: 0.5rem; }
.login form { display: grid; gap: 0.6rem; margin-top: 1.2rem; }
.login label { font-weight: 600; font-size: 0.9rem; }
.login .problem:empty { display: none; }

.tiles { display: grid; grid-template-columns: repeat(4, 1fr); gap: 0.8rem; }
.tile { min-width: 0; background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 0.8rem 1rem; box-shadow: var(--shade); }
.tile strong { display: block; font-size: 1.55rem; line-height: 1.25; font-weight: 640; letter-spacing: -0.02em; font-variant-numeric: tabular-nums; }
.tile > span { display: block; color: var(--soft); font-size: 0.86rem; }
.tile > .badge { display: inline-flex; width: fit-content; margin-top: 0.35rem; color: var(--tone); font-size: 0.8rem; white-space: normal; }

.badge { display: inline-flex; align-items: center; gap: 0.4em; font-size: 0.8rem; font-weight: 650; white-space: nowrap; color: var(--tone);
  border: 1px solid color-mix(in srgb, var(--tone) 40%, transparent); background: color-mix(in srgb, var(--tone) 9%, var(--panel));
  border-radius: 99px; padding: 0.08rem 0.6rem; }
.badge::before { content: ""; width: 0.5em; height: 0.5em; border-radius: 50%; background: var(--tone); }
.tone-critical { --tone: var(--critical); } .tone-high { --tone: var(--high); } .tone-medium { --tone: var(--medium); }
.tone-low { --tone: var(--low); } .tone-info { --tone: var(--info); } .tone-good { --tone: var(--good); }

.threat { border-left: 5px solid var(--tone); margin-bottom: 0.8rem; }
.threat.done { opacity: 0.72; }
.threat .top { display: flex; flex-wrap: wrap; align-items: center; gap: 0.3rem 0.75rem; }
.threat .top h3 { font-size: 1.06rem; }
.threat .top time { margin-left: auto; }
.threat .ends { margin: 0.3rem 0 0.55rem; color: var(--soft); font-size: 0.92rem; }
.threat .explanation { white-space: pre-line; max-width: 68em; }
.threat .action { margin-top: 0.7rem; padding: 0.6rem 0.85rem; background: var(--tint); border-radius: 8px; white-space: pre-line; }
.threat .action h4 { margin-bottom: 0.1rem; }
.threat details { margin-top: 0.7rem; }
.threat summary { cursor: pointer; color: var(--accent); font-size: 0.93rem; width: fit-content; }
.threat .grounds { display: grid; grid-template-columns: 1fr 1fr; gap: 0.6rem 2rem; margin-top: 0.6rem; }
.threat .grounds h4 { margin-bottom: 0.25rem; }
.threat ul { list-style: none; }
.threat li { padding: 0.18rem 0; border-top: 1px solid var(--line); font-size: 0.91rem; display: flex; justify-content: space-between; gap: 1rem; }
.threat li:first-child { border-top: 0; }
.threat .acts { display: flex; flex-wrap: wrap; align-items: center; gap: 0.5rem 0.8rem; margin-top: 0.8rem; font-size: 0.88rem; color: var(--soft); }
.threat .acts button { min-height: 2rem; padding: 0.2rem 0.7rem; }

table { width: 100%; border-collapse: collapse; background: var(--panel); font-size: 0.91rem; }
.table { border: 1px solid var(--line); border-radius: 10px; overflow: hidden; box-shadow: var(--shade); }
th { white-space: nowrap; text-align: left; font-size: 0.78rem; font-weight: 600; color: var(--soft); padding: 0.5rem 0.75rem; border-bottom: 1px solid var(--line); }
td { padding: 0.5rem 0.75rem; border-top: 1px solid var(--line); vertical-align: top; }
tbody tr:first-child td { border-top: 0; }
th.right, td.right { text-align: right; }
td ul { list-style: none; }
td.when, td.short .wire { white-space: nowrap; }

.chart figcaption { color: var(--soft); font-size: 0.88rem; margin-bottom: 0.4rem; }
.chart svg { display: block; width: 100%; height: auto; }
.chart .area { fill: color-mix(in srgb, var(--accent) 20%, transparent); }
.chart .stroke { fill: none; stroke: var(--accent); stroke-width: 1.6; vector-effect: non-scaling-stroke; }
.chart .rule { stroke: var(--line); stroke-width: 1; }
.chart text { fill: var(--soft); font-size: 12px; font-family: inherit; }
.chart .mark { fill: var(--tone); }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 0.8rem; margin-top: 0.8rem; }
.pair h3 { margin-bottom: 0.5rem; }
.share { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 0 1rem; padding: 0.28rem 0; font-size: 0.92rem; }
.share svg { grid-column: 1 / -1; width: 100%; height: 4px; display: block; margin-top: 0.15rem; }
.share .track { fill: var(--line); } .share .fill { fill: var(--accent); }

.docs article { margin-top: 0.9rem; } .docs .method { font-weight: 700; color: var(--accent); margin-right: 0.6rem; }
.docs dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.15rem 1rem; margin-top: 0.5rem; font-size: 0.9rem; }
.docs pre { overflow: auto; background: var(--ground); border-radius: 8px; padding: 0.7rem; font-size: 0.82rem; max-height: 24rem; }

@media (max-width: 48rem) {
  .bar { flex-wrap: wrap; gap: 0.3rem 1rem; padding: 0.5rem 1rem; }
  .jump { order: 3; flex-basis: 100%; justify-content: space-between; gap: 0.6rem; }
  html { scroll-padding-top: 6.5rem; }
  .tiles { grid-template-columns: 1fr 1fr; }
  .pair, .threat .grounds { grid-template-columns: 1fr; }
  .threat .top time { margin-left: 0; flex-basis: 100%; }
  .head .filter { flex-basis: 100%; flex-wrap: nowrap; } .head .filter label { flex: 1; min-width: 0; } .head .filter select { flex: 1; min-width: 0; }
  .search label { flex: 1 1 9rem; min-width: 0; } .search .short { width: 100%; } .search button { flex: 1; }
  .table { border: 0; box-shadow: none; border-radius: 0; }
  table, tbody, tr, td { display: block; background: none; } thead { display: none; }
  tr { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 0.6rem 0.9rem; margin-bottom: 0.6rem; box-shadow: var(--shade); }
  td, td.right { border: 0; padding: 0.12rem 0; display: grid; grid-template-columns: 6.2rem minmax(0, 1fr); gap: 0.7rem; text-align: left; }
  td::before { content: attr(data-label); color: var(--soft); font-size: 0.84rem; }
  td > * { justify-self: start; }
  td.extra { display: none; }
}
`;
