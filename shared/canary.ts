/** The canary: a datagram that a sensor sends on its own wire, to be found among the flows at the centre.
 *
 * Out: where it goes. Both groups stay on the link: 239.255.0.0/16 is administratively scoped and sent with a TTL of 1
 * (RFC 2365), ff12::/16 is a transient group of link-local scope (RFC 4291).
 * Why multicast: no host has to be there to answer, and no router passes it on. @module */

export const canaryGroup4 = "239.255.86.1";
export const canaryGroup6 = "ff12::8601";
export const canaryPort = 8_601;
