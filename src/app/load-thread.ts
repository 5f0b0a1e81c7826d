import { Worker } from "node:worker_threads";
import { assembleConfiguration } from "../config/compile.ts";
import type { LoadedConfiguration, RejectedConfiguration } from "../config/load.ts";
import type { Clock, Timer } from "../proxy/clock.ts";
import { isKind } from "./is-kind.ts";
import type { LoadAnswer, LoadQuestion, LoadRequest } from "./load-worker.ts";

/** Loads configurations in a thread of its own, one at a time. */
export interface LoadThread {
  /** Reads, compiles and compares over there; what comes here is a table of keys that both share. */
  readonly load: (request: LoadRequest) => Promise<LoadedConfiguration | RejectedConfiguration>;
  /** Copies the files of the last load into a directory; a problem is why it could not. */
  readonly keep: (directory: string, nowMs: number) => Promise<string | undefined>;
  readonly close: () => Promise<void>;
}

// Reloads come in bursts, and a thread takes longer to start than most files take to load. After a
// pause it ends, since what it parsed is several times as large as what is made of it.
const LINGER_MS = 2_000;

export function createLoadThread(workerUrl: URL, clock: Clock): LoadThread {
  let talk: Conversation | undefined;
  let lingering: Timer | undefined;

  const begin = (): Conversation => {
    lingering?.cancel();
    // A thread says that it ended when another may long have taken its place.
    talk ??= startConversation(workerUrl, (ended) => {
      if (talk === ended) talk = undefined;
    });
    talk.hold();
    return talk;
  };
  const rest = (): void => {
    talk?.release();
    lingering = clock.after(LINGER_MS, () => void talk?.retire());
  };
  return {
    load: async (request) => {
      const conversation = begin();
      try {
        return await converse(conversation, request);
      } catch (error) {
        // Where in the conversation it broke off nobody knows.
        await conversation.end();
        throw error;
      } finally {
        rest();
      }
    },
    keep: async (directory, nowMs) => {
      if (talk === undefined) return "the thread that read the files has ended";
      const conversation = begin();
      try {
        return (await conversation.ask({ kind: "keep", directory, nowMs }, "kept")).problem;
      } catch (error) {
        await conversation.end();
        return `the thread that read the files failed: ${String(error)}`;
      } finally {
        rest();
      }
    },
    close: async () => {
      lingering?.cancel();
      await talk?.end();
    },
  };
}

async function converse(
  talk: Conversation,
  request: LoadRequest,
): Promise<LoadedConfiguration | RejectedConfiguration> {
  talk.post({ kind: "load", request });
  const answer = await talk.hear();
  if (answer.kind === "rejected") return answer;
  if (answer.kind !== "loaded") throw new Error(`the loading thread answered "${answer.kind}" to a load`);
  const { keys, ...loaded } = answer;
  // What was judged to be good over there is compiled once more; without the keys that takes no time.
  return { ...loaded, configuration: assembleConfiguration(loaded.input, keys) };
}

interface Conversation {
  readonly post: (question: LoadQuestion) => void;
  /** The next answer; rejects when the thread has ended. */
  readonly hear: () => Promise<LoadAnswer>;
  readonly ask: <K extends LoadAnswer["kind"]>(
    question: LoadQuestion,
    kind: K,
  ) => Promise<Extract<LoadAnswer, { kind: K }>>;
  /** Whether the thread keeps the process alive: while there is a load at the start, nothing else does. */
  readonly hold: () => void;
  readonly release: () => void;
  readonly end: () => Promise<void>;
  /** The same, once the thread has given back what it held. */
  readonly retire: () => Promise<void>;
}

// Records are read and sent a few hundred at a time, and what this thread once takes the process does not give back.
const YOUNG_GENERATION_MB = 16;

function startConversation(workerUrl: URL, onEnd: (ended: Conversation) => void): Conversation {
  const worker = new Worker(workerUrl, { resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB } });
  const answers: LoadAnswer[] = [];
  let waiting: { readonly resolve: (answer: LoadAnswer) => void; readonly reject: (error: Error) => void } | undefined;
  let failure: Error | undefined;

  const fail = (error: Error): void => {
    failure ??= error;
    onEnd(conversation);
    waiting?.reject(failure);
    waiting = undefined;
  };
  worker.on("message", (answer: LoadAnswer) => {
    if (waiting === undefined) answers.push(answer);
    else waiting.resolve(answer);
    waiting = undefined;
  });
  worker.on("error", (error) => fail(error instanceof Error ? error : new Error(String(error))));
  worker.on("exit", () => fail(new Error("the loading thread ended")));

  const post: Conversation["post"] = (question) => worker.postMessage(question);
  const hear: Conversation["hear"] = () =>
    new Promise((resolve, reject) => {
      const answer = answers.shift();
      if (answer !== undefined) resolve(answer);
      else if (failure !== undefined) reject(failure);
      else waiting = { resolve, reject };
    });
  const conversation: Conversation = {
    post,
    hear,
    ask: async (question, kind) => {
      post(question);
      const answer = await hear();
      if (!isKind(answer, kind)) throw new Error(`the loading thread said "${answer.kind}", not "${kind}"`);
      return answer;
    },
    hold: () => worker.ref(),
    release: () => worker.unref(),
    end: async () => {
      onEnd(conversation);
      await worker.terminate();
    },
    retire: async () => {
      onEnd(conversation);
      // One that cannot is ended all the same.
      await conversation.ask({ kind: "empty" }, "emptied").catch(() => {});
      await worker.terminate();
    },
  };
  return conversation;
}
