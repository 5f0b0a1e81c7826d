import { randomBytes } from "node:crypto";

const ID_BYTES = 16;
// As text they are cut out of, this many at once: a call for each costs more than the rest of making it.
const IDS_AT_ONCE = 256;

/** Makes request ids: 32 hexadecimal digits of which nobody can guess the next, as W3C trace ids are. */
export function createRequestIds(): () => string {
  let digits = "";
  let at = 0;
  return () => {
    if (at === digits.length) {
      digits = randomBytes(ID_BYTES * IDS_AT_ONCE).toString("hex");
      at = 0;
    }
    at += ID_BYTES * 2;
    return digits.slice(at - ID_BYTES * 2, at);
  };
}
