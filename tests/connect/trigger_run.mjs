// Run the task of docs/connect/trigger-dev.md with Trigger.dev's own SDK, its telemetry going where the page's config says.
// Trigger.dev itself is not there: what its worker sets up for a task is set up here, as of @trigger.dev/core 4.8.3.
// node trigger_run.mjs <folder with the page's files and packages> <run id>
import { once } from "node:events";
import { createServer } from "node:http";
import { createRequire, registerHooks } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [folder, runId] = process.argv.slice(2);
const here = createRequire(path.join(folder, "package.json"));
const core = createRequire(here.resolve("@trigger.dev/sdk"));
const load = (file) => import(pathToFileURL(file).href);
// Trigger.dev bundles tasks; node wants to know that "./task-log" is TypeScript.
registerHooks({
  resolve: (name, context, next) => next(/^\.\/[\w-]+$/.test(name) && context.parentURL?.endsWith(".ts") ? `${name}.ts` : name, context),
});

const { logger, resourceCatalog, taskContext } = await load(core.resolve("@trigger.dev/core/v3"));
const { OtelTaskLogger, StandardResourceCatalog, TracingSDK } = await load(core.resolve("@trigger.dev/core/v3/workers"));
resourceCatalog.setGlobalResourceCatalog(new StandardResourceCatalog());
resourceCatalog.setCurrentFileContext("process-document.ts", "process-document");
const { default: config } = await load(path.join(folder, "trigger.config.ts"));
await load(path.join(folder, "process-document.ts"));
const { fns } = resourceCatalog.getTask("process-document");

const named = (id) => ({ id, name: id, slug: id, ref: id, type: "PRODUCTION" });
const ctx = {
  run: { id: runId, tags: [], isTest: false, createdAt: new Date() },
  task: { id: "process-document", filePath: "process-document.ts" },
  attempt: { number: 1, startedAt: new Date() },
  queue: named("documents"),
  environment: named("production"),
  organization: named("organization"),
  project: named("project"),
};
taskContext.setGlobalTaskContext({ ctx, worker: { id: "worker_1", version: "20261123.1" } });
const platform = createServer((_, response) => response.end("{}")).listen(0, "127.0.0.1"); // its own copy goes there
await once(platform, "listening");
const sdk = new TracingSDK({ url: `http://127.0.0.1:${platform.address().port}`, forceFlushTimeoutMillis: 30_000, ...config.telemetry });
logger.setGlobalTaskLogger(
  new OtelTaskLogger({ logger: sdk.getLogger("trigger-dev-worker"), tracer: sdk.getTracer("trigger-dev-worker"), level: "info" }),
);
const payload = { id: "7f3a91c2e4", requestId: "req-55d0c1" };
await sdk.getTracer("trigger-dev-worker").startActiveSpan("Attempt 1", { attributes: { "$span.attempt": true } }, async (span) => {
  await fns.run(payload, { ctx });
  span.end();
});
await sdk.flush();
process.exit(0);
