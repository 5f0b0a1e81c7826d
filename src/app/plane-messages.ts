import type { KeyOperation, SocketAddress } from "../config/settings.ts";
import type { BucketMemory } from "../limits/shared-buckets.ts";
import type { TlsMaterial } from "../proxy/listener.ts";
import type { OperationResult } from "../proxy/manage.ts";
import type { ShadowNumbers } from "../proxy/shadow.ts";
import type { LineBytes } from "../telemetry/line-batches.ts";
import type { MetricsSnapshot } from "../telemetry/metrics-total.ts";
import type { CountedSeries } from "../telemetry/request-tally.ts";
import type { DigestVerdict } from "./bcrypt-verifier.ts";
import type { Drained } from "./drain.ts";
import type { Parcel } from "./parcel.ts";
import type { Share } from "./share.ts";
import type { Verified } from "./verified-credentials.ts";

/** What a thread of the data plane begins with. */
export interface PlaneStart {
  /** Its own number, which no other thread ever had: locks are held under it. */
  readonly thread: number;
  /** The number of the configuration in force, in memory that all threads see at once. */
  readonly inForce: Int32Array;
  /** The memory of the flag that says whether the process drains. */
  readonly draining: SharedArrayBuffer;
  readonly number: number;
  readonly parcel: Parcel;
  readonly candidate: Parcel | undefined;
  /** Where to listen; the port is known by now. */
  readonly address: SocketAddress;
  readonly tls: TlsMaterial | undefined;
  readonly share: Share;
  readonly memory: PlaneMemory;
  readonly secret: Uint8Array;
  readonly verified: readonly Verified[];
  readonly version: string;
}

/** Buckets, by what is counted in them. */
export interface PlaneMemory {
  readonly buckets: BucketMemory;
  readonly failures: BucketMemory;
  readonly shadowBuckets: BucketMemory;
  readonly shadowFailures: BucketMemory;
}

/** What the supervising thread tells or asks a thread of the data plane. */
export type ToPlane =
  /** Make this ready; it is in force once `inForce` says so. */
  | { readonly kind: "prepare"; readonly number: number; readonly parcel: Parcel }
  | { readonly kind: "settle"; readonly number: number }
  | { readonly kind: "renewTls"; readonly material: TlsMaterial }
  | { readonly kind: "compareWith"; readonly candidate: Parcel | undefined }
  | { readonly kind: "verified"; readonly verified: Verified }
  | { readonly kind: "report"; readonly id: number }
  | { readonly kind: "answer"; readonly id: number; readonly answer: PlaneAnswer }
  | { readonly kind: "drain"; readonly delayMs: number }
  | { readonly kind: "close" };

export type FromPlane =
  | { readonly kind: "listening"; readonly address: SocketAddress }
  | { readonly kind: "failed"; readonly message: string; readonly code: string | undefined }
  | { readonly kind: "prepared"; readonly number: number }
  | { readonly kind: "settled"; readonly number: number }
  | { readonly kind: "counts"; readonly metrics: MetricsSnapshot }
  /** From now on it counts these requests there, in memory that outlives it. */
  | { readonly kind: "counting"; readonly series: CountedSeries }
  | { readonly kind: "report"; readonly id: number; readonly report: PlaneReport }
  | { readonly kind: "ask"; readonly id: number; readonly question: PlaneQuestion }
  | { readonly kind: "log"; readonly lines: LineBytes }
  | { readonly kind: "drained"; readonly drained: Drained }
  | { readonly kind: "closed"; readonly metrics: MetricsSnapshot };

/** What only the supervising thread can do. */
export type PlaneQuestion =
  | { readonly kind: "compare"; readonly credential: string; readonly digests: readonly string[] }
  | { readonly kind: "operate"; readonly operation: KeyOperation; readonly id: string; readonly callerId: string };

export type PlaneAnswer =
  | { readonly kind: "compared"; readonly verdict: DigestVerdict }
  | { readonly kind: "operated"; readonly result: OperationResult }
  | { readonly kind: "failed"; readonly problem: string };

export interface PlaneReport {
  readonly metrics: MetricsSnapshot;
  readonly shadow: ShadowNumbers | undefined;
}
