/** The schema library, in one place.
 *
 * Out: `z`, used for what comes in over HTTP, from a model and from files,
 * and for the OpenAPI page made from the same schemas.
 * Why zod: one package without dependencies validates, infers the type and prints JSON Schema. @module */

export { z } from "zod";
