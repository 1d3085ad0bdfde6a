/** Reads who a TLS server's certificate names, who signed it, and until when it holds.
 *
 * In: the columns of a packet with a Certificate message.
 * Out: three fields of {@link TlsFact}, of the first (the server's own) certificate.
 * Invariant: a name is given only when the attributes add up; otherwise the field stays away.
 * Why a walk: tshark lists attribute types, string kinds and strings apart;
 * the two counts of names say where issuer and subject end.
 * @module */

import type { Facts, TlsFact } from "../../../shared/facts.ts";
import { boundText, wireNumber } from "../facts/bounds.ts";
import type { CertificateNames } from "../plain/certificate.ts";
import { slot } from "./slots.ts";
import { splitCounted, splitPlain } from "./split.ts";

const commonName = "2.5.4.3";
const organization = "2.5.4.10";
/** Attribute types whose value is a DirectoryString (X.520);
 * country, serial number, e-mail and domain component are other strings. */
const directoryStrings = /^2\.5\.4\.(3|4|7|8|9|10|11|12|13|15|16|17|18|20|41|42|43|44|51|65|97)$/;
/** Which column holds each choice of DirectoryString: teletex, printable, universal, bmp, utf8. */
const choiceSlots = [slot.service, slot.ns, -1, -1, slot.cname];

/** Keeps what a certificate says, unless something was kept of one before; `notAfter` "" = not known. */
export function keepCertificate(facts: Facts, names: CertificateNames): void {
  const { issuer, subject, notBefore, notAfter, isSelfIssued } = names;
  const tls: TlsFact = facts.tls ??= {};
  if (isSelfIssued && tls.certificate_not_after === undefined) tls.certificate_self_issued = true;
  if (notBefore !== "") tls.certificate_not_before ??= notBefore;
  if (notAfter !== "") tls.certificate_not_after ??= notAfter;
  if (issuer !== "") tls.certificate_issuer ??= boundText(facts, issuer);
  if (subject !== "") tls.certificate_subject ??= boundText(facts, subject);
}

/** Adds the first certificate's names to `facts`. */
export function readCertificate(columns: readonly string[], facts: Facts): void {
  const [notBefore, notAfter] = splitPlain(columns[slot.aaaa]).slice(0, 2).map(isoDate);
  keepCertificate(facts, { ...readNames(columns), notBefore: notBefore ?? "", notAfter: notAfter ?? "" });
}

function isoDate(text: string): string {
  const date = /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2}) \(UTC\)$/.exec(text);
  return date ? `${date[1]}T${date[2]}Z` : "";
}

/** Issuer and subject; "" = not known. */
function readNames(columns: readonly string[]): { issuer: string; subject: string; isSelfIssued: boolean } {
  const nobody = { issuer: "", subject: "", isSelfIssued: false };
  const sizes = splitPlain(columns[slot.bytes]).map(wireNumber);
  if (sizes.length < 2 || sizes.length % 2 !== 0) return nobody;
  // All subjects come before all issuers in the column, but an issuer comes before its subject in the certificate.
  const subjectSize = sizes[0];
  const issuerSize = sizes[sizes.length / 2];
  const attributes = readAttributes(columns, issuerSize + subjectSize);
  if (!attributes) return nobody;
  const issuer = attributes.slice(0, issuerSize), subject = attributes.slice(issuerSize);
  const isSelfIssued = JSON.stringify(issuer) === JSON.stringify(subject) && nameOf(issuer) !== "";
  return { issuer: nameOf(issuer), subject: nameOf(subject), isSelfIssued };
}

/** The first `count` attributes as (type, text); null when the lists do not add up. */
function readAttributes(
  columns: readonly string[],
  count: number,
): { type: string; text: string }[] | null {
  const types = splitPlain(columns[slot.responseType]);
  const choices = splitPlain(columns[slot.a]).map(wireNumber);
  if (types.length < count) return null;
  const strings = choiceSlots.map((index, choice) =>
    index < 0 ? [] : splitCounted(columns[index], choices.filter((value) => value === choice).length)
  );
  const used = [0, 0, 0, 0, 0];
  const attributes: { type: string; text: string }[] = [];
  let next = 0;
  for (const type of types.slice(0, count)) {
    if (!directoryStrings.test(type)) {
      attributes.push({ type, text: "" });
      continue;
    }
    const choice = choices[next++];
    if (choice === undefined || choice > 4) return null;
    attributes.push({ type, text: strings[choice][used[choice]++] ?? "" });
  }
  return attributes;
}

function nameOf(attributes: readonly { type: string; text: string }[]): string {
  const last = (type: string) => attributes.findLast((attribute) => attribute.type === type)?.text ?? "";
  return last(commonName) || last(organization);
}
