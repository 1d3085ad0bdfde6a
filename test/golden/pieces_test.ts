/** TLS that stands behind something else, and first messages cut after an octet or two: the server's name is read all
 * the same, as tshark alone would read it.
 *
 * Method: connections made here, octet by octet, through the whole program. Skipped loudly without tshark. @module */

import { assertEquals } from "@std/assert";
import { bytes } from "../sensor/frames.ts";
import { clientHello } from "../sensor/dissect/fixture.ts";
import { connection, needsTshark, replay } from "./talk.ts";

const { ignore } = await needsTshark("first messages in pieces");

const text = (words: string) => new TextEncoder().encode(words);
const data = bytes(23, 3, 3, 0, 64, new Uint8Array(64).fill(0xa5));

async function nameIn(port: number, payloads: [boolean, Uint8Array][]): Promise<string> {
  const { app_protocol, facts } = await replay(connection(port, [...payloads, [false, data]]));
  return `${app_protocol} ${facts?.tls?.sni ?? "-"}`;
}

Deno.test({
  name: "the server's name is read behind CONNECT, SOCKS, STARTTLS and the PROXY line",
  ignore,
  async fn() {
    const client = (words: string | Uint8Array): [boolean, Uint8Array] => [
      true,
      typeof words === "string" ? text(words) : words,
    ];
    const server = (words: string | Uint8Array): [boolean, Uint8Array] => [false, client(words)[1]];
    const asks = clientHello("www.example");
    const connect = "CONNECT www.example:443 HTTP/1.1\r\nHost: www.example:443\r\n\r\n";
    for (const more of ["", "Content-Length: 0\r\n"]) {
      const established = `HTTP/1.1 200 Connection established\r\n${more}\r\n`;
      const flow = [client(connect), server(established), client(asks)];
      assertEquals(await nameIn(8_888, flow), "http www.example", more);
    }
    const socks = [
      client(bytes(5, 1, 0)),
      server(bytes(5, 0)),
      client(bytes(5, 1, 0, 3, 11, text("www.example"), 1, 187)),
      server(bytes(5, 0, 0, 1, new Uint8Array(6))),
      client(asks),
    ];
    assertEquals(await nameIn(1_080, socks), "socks www.example");
    assertEquals(await nameIn(9_050, socks), "tls www.example");
    const mail = [server("220 mx\r\n"), client("EHLO a\r\n"), server("250-mx\r\n250 STARTTLS\r\n")];
    mail.push(client("STARTTLS\r\n"), server("220 go\r\n"), client(asks));
    assertEquals(await nameIn(25, mail), "smtp www.example");
    const proxied = bytes(text("PROXY TCP4 192.0.2.1 192.0.2.2 1111 443\r\n"), asks);
    assertEquals(await nameIn(443, [client(proxied)]), "tls www.example");
  },
});

Deno.test({
  name: "a ClientHello and a request whose first segment holds an octet or two are read whole",
  ignore,
  async fn() {
    const asks = clientHello("www.example");
    const request = text("GET /a HTTP/1.1\r\nHost: www.example\r\n\r\n");
    for (const first of [1, 2, 3, 4, 5]) {
      const parts = (whole: Uint8Array): [boolean, Uint8Array][] => [
        [true, whole.slice(0, first)],
        [true, whole.slice(first, 60)],
        ...(whole.length > 60 ? [[true, whole.slice(60)] as [boolean, Uint8Array]] : []),
      ];
      assertEquals(await nameIn(443, parts(asks)), "tls www.example", `${first} octets`);
      const { facts } = await replay(connection(80, parts(request)));
      const expected = [{ method: "GET", uri: "/a", host: "www.example" }];
      assertEquals(facts?.http, expected, `${first} octets`);
    }
  },
});
