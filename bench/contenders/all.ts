import { caddy } from "./caddy.ts";
import type { Contender } from "./contender.ts";
import { haproxy } from "./haproxy.ts";
import { LATCHKEY } from "./latchkey.ts";
import { nginx } from "./nginx.ts";
import { NODE_PEERS } from "./node-peers.ts";

/** In the order of the tables. */
export const CONTENDERS: readonly Contender[] = [nginx, haproxy, ...LATCHKEY, caddy, ...NODE_PEERS];
