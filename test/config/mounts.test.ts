import { describe, expect, test } from "vitest";
import { parseMountPoints, warnOfFileMounts } from "../../src/config/mounts.ts";
import { findFileMounts } from "../../src/config/read-mounts.ts";

// As a pod shows it that mounts a ConfigMap at /etc/latchkey, and one file of a Secret with subPath.
const MOUNTINFO = `1203 1102 0:131 / / rw,relatime master:391 - overlay overlay rw,lowerdir=/var/lib
1210 1203 8:1 /var/lib/kubelet/pods/1/volumes/kubernetes.io~configmap/config /etc/latchkey ro,relatime - ext4 /dev/sda1 rw
1211 1203 0:120 /..2026_01_01_00_00_00.1/keys.yaml /etc/keys/keys.yaml ro,relatime - tmpfs tmpfs rw,size=65536k
1212 1203 8:1 /home/me/with\\040a\\040blank\\134.yaml /etc/with\\040a\\040blank\\134.yaml rw,relatime - ext4 /dev/sda1 rw
`;

describe("parseMountPoints()", () => {
  test("reads where things are mounted, with blanks and backslashes as they are", () => {
    expect([...parseMountPoints(MOUNTINFO)]).toEqual([
      "/",
      "/etc/latchkey",
      "/etc/keys/keys.yaml",
      "/etc/with a blank\\.yaml",
    ]);
  });

  test("finds nothing in what is no mountinfo", () => {
    expect(parseMountPoints("")).toEqual(new Set());
    expect(parseMountPoints("a b\n\n")).toEqual(new Set());
  });
});

describe("warnOfFileMounts()", () => {
  test("warns of files that are mounts, not of files in a directory that is one, and says what to do", () => {
    const files = ["/etc/latchkey/latchkey.yaml", "/etc/keys/keys.yaml"];
    expect(warnOfFileMounts(files, parseMountPoints(MOUNTINFO))).toEqual([
      {
        severity: "warning",
        file: "/etc/keys/keys.yaml",
        line: 0,
        column: 0,
        path: "",
        message: expect.stringContaining("is never seen here"),
        fix: "Mount the directory that holds it, in Kubernetes without subPath",
      },
    ]);
  });
});

describe("findFileMounts()", () => {
  test("says nothing of ordinary files, directories and files that are not there", async () => {
    expect(await findFileMounts([import.meta.filename, import.meta.dirname, "/nowhere/keys.yaml", "/"])).toEqual([]);
  });
});
