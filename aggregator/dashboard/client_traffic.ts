/** Browser script, part 4: traffic over time as an SVG chart, top talkers, protocols. @module */

export const clientTraffic = String.raw`
const chartSize = { width: 1120, height: 210, left: 64, right: 12, top: 10, bottom: 40 };

async function loadTraffic(totals, threats) {
  const span = Number(new FormData(byId("traffic-filter")).get("span"));
  const to = totals.last ?? 0;
  const from = Math.max(totals.first ?? 0, to - span);
  if (totals.last === null) {
    for (const id of ["chart", "talkers", "protocols"]) fill(id, h("p.empty", "No traffic stored yet."));
    fill("chart-title");
    return;
  }
  const [series, talkers, protocols] = await Promise.all([
    get("/stats/series", { from, to }),
    get("/stats/top-talkers", { from, to, limit: 8 }),
    get("/stats/protocols", { from, to }),
  ]);
  showChart(series, threats);
  const talkerRows = talkers.rows.map((row) => [row.ip, row.total_bytes, bytes(row.total_bytes) + " · " + plural(row.flows, "flow")]);
  const protocolRows = protocols.rows.slice(0, 8).map((row) => [row.app_protocol ? row.app_protocol + " over " + row.protocol : row.protocol,
    row.bytes, bytes(row.bytes) + " · " + plural(row.flows, "flow")]);
  showShares("talkers", talkerRows, (ip) => searchFlows({ ip }));
  showShares("protocols", protocolRows);
}

function showShares(id, rows, choose) {
  const most = Math.max(1, ...rows.map(([, value]) => value));
  if (rows.length === 0) return fill(id, h("p.empty", "Nothing in this time."));
  fill(id, ...rows.map(([label, value, text]) => {
    const bar = s("svg", { viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" },
      s("rect", { class: "track", width: 100, height: 4, rx: 0.6 }),
      s("rect", { class: "fill", width: Math.max(0.5, 100 * value / most), height: 4, rx: 0.6 }));
    let name = wire(label);
    if (choose) {
      name = h("a.mono.wire", label);
      name.href = "#flows";
      name.addEventListener("click", () => attempt(() => choose(label)));
    }
    return h("div.share", name, h("span.number.soft", text), bar);
  }));
}

function showChart(series, threats) {
  const { width, height, left, right, top, bottom } = chartSize;
  const { step } = series;
  const start = Math.floor(series.from / step) * step;
  const known = new Map(series.rows.map((row) => [Math.floor(row.time / step) * step, row.bytes * 8 / step]));
  const points = [];
  for (let time = start; time <= series.to && points.length < 4000; time += step) points.push([time, known.get(time) ?? 0]);
  const end = start + Math.max(1, points.length) * step;
  const peak = roundUp(Math.max(1, ...points.map(([, bits]) => bits)));
  const x = (time) => left + (width - left - right) * (time - start) / (end - start);
  const y = (bits) => top + (height - top - bottom) * (1 - bits / peak);
  const outline = points.map(([time, bits]) => "L" + x(time).toFixed(1) + " " + y(bits).toFixed(1) + "H" + x(time + step).toFixed(1)).join("");
  const words = "Traffic from " + clockTime(start, true) + " to " + clockTime(series.to, true) + ", highest "
    + count(Math.round(Math.max(0, ...points.map(([, bits]) => bits)))) + "bit/s, a point every " + step + " s";
  const svg = s("svg", { viewBox: "0 0 " + width + " " + height, role: "img", "aria-label": words });
  for (const share of [0, 0.5, 1]) {
    svg.append(s("line", { class: "rule", x1: left, x2: width - right, y1: y(peak * share), y2: y(peak * share) }),
      s("text", { x: left - 8, y: y(peak * share) + 4, "text-anchor": "end" }, share === 0 ? "0" : count(peak * share) + "b/s"));
  }
  svg.append(s("path", { class: "area", d: "M" + left + " " + y(0) + outline + "V" + y(0) + "Z" }),
    s("path", { class: "stroke", d: "M" + left + " " + y(0) + outline + "V" + y(0) }));
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    const anchor = share === 0 ? "start" : share === 1 ? "end" : "middle";
    svg.append(s("text", { x: x(start + (end - start) * share), y: height - 4, "text-anchor": anchor },
      clockTime(start + (end - start) * share, end - start > 86400)));
  }
  const marks = threats.filter((threat) => threat.first_seen >= start && threat.first_seen <= end);
  for (const threat of marks) {
    const at = x(threat.first_seen);
    const base = height - bottom;
    svg.append(s("path", { class: "mark tone-" + threat.severity, d: "M" + at + " " + (base + 3) + "l5 9h-10z" },
      s("title", {}, threat.severity + ": " + threat.title)));
  }
  fill("chart", svg);
  fill("chart-title", document.createTextNode("Bits per second, a point every " + step + " s"
    + (marks.length > 0 ? "; a triangle is the start of a threat" : "")));
}

/** The next of 1, 2, 5, 10, ... */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((digit) => digit * power >= value) * power;
}
`;
