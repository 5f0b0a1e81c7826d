/** What leaking.ts lets out. */
export const SECRET = "lk_5ecre75ecre7-5ecre7";
/** Declared by nobody: only that it was presented as a key makes it a secret. */
export const PRESENTED_ONLY = "lk_pre5en7ed0n1y-pre5en7ed";
/** Declared by nobody either: only the name of its variable makes it a secret. */
export const IN_VARIABLE = "pep_0f-4-test-0f-4-test";
