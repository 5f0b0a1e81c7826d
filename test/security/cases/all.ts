import type { Case } from "../bench/case.ts";
import { ADDRESS_CASES } from "./address.ts";
import { AUTHORISER_CASES } from "./authoriser.ts";
import { CREDENTIAL_CASES } from "./credential.ts";
import { FRAMING_CASES } from "./framing.ts";
import { HEADERS_CASES } from "./headers.ts";
import { IDENTITY_CASES } from "./identity.ts";
import { METHOD_CASES } from "./method.ts";
import { RESOURCE_CASES } from "./resource.ts";
import { RESPONSE_CASES } from "./response.ts";
import { TARGET_CASES } from "./target.ts";
import { UPGRADE_CASES } from "./upgrade.ts";

/** Every case by its attack class. */
export const CASES: Readonly<Record<string, readonly Case[]>> = {
  target: TARGET_CASES,
  framing: FRAMING_CASES,
  headers: HEADERS_CASES,
  identity: IDENTITY_CASES,
  credential: CREDENTIAL_CASES,
  method: METHOD_CASES,
  upgrade: UPGRADE_CASES,
  address: ADDRESS_CASES,
  authoriser: AUTHORISER_CASES,
  response: RESPONSE_CASES,
  resource: RESOURCE_CASES,
};
