// Play one run of two attempts through docs/connect/task-log.ts and an official exporter.
// Or, with words, a run for each that says so of itself; before and with an error.
// node log_run.mjs <endpoint> <run id> [word…]
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import path from "node:path";
import { otelSink, taskLog } from "../../docs/connect/task-log.ts";

const require = createRequire(path.resolve(import.meta.dirname, "../e2e/js/package.json"));
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const { BatchLogRecordProcessor, LoggerProvider } = (await load("@opentelemetry/sdk-logs"));
const { resourceFromAttributes } = await load("@opentelemetry/resources");
const { OTLPLogExporter } = await load("@opentelemetry/exporter-logs-otlp-http");

const [endpoint, runId, ...words] = process.argv.slice(2);
const provider = new LoggerProvider({
  resource: resourceFromAttributes({
    "service.name": "media-worker", "service.version": "1.0.0", "deployment.environment.name": "production",
  }),
  processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter({ url: `${endpoint}/v1/logs` }) })],
});
const ids = {
  correlation_id: "doc-7f3a91c2e4", request_id: "req-55d0c1", run_id: runId, task_id: "process-document", queue: "documents",
};
const sink = otelSink(provider.getLogger("tasks"));
const attempt = (number, work) => taskLog(sink, { ...ids, attempt: number }).operation("document_process", work, { page_count: 3 });

for (const word of words)
  for (const fails of [false, true]) {
    const key = `${runId}_${word}${fails ? "_error" : ""}`;
    const own = { ...ids, run_id: key, correlation_id: key, request_id: key, attempt: 1 };
    await taskLog(sink, own).operation("document_process", async (step) => {
      step[word]({ told_because: "asked" });
      if (fails) throw new RangeError("no");
    }).catch(() => {});
  }
if (!words.length) await attempt(1, async (step) => {
  step.validating();
  step.calling("storage");
  throw new RangeError("storage answered 503");
}).catch(() => {});
if (!words.length) await attempt(2, async (step) => {
  step.validating();
  step.calling("storage");
  step.done({ size_bytes: 2048 });
});
await provider.forceFlush();
await provider.shutdown();
