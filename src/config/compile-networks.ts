import { compileNetworks, type NetworkSet, parseNetwork } from "../policy/network.ts";
import type { Path } from "./diagnostics.ts";
import type { Report } from "./report.ts";
import { quote } from "./values.ts";

/** Compiles CIDR ranges; an empty list is no restriction. A range that is none would silently allow less, so it is an error. */
export function compileRanges(ranges: readonly string[], report: Report, path: Path): NetworkSet | undefined {
  let allValid = true;
  for (const [index, range] of ranges.entries()) {
    if (parseNetwork(range) !== undefined) {
      if (range.includes("%"))
        report.warning([...path, index], "The zone behind % is not looked at: any interface will do");
      continue;
    }
    allValid = false;
    report.error(
      [...path, index],
      `Expected an IP address or CIDR range such as 203.0.113.0/24; found ${quote(range)}`,
    );
  }
  return ranges.length === 0 || !allValid ? undefined : compileNetworks(ranges);
}
