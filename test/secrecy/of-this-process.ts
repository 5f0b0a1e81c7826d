import { type Recording, startRecording } from "./recording.ts";
import { declarePrivateFiles, declareSecretVariables } from "./secrets.ts";

/** What the tests of this process did, seen from outside. */
export const recording: Recording = startRecording({ line: declarePrivateFiles, env: declareSecretVariables });
