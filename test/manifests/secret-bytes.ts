import { type Manifest, toManifest } from "./parse-manifests.ts";

// Typed clients send Secrets in the binary form of Kubernetes: four bytes, an envelope, and in its second field the object.
// kubernetes.io/docs/reference/using-api/api-concepts (Protobuf encoding), k8s.io/api/core/v1/generated.proto.
const MAGIC = Buffer.from("k8s\0");
const RAW = 2;
const [METADATA, DATA, TYPE] = [1, 2, 3];
const [NAME, NAMESPACE, LABELS] = [1, 3, 11];
const [KEY, VALUE] = [1, 2];

type Field = readonly [number: number, bytes: Buffer];

/** Reads a Secret as kubectl and helm send it. */
export function readSecretBytes(bytes: Buffer): Manifest {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw new Error("not the binary form of Kubernetes");
  const secret = readFields(take(readFields(bytes.subarray(MAGIC.length)), RAW));
  const metadata = readFields(take(secret, METADATA));
  const labels = Object.fromEntries(entriesOf(metadata, LABELS).map(([key, value]) => [key, value.toString()]));
  return toManifest({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: take(metadata, NAME).toString(), namespace: take(metadata, NAMESPACE).toString(), labels },
    data: Object.fromEntries(entriesOf(secret, DATA).map(([key, value]) => [key, value.toString("base64")])),
    type: take(secret, TYPE).toString(),
  });
}

function take(fields: readonly Field[], wanted: number): Buffer {
  return fields.find(([number]) => number === wanted)?.[1] ?? Buffer.alloc(0);
}

function entriesOf(fields: readonly Field[], wanted: number): readonly (readonly [key: string, value: Buffer])[] {
  return fields
    .filter(([number]) => number === wanted)
    .map(([, entry]) => readFields(entry))
    .map((entry) => [take(entry, KEY).toString(), take(entry, VALUE)]);
}

/** The fields that hold bytes; numbers are passed over. */
function readFields(bytes: Buffer): readonly Field[] {
  const fields: Field[] = [];
  let at = 0;
  const readNumber = (): number => {
    let [value, factor, byte] = [0, 1, 0x80];
    while (byte >= 0x80) {
      byte = bytes.readUInt8(at);
      at += 1;
      value += (byte % 0x80) * factor;
      factor *= 0x80;
    }
    return value;
  };
  while (at < bytes.length) {
    const tag = readNumber();
    const length = readNumber();
    const [number, wireType] = [Math.floor(tag / 8), tag % 8];
    if (wireType === 0) continue;
    if (wireType !== 2) throw new Error(`field ${number} is of wire type ${wireType}`);
    fields.push([number, bytes.subarray(at, at + length)]);
    at += length;
  }
  return fields;
}
