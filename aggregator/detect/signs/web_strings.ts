/** Attack strings in what a client sends to a web server, and the programs that send them.
 *
 * In: a request line's target, a header field; both chosen by the client.
 * Out: the kinds of attack it shows, or the tool it names.
 * Invariant: every pattern is anchored to the grammar that makes it an attack (a quote before a comparison, a separator
 * before a command), as words alone stand in honest pages too; every pattern takes linear time, without nested repeats.
 * Decoded first: percent-encoding up to three times over, `+`, HTML's numeric characters,
 * comments and letters hidden in look-ups.
 * Sources: OWASP Testing Guide 4.2 (WSTG-INPV), the core rule set's families 930 to 944 (names only), CVE-2014-6271,
 * CVE-2021-44228, CVE-2022-22965, CVE-2022-22963, CVE-2022-26134, CVE-2022-42889, CVE-2017-5638, CVE-2017-9841,
 * CVE-2021-41773; java.io.ObjectOutputStream and MS-NRBF for how a serialised object begins. @module */

/** In the order in which they are shown. */
export const webAttackKinds = [
  "SQL injection",
  "path traversal",
  "command injection",
  "JNDI look-up (Log4Shell)",
  "Shellshock",
  "script in a parameter (XSS)",
  "code injection",
  "OGNL expression (Struts, Confluence)",
  "Spring4Shell",
  "template injection (SSTI)",
  "XML external entity (XXE)",
  "serialised object",
  "remote file inclusion",
  "request forgery (SSRF)",
  "web shell",
] as const;
export type WebAttackKind = typeof webAttackKinds[number];

const command =
  "(?:cat|id|whoami|uname|wget|curl|n?cat|nc|bash|sh|ping|powershell|cmd|certutil|busybox|rm|chmod|tftp|ftpget|" +
  "python[23]?|perl|php|ls|ps|ifconfig|netstat|nslookup|sleep|echo|type|dir|telnetd?)";

