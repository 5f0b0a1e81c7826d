/** For `--import`: tells on standard error how each part of the built program was started. */
export const WATCH_PARTS = `data:text/javascript,${encodeURIComponent(`
  import { basename } from "node:path";
  import vm from "node:vm";
  vm.Script = class extends vm.Script {
    constructor(source, options) {
      super(source, options);
      const how = { false: "from what was compiled", true: "what was compiled was rejected" };
      const part = basename(options.filename).replace(/-.*/, "");
      process.stderr.write("part " + part + ": " + (how[this.cachedDataRejected] ?? "compiled anew") + "\\n");
    }
  };
`)}`;
