import type { Configuration } from "../config/settings.ts";
import { type AssertionSigner, createAssertionSigner } from "./assertion.ts";
import { compileHeaderRules, type HeaderRules } from "./header-rules.ts";
import { createIdentityWriter, type IdentityWriter } from "./identity.ts";

/** One loaded configuration with what the data plane derives from it; a request keeps the one it began with. */
export interface Generation {
  readonly configuration: Configuration;
  readonly headerRules: HeaderRules;
  readonly identity: IdentityWriter;
  readonly assertions: AssertionSigner | undefined;
}

export function createGeneration(configuration: Configuration): Generation {
  const { identity } = configuration.settings;
  return {
    configuration,
    headerRules: compileHeaderRules(configuration),
    identity: createIdentityWriter(identity),
    assertions: identity.assertion === undefined ? undefined : createAssertionSigner(identity.assertion),
  };
}
