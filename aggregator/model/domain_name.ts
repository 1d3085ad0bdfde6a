/** The part of a DNS name that somebody registered, and the part they chose freely.
 *
 * In: a name from the wire. Out: registered domain and subdomain, lower-case.
 * Why a short list and no Public Suffix List: nothing is downloaded, and a miss only makes one more key; the second-level registries
 * here are those of the largest country domains (publicsuffix.org). @module */

const secondLevel = new Set([
  "ac",
  "co",
  "com",
  "edu",
  "gob",
  "gov",
  "ltd",
  "mil",
  "ne",
  "net",
  "nom",
  "or",
  "org",
  "plc",
]);

/** Registered domain ("example.co.uk") and what stands before it ("a.b", "" for none). A name whose end can be no top-level domain
 * was never registered: tools that talk to their own server put a tag in front ("dnscat.<data>"), which then stands for the domain. */
export function splitDomain(name: string): { domain: string; subdomain: string } {
  const labels = name.toLowerCase().replace(/\.+$/, "").split(".");
  const last = labels[labels.length - 1], beforeLast = labels[labels.length - 2];
  if (labels.length > 1 && !/^([a-z]{2,24}|xn--[a-z0-9-]{1,59})$/.test(last)) {
    return { domain: labels[0], subdomain: labels.slice(1).join(".") };
  }
  const kept = labels.length > 2 && last.length === 2 && secondLevel.has(beforeLast) ? 3 : 2;
  return { domain: labels.slice(-kept).join("."), subdomain: labels.slice(0, -kept).join(".") };
}
