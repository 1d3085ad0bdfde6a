/** New country: an own host calls a country that no host of its network called before, after a time in which the others
 * were learned.
 *
 * In: answered calls of own hosts, what files of places say. Out: one finding for each network and country.
 * Invariant: never above low: people travel, buy and read everywhere. It counts beside other threats of the host.
 * ATT&CK T1071: it is one sign of many for a remote control. @module */

import { type Places, placeText } from "../../model/place.ts";
import { type Declaration, detector } from "../detector.ts";
import { field, hostile, reason } from "../finding.ts";
import { findOut } from "../signs/advice.ts";
import { habitHours, habitS } from "../signs/countries.ts";
import { oddSignsOf } from "../signs/odd_service.ts";

/** The detector over `places`; none known, and it finds nothing. */
export function newCountry(places: Places): Declaration {
  return detector({
    name: "new_country",
    technique: "T1071",
    title: "First call to a country",
    about: "An own host calls a country that no host of its network called before.",
    lacks: () => places.isKnown ? null : "GeoIP files",
    limits: {
      learningS: { value: habitS, unit: "s", why: "a week holds the habits of a network, weekend included" },
      hoursMin: {
        value: habitHours,
        unit: "h",
        why: "in which anything outside was called: a gap of days, or a few captures joined, teach nothing",
      },
      callsMin: { value: 1, unit: "calls", why: "it is the first one that is told" },
    },
    window: {
      quietS: { value: 86_400, unit: "s", why: "what is called for a day is known" },
      ageS: { value: 86_400, unit: "s", why: "what is called for a day is known" },
    },
    keysMax: 5_000,
    key: ({ country }, { learningS, hoursMin }) =>
      country?.isFirst && country.watchedS >= learningS && country.hours >= hoursMin ? country.code : null,
    open: ({ src, dst, country, serverName, segment }) => ({
      src,
      dst,
      port: segment.dst_port,
      name: serverName,
      place: country!.place,
      days: Math.floor(country!.watchedS / 86_400),
      odd: [...oddSignsOf(segment, serverName).values()],
      calls: 0,
    }),
    step: (call) => void call.calls++,
    isThreat: ({ calls }, { callsMin }) => calls >= callsMin,
    finding({ src, dst, port, name, place, days, odd, calls }) {
      const evidence = {
        country: field("country", place.country_name ?? place.country!),
        place: field("where it is", placeText(place)),
        days: field("days watched before", days),
        name: name === "" ? field("name called", "none") : hostile("name called", name),
      };
      const reasons = [
        reason("first_call", 20, `in ${evidence.days} days nobody here called ${evidence.country}`),
      ];
      if (odd.length > 0) reasons.push(reason("odd", 10, odd[0]));
      return {
        src_ips: [src.ip],
        dst_ips: [dst.ip],
        dst_port: port,
        count: calls,
        summary:
          `${src.ip} called ${dst.ip} (port ${port}) in ${evidence.country}, which no host of this network called in ${evidence.days} days.`,
        reasons,
        evidence,
      };
    },
    meaning:
      "Attackers rent servers where it is cheap or where nobody asks; a country that was never called before is one sign among others.",
    action: (_evidence, _finding, { src }) => findOut(src, "called it"),
    falseAlarm: "Somebody looked at a page from there, or a service you use moved its servers.",
  });
}
