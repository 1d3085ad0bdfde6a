/** The page's fixed part: headings, landmarks, forms. Everything that changes is filled in by the script. @module */

/** A picket fence: three pales and a rail. */
export const logoSvg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="7" fill="#0f6b5c"/>
<g fill="#f4f7f4"><path d="M7 25V11l2.5-4 2.5 4v14z"/><path d="M13.5 25V11L16 7l2.5 4v14z"/><path d="M20 25V11l2.5-4 2.5 4v14z"/>
<rect x="4" y="15" width="24" height="3"/></g></svg>
`;

export const shell = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Picket</title>
<link rel="icon" href="assets/logo.svg" type="image/svg+xml">
<link rel="stylesheet" href="assets/dashboard.css">
<script type="module" src="assets/dashboard.js"></script>
</head>
<body>
<a class="skip" href="#main">Skip to content</a>
<header class="bar">
  <a class="brand" href="./"><img src="assets/logo.svg" alt="" width="28" height="28"><span>Picket</span></a>
  <nav class="jump inside" aria-label="Sections" hidden>
    <a href="#threats">Threats</a><a href="#fleet">Fleet</a><a href="#traffic">Traffic</a><a href="#flows">Flows</a>
    <a href="docs">API</a>
  </nav>
  <div class="who inside" hidden><span id="who"></span><button type="button" id="logout" class="quiet">Log out</button></div>
</header>
<noscript><p class="notice">This page needs JavaScript. The same data is in the API under /api/v1.</p></noscript>

<main id="main">
<section id="login" class="login" aria-labelledby="login-title" hidden>
  <h1 id="login-title">Log in</h1>
  <p class="soft">With an API key. The first start of the aggregator wrote one into <code>admin.key</code> of its state folder.</p>
  <form id="login-form">
    <label for="key">API key</label>
    <input id="key" name="key" type="password" autocomplete="current-password" spellcheck="false" required placeholder="pk_...">
    <p id="login-problem" class="problem" role="alert"></p>
    <button type="submit" class="main">Log in</button>
  </form>
</section>

<div id="inside" class="inside" hidden>
  <h1 class="unseen">Overview</h1>
  <p id="problem" class="problem notice" role="alert" hidden></p>
  <div id="tiles" class="tiles" aria-live="polite"></div>

  <section id="threats" aria-labelledby="threats-title">
    <div class="head">
      <h2 id="threats-title">Threats</h2>
      <form id="threat-filter" class="filter">
        <label>Severity <select name="severity_min">
          <option value="">all</option><option value="low">low and up</option><option value="medium">medium and up</option>
          <option value="high">high and up</option><option value="critical">critical</option></select></label>
        <label>Status <select name="status">
          <option value="">all</option><option value="open">open</option><option value="acknowledged">acknowledged</option>
          <option value="closed">closed</option></select></label>
      </form>
    </div>
    <div id="threat-list"></div>
    <button type="button" id="threats-more" class="quiet more" hidden>Show older threats</button>
  </section>

  <section id="fleet" aria-labelledby="fleet-title">
    <div class="head"><h2 id="fleet-title">Fleet</h2><p id="fleet-sum" class="soft"></p></div>
    <div id="fleet-list"></div>
  </section>

  <section id="traffic" aria-labelledby="traffic-title">
    <div class="head">
      <h2 id="traffic-title">Traffic</h2>
      <form id="traffic-filter" class="filter">
        <label>Up to the newest packet <select name="span">
          <option value="3600">1 hour</option><option value="86400" selected>1 day</option>
          <option value="604800">1 week</option></select></label>
      </form>
    </div>
    <figure class="panel chart"><figcaption id="chart-title"></figcaption><div id="chart"></div></figure>
    <div class="pair">
      <div class="panel"><h3>Top talkers</h3><div id="talkers"></div></div>
      <div class="panel"><h3>Protocols</h3><div id="protocols"></div></div>
    </div>
  </section>

  <section id="flows" aria-labelledby="flows-title">
    <div class="head"><h2 id="flows-title">Flows</h2><p id="flows-note" class="soft" aria-live="polite"></p></div>
    <form id="flow-filter" class="filter search" role="search" aria-label="Search flows">
      <label>Address <input name="ip" inputmode="text" spellcheck="false" autocapitalize="off" placeholder="either end"></label>
      <label>Port <input name="port" inputmode="numeric" pattern="[0-9]*" class="short" placeholder="any"></label>
      <label>Protocol <select name="protocol"><option value="">any</option><option>tcp</option><option>udp</option>
        <option>icmp</option><option>icmp6</option><option>arp</option></select></label>
      <label>Name <input name="name" spellcheck="false" autocapitalize="off" placeholder="part of a DNS or server name"></label>
      <button type="submit" class="main">Search</button>
      <button type="button" id="flow-clear" class="quiet">Clear</button>
    </form>
    <div id="flow-list"></div>
    <button type="button" id="flows-more" class="quiet more" hidden>Show older flows</button>
  </section>
  <footer class="soft small">All times are UTC.</footer>
</div>
</main>
</body>
</html>
`;
