import { assembleConfiguration, type CompileInput } from "../config/compile.ts";
import type { LoadedConfiguration } from "../config/load.ts";
import type { Configuration } from "../config/settings.ts";
import type { KeyTable } from "../policy/key.ts";

/** A good configuration as it goes to another thread: its keys are in memory that both share. */
export interface Parcel {
  readonly input: CompileInput;
  readonly keys: KeyTable;
}

export function toParcel({ input, configuration }: LoadedConfiguration): Parcel {
  return { input, keys: configuration.policy.keys.table };
}

export function openParcel({ input, keys }: Parcel): Configuration {
  return assembleConfiguration(input, keys);
}
