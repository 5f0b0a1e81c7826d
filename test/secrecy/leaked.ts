/** What leaking.ts lets out. */
export const SECRET = "lk_5ecre75ecre7-5ecre7";
/** Declared by nobody: only that it was presented as a key makes it a secret. */
export const PRESENTED_ONLY = "lk_pre5en7ed0n1y-pre5en7ed";
