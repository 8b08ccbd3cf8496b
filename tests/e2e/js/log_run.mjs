// Log one run in the guideline's format through an official exporter.
// node log_run.mjs <http|proto|grpc> <endpoint> <run id> <none|gzip>
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { resourceFromAttributes } from "@opentelemetry/resources";

const [kind, endpoint, runId, compression] = process.argv.slice(2);
const { OTLPLogExporter } = await import(`@opentelemetry/exporter-logs-otlp-${kind}`);
const url = kind === "grpc" ? endpoint : `${endpoint}/v1/logs`;
const exporter = new OTLPLogExporter({ url, compression });

const provider = new LoggerProvider({
  resource: resourceFromAttributes({ "service.name": "js-worker", "service.version": "1.0.0" }),
  processors: [new BatchLogRecordProcessor({ exporter })],
});
const logger = provider.getLogger("tasks");
const ids = { correlation_id: "doc-1", request_id: "req-1", run_id: runId, task_id: "js-task", queue: "js" };
const log = (body, more = {}) =>
  logger.emit({ severityNumber: 9, severityText: "INFO", body, attributes: { ...ids, ...more } });

log("document_process_started", { attempt: 1 });
log("document_process_failed", { attempt: 1, error_type: "Timeout" });
log("document_process_started", { attempt: 2 });
log("document_process_calling_storage", { attempt: 2 });
log("document_process_completed", { attempt: 2, processing_time_ms: 12.5 });
await provider.forceFlush();
console.log(JSON.stringify({ flushed_ms: Date.now() }));
await provider.shutdown();
