/** One exchange of exact bytes, and what may come of it. Placeholders such as `{key}` are filled by `bench/words.ts`. */
export interface Case {
  /** A sentence: what is sent, and how it ends. */
  readonly name: string;
  /** The published vulnerability this case would have caught. */
  readonly advisory?: string;
  /** Which configuration stands in front of the upstream; `plain` unless said otherwise. */
  readonly setup?: Setup;
  /** The client's own address; loopback unless said otherwise. */
  readonly from?: string;
  /** What the client sends; of several parts each waits until the text before it was answered. */
  readonly send: string | readonly Part[];
  /** What the client does once all is sent. */
  readonly ending?: "wait" | "close" | "half-close";
  /** Stop reading once this was received: for connections that stay open. */
  readonly until?: string;
  /** What the upstream answers; an ordinary 200 unless said otherwise. */
  readonly reply?: Reply;
  /** The final answers, in order; each one of these statuses. `[]`: the connection ends without an answer. */
  readonly answers: readonly Statuses[];
  /** Whether the client's copy of the last answer must visibly break off. */
  readonly broken?: boolean;
  /** Everything of this case that may reach the upstream, in any order. */
  readonly upstream: "never" | readonly Arrival[];
  /** Text that must, or must not, be in what the client received. */
  readonly client?: { readonly has?: readonly string[]; readonly lacks?: readonly string[] };
}

/** `authoriser` is the admin port, which asks nothing of an upstream. */
export type Setup = "plain" | "trusting" | "authoriser";

/** 0 stands for no answer at all: the connection just ends. */
export type Statuses = number | readonly number[];

export interface Part {
  readonly bytes: string;
  /** Send it only after this was received. */
  readonly after?: string;
}

/** A message the upstream receives. What is not named here is not compared. */
export interface Arrival {
  readonly method: string;
  readonly target: string;
  /** `""` unless said otherwise. */
  readonly body?: string;
  /** False for a message that must break off: its end never arrives. True unless said otherwise. */
  readonly complete?: boolean | "either";
  /** It may also never arrive: refused as early as its head, or given up on. */
  readonly maybe?: boolean;
  /** Names no header or trailer may fold onto. */
  readonly absent?: readonly string[];
  /** Every value of a header, by exact name in lower case. */
  readonly present?: Readonly<Record<string, readonly string[]>>;
  /** What arrives after a 101. */
  readonly tunnel?: string;
}

export interface Reply {
  readonly bytes: string;
  /** `keep`: go on reading requests; `close`: end the connection; `reset`: destroy it. `keep` unless said otherwise. */
  readonly ending?: "keep" | "close" | "reset";
  /** Answer as soon as the head is there instead of waiting for the body. */
  readonly early?: boolean;
}