/** A quote or bracket that nobody opened, a junction, and a comparison: ' or '1'='1, 1) and 2>1. */
const junction =
  /['")]\s{0,9}(?:\b(?:or|and|xor)\b|\|\|)\s{0,9}(?:not\s{1,9})?[('"]{0,4}[\w@]{1,30}[)'"]{0,4}\s{0,9}(?:=|<|>|\blike\b|\bin\s{0,3}\()\s{0,9}[('"]{0,4}[\w@]/g;
const junctionsMax = 16;

/** Queries that an application lets people write have pairs of quotes and brackets: status = "open" and a = "b". */
function breaksOut(text: string): boolean {
  let tried = 0;
  for (const { index } of text.matchAll(junction)) {
    const close = text[index];
    const before = text.slice(0, index);
    const open = close === ")" ? count(before, "(") - count(before, ")") : count(before, close) % 2;
    if (open <= 0) return true;
    if (++tried >= junctionsMax) break;
  }
  return false;
}

function count(text: string, character: string): number {
  let found = 0;
  for (let i = text.indexOf(character); i >= 0; i = text.indexOf(character, i + 1)) found++;
  return found;
}

/** Where attacks are looked for besides the target and forms. */
const anywhere = true;

const patterns: readonly (readonly [WebAttackKind, { test(text: string): boolean }, typeof anywhere?])[] = [
  ["SQL injection", /\bunion\b[\s(]{1,20}(?:all[\s(]{1,20}|distinct[\s(]{1,20})?select\b/],
  ["SQL injection", { test: breaksOut }],
  [
    "SQL injection",
    /\d\s{1,9}(?:or|and|xor)\s{1,9}(?:not\s{1,9})?\(?\d{1,9}\)?\s{0,9}(?:=|<|>)\s{0,9}\(?\d/,
  ],
  [
    "SQL injection",
    /\b(?:sleep|benchmark|pg_sleep|extractvalue|updatexml|load_file|xp_cmdshell|utl_http\.request)\s{0,5}\(\s{0,5}[\w'"(]/,
  ],
  [
    "SQL injection",
    /\bwaitfor\s{1,9}delay\b|\binto\s{1,9}(?:out|dump)file\b|\binformation_schema\b|\bsqlite_master\b|\bsysobjects\b/,
  ],
  [
    "SQL injection",
    /['")\d];\s{0,9}(?:drop|insert|update|delete|exec|declare|shutdown|create|alter|select)\s{1,9}\w/,
  ],
  ["SQL injection", /['")\d]\s{0,9}\border\s{1,9}by\s{1,9}\d{1,3}\s{0,9}(?:--|#|\/\*|$|&)/],
  ["SQL injection", /=[^&]{0,120}['"]\s{0,9}(?:--|#)(?:\s|-|$|&)/],
  ["path traversal", /(?:^|[\/\\=:;])\.\.[\/\\]\.\.[\/\\]/],
  [
    "path traversal",
    /\.\.[\/\\][^\s]{0,100}(?:etc[\/\\](?:passwd|shadow|hosts)|win\.ini|boot\.ini|system32|web\.config|\.env|proc[\/\\]self)/,
  ],
  [
    "path traversal",
    /=[\/\\]{0,2}(?:file:[\/\\]{2,3})?(?:[a-z]:[\/\\](?:windows|boot\.ini)|[\/\\]?etc[\/\\](?:passwd|shadow)|[\/\\]?proc[\/\\]self[\/\\])/,
  ],
  [
    "command injection",
    RegExp(
      `(?:;|\\||&&|\\$\\(|\`|\\n)\\s{0,5}(?:/[a-z/]{1,20}/)?${command}(?:\\s|$|;|\\||\\)|\`|\\$\\{ifs\\})`,
    ),
  ],
  [
    "command injection",
    /&\s{0,5}(?:whoami|ipconfig|net\s{1,5}user|cat\s{1,5}\/|ping\s{1,5}-[nc])(?:\s|&|$)|[;|&]\s{0,5}cd\s{1,5}\/(?:tmp|var|dev)\b/,
  ],
  ["JNDI look-up (Log4Shell)", /\$\{\s{0,5}jndi\s{0,5}:/, anywhere],
  // The body of the function is short: ":;", "_;", ":; a;" or a word.
  ["Shellshock", /\(\s{0,5}\)\s{0,5}\{[^}]{0,60}\}\s{0,5};/, anywhere],
  ["Shellshock", /\(\s{0,5}\)\s{0,5}\{[^}]{0,20}>_\[\$\(\$\(\)\)\]\s{0,5}\{/, anywhere],
  [
    "script in a parameter (XSS)",
    /<\s{0,5}(?:script|iframe|svg|img|body|object|embed|video|details)\b[^>]{0,120}(?:\bon[a-z]{3,20}\s{0,5}=|src\s{0,5}=|>)/,
  ],
  [
    "script in a parameter (XSS)",
    /[=&"'(]\s{0,5}javascript\s{0,5}:|\bdocument\.cookie\b|['"]\s{0,5}on(?:error|load|click|mouseover|focus)\s{0,5}=/,
  ],
  [
    "code injection",
    /php:\/\/(?:input|filter|memory|stdin|fd)|\bdata:(?:\/\/)?text\/(?:plain|x-php)[;,]|=\s{0,5}(?:expect|phar|zip|glob|compress\.(?:zlib|bzip2)|ssh2\.\w{1,9}):\/\/|\ballow_url_include\b|\bauto_prepend_file\b|\binvokefunction&function=|\/eval-stdin\.php/,
  ],
  ["code injection", /<\?(?:php\s|=\s{0,5}[`$\w])/, anywhere],
  [
    "code injection",
    /\bjava\.lang\.(?:runtime|processbuilder)\b|\bgetruntime\(\)|\bclass\.forname\s{0,5}\(|\$\{(?:script|url):[a-z0-9-]{2,20}:/,
    anywhere,
  ],
  [
    "OGNL expression (Struts, Confluence)",
    /[$%]\{[^}]{0,80}(?:#_?\w{0,30}\s{0,5}[.=[]|#_memberaccess\b|@[\w.$]{3,80}@)|%\{\s{0,5}\(?\s{0,5}#/,
    anywhere,
  ],
  // Proof first: a sum or a product that the answer shows.
  ["OGNL expression (Struts, Confluence)", /%\{\s{0,5}\(?\s{0,5}\d{1,9}\s{0,5}[*+]\s{0,5}\d/, anywhere],
  [
    "OGNL expression (Struts, Confluence)",
    /\b(?:redirect(?:action)?|action|method):\s{0,5}[$%#]\{?[({#_]|#_memberaccess\b|@ognl\.ognlcontext@|\bcom\.opensymphony\.xwork2\b/,
    anywhere,
  ],
  [
    "Spring4Shell",
    /\bclass(?:\.|\[['"]?)(?:module['"\]]{0,2}(?:\.|\[['"]?))?classloader\b/,
  ],
  [
    "template injection (SSTI)",
    /(?:\{\{|[$#@]\{|<%=)\s{0,5}['"]?\d{1,9}['"]?\s{0,5}\*\s{0,5}['"]?\d/,
    anywhere,
  ],
  [
    "template injection (SSTI)",
    /\{[{%][^}]{0,160}(?:__(?:class|globals|mro|subclasses|builtins|init|import)__|\bpopen\b|\b(?:cycler|lipsum|joiner|namespace)\.__|_self\.env\.|\bconstructor\.constructor\b|\|\s{0,5}attr\s{0,5}\()/,
    anywhere,
  ],
  [
    "template injection (SSTI)",
    /<#assign\b|\bfreemarker\.template\.utility\b|#set\s{0,5}\(\s{0,5}\$\w{1,20}\s{0,5}=|\$\{t\(java\.|\*\{\s{0,5}t\(|__\$\{[^}]{0,120}\}__/,
    anywhere,
  ],
  [
    "XML external entity (XXE)",
    /<!entity\s{1,9}(?:%\s{1,9})?[\w.-]{1,40}\s{1,9}(?:system|public)\b/,
  ],
  // Java in base64; .NET's formatter; PHP; Jackson and fastjson; SnakeYAML.
  ["serialised object", /(?:^|[=:;,\s"'])ro0ab[\w+\/-]{6}|(?:^|[=:;,\s"'])aaeaaad\/{3}/, anywhere],
  [
    "serialised object",
    /[=;:{\s][oc]:\+?\d{1,3}:"[a-z_\\][\w\\]{0,80}":\d{1,5}:\{|"@type"\s{0,5}:\s{0,5}"(?:com\.sun\.|java\.|javax\.|org\.apache\.)|!!javax\.script\./,
  ],
  [
    "code injection",
    /\b(?:eval|assert|system|passthru|shell_exec|phpinfo|base64_decode|call_user_func_array)\s{0,5}\(/,
  ],
  ["remote file inclusion", /=\s{0,5}(?:https?|ftp):\/\/[^&\s]{1,150}\.txt\?/],
  [
    "request forgery (SSRF)",
    /=\s{0,5}(?:https?:\/\/(?:169\.254\.169\.254|metadata\.google)|gopher:\/\/|dict:\/\/)/,
  ],
  [
    "web shell",
    RegExp(`[?&](?:cmd|exec|execute|command|shell)=\\s{0,5}(?:/[a-z/]{1,20}/)?${command}(?:\\s|$|&)`),
  ],
  [
    "web shell",
    /\/(?:c99(?:shell)?|r57(?:shell)?|b374k|wso[0-9.]{0,5}|webshell|web-shell|weevely|antsword|behinder|godzilla|chopper|cmdasp|cmdjsp|aspxspy|jspspy|p0wny|p0wny-shell|tennc|indoxploit|alfa(?:v[0-9]|shell)?|shell[0-9]?|simple-backdoor|qsd-php-backdoor|php-reverse-shell|php-backdoor|ntdaddy|kacak|zehir4?)\.(?:php[0-9]?|aspx?|jspx?|cgi)\b/,
  ],
];

/** Of header fields only these and SQL: browsers put words like "; id;" into them, which in a request's target would
 * be commands. */
const headerPatterns = patterns.filter(([kind, , where]) => where === anywhere || kind === "SQL injection");

/** Kinds of attack in a request's target. */
export function webAttacksInTarget(uri: string | undefined): WebAttackKind[] {
  return attacksIn(uri, patterns);
}

/** Headers that hold no attack, the same agents come thousands of times. Emptied when full. */
const cleanHeaders = new Set<string>();
const cleanHeadersMax = 1_024;

/** Kinds of attack in a header field. */
export function webAttacksInHeader(value: string | undefined): WebAttackKind[] {
  if (!value || cleanHeaders.has(value)) return [];
  const found = attacksIn(value, headerPatterns);
  if (found.length === 0) {
    if (cleanHeaders.size >= cleanHeadersMax) cleanHeaders.clear();
    cleanHeaders.add(value);
  }
  return found;
}

/** Strings that need no second request to be an attack: a query joined to a broken one, a known file out of the
 * server's folder, a script that shows itself or takes cookies. */
const sure =
  /['")\d]\s{1,20}union[\s(]{1,20}(?:all[\s(]{1,20}|distinct[\s(]{1,20})?select\b|\.\.[\/\\][^\s]{0,100}(?:etc[\/\\](?:passwd|shadow)|win\.ini|boot\.ini|web\.config)|(?:<\s{0,5}script\b[^>]{0,120}>|\bon[a-z]{3,20}\s{0,5}=\s{0,5}["']?)[^<]{0,60}(?:\b(?:alert|prompt|confirm)\s{0,5}\(|document\.cookie)/;

/** Whether a target or a form holds a string that is an attack beyond doubt. */
export function isSureAttack(text: string | undefined): boolean {
  return text !== undefined && /[%'"()<]|\.\./.test(text) && sure.test(decodeWebText(text));
}

/** What a body that is no form does only in an attack. Elsewhere in it such strings may be somebody's text, or lines of
 * a log that is sent on: a field begins with the look-up, the document with its entity. */
const bodyPatterns: typeof patterns = [
  ["JNDI look-up (Log4Shell)", /(?:[:,[{=]\s{0,5}["']|>)\s{0,5}\$\{\s{0,5}jndi\s{0,5}:/],
  ["OGNL expression (Struts, Confluence)", /\bfilename="?[$%]\{/],
  [
    "XML external entity (XXE)",
    /^[\s.]{0,9}(?:<\?xml[^>]{0,80}>)?[\s.]{0,9}<!doctype\s{1,9}[^[>]{1,60}\[[\s.]{0,9}<!entity\s{1,9}(?:%\s{1,9})?[\w.-]{1,40}\s{1,9}(?:system|public)\b/,
  ],
  ["code injection", /^[\s.]{0,9}<\?(?:php\s|=\s{0,5}[`$\w])/],
  [
    "serialised object",
    /^[\s.]{0,9}[{[]?[\s.]{0,9}"@type"\s{0,5}:\s{0,5}"(?:com\.sun\.|java\.|javax\.|org\.apache\.)/,
  ],
];

/** Kinds of attack in the beginning of what a request sends: a form's fields are those of a target. */
export function webAttacksInBody(body: string | undefined, contentType: string | undefined): WebAttackKind[] {
  if (body === undefined) return [];
  if (!contentType?.toLowerCase().includes("form-urlencoded")) {
    return /[{<"]/.test(body) ? attacksInDecoded(withoutLookups(body).toLowerCase(), bodyPatterns) : [];
  }
  // Java Server Faces keeps its state in a form, by design.
  return attacksIn(`/?${body}`, patterns)
    .filter((kind) => kind !== "serialised object" || !/faces\.viewstate=/i.test(body));
}

function attacksIn(text: string | undefined, among: typeof patterns): WebAttackKind[] {
  // What has none of these characters fits no pattern; most requests end here.
  if (!text || !/[%'"();<{`$|=\\]|\.\.|\.(?:php|asp|jsp|cgi)|rO0AB|AAEAAAD/i.test(text)) return [];
  return attacksInDecoded(decodeWebText(text), among);
}

function attacksInDecoded(decoded: string, among: typeof patterns): WebAttackKind[] {
  const found = new Set<WebAttackKind>();
  for (const [kind, pattern] of among) if (!found.has(kind) && pattern.test(decoded)) found.add(kind);
  // They inject code by definition; one string is one kind.
  if (found.has("template injection (SSTI)") || found.has("OGNL expression (Struts, Confluence)")) {
    found.delete("code injection");
  }
  return found.size === 0 ? [] : webAttackKinds.filter((kind) => found.has(kind));
}

const decodesMax = 3, lookupsMax = 5;

/** Lower case, without what hides a string from a plain search. */
export function decodeWebText(text: string): string {
  let decoded = text.slice(0, 2_048);
  for (let i = 0; i < decodesMax && /%u?[0-9a-f]{2}/i.test(decoded); i++) {
    decoded = decoded.replace(/%(?:u00)?([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  }
  decoded = decoded.replaceAll("\u00c0\u00ae", ".").replaceAll("\u00c0\u00af", "/").replaceAll("+", " ");
  decoded = decoded.replace(
    /&#x?([0-9a-f]{2,4});/gi,
    (all, code) =>
      all[2] === "x" || all[2] === "X"
        ? String.fromCharCode(parseInt(code, 16))
        : String.fromCharCode(Number(code)),
  );
  decoded = decoded.replace(/\\(?:u00|x)([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  decoded = withoutLookups(decoded);
  // MySQL runs what stands in /*! ... */.
  decoded = decoded.replace(/\/\*!\d{0,6}([^*]{0,40})\*\//g, " $1 ");
  return decoded.replace(/\/\*[^*]{0,40}\*\//g, " ").replaceAll("\0", "").toLowerCase();
}

/** Look-ups of Log4j that stand for letters: ${lower:j}, ${::-j}, ${env:NO_SUCH:-j} and ${date:'j'} stand for j;
 * innermost first. */
function withoutLookups(text: string): string {
  let plain = text;
  for (let i = 0; i < lookupsMax && plain.includes("${"); i++) {
    const next = plain.replace(/\$\{([^{}$]{0,80})\}/g, (all, inner: string) => {
      if (/^\s*jndi/i.test(inner)) return all;
      const otherwise = inner.indexOf(":-");
      if (otherwise >= 0) return inner.slice(otherwise + 2);
      return /^\s*(?:lower|upper|date|bundle|main):'?([^']{0,40})'?$/i.exec(inner)?.[1] ?? all;
    });
    if (next === plain) break;
    plain = next;
  }
  return plain;
}

/** Scanners and attack tools that name themselves, by a word of their user agent. */
const tools: readonly (readonly [word: string, tool: string])[] = [
  ["sqlmap", "sqlmap"],
  ["nikto", "Nikto"],
  ["nmap scripting engine", "Nmap"],
  ["masscan", "masscan"],
  ["zgrab", "ZGrab"],
  ["gobuster", "Gobuster"],
  ["dirbuster", "DirBuster"],
  ["dirb ", "DIRB"],
  ["feroxbuster", "feroxbuster"],
  ["wpscan", "WPScan"],
  ["joomscan", "JoomScan"],
  ["nessus", "Nessus"],
  ["openvas", "OpenVAS"],
  ["acunetix", "Acunetix"],
  ["netsparker", "Netsparker"],
  ["w3af", "w3af"],
  ["arachni", "Arachni"],
  ["skipfish", "skipfish"],
  ["wfuzz", "Wfuzz"],
  ["fuzz faster u fool", "ffuf"],
  ["nuclei", "Nuclei"],
  ["whatweb", "WhatWeb"],
  ["jaeles", "Jaeles"],
  ["commix", "commix"],
  ["havij", "Havij"],
  ["hydra", "Hydra"],
  ["metasploit", "Metasploit"],
  ["zmeu", "ZmEu"],
  ["morfeus", "Morfeus"],
  ["jorgee", "Jorgee"],
  ["l9explore", "l9explore"],
  ["httpx -", "httpx"],
  ["burpcollaborator", "Burp"],
  ["vega/", "Vega"],
  ["owasp zap", "ZAP"],
  ["paros/", "Paros"],
  ["brutus/", "Brutus"],
  ["webshag", "Webshag"],
  ["hello, world", "a Mirai-like worm"],
];

/** The tool that a user agent names; "" = none that is known for scanning. */
export function scannerOf(userAgent: string | undefined): string {
  if (!userAgent) return "";
  const lower = userAgent.toLowerCase();
  return tools.find(([word]) => lower.includes(word))?.[1] ?? "";
}

/** Paths that exist only to be abused, or that nobody but an owner asks for. */
const probedPath =
  /^\/(?:\.env|\.git\/(?:config|head)|\.aws\/|\.ssh\/|\.svn\/|wp-config\.php|wp-login\.php|xmlrpc\.php|phpmyadmin|pma\/|myadmin|manager\/html|hnap1|boaform\/|gponform\/|setup\.cgi|shell\?|cgi-bin\/(?:luci|authlogin|\.%2e|php)|actuator\/|solr\/admin|vendor\/phpunit|_ignition\/|owa\/auth|autodiscover\/autodiscover\.json|ecp\/|remote\/(?:login|fgt)|dana-na\/|vpn\/|tmui\/|console\/(?:login|css)|jenkins\/script|script\b|jmx-console|invoker\/|struts|wls-wsat|api\/jsonws|ctrlt\/|picsdesc|ws\/v1\/cluster|server-status|backup\.|dump\.sql|config\.(?:php|json|bak)|phpinfo)/i;

/** The known weak place that a request target is in, "" = none. One place may have many pages. */
export function probedPlace(uri: string | undefined): string {
  return probedPath.exec(uri ?? "")?.[0].toLowerCase() ?? "";
}
